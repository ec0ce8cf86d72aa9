use std::net::SocketAddr;

use midcall_proto::flow::Transport;
use midcall_proto::observer::{Kind, Party};

use super::*;
use crate::sample;
use crate::source::{Packet, Place};

/// A short call: INVITE, 200, ACK, BYE, 200, beginning at this time.
fn short(call: usize, begins: u64) -> Vec<Packet> {
    let (alice, bob): (SocketAddr, SocketAddr) =
        ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
    let request = |method: &str, cseq: u32, tag: &str| {
        format!(
            "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call}{method}\r\n\
             From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>{tag}\r\nCall-ID: {call}@test\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:alice@192.0.2.1>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let response = |method: &str, cseq: u32| {
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call}{method}\r\n\
             From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>;tag=b\r\nCall-ID: {call}@test\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:bob@192.0.2.2>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let texts = [
        (true, request("INVITE", 1, "")),
        (false, response("INVITE", 1)),
        (true, request("ACK", 1, ";tag=b")),
        (true, request("BYE", 2, ";tag=b")),
        (false, response("BYE", 2)),
    ];
    let times = (begins..).step_by(50_000);
    texts
        .into_iter()
        .zip(times)
        .map(|((forth, text), at)| Packet {
            at: Instant::from_micros(at),
            from: if forth { alice } else { bob },
            to: if forth { bob } else { alice },
            transport: Transport::Udp,
            payload: text.into_bytes(),
            place: Place::default(),
            cut: false,
        })
        .collect()
}

/// Bytes of a message with others in place of some.
fn swapped(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    match bytes.windows(old.len()).position(|some| some == old) {
        Some(at) => [&bytes[..at], new, &bytes[at + old.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

#[test]
fn a_name_in_latin_1_hides_no_call() {
    for (plain, named) in [
        (&b"From: <"[..], &b"From: \"J\xfcrgen\" <"[..]),
        (b"To: <", b"To: Bj\xf6rn <"),
        (b"Contact: <", b"Contact: \"\xe9\" <"),
    ] {
        let mut packets = short(0, 0);
        let before = sample::calls(packets.clone()).remove(0);
        packets.iter_mut().for_each(|packet| packet.payload = swapped(&packet.payload, plain, named));
        let (calls, stats) = sample::analyzed(packets);
        assert_eq!((calls.len(), stats.outside), (1, 0), "{named:?}");
        let call = &calls[0];
        assert_eq!((&call.caller, &call.callee), (&before.caller, &before.callee));
        assert_eq!((&call.dialogs, &call.findings), (&before.dialogs, &before.findings));
    }
}

/// A debug build takes long for all of them.
const CALLS: u64 = if cfg!(debug_assertions) { 5_000 } else { 50_000 };

#[test]
fn memory_follows_live_calls_and_not_the_trace() {
    let settings = Settings { details: Details::From(Severity::Error), ..Settings::default() };
    let mut analyzer = Analyzer::new(settings);
    let (mut most_live, mut most_kept, mut told) = (0, 0, 0);
    // 20 calls a second: each is over after 0.2 s and let go 32 s later.
    for call in 0..CALLS {
        for packet in short(usize::try_from(call).unwrap(), call * 50_000) {
            analyzer.push(Item::Sip(packet));
        }
        for done in analyzer.take_finished() {
            assert_eq!(done.messages.len(), 5);
            told += 1_u64;
        }
        most_live = most_live.max(analyzer.live());
        most_kept = most_kept.max(analyzer.kept());
    }
    let (rest, stats) = analyzer.finish();
    assert_eq!((told + rest.len() as u64, stats.calls, stats.messages), (CALLS, CALLS, CALLS * 5));
    assert!(most_live < 700, "{most_live} calls at once");
    assert!(most_kept < 700 * 5 * 400, "{most_kept} bytes at once");
    assert_eq!((stats.calls_dropped, stats.messages_dropped), (0, 0));
}

#[test]
fn too_many_bytes_cost_the_quiet_calls_theirs_and_are_counted() {
    let settings = Settings { max_bytes: 8_000, ..Settings::default() };
    let mut analyzer = Analyzer::new(settings);
    for call in 0..40 {
        analyzer.push(Item::Sip(short(call, call as u64 * 1_000).swap_remove(0)));
        assert!(analyzer.kept() <= 8_000);
    }
    let (calls, stats) = analyzer.finish();
    let whole = calls.iter().filter(|call| call.dropped == 0).count();
    assert_eq!(calls.len(), 40);
    assert!((15..40).contains(&whole), "{whole} of 40 calls kept their messages");
    assert_eq!(stats.messages_dropped, 40 - whole as u64);
}

#[test]
fn one_call_cannot_take_all_the_room() {
    let settings = Settings { max_bytes_of_call: 900, ..Settings::default() };
    let mut analyzer = Analyzer::new(settings);
    for packet in short(1, 0) {
        analyzer.push(Item::Sip(packet));
    }
    let (calls, _) = analyzer.finish();
    assert_eq!(calls[0].messages.len(), 5);
    assert!(calls[0].dropped > 0 && calls[0].messages[4].raw.is_empty());
}

#[test]
fn messages_are_numbered_within_their_call() {
    let mut mixed: Vec<Packet> = short(1, 0).into_iter().chain(short(2, 10_000)).collect();
    mixed.sort_by_key(|packet| packet.at);
    for calls in sample::calls(mixed).iter() {
        assert!(calls.messages.iter().map(|message| message.n).eq(1..=5));
    }
}

#[test]
fn a_response_that_was_stamped_before_its_request_stands_behind_it() {
    let mut packets = short(1, 0);
    packets.swap(0, 1);
    let calls = sample::calls(packets);
    let by: Vec<Party> = calls[0].messages.iter().take(2).map(|message| message.by).collect();
    assert_eq!(by, [Party::Caller, Party::Callee]);
    assert!(calls[0].messages[0].summary.starts_with("INVITE"), "{}", calls[0].messages[0].summary);
    assert!(calls[0].messages.iter().map(|message| message.n).eq(1..=5));
}

#[test]
fn a_response_without_request_stays_where_it_came() {
    let packets = short(1, 0).split_off(1);
    let calls = sample::calls(packets);
    assert!(calls.is_empty() || calls[0].messages[0].kind != Kind::Orphan || calls[0].messages[0].n == 1);
}

#[test]
fn a_call_that_begins_again_with_the_same_call_id_is_a_new_one() {
    let mut packets = short(1, 0);
    packets.extend(short(1, 100_000_000));
    let calls = sample::calls(packets);
    assert_eq!(
        calls.iter().map(|call| (call.number, call.messages.len())).collect::<Vec<_>>(),
        [(1, 5), (2, 5)]
    );
}

#[test]
fn a_call_that_pauses_for_long_is_told_whole() {
    let mut packets = short(1, 0);
    let pause = Duration::from_secs(1_000);
    for packet in packets.iter_mut().skip(3) {
        packet.at += pause;
    }
    let alone = sample::calls(packets.clone());
    // It is judged up to the pause while something else passes, and goes on then.
    packets.splice(3..3, short(2, 400_000_000).into_iter().chain(short(3, 800_000_000)));
    let calls = sample::calls(packets);
    assert_eq!(calls.iter().map(|call| call.messages.len()).collect::<Vec<_>>(), [5, 5, 5]);
    // All of them use the same tags, which only their comparison shows.
    let told = |call: &Call| {
        let findings = call.findings.iter().filter(|finding| finding.code != "DLG-03");
        format!("{:?}", (&call.messages, findings.collect::<Vec<_>>(), &call.changes, call.ended))
    };
    assert_eq!(told(calls.iter().find(|call| call.number == 1).unwrap()), told(&alone[0]));
}

#[test]
fn a_call_with_more_messages_than_are_kept_is_judged_to_its_end() {
    let mut settings = Settings::default();
    settings.observer.max_messages = 3;
    let mut analyzer = Analyzer::new(settings);
    for packet in short(1, 0) {
        analyzer.push(Item::Sip(packet));
    }
    let (calls, stats) = analyzer.finish();
    assert_eq!((calls[0].messages.len(), stats.messages), (3, 5));
    assert!(calls[0].ended.is_some() && calls[0].dropped > 0, "{:?}", calls[0]);
}

#[test]
fn what_only_looks_like_a_message_of_a_call_is_none_of_it() {
    let mut packets = short(1, 0);
    let mut junk = packets[2].clone();
    junk.payload = b"ACK nobody can read this\r\nCall-ID: 1@test\r\n\r\n".to_vec();
    packets.insert(3, junk);
    let mut settings = Settings::default();
    for room in [2_000, 5, 4] {
        settings.observer.max_messages = room;
        let mut analyzer = Analyzer::new(settings);
        for packet in packets.clone() {
            analyzer.push(Item::Sip(packet));
        }
        let (calls, stats) = analyzer.finish();
        assert_eq!((calls[0].messages.len(), stats.messages, stats.not_sip), (room.min(5), 5, 1));
        assert_eq!(calls[0].dropped > 0, room < 5, "room for {room}");
    }
}

#[test]
fn too_many_calls_cost_the_quiet_ones_their_end_and_are_counted() {
    let mut settings = Settings::default();
    settings.observer.max_calls = 4;
    let mut analyzer = Analyzer::new(settings);
    for call in 0..10 {
        analyzer.push(Item::Sip(short(call, call as u64 * 1_000).swap_remove(0)));
        assert!(analyzer.live() <= 4);
    }
    let (calls, stats) = analyzer.finish();
    assert_eq!((calls.len(), stats.calls, stats.calls_dropped), (10, 10, 6));
    assert!(calls.iter().all(|call| call.messages.len() == 1));
}

#[test]
fn a_damaged_stamp_ends_no_call_but_its_own() {
    let packets = short(1, 0);
    let mut others = short(2, 10_000);
    others[1].at += Duration::from_secs(1 << 24);
    let alone = sample::calls(packets.clone());
    let mixed = packets.into_iter().zip(others).flat_map(|(one, other)| [one, other]).collect();
    let calls = sample::calls(mixed);
    let codes = |call: &Call| -> Vec<&str> {
        call.findings.iter().map(|one| one.code).filter(|code| *code != "DLG-03").collect()
    };
    let whole = calls.iter().find(|call| call.call_id == "1@test").unwrap();
    assert_eq!((whole.messages.len(), codes(whole)), (5, codes(&alone[0])));
}

#[test]
fn a_clock_that_is_set_back_tears_no_call_apart() {
    let mut packets = short(1, 9_000_000_000);
    packets.extend(short(2, 100_000_000));
    packets.extend(short(3, 140_000_000));
    let calls = sample::calls(packets);
    assert_eq!(calls.iter().map(|call| call.messages.len()).collect::<Vec<_>>(), [5, 5, 5]);
    let bad: Vec<_> = calls.iter().flat_map(|call| &call.findings).map(|finding| finding.code).collect();
    assert!(bad.iter().all(|code| ["OA-02", "DLG-03"].contains(code)), "{bad:?}");
}

#[test]
fn junk_under_the_name_of_a_call_takes_none_of_its_room() {
    let mut packets = short(1, 0);
    let mut junk = packets[2].clone();
    junk.payload = [b"ACK nobody can read this\r\nCall-ID: 1@test\r\nX: ", &[b'x'; 1_000][..]].concat();
    let mut analyzer = Analyzer::new(Settings { max_bytes_of_call: 20_000, ..Settings::default() });
    let end = packets.split_off(3);
    for packet in packets.into_iter().chain(vec![junk; 1_000]).chain(end) {
        analyzer.push(Item::Sip(packet));
        assert!(analyzer.kept() <= 20_000);
    }
    let (calls, stats) = analyzer.finish();
    assert_eq!((calls[0].messages.len(), calls[0].dropped, stats.not_sip), (5, 0, 1_000));
}

#[test]
fn a_call_id_that_only_resembles_another_is_another() {
    let mut packets = short(1, 0);
    let other = short(1, 10_000).into_iter().map(|mut packet| {
        packet.payload =
            String::from_utf8(packet.payload).unwrap().replace("1@test", "\x0c1@test").into_bytes();
        packet
    });
    packets.extend(other);
    packets.sort_by_key(|packet| packet.at);
    let calls = sample::calls(packets);
    assert!(calls.iter().all(|call| call.number > 0 && call.messages.len() == 5), "{calls:?}");
}

#[test]
fn calls_without_answer_are_told_in_time_and_leave_nothing_behind() {
    let mut analyzer = Analyzer::new(Settings::default());
    let mut told = 0;
    for call in 0..4_000 {
        analyzer.push(Item::Sip(short(call, call as u64 * 100_000).swap_remove(0)));
        told += analyzer.take_finished().len();
        assert!(analyzer.live() < 750, "{}", analyzer.live());
    }
    assert!(told > 3_000, "{told}");
}

/// A silence of so many seconds, as a live source tells it.
fn silence(seconds: u32) -> impl Iterator<Item = Item> {
    (0..seconds * 4).map(|_| Item::Quiet(Duration::from_millis(250)))
}

#[test]
fn a_call_that_is_over_is_told_though_nothing_more_comes() {
    for threads in [0, 2] {
        let mut analyzer = Analyzer::new(Settings { threads, ..Settings::default() });
        silence(100).for_each(|item| analyzer.push(item));
        let first = short(1, 1_000_000_000);
        first.into_iter().map(Item::Sip).chain(silence(30)).for_each(|item| analyzer.push(item));
        assert!(analyzer.take_finished().is_empty(), "more of it may be on its way");
        silence(15).for_each(|item| analyzer.push(item));
        let told = analyzer.take_finished();
        assert_eq!(told.iter().map(|call| call.messages.len()).collect::<Vec<_>>(), [5]);
        let (rest, stats) = analyzer.finish();
        assert_eq!((rest.len(), stats.calls, stats.messages), (0, 1, 5));
    }
}

#[test]
fn a_clock_minutes_behind_another_makes_no_call_wait_for_it() {
    let mut analyzer = Analyzer::new(Settings::default());
    short(1, 900_000_000).into_iter().for_each(|packet| analyzer.push(Item::Sip(packet)));
    // Its agent is silent from here on, and another sends something every few seconds.
    for nth in 0..10 {
        let ping = short(100 + nth, 600_000_000 + nth as u64 * 5_000_000).swap_remove(0);
        std::iter::once(Item::Sip(ping)).chain(silence(5)).for_each(|item| analyzer.push(item));
    }
    assert!(analyzer.take_finished().iter().any(|call| call.call_id == "1@test"));
}

#[test]
fn a_silence_that_was_only_a_delay_tears_no_call_apart() {
    for kept_back in 1..5 {
        let mut packets = short(1, 1_000_000_000);
        for packet in packets.iter_mut().skip(kept_back) {
            packet.at += Duration::from_secs(30);
        }
        let alone = sample::calls(packets.clone());
        let late = packets.split_off(kept_back);
        let mut analyzer = Analyzer::new(Settings::default());
        let items = packets.into_iter().map(Item::Sip).chain(silence(34));
        items.chain(late.into_iter().map(Item::Sip)).for_each(|item| analyzer.push(item));
        let (calls, _) = analyzer.finish();
        assert_eq!(calls.len(), 1);
        let told = |call: &Call| format!("{:?}", (&call.messages, &call.findings, &call.changes, call.ended));
        assert_eq!(told(&calls[0]), told(&alone[0]), "{kept_back} before the silence");
    }
}
