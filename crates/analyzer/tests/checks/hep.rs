//! What must hold for any bytes taken as a HEP packet, as a stream of them, and as a file of whatever kind.

use std::io::Cursor;

use midcall_analyzer::source::hep::{Hep, payload};
use midcall_analyzer::source::{Item, Opener, Packet, Source, Summary};
use midcall_testkit::pieces::Pieces;

/// The first byte says how long the pieces are in which the others are read.
pub(crate) fn check(data: &[u8]) {
    let Some((&piece, bytes)) = data.split_first() else { return };
    if let Some(carried) = payload(bytes) {
        assert!(carried.payload.len() <= 1 << 16);
    }
    for hex in [false, true] {
        let whole = read(bytes, bytes.len().max(1), hex);
        for piece in [usize::from(piece).max(1), 1] {
            assert_eq!(read(bytes, piece, hex), whole, "in pieces of {piece} it is another file");
        }
        let (packets, summary) = whole;
        assert_eq!(summary.messages, packets.len() as u64);
        assert_eq!(summary.bytes, bytes.len() as u64);
        let lost: u64 = summary.skipped.iter().map(|skipped| skipped.count).sum();
        assert!(summary.messages + lost >= summary.records, "{summary:?}");
    }
    // Whatever it is, it is opened or refused.
    if let Ok(mut source) = Opener::default().read("a file", Cursor::new(bytes.to_vec())) {
        while source.next().is_some() {}
        source.summary();
    }
}

fn read(bytes: &[u8], piece: usize, hex: bool) -> (Vec<Packet>, Summary) {
    let pieces = Pieces(bytes, piece);
    let mut hep = if hex { Hep::hex(pieces) } else { Hep::new(pieces) };
    let mut packets = Vec::new();
    while let Some(item) = hep.next() {
        match item {
            Ok(Item::Sip(packet)) => packets.push(packet),
            other => panic!("{other:?}"),
        }
    }
    let summary = hep.summary();
    (packets, summary)
}
