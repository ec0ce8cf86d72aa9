//! Requests we receive.

use super::*;

#[test]
fn after_a_2xx_a_resent_invite_is_absorbed_in_silence_and_acks_go_up() {
    crate::covers!("TX-06", "TX-07", "RC-01");
    let mut bench = Bench::new();
    let invite = theirs("INVITE", "z9hG4bK1");
    let (id, request) = bench.serve(udp(), &invite);
    assert!(bench.respond(id, &request, 200));
    assert_eq!(bench.sends(), [0]);
    bench.until(500);
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    assert_eq!(bench.sends(), []);
    assert!(bench.respond(id, &request, 200), "the user of the layer resends the 2xx");
    assert!(!bench.respond(id, &request, 486));
    assert!(!bench.respond(id, &request, 180));
    assert_eq!(bench.sends(), [500]);
    for branch in ["z9hG4bK1", "z9hG4bK2"] {
        assert!(matches!(bench.receive(udp(), &theirs("ACK", branch)), Received::Ack { .. }));
    }
    bench.until(31_999);
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    bench.until(32_000);
    assert_eq!(bench.said(), [(32_000, Action::ServerGone(id))]);
    assert!(!bench.respond(id, &request, 200));
    assert_eq!(bench.sends(), []);
}

#[test]
fn a_response_that_cannot_be_delivered_does_not_end_the_transaction() {
    crate::covers!("TX-12");
    for (method, status) in [("INVITE", 180), ("INVITE", 200), ("INVITE", 486), ("UPDATE", 200)] {
        let mut bench = Bench::new();
        let (id, request) = bench.serve(udp(), &theirs(method, "z9hG4bK1"));
        bench.respond(id, &request, status);
        bench.layer.transport_error(bench.now, udp().transport, udp().remote);
        bench.drain();
        assert!(is_absorbed(&bench.receive(udp(), &theirs(method, "z9hG4bK1"))));
        assert!(bench.layer.serves(id));
        assert_eq!(bench.said(), []);
    }
}

#[test]
fn a_failure_is_resent_until_the_ack_or_32_seconds() {
    crate::covers!("TX-13");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    assert!(bench.respond(id, &request, 491));
    bench.until(60_000);
    assert_eq!(bench.sends(), CAPPED_RESENDS);
    assert_eq!(bench.said(), [(32_000, Action::ServerTimeout(id)), (32_000, Action::ServerGone(id))]);
}

#[test]
fn on_a_stream_a_failure_is_sent_once_and_its_ack_awaited_all_the_same() {
    crate::covers!("TX-13");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(tcp(), &theirs("INVITE", "z9hG4bK1"));
    assert!(bench.respond(id, &request, 491));
    bench.until(60_000);
    assert_eq!(bench.sends(), [0]);
    assert_eq!(bench.said(), [(32_000, Action::ServerTimeout(id)), (32_000, Action::ServerGone(id))]);
}

#[test]
fn the_ack_of_a_failure_stops_the_resends_and_is_absorbed_for_t4() {
    crate::covers!("TX-13", "TX-19");
    let mut bench = Bench::new();
    let invite = theirs("INVITE", "z9hG4bK1");
    let (id, request) = bench.serve(udp(), &invite);
    bench.respond(id, &request, 491);
    bench.until(100);
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    assert_eq!(bench.sends(), [0, 100], "a resent INVITE gets the final response again");
    bench.until(200);
    let ack = theirs("ACK", "z9hG4bK1");
    assert!(is_absorbed(&bench.receive(udp(), &ack)));
    assert!(is_absorbed(&bench.receive(udp(), &ack)));
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    bench.until(60_000);
    assert_eq!(bench.sends(), []);
    assert_eq!(bench.said(), [(5_200, Action::ServerGone(id))]);
}

#[test]
fn an_ack_before_any_final_response_is_ignored() {
    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    assert!(is_absorbed(&bench.receive(udp(), &theirs("ACK", "z9hG4bK1"))));
    assert_eq!(bench.layer.counters().unexpected, 1);
    assert!(bench.respond(id, &request, 200));
}

#[test]
fn an_invite_gets_100_after_200_milliseconds_unless_answered() {
    crate::covers!("TX-14");
    let mut bench = Bench::new();
    bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    bench.until(199);
    assert_eq!(bench.sends(), []);
    bench.until(200);
    insta::assert_snapshot!(text(&bench.last().1));
    bench.until(60_000);
    assert_eq!(bench.sends(), [200]);

    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    bench.until(100);
    bench.respond(id, &request, 180);
    bench.until(60_000);
    assert_eq!(bench.sent(), [(100, "SIP/2.0 180 Ringing".to_owned())]);
}

#[test]
fn any_other_request_gets_100_after_3_5_seconds_and_not_before() {
    crate::covers!("TX-16");
    for flow in [udp(), tcp()] {
        let mut bench = Bench::new();
        let (id, request) = bench.serve(flow, &theirs("UPDATE", "z9hG4bK1"));
        bench.until(3_499);
        assert_eq!(bench.sends(), []);
        bench.until(3_500);
        assert_eq!(bench.sent(), [(3_500, "SIP/2.0 100 Trying".to_owned())]);
        assert!(bench.respond(id, &request, 200));
    }
}

#[test]
fn any_other_request_gets_no_other_provisional_response_and_on_datagrams_no_early_100() {
    crate::covers!("TX-16");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("UPDATE", "z9hG4bK1"));
    for status in [100, 180, 183, 199] {
        assert!(!bench.respond(id, &request, status));
    }
    bench.until(20_000);
    assert_eq!(bench.sends(), [3_500]);

    let mut bench = Bench::new();
    let (id, request) = bench.serve(tcp(), &theirs("UPDATE", "z9hG4bK1"));
    assert!(!bench.respond(id, &request, 180));
    assert!(bench.respond(id, &request, 100), "on a stream at any time");
    bench.until(20_000);
    assert_eq!(bench.sends(), [0]);
}

#[test]
fn too_late_for_a_non_invite_request_means_no_response_at_all() {
    crate::covers!("TX-17");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("UPDATE", "z9hG4bK1"));
    assert!(!bench.respond(id, &request, 408));
    bench.until(40_000);
    assert_eq!(bench.sends(), [3_500]);
    assert_eq!(bench.said(), [(32_000, Action::ServerGone(id))]);
    assert!(!bench.respond(id, &request, 200));
    assert_eq!(bench.sends(), []);
}

#[test]
fn the_final_response_to_any_other_request_is_repeated_for_32_seconds() {
    crate::covers!("TX-18");
    let mut bench = Bench::new();
    let update = theirs("UPDATE", "z9hG4bK1");
    let (id, request) = bench.serve(udp(), &update);
    assert!(bench.respond(id, &request, 200));
    assert!(!bench.respond(id, &request, 500), "a second final response is ignored");
    bench.until(31_999);
    assert!(is_absorbed(&bench.receive(udp(), &update)));
    let ok = "SIP/2.0 200 OK".to_owned();
    assert_eq!(bench.sent(), [(0, ok.clone()), (31_999, ok)]);
    bench.until(32_000);
    assert_eq!(bench.said(), [(32_000, Action::ServerGone(id))]);
}

#[test]
fn on_a_stream_any_other_request_is_forgotten_with_its_final_response() {
    crate::covers!("TX-18");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(tcp(), &theirs("UPDATE", "z9hG4bK1"));
    assert!(bench.respond(id, &request, 200));
    bench.until(0);
    assert_eq!(bench.said(), [(0, Action::ServerGone(id))]);
    assert_eq!(bench.layer.pending(), (0, 0));
}

#[test]
fn a_resent_invite_gets_the_latest_provisional_response_again() {
    crate::covers!("TX-28");
    let mut bench = Bench::new();
    let invite = theirs("INVITE", "z9hG4bK1");
    let (id, request) = bench.serve(udp(), &invite);
    bench.until(50);
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    assert_eq!(bench.sends(), []);
    bench.respond(id, &request, 180);
    bench.respond(id, &request, 183);
    bench.until(500);
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    let sent = bench.sent();
    assert_eq!(sent.last(), Some(&(500, "SIP/2.0 183 Session Progress".to_owned())));
    assert_eq!(sent.len(), 3);
}

#[test]
fn a_resent_non_invite_request_meets_silence_until_its_100() {
    crate::covers!("TX-28");
    let mut bench = Bench::new();
    let update = theirs("UPDATE", "z9hG4bK1");
    bench.serve(udp(), &update);
    bench.until(1_000);
    assert!(is_absorbed(&bench.receive(udp(), &update)));
    assert_eq!(bench.sends(), []);
    bench.until(4_000);
    assert!(is_absorbed(&bench.receive(udp(), &update)));
    let trying = "SIP/2.0 100 Trying".to_owned();
    assert_eq!(bench.sent(), [(3_500, trying.clone()), (4_000, trying)]);
}

#[test]
fn an_invite_that_rings_is_never_forgotten() {
    crate::covers!("TX-25");
    let mut bench = Bench::new();
    let invite = theirs("INVITE", "z9hG4bK1");
    let (id, request) = bench.serve(udp(), &invite);
    bench.respond(id, &request, 180);
    bench.until(600_000);
    assert!(bench.respond(id, &request, 180));
    assert!(bench.respond(id, &request, 200));
}
