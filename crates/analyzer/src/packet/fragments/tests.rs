use super::*;

fn id(number: u32) -> Id {
    Id { from: [192, 0, 2, 1].into(), to: [192, 0, 2, 2].into(), protocol: 17, number }
}

const PACKET: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn fragment(from: usize, to: usize) -> Fragment<'static> {
    Fragment { offset: from, more: to < PACKET.len(), data: &PACKET[from..to] }
}

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

#[test]
fn any_order_and_any_overlap_give_the_packet() {
    let cuts = [(0, 8), (8, 16), (16, 36)];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (nth, order) in orders.into_iter().enumerate() {
        let mut table = Fragments::new();
        let mut whole = Vec::new();
        for part in order {
            let (from, to) = cuts[part];
            // Each twice, and the second time with more than it has by itself.
            for to in [to, (to + 8).min(PACKET.len())] {
                whole.extend(table.add(id(nth as u32), &fragment(from, to), at(0), 1));
            }
        }
        assert_eq!(whole.first().map(Vec::as_slice), Some(PACKET), "in the order {order:?}");
    }
}

#[test]
fn a_packet_whose_rest_is_missing_is_given_up_with_its_front() {
    let mut table = Fragments::new();
    assert_eq!(table.add(id(1), &fragment(0, 8), at(0), 5), None);
    assert_eq!(table.add(id(1), &fragment(16, 36), at(0), 6), None);
    assert!(table.expired(Some(at(900))).is_none());
    let torn = table.expired(Some(at(1_100))).unwrap();
    assert_eq!((torn.data.as_slice(), torn.frame, torn.at), (&PACKET[..8], 5, at(0)));
    assert!(table.expired(None).is_none());
    assert_eq!(table.held, 0);
}

#[test]
fn a_flood_of_fragments_is_bounded_and_counted() {
    let mut table = Fragments::new();
    let big = vec![0; 60_000];
    for number in 0..20_000 {
        let fragment = Fragment { offset: 0, more: true, data: &big };
        assert_eq!(table.add(id(number), &fragment, at(0), 1), None);
        assert!(table.held <= 2 * MAX_HELD + 2 * MAX_LENGTH, "{} bytes are held", table.held);
    }
    assert!(table.dropped > 10_000);
    let torn = std::iter::from_fn(|| table.expired(None)).count() as u64;
    assert_eq!(torn + table.dropped, 20_000);
    assert_eq!((table.held, table.begun.len()), (0, 0));
}

#[test]
fn parts_without_end_do_not_fill_a_packet() {
    let mut table = Fragments::new();
    for offset in 0..10_000 {
        let fragment = Fragment { offset: 8 * (offset % 1_000), more: true, data: &[1; 2_000] };
        table.add(id(1), &fragment, at(0), 1);
    }
    assert!(table.held <= 2 * MAX_LENGTH);
}
