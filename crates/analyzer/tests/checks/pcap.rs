//! What must hold for any bytes taken as a capture.

use std::io::Read;

use midcall_analyzer::source::pcap::Pcap;
use midcall_analyzer::source::{Item, Source, Summary};
use midcall_testkit::pieces::Pieces;

pub(crate) fn check(data: &[u8]) {
    let whole = read(data);
    let in_pieces = read(Pieces(data, 101));
    // What can be unpacked of a damaged file depends on how much is read at once.
    let packed = data.starts_with(&[0x1f, 0x8b]);
    assert!(packed || in_pieces == whole, "in pieces it is another capture: {in_pieces:?} and not {whole:?}");
    let Some((items, summary)) = whole else { return };
    let count = |sip: bool| items.iter().filter(|item| matches!(item, Item::Sip(_)) == sip).count() as u64;
    assert_eq!((summary.messages, summary.media), (count(true), count(false)));
    assert!(summary.bytes <= data.len() as u64, "more was read than there is");
    for item in &items {
        if let Item::Sip(packet) = item {
            assert!(packet.place.number <= summary.records, "a message of a frame that was not read");
            assert!(packet.payload.len() <= MAX_MESSAGE, "a message of {} bytes", packet.payload.len());
        }
    }
    if !packed {
        let bytes: usize = items
            .iter()
            .map(|item| if let Item::Sip(packet) = item { packet.payload.len() } else { 12 })
            .sum();
        assert!(bytes <= data.len(), "more came out than went in");
    }
}

fn read(source: impl Read + Send) -> Option<(Vec<Item>, Summary)> {
    let mut pcap = Pcap::new(source).ok()?;
    let mut items = Vec::new();
    while let Some(item) = pcap.next() {
        items.push(item.expect("memory can always be read"));
    }
    assert!(pcap.next().is_none(), "the end is the end");
    let summary = pcap.summary();
    Some((items, summary))
}

/// A message, or a datagram of the greatest length.
const MAX_MESSAGE: usize = 65_535;
