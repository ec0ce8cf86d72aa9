//! What must hold for any bytes taken as a log.

use midcall_analyzer::source::text::Text;
use midcall_analyzer::source::{Item, Packet, Source, Summary};
use midcall_testkit::pieces::Pieces;

/// The first byte says how long the pieces are in which the others are read.
pub(crate) fn check(data: &[u8]) {
    let Some((&piece, log)) = data.split_first() else { return };
    let (packets, summary) = read(log, log.len().max(1));
    for piece in [usize::from(piece).max(1), 1] {
        assert_eq!(
            read(log, piece),
            (packets.clone(), summary.clone()),
            "in pieces of {piece} it is another log"
        );
    }
    assert_eq!(summary.messages, packets.len() as u64);
    assert!(summary.records >= summary.messages);
    assert_eq!(summary.bytes, log.len() as u64);
    for packet in &packets {
        assert!(packet.payload.len() <= (1 << 16) + 8, "a message of {} bytes", packet.payload.len());
        assert!(packet.place.number > 0);
        let start = packet.payload.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let named = start.windows(8).any(|word| word == b"SIP/2.0 " || word == b" SIP/2.0");
        assert!(named, "it begins with {:?}", String::from_utf8_lossy(start));
    }
}

fn read(log: &[u8], piece: usize) -> (Vec<Packet>, Summary) {
    let mut text = Text::new(Pieces(log, piece));
    let mut packets = Vec::new();
    while let Some(item) = text.next() {
        match item {
            Ok(Item::Sip(packet)) => packets.push(packet),
            Ok(other) => panic!("{other:?} in a log"),
            Err(_) => assert!(packets.is_empty(), "only what holds nothing is refused"),
        }
    }
    assert!(text.next().is_none());
    let summary = text.summary();
    (packets, summary)
}
