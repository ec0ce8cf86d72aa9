//! Requests we send.

use std::net::IpAddr;

use midcall_wire::Edit;

use super::*;
use crate::transaction::Limits;

#[test]
fn an_invite_without_any_answer_is_sent_seven_times_and_fails_after_32_seconds() {
    crate::covers!("TX-01");
    let mut bench = Bench::new();
    let id = bench.request(udp(), &ours("INVITE", "z9hG4bK1"));
    bench.until(31_999);
    assert_eq!(bench.sends(), SLOW_RESENDS);
    assert_eq!(bench.said(), []);
    bench.until(60_000);
    assert_eq!(bench.said(), [(32_000, Action::ClientTimeout(id))]);
    assert_eq!(bench.sends(), []);
    assert!(bench.layer.client(id).is_none());
    assert_eq!((bench.layer.pending(), bench.layer.next_timeout()), ((0, 0), None));
}

#[test]
fn on_a_stream_an_invite_is_sent_once_and_fails_after_32_seconds_too() {
    crate::covers!("TX-01");
    let mut bench = Bench::new();
    let id = bench.request(tcp(), &ours("INVITE", "z9hG4bK1"));
    bench.until(60_000);
    assert_eq!(bench.sends(), [0]);
    assert_eq!(bench.said(), [(32_000, Action::ClientTimeout(id))]);
}

#[test]
fn after_a_provisional_response_an_invite_waits_for_ever_and_is_not_resent() {
    crate::covers!("TX-02");
    let mut bench = Bench::new();
    let invite = ours("INVITE", "z9hG4bK1");
    let id = bench.request(udp(), &invite);
    assert!(is_response(&bench.receive(udp(), &reply(&invite, 100, ""))));
    bench.until(300_000);
    assert_eq!(bench.sends(), [0]);
    assert!(bench.layer.client(id).is_some_and(|info| info.heard && !info.finished));
    assert!(is_response(&bench.receive(udp(), &reply(&invite, 180, "bob"))));
}

/// The response of a server that saw the request come from there.
fn seen_at(address: IpAddr, port: u16, response: &Msg) -> Msg {
    parse(Edit::new(response).received(address, port).finish())
}

#[test]
fn an_invite_that_rings_behind_a_nat_is_resent_to_keep_the_binding() {
    crate::covers!("TX-02");
    let mut bench = Bench::new();
    let invite = build("INVITE", &format!("SIP/2.0/UDP {US};rport;branch=z9hG4bK1"));
    bench.request(udp(), &invite);
    let mapped = "198.51.100.1".parse().unwrap();
    bench.until(100);
    bench.receive(udp(), &seen_at(mapped, 40_000, &reply(&invite, 180, "bob")));
    bench.until(65_000);
    assert_eq!(bench.sends(), [0, 20_100, 40_100, 60_100]);
    bench.receive(udp(), &reply(&invite, 200, "bob"));
    bench.until(200_000);
    assert_eq!(bench.sends(), []);
}

#[test]
fn without_a_nat_an_invite_with_rport_is_not_resent() {
    crate::covers!("TX-02");
    let mut bench = Bench::new();
    let invite = build("INVITE", &format!("SIP/2.0/UDP {US};rport;branch=z9hG4bK1"));
    bench.request(udp(), &invite);
    let seen = "192.0.2.1".parse().unwrap();
    bench.receive(udp(), &seen_at(seen, 5060, &reply(&invite, 180, "bob")));
    bench.until(65_000);
    assert_eq!(bench.sends(), [0]);
}

#[test]
fn each_copy_of_a_failure_is_acknowledged_and_only_the_first_is_shown() {
    crate::covers!("TX-03");
    for flow in [udp(), tcp()] {
        let mut bench = Bench::new();
        let invite = ours("INVITE", "z9hG4bK1");
        bench.request(flow, &invite);
        let busy = reply(&invite, 486, "bob");
        assert!(is_response(&bench.receive(flow, &busy)));
        assert!(is_absorbed(&bench.receive(flow, &busy)));
        assert!(is_absorbed(&bench.receive(flow, &busy)));
        let sent = bench.sent();
        let acks: Vec<_> = sent.iter().filter(|(_, line)| line == "ACK sip:bob@192.0.2.2 SIP/2.0").collect();
        assert_eq!((sent.len(), acks.len()), (4, 3));
    }
}

#[test]
fn the_ack_of_a_failure_takes_the_way_of_its_invite() {
    crate::covers!("TX-03", "TX-34");
    let mut bench = Bench::new();
    let invite = parse(
        Builder::request("INVITE", "sip:bob@192.0.2.2")
            .header(
                Name::Via,
                format_args!("SIP/2.0/UDP {US};branch=z9hG4bK1, SIP/2.0/UDP b2b.example;branch=z9hG4bK0"),
            )
            .header(Name::Route, "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>")
            .header(Name::Route, "<sip:p3.example.com;lr>")
            .header(Name::From, "Alice <sip:alice@example.com>;tag=alice")
            .header(Name::To, "Bob <sip:bob@example.com>")
            .header(Name::CallId, "call-1")
            .header(Name::CSeq, "7 INVITE")
            .header(Name::Require, "100rel")
            .header(Name::ProxyRequire, "x")
            .header(Name::ProxyAuthorization, "Digest username=\"alice\"")
            .body("application/sdp", b"v=0\r\n")
            .finish(),
    );
    bench.request(udp(), &invite);
    bench.receive(
        udp(),
        &parse(
            Builder::response(486, None)
                .header(Name::Via, format_args!("SIP/2.0/UDP {US};branch=z9hG4bK1"))
                .header(Name::From, "Alice <sip:alice@example.com>;tag=alice")
                .header(Name::To, "Bob <sip:bob@example.com>;tag=bob")
                .header(Name::CallId, "call-1")
                .header(Name::CSeq, "7 INVITE")
                .finish(),
        ),
    );
    let (flow, ack) = bench.last();
    assert_eq!(flow, udp());
    insta::assert_snapshot!(text(&ack));
}

#[test]
fn a_resent_failure_is_acknowledged_for_32_seconds_on_datagrams() {
    crate::covers!("TX-04");
    let quick = Timers { t1: Duration::from_millis(100), ..Timers::default() };
    for timers in [Timers::default(), quick] {
        let mut bench = Bench::with(timers);
        let invite = ours("INVITE", "z9hG4bK1");
        bench.request(udp(), &invite);
        let busy = reply(&invite, 486, "bob");
        bench.receive(udp(), &busy);
        bench.until(30_000);
        assert!(is_absorbed(&bench.receive(udp(), &busy)));
        assert_eq!(bench.sends(), [0, 0, 30_000]);
        bench.until(32_001);
        assert!(matches!(bench.receive(udp(), &busy), Received::Stray { .. }));
    }
}

#[test]
fn on_a_stream_a_failed_invite_is_forgotten_at_once() {
    crate::covers!("TX-04");
    let mut bench = Bench::new();
    let invite = ours("INVITE", "z9hG4bK1");
    bench.request(tcp(), &invite);
    bench.receive(tcp(), &reply(&invite, 486, "bob"));
    bench.until(0);
    assert_eq!(bench.layer.pending(), (0, 0));
    assert_eq!(bench.said(), []);
}

#[test]
fn every_2xx_of_64_t1_goes_up_and_none_is_acknowledged() {
    crate::covers!("TX-05", "TX-10", "PR-15");
    let mut bench = Bench::new();
    let invite = ours("INVITE", "z9hG4bK1");
    let id = bench.request(udp(), &invite);
    assert!(is_response(&bench.receive(udp(), &reply(&invite, 200, "bob"))));
    assert!(bench.layer.client(id).is_some_and(|info| info.finished));
    bench.until(31_000);
    assert!(is_response(&bench.receive(udp(), &reply(&invite, 200, "bob"))));
    assert!(is_response(&bench.receive(udp(), &reply(&invite, 200, "carol"))));
    assert!(is_absorbed(&bench.receive(udp(), &reply(&invite, 180, "dave"))));
    assert!(is_absorbed(&bench.receive(udp(), &reply(&invite, 486, "dave"))));
    assert_eq!(bench.sends(), [0]);
    bench.until(32_001);
    assert!(matches!(bench.receive(udp(), &reply(&invite, 200, "bob")), Received::Stray { .. }));
    assert_eq!(bench.said(), [(32_000, Action::ClientGone(id))]);
}

#[test]
fn any_other_request_is_resent_up_to_every_4_seconds_and_fails_after_32() {
    crate::covers!("TX-15");
    let mut bench = Bench::new();
    let id = bench.request(udp(), &ours("UPDATE", "z9hG4bK1"));
    bench.until(60_000);
    assert_eq!(bench.sends(), CAPPED_RESENDS);
    assert_eq!(bench.said(), [(32_000, Action::ClientTimeout(id))]);
}

#[test]
fn a_100_slows_the_resends_of_any_other_request_down_but_does_not_stop_them() {
    crate::covers!("TX-15");
    let mut bench = Bench::new();
    let update = ours("UPDATE", "z9hG4bK1");
    let id = bench.request(udp(), &update);
    bench.until(600);
    bench.receive(udp(), &reply(&update, 100, ""));
    bench.until(60_000);
    assert_eq!(bench.sends(), [0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500]);
    assert_eq!(bench.said(), [(32_000, Action::ClientTimeout(id))]);
}

#[test]
fn a_final_response_ends_any_other_request_and_its_copies_are_absorbed_for_t4() {
    let mut bench = Bench::new();
    let update = ours("UPDATE", "z9hG4bK1");
    bench.request(udp(), &update);
    assert!(is_response(&bench.receive(udp(), &reply(&update, 200, "bob"))));
    bench.until(4_999);
    assert!(is_absorbed(&bench.receive(udp(), &reply(&update, 200, "bob"))));
    bench.until(5_001);
    assert!(matches!(bench.receive(udp(), &reply(&update, 200, "bob")), Received::Stray { .. }));
    assert_eq!(bench.sends(), [0]);
    assert_eq!(bench.said(), []);
}

#[test]
fn after_a_cancel_the_final_response_has_64_t1() {
    crate::covers!("TX-23");
    let mut bench = Bench::new();
    let invite = ours("INVITE", "z9hG4bK1");
    let id = bench.request(udp(), &invite);
    bench.receive(udp(), &reply(&invite, 180, "bob"));
    bench.until(100_000);
    bench.layer.cancel_timeout(bench.now, id);
    bench.until(110_000);
    bench.layer.cancel_timeout(bench.now, id);
    bench.receive(udp(), &reply(&invite, 183, "bob"));
    bench.until(200_000);
    assert_eq!(bench.said(), [(132_000, Action::ClientTimeout(id))]);
}

#[test]
fn a_final_response_after_the_cancel_is_as_good_as_any() {
    crate::covers!("TX-23");
    let mut bench = Bench::new();
    let invite = ours("INVITE", "z9hG4bK1");
    let id = bench.request(udp(), &invite);
    bench.receive(udp(), &reply(&invite, 180, "bob"));
    bench.layer.cancel_timeout(bench.now, id);
    bench.until(1_000);
    assert!(is_response(&bench.receive(udp(), &reply(&invite, 487, "bob"))));
    bench.until(100_000);
    assert_eq!(bench.said(), []);
    assert_eq!(bench.layer.pending(), (0, 0));
}

#[test]
fn a_broken_way_fails_what_was_sent_there_and_nothing_else() {
    let mut bench = Bench::new();
    let elsewhere = Flow { remote: "192.0.2.9:5060".parse().unwrap(), ..udp() };
    let ringing = ours("INVITE", "z9hG4bK1");
    bench.request(udp(), &ringing);
    bench.receive(udp(), &reply(&ringing, 180, "bob"));
    let calling = bench.request(udp(), &ours("INVITE", "z9hG4bK2"));
    let update = bench.request(udp(), &ours("UPDATE", "z9hG4bK3"));
    bench.request(elsewhere, &ours("UPDATE", "z9hG4bK4"));
    bench.layer.transport_error(bench.now, udp().transport, udp().remote);
    bench.drain();
    let failed = [calling, update].map(|id| (0, Action::ClientTransportError(id)));
    assert_eq!(bench.said(), failed);
    assert_eq!(bench.layer.pending(), (2, 0));
}

#[test]
fn a_closed_connection_fails_what_went_by_it() {
    let mut bench = Bench::new();
    let id = bench.request(tcp(), &ours("UPDATE", "z9hG4bK1"));
    bench.request(Flow { connection: Some(2), ..tcp() }, &ours("UPDATE", "z9hG4bK2"));
    bench.layer.closed(bench.now, 1);
    bench.drain();
    assert_eq!(bench.said(), [(0, Action::ClientTransportError(id))]);
}

#[test]
fn more_requests_than_allowed_fail_at_once_and_are_counted() {
    let mut bench = Bench::new();
    bench.layer.set_limits(Limits { clients: 1, servers: 1 });
    bench.request(udp(), &ours("UPDATE", "z9hG4bK1"));
    let id = bench.request(udp(), &ours("UPDATE", "z9hG4bK2"));
    assert_eq!(bench.said(), [(0, Action::ClientTransportError(id))]);
    assert!(bench.layer.client(id).is_none());
    bench.serve(udp(), &theirs("UPDATE", "z9hG4bK3"));
    assert!(is_absorbed(&bench.receive(udp(), &theirs("UPDATE", "z9hG4bK4"))));
    let counters = bench.layer.counters();
    assert_eq!((counters.clients_refused, counters.servers_refused), (1, 1));
}

#[test]
fn a_request_without_a_branch_is_not_sent() {
    crate::covers!("TX-34");
    let mut bench = Bench::new();
    let id = bench.request(udp(), &build("UPDATE", &format!("SIP/2.0/UDP {US}")));
    assert_eq!(bench.said(), [(0, Action::ClientTransportError(id))]);
    assert_eq!(bench.sends(), []);
}

/// RFC 3261 §18.1.1: what was only on a stream for its length goes as datagrams where the stream is refused.
#[test]
fn a_request_with_another_way_takes_it_and_stays_one_transaction() {
    crate::covers!("TX-26");
    for method in ["INVITE", "UPDATE"] {
        let mut bench = Bench::new();
        let stream = Flow { connection: None, ..tcp() };
        let long = build(method, "SIP/2.0/TCP 192.0.2.1:5070;branch=z9hG4bK1");
        let short = ours(method, "z9hG4bK1");
        let id = bench.layer.request_or(bench.now, stream, long, Some((udp(), short.clone())));
        bench.drain();
        bench.until(5_000);
        assert_eq!(bench.sends(), [0], "a stream needs no resends");
        // Another transport to the same place is not this way.
        bench.layer.transport_error(bench.now, Transport::Udp, stream.remote);
        bench.layer.transport_error(bench.now, Transport::Tcp, stream.remote);
        bench.drain();
        assert_eq!(bench.last().0, udp());
        bench.until(6_000);
        assert_eq!(bench.sends(), [5_000, 5_500]);
        assert_eq!(bench.said(), []);
        assert_eq!(bench.layer.client(id).map(|info| info.flow), Some(udp()));
        // The time for an answer begins anew.
        bench.until(36_000);
        assert_eq!(bench.said(), []);
        let answer = bench.receive(udp(), &reply(&short, 200, "bob"));
        assert!(matches!(answer, Received::Response { id: of, .. } if of == id), "{answer:?}");
        bench.until(100_000);
        assert!(bench.layer.is_empty());
    }
}

#[test]
fn the_other_way_fails_as_any_and_is_not_for_who_has_answered() {
    let other = |flow: Flow| Flow { connection: None, ..flow };
    let mut bench = Bench::new();
    let request = |bench: &mut Bench| {
        let long = build("UPDATE", "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1");
        bench.layer.request_or(bench.now, other(tcp()), long, Some((udp(), ours("UPDATE", "z9hG4bK1"))))
    };
    let id = request(&mut bench);
    bench.layer.transport_error(bench.now, Transport::Tcp, udp().remote);
    bench.layer.transport_error(bench.now, Transport::Udp, udp().remote);
    bench.drain();
    assert_eq!(bench.said(), [(0, Action::ClientTransportError(id))]);
    assert_eq!(bench.sends().len(), 2);
    let id = request(&mut bench);
    bench.receive(tcp(), &reply(&ours("UPDATE", "z9hG4bK1"), 100, "bob"));
    bench.layer.transport_error(bench.now, Transport::Tcp, udp().remote);
    bench.drain();
    assert_eq!(bench.said(), [(0, Action::ClientTransportError(id))]);
    bench.until(1);
    assert!(bench.layer.is_empty());
}
