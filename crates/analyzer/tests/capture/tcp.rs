//! The same call over TCP, whatever has happened to its segments.

use midcall_analyzer::source::{Packet, Summary};
use midcall_proto::flow::Transport;
use proptest::prelude::*;

use super::segments::Segments;
use super::wire::{as_lines, call, lines, read, starts, v4, v6};

const HOLES: &str = "holes in TCP connections";

/// What each side says, message after message.
fn sides() -> [Vec<u8>; 2] {
    [true, false].map(|side| {
        call().into_iter().filter(|(forth, _)| *forth == side).flat_map(|(_, bytes)| bytes).collect()
    })
}

fn read_all(segments: &Segments) -> (Vec<Packet>, Summary) {
    let (messages, summary) = read(&segments.file());
    assert!(messages.iter().all(|packet| packet.transport == Transport::Tcp));
    (messages, summary)
}

/// The messages of each side, in order.
fn by_side(messages: &[Packet]) -> [Vec<Vec<u8>>; 2] {
    [0, 1].map(|side| {
        messages
            .iter()
            .filter(|packet| packet.from == v4()[side])
            .map(|packet| packet.payload.clone())
            .collect()
    })
}

fn expected() -> [Vec<Vec<u8>>; 2] {
    [true, false]
        .map(|side| call().into_iter().filter(|(forth, _)| *forth == side).map(|(_, bytes)| bytes).collect())
}

#[test]
fn a_call_over_tcp_is_the_same_call() {
    for ends in [v4(), v6()] {
        for whole in [true, false] {
            let mut segments = if whole { Segments::open(ends) } else { Segments::within(ends) };
            for (forth, bytes) in call() {
                segments.send(usize::from(!forth), &bytes);
                segments.acknowledge(usize::from(forth));
            }
            segments.fin(0);
            segments.fin(1);
            let (mut messages, summary) = read_all(&segments);
            messages.sort_by_key(|packet| packet.place.number);
            assert_eq!(as_lines(&messages), lines(ends));
            assert!(summary.skipped.is_empty(), "{summary:?}");
            // The time is that of the segment.
            assert!(
                messages
                    .iter()
                    .all(|packet| packet.at.as_micros() == 100_000_000 + 1_000 * (packet.place.number - 1))
            );
        }
    }
}

#[test]
fn a_stream_cut_anywhere_is_the_same_however_its_halves_come() {
    let [stream, _] = sides();
    let expected = &expected()[0];
    for at in 1..stream.len() {
        let (first, second) = stream.split_at(at);
        let overlap = &stream[at - at.min(7)..];
        let back = -(at.min(7) as i32);
        for (name, whole) in ["in order", "swapped", "repeated", "overlapped"]
            .iter()
            .flat_map(|name| [(name, true), (name, false)])
        {
            // From the middle of a stream, every cut would be too slow, and finds nothing that these do not.
            if !whole && at % 5 != 0 {
                continue;
            }
            let mut segments = if whole { Segments::open(v4()) } else { Segments::within(v4()) };
            match *name {
                "in order" => {
                    segments.send(0, first);
                    segments.send(0, second);
                }
                "swapped" => {
                    segments.put(0, at as i32, second);
                    segments.put(0, 0, first);
                }
                "repeated" => {
                    for _ in 0..2 {
                        segments.put(0, 0, first);
                        segments.put(0, at as i32, second);
                    }
                    segments.put(0, 0, &stream);
                }
                _ => {
                    segments.put(0, 0, first);
                    segments.put(0, at as i32 + back, overlap);
                    segments.put(0, 3, &stream[3..]);
                }
            }
            let (messages, summary) = read_all(&segments);
            assert_eq!(&by_side(&messages)[0], expected, "cut at {at}, {name}, beginning there: {whole}");
            assert!(messages.iter().all(|packet| !packet.cut));
            assert!(summary.skipped.is_empty(), "cut at {at}, {name}: {summary:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn segments_of_any_size_in_any_order_near_by_are_the_same_call(
        seed in any::<u64>(), sizes in prop::collection::vec(1_usize..900, 40), whole in any::<bool>(),
    ) {
        let mut dice = seed;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let mut segments = if whole { Segments::open(v4()) } else { Segments::within(v4()) };
        let handshake = segments.frames.len();
        for (side, stream) in sides().iter().enumerate() {
            let mut at = 0;
            for size in sizes.iter().cycle() {
                if at >= stream.len() {
                    break;
                }
                let back = at.min(roll(30) as usize);
                let end = (at + size).min(stream.len());
                segments.put(side, at as i32 - back as i32, &stream[at - back..end]);
                at = end;
            }
        }
        // Each is moved by up to 5 ms, and some come twice. Of a stream that begins within, the first stays the first.
        let mut frames = segments.frames.split_off(handshake);
        let again: Vec<_> = frames.iter().filter(|_| roll(4) == 0).cloned().collect();
        frames.extend(again);
        let mut moved: Vec<_> = frames.into_iter().map(|(at, frame)| (at + roll(5_000), frame)).collect();
        moved.sort_by_key(|(at, _)| *at);
        segments.frames.extend(moved);
        let (messages, summary) = read_all(&segments);
        prop_assert_eq!(by_side(&messages), expected());
        prop_assert_eq!(summary.skipped_for(HOLES), 0);
    }
}

#[test]
fn a_hole_costs_only_the_messages_it_tears() {
    let messages: Vec<_> = expected()[0].clone();
    let mut segments = Segments::open(v4());
    segments.send(0, &messages[0][..400]);
    segments.pass(0, messages[0].len() - 400);
    segments.acknowledge(1);
    segments.send(0, &messages[1]);
    segments.acknowledge(1);
    segments.wait(100);
    segments.send(0, &messages[2]);
    let (found, summary) = read_all(&segments);
    assert_eq!(by_side(&found)[0], [messages[0][..400].to_vec(), messages[1].clone(), messages[2].clone()]);
    assert_eq!(found.iter().map(|packet| packet.cut).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(summary.skipped_for(HOLES), 1);
}

#[test]
fn what_is_sent_again_in_time_leaves_no_hole() {
    let [stream, _] = sides();
    let mut segments = Segments::open(v4());
    segments.put(0, 500, &stream[500..]);
    segments.acknowledge(1);
    segments.wait(3_000);
    segments.put(0, 0, &stream[..500]);
    let (found, summary) = read_all(&segments);
    assert_eq!(by_side(&found)[0], expected()[0]);
    assert_eq!(summary.skipped_for(HOLES), 0);
    // Then it was complete.
    assert!(found.iter().all(|packet| packet.at.as_micros() > 103_000_000));
}

#[test]
fn a_segment_that_the_capture_cut_off_is_a_hole() {
    let messages = &expected()[0];
    let mut segments = Segments::open(v4());
    segments.send(0, &messages[0]);
    segments.send(0, &messages[1]);
    let last = segments.frames.len() - 2;
    segments.frames[last].1.truncate(300);
    let (found, summary) = read_all(&segments);
    assert_eq!(starts(&found), ["INVITE sip:bob@example.com SIP/2.0", "ACK sip:bob@example.com SIP/2.0"]);
    assert_eq!(by_side(&found)[0], [messages[0][..260].to_vec(), messages[1].clone()]);
    assert_eq!((found[0].cut, found[1].cut, summary.skipped_for(HOLES)), (true, false, 1));
}

#[test]
fn a_capture_that_begins_within_a_message_gives_the_next() {
    let [stream, _] = sides();
    let invite = expected()[0][0].len();
    for from in [1, 5, 30, 200, invite - 1, invite, invite + 1] {
        let mut segments = Segments::within(v4());
        for chunk in stream[from..].chunks(300) {
            segments.send(0, chunk);
        }
        let (found, _) = read_all(&segments);
        let expected = if from <= invite { &expected()[0][1..] } else { &expected()[0][2..] };
        assert_eq!(by_side(&found)[0], expected, "from byte {from}");
    }
}

#[test]
fn keep_alives_and_probes_are_no_messages() {
    let mut segments = Segments::open(v4());
    let expected = &expected()[0];
    segments.send(0, b"\r\n\r\n");
    segments.send(0, &expected[0]);
    segments.put(0, -1, b"\0");
    segments.put(0, -1, b"");
    segments.send(0, b"\r\n\r\n");
    segments.send(1, b"\r\n");
    segments.send(0, &expected[1]);
    let (found, summary) = read_all(&segments);
    assert_eq!(by_side(&found)[0], expected[..2]);
    assert_eq!((summary.skipped_for("keep-alives"), summary.skipped.len()), (3, 1), "{summary:?}");
}

#[test]
fn ports_that_are_used_again_carry_another_stream() {
    let expected = &expected()[0];
    for ending in 0..3 {
        let mut segments = Segments::open(v4());
        segments.send(0, &expected[0]);
        segments.send(0, &expected[1][..50]);
        match ending {
            0 => segments.fin(0),
            1 => segments.rst(0),
            _ => {}
        }
        // What is sent again after the end is no news.
        segments.put(0, -80, &[&expected[0][expected[0].len() - 30..], &expected[1][..50]].concat()[..]);
        segments.pass(0, 100_000);
        let mut segments = segments.handshake();
        segments.send(0, &expected[2]);
        segments.send(0, &expected[3]);
        let (found, summary) = read_all(&segments);
        let torn = expected[1][..50].to_vec();
        let all = [vec![expected[0].clone(), torn], expected[2..].to_vec()].concat();
        assert_eq!(by_side(&found)[0], all, "ending {ending}: {summary:?}");
    }
}

#[test]
fn what_is_not_sip_is_given_up() {
    let mut segments = Segments::open(v4());
    segments.send(0, b"GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n");
    segments.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    for _ in 0..1_000 {
        segments.send(1, &[b'x'; 1_000]);
    }
    let mut ssh = Segments::open([v4()[0], "192.0.2.9:22".parse().unwrap()]);
    ssh.send(1, b"SSH-2.0-OpenSSH_9.6\r\n");
    for _ in 0..40 {
        ssh.send(0, &[0, 0, 1, 2, 3, 4, 5, 6, 0xff, 0xfe, 9, 9, 9, 9, 9, 9, 9, 9]);
        ssh.send(1, &[b'y'; 100]);
    }
    segments.frames.extend(ssh.frames);
    let (found, summary) = read_all(&segments);
    assert!(found.is_empty());
    assert_eq!(summary.skipped_for("halves of TCP connections without SIP"), 4, "{summary:?}");
}

#[test]
fn a_message_without_end_is_given_at_the_end() {
    let invite = &expected()[0][0];
    let mut segments = Segments::open(v4());
    segments.send(0, &invite[..invite.len() - 10]);
    let (found, _) = read_all(&segments);
    assert_eq!((found.len(), found[0].cut), (1, true));
    assert_eq!(found[0].payload, invite[..invite.len() - 10]);
}

#[test]
fn one_time_far_ahead_spoils_no_other() {
    let mut segments = Segments::open(v4());
    let expected = &expected()[0];
    segments.send(0, &expected[0]);
    segments.send(0, &expected[1]);
    let second = segments.frames.len() - 1;
    segments.frames[second].0 += 4_000_000_000;
    // Out of order, which takes a clock that goes on from here.
    segments.put(0, expected[2].len() as i32, &expected[3]);
    segments.send(0, &expected[2]);
    let (found, summary) = read_all(&segments);
    assert_eq!(by_side(&found)[0], expected[..4]);
    let far: Vec<_> = found.iter().map(|packet| packet.at.as_micros() > 200_000_000).collect();
    assert_eq!(far, [false, true, false, false]);
    assert!(summary.skipped.is_empty(), "{summary:?}");
}

#[test]
fn a_flood_of_connections_is_bounded_and_counted() {
    let mut frames = Vec::new();
    for nth in 0..70_000_u32 {
        let [high, middle, low, _] = (nth << 8).to_be_bytes();
        let ends = [std::net::SocketAddr::from(([10, high, middle, low], 5060)), v4()[1]];
        let mut segments = Segments::within(ends);
        segments.send(0, b"INVITE sip:bob@example.com SIP/2.0\r\nVia: x\r\n");
        frames.append(&mut segments.frames);
    }
    let (found, summary) = read(&super::wire::pcap_at(super::wire::RAW, &frames));
    assert_eq!(found.len(), 70_000);
    assert!(
        summary.skipped_for("TCP connections, dropped because there were too many") > 30_000,
        "{summary:?}"
    );
}
