//! Which transaction a message belongs to, and which way its response takes.

use super::*;
use crate::transaction::counts_as;

#[test]
fn a_response_to_nothing_is_dropped_and_counted() {
    crate::covers!("TX-11");
    let mut bench = Bench::new();
    bench.request(udp(), &ours("INVITE", "z9hG4bK1"));
    let forged = reply(&ours("INVITE", "z9hG4bK2"), 200, "bob");
    assert!(matches!(bench.receive(udp(), &forged), Received::Stray { .. }));
    assert_eq!(bench.layer.counters().strays, 1);
    assert_eq!(bench.sends(), [0]);
}

#[test]
fn a_response_is_for_the_request_with_its_branch_and_method() {
    crate::covers!("TX-19");
    let mut bench = Bench::new();
    let (invite, cancel) = (ours("INVITE", "z9hG4bK1"), ours("CANCEL", "z9hG4bK1"));
    let calling = bench.request(udp(), &invite);
    let cancelling = bench.request(udp(), &cancel);
    let to = |received| match received {
        Received::Response { id, .. } => Some(id),
        _ => None,
    };
    assert_eq!(to(bench.receive(udp(), &reply(&cancel, 200, "bob"))), Some(cancelling));
    assert_eq!(to(bench.receive(udp(), &reply(&invite, 487, "bob"))), Some(calling));
}

#[test]
fn a_response_with_two_vias_or_another_sent_by_is_not_for_us() {
    crate::covers!("TX-29");
    let mut bench = Bench::new();
    bench.request(udp(), &ours("UPDATE", "z9hG4bK1"));
    let two =
        build("UPDATE", &format!("SIP/2.0/UDP {US};branch=z9hG4bK1, SIP/2.0/UDP x.example;branch=z9hG4bK0"));
    let foreign = theirs("UPDATE", "z9hG4bK1");
    for request in [two, foreign] {
        assert!(matches!(bench.receive(udp(), &reply(&request, 200, "bob")), Received::Stray { .. }));
    }
    let counters = bench.layer.counters();
    assert_eq!((counters.malformed, counters.strays), (1, 1));
}

#[test]
fn the_default_port_may_be_written_or_not() {
    let mut bench = Bench::new();
    let update = build("UPDATE", "SIP/2.0/UDP Host.example.com;branch=z9hG4bK1");
    bench.request(udp(), &update);
    let echoed = build("UPDATE", "SIP/2.0/UDP host.example.com:5060;branch=z9hG4bK1");
    assert!(is_response(&bench.receive(udp(), &reply(&echoed, 200, "bob"))));
}

#[test]
fn one_branch_from_two_senders_makes_two_transactions() {
    crate::covers!("TX-19");
    let mut bench = Bench::new();
    let update = |host: &str| {
        by_way("UPDATE", "<sip:bob@example.com>;tag=ours", &format!("SIP/2.0/UDP {host};branch=z9hG4bK1"))
    };
    bench.serve(udp(), &update(THEM));
    bench.serve(udp(), &update("192.0.2.3:5060"));
    bench.serve(udp(), &theirs("INFO", "z9hG4bK1"));
    assert!(is_absorbed(&bench.receive(udp(), &update(THEM))));
    assert_eq!(bench.layer.pending(), (0, 3));
}

#[test]
fn an_unknown_method_is_told_from_another_unknown_one() {
    crate::covers!("TX-19");
    let mut bench = Bench::new();
    bench.serve(udp(), &theirs("DANCE", "z9hG4bK1"));
    bench.serve(udp(), &theirs("SING", "z9hG4bK1"));
    assert!(is_absorbed(&bench.receive(udp(), &theirs("SING", "z9hG4bK1"))));
}

#[test]
fn a_cancel_has_a_transaction_of_its_own_and_names_the_invite_it_is_for() {
    crate::covers!("TX-22");
    let mut bench = Bench::new();
    let (invite, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    let cancel = theirs("CANCEL", "z9hG4bK1");
    let Received::Request { id, msg, matches, .. } = bench.receive(udp(), &cancel) else {
        panic!("a CANCEL is a new request");
    };
    assert_eq!(matches, Some(invite));
    assert!(bench.respond(id, &msg, 200));
    assert!(bench.respond(invite, &request, 487));
    assert!(is_absorbed(&bench.receive(udp(), &cancel)));
    let stray = bench.receive(udp(), &theirs("CANCEL", "z9hG4bK2"));
    assert!(matches!(stray, Received::Request { matches: None, .. }));
}

#[test]
fn a_cancel_still_finds_an_invite_that_was_answered() {
    crate::covers!("TX-22");
    for status in [200, 486] {
        let mut bench = Bench::new();
        let (invite, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
        bench.respond(invite, &request, status);
        let received = bench.receive(udp(), &theirs("CANCEL", "z9hG4bK1"));
        assert!(matches!(received, Received::Request { matches: Some(found), .. } if found == invite));
    }
}

/// A request of an RFC 2543 peer.
fn old(method: &str, to: &str) -> Msg {
    by_way(method, to, &format!("SIP/2.0/UDP {THEM}"))
}

/// A request with this To and branch.
fn to_whom(method: &str, to: &str, branch: &str) -> Msg {
    by_way(method, to, &format!("SIP/2.0/UDP {THEM};branch={branch}"))
}

fn by_way(method: &str, to: &str, via: &str) -> Msg {
    let request = Builder::request(method, "sip:bob@192.0.2.2")
        .header(Name::Via, via)
        .header(Name::From, "<sip:alice@example.com>;tag=alice")
        .header(Name::To, to)
        .header(Name::CallId, "call-1")
        .header(Name::CSeq, format_args!("7 {method}"))
        .finish();
    parse(request)
}

#[test]
fn without_the_cookie_a_request_is_known_by_its_headers() {
    crate::covers!("TX-20");
    let mut bench = Bench::new();
    let invite = old("INVITE", "<sip:bob@example.com>");
    let (id, request) = bench.serve(udp(), &invite);
    assert!(is_absorbed(&bench.receive(udp(), &invite)));
    bench.serve(udp(), &old("INVITE", "<sip:bob@example.com>;tag=other"));
    assert!(matches!(
        bench.receive(udp(), &old("CANCEL", "<sip:bob@example.com>")),
        Received::Request { matches: Some(found), .. } if found == id
    ));
    bench.respond(id, &request, 486);
    let stranger = old("ACK", "<sip:bob@example.com>;tag=theirs");
    assert!(matches!(bench.receive(udp(), &stranger), Received::Ack { .. }));
    let ack = old("ACK", "<sip:bob@example.com>;tag=ours");
    assert!(is_absorbed(&bench.receive(udp(), &ack)));
    assert!(is_absorbed(&bench.receive(udp(), &ack)));
}

#[test]
fn without_the_cookie_the_ack_of_a_2xx_goes_up() {
    crate::covers!("TX-20");
    let mut bench = Bench::new();
    for to in ["<sip:bob@example.com>", "<sip:bob@example.com>;tag=ours"] {
        let (id, request) = bench.serve(udp(), &old("INVITE", to));
        bench.respond(id, &request, 200);
        let ack = old("ACK", "<sip:bob@example.com>;tag=ours");
        assert!(matches!(bench.receive(udp(), &ack), Received::Ack { .. }));
    }
}

#[test]
fn a_bare_cookie_identifies_nothing() {
    crate::covers!("TX-20");
    let mut bench = Bench::new();
    for cseq in [7, 8] {
        let request = Builder::request("OPTIONS", "sip:bob@192.0.2.2")
            .header(Name::Via, format_args!("SIP/2.0/UDP {THEM};branch=z9hG4bK"))
            .header(Name::CSeq, format_args!("{cseq} OPTIONS"))
            .finish();
        bench.serve(udp(), &parse(request));
    }
}

#[test]
fn a_message_without_a_via_is_dropped_and_counted() {
    let mut bench = Bench::new();
    let broken =
        parse(Builder::request("OPTIONS", "sip:bob@192.0.2.2").header(Name::Via, "nonsense").finish());
    let bare = parse(Builder::response(200, None).finish());
    for msg in [broken, bare] {
        assert!(matches!(bench.receive(udp(), &msg), Received::Stray { .. }));
    }
    assert_eq!(bench.layer.counters().malformed, 2);
}

/// Where the response to a request with this Via goes, and the Via it carries.
fn answered(via: &str, flow: Flow) -> (String, String) {
    let mut bench = Bench::new();
    let (id, request) = bench.serve(flow, &build("UPDATE", via));
    assert!(bench.respond(id, &request, 200));
    let (to, response) = bench.last();
    assert_eq!((to.local, to.transport), (flow.local, flow.transport));
    (to.remote.to_string(), response.header(Name::Via).unwrap_or_default().to_owned())
}

fn from(source: &str) -> Flow {
    Flow { remote: source.parse().unwrap(), ..udp() }
}

#[test]
fn a_response_goes_to_the_source_address_and_the_port_of_sent_by() {
    crate::covers!("TX-30", "SEC-12");
    let (to, via) = answered("SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK1", from("192.0.2.2:40000"));
    assert_eq!(to, "192.0.2.2:5070");
    assert_eq!(via, "SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK1");
    let (to, via) = answered("SIP/2.0/UDP alice.example.com;branch=z9hG4bK1", from("192.0.2.2:40000"));
    assert_eq!(to, "192.0.2.2:5060");
    assert_eq!(via, "SIP/2.0/UDP alice.example.com;branch=z9hG4bK1;received=192.0.2.2");
    let (to, _) = answered("SIP/2.0/UDP 203.0.113.66:5070;branch=z9hG4bK1", from("192.0.2.2:40000"));
    assert_eq!(to, "192.0.2.2:5070", "not to the address in the message");
}

#[test]
fn a_response_goes_to_the_source_port_if_the_client_asked() {
    crate::covers!("TX-30");
    let (to, via) = answered("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1", from("192.0.2.2:40000"));
    assert_eq!(to, "192.0.2.2:40000");
    assert_eq!(via, "SIP/2.0/UDP 10.0.0.1:5060;rport=40000;branch=z9hG4bK1;received=192.0.2.2");
    let (to, _) = answered("SIP/2.0/UDP 10.0.0.1:5060;rport=1;branch=z9hG4bK1", from("192.0.2.2:40000"));
    assert_eq!(to, "192.0.2.2:40000", "whatever port it made up");
    let (to, via) =
        answered("SIP/2.0/UDP [2001:db8::9]:5060;rport;branch=z9hG4bK1", from("[2001:db8::1]:40000"));
    assert_eq!(to, "[2001:db8::1]:40000");
    assert!(via.ends_with(";received=2001:db8::1"), "{via}");
}

#[test]
fn a_response_goes_to_maddr_on_datagrams_only() {
    crate::covers!("TX-30");
    let via = "SIP/2.0/UDP 192.0.2.2:5070;maddr=192.0.2.7;rport;branch=z9hG4bK1";
    assert_eq!(answered(via, from("192.0.2.2:40000")).0, "192.0.2.7:5070");
    let stream = Flow { transport: Transport::Tcp, connection: Some(1), ..from("192.0.2.2:40000") };
    assert_eq!(answered(&via.replace("UDP", "TCP"), stream).0, "192.0.2.2:40000");
}

#[test]
fn a_response_goes_back_on_its_connection_while_that_is_open() {
    crate::covers!("TX-30");
    let mut bench = Bench::new();
    let stream = Flow { transport: Transport::Tcp, connection: Some(9), ..from("192.0.2.2:40000") };
    let via = "SIP/2.0/TCP alice.example.com:5070;branch=z9hG4bK1";
    let (id, request) = bench.serve(stream, &build("INVITE", via));
    bench.respond(id, &request, 180);
    assert_eq!(bench.last().0, stream);
    bench.layer.closed(bench.now, 9);
    bench.respond(id, &request, 200);
    let (to, _) = bench.last();
    assert_eq!((to.remote.to_string(), to.connection), ("192.0.2.2:5070".to_owned(), None));
}

#[test]
fn resent_responses_take_the_same_way() {
    crate::covers!("TX-30");
    let mut bench = Bench::new();
    let nat = from("198.51.100.1:40000");
    let (id, request) = bench.serve(nat, &build("INVITE", "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1"));
    bench.respond(id, &request, 491);
    bench.until(10_000);
    let ways: Vec<_> = bench
        .log
        .iter()
        .map(|(_, action)| match action {
            Action::Transmit { flow, .. } => flow.remote,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ways, [nat.remote; 5]);
}

#[test]
fn a_response_repeats_what_identifies_its_request() {
    crate::covers!("TX-29");
    let mut bench = Bench::new();
    let via = format!("SIP/2.0/UDP {THEM};branch=z9hG4bK1, SIP/2.0/UDP first.example.com;branch=z9hG4bK0");
    bench.serve(udp(), &build("INVITE", &via));
    bench.until(200);
    let (_, trying) = bench.last();
    assert_eq!(trying.header(Name::Via), Some(via.as_str()));
    assert_eq!(trying.header(Name::To), Some("<sip:bob@example.com>"));
    assert_eq!(trying.cseq().map(|cseq| cseq.number), Ok(7));
}

#[test]
fn a_copy_by_another_way_gets_482_unless_it_belongs_to_a_dialog() {
    crate::covers!("TX-27");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    bench.respond(id, &request, 180);
    assert!(is_absorbed(&bench.receive(udp(), &theirs("INVITE", "z9hG4bK2"))));
    let (_, copy) = bench.last();
    assert_eq!((copy.status(), copy.top_via().unwrap().branch()), (Some(482), Some("z9hG4bK2")));
    assert!(copy.to().unwrap().tag().is_some());
    let cancelled = bench.receive(udp(), &theirs("CANCEL", "z9hG4bK2"));
    assert!(matches!(cancelled, Received::Request { matches: Some(_), .. }));
    assert!(is_absorbed(&bench.receive(udp(), &theirs("ACK", "z9hG4bK2"))));
    assert_eq!(bench.layer.counters().merged, 1);
    for branch in ["z9hG4bK3", "z9hG4bK4"] {
        bench.serve(udp(), &to_whom("UPDATE", "<sip:bob@example.com>;tag=ours", branch));
    }
}

#[test]
fn a_copy_of_a_request_that_failed_is_a_new_try() {
    crate::covers!("TX-27");
    let mut bench = Bench::new();
    let (id, request) = bench.serve(udp(), &theirs("INVITE", "z9hG4bK1"));
    bench.respond(id, &request, 503);
    bench.serve(udp(), &theirs("INVITE", "z9hG4bK2"));
    bench.receive(udp(), &theirs("ACK", "z9hG4bK1"));
    bench.until(10_000);
    assert!(!bench.layer.serves(id));
    assert!(is_absorbed(&bench.receive(udp(), &theirs("INVITE", "z9hG4bK3"))), "the second one goes on");
}

#[test]
fn an_unknown_status_counts_as_the_first_of_its_class_and_silence_as_408() {
    crate::covers!("TX-24", "ER-09");
    let pairs =
        [(100, 100), (189, 183), (202, 202), (299, 200), (499, 400), (491, 491), (503, 503), (699, 600)];
    for (status, known) in pairs {
        assert_eq!(counts_as(status), known);
    }
    let mut bench = Bench::new();
    bench.request(udp(), &ours("UPDATE", "z9hG4bK1"));
    bench.until(32_000);
    bench.request(udp(), &ours("UPDATE", "z9hG4bK2"));
    bench.layer.transport_error(bench.now, udp().transport, udp().remote);
    bench.drain();
    let codes: Vec<_> = bench.said().iter().map(|(_, action)| action.counts_as()).collect();
    assert_eq!(codes, [Some(408), Some(503)]);
}

#[test]
fn other_requests_run_beside_a_pending_invite_and_the_reverse() {
    crate::covers!("RI-04");
    let mut bench = Bench::new();
    let (reinvite, info) = (ours("INVITE", "z9hG4bK1"), ours("INFO", "z9hG4bK2"));
    bench.request(udp(), &reinvite);
    bench.request(udp(), &info);
    bench.serve(udp(), &to_whom("INFO", "<sip:bob@example.com>;tag=ours", "z9hG4bK3"));
    bench.serve(udp(), &to_whom("INVITE", "<sip:bob@example.com>;tag=ours", "z9hG4bK4"));
    assert!(is_response(&bench.receive(udp(), &reply(&info, 200, "bob"))));
    assert!(is_response(&bench.receive(udp(), &reply(&reinvite, 200, "bob"))));
}
