//! Rules of dialogs, transactions, error responses and security that a machine, a setting or the wire keeps.

use std::collections::HashSet;

use midcall_proto::endpoint::{Config, Endpoint, Invite, LocalAddr, Modification, Output, Policy};
use midcall_proto::event::{CallEvent, CallId, Ended};
use midcall_proto::flow::Transport;
use midcall_proto::session::{Codec, Stream};
use midcall_proto::time::Instant;
use midcall_testkit::prelude::*;
use midcall_testkit::sketch::Tweak;
use midcall_wire::Message;

fn seat(seed: u64) -> Seat {
    Seat::new(Seed(seed)).latency(ms(20))
}

fn dialogs(seat: &Seat, call: CallId) -> usize {
    seat.ua.look(call).map_or(0, |call| call.dialogs().count())
}

fn sdp(word: &str) -> Tweak {
    Tweak::parse(word).expect("a tweak")
}

/// How many requests of this method the endpoint sent, resends not counted.
fn sent(seat: &Seat, method: &str) -> usize {
    let own = seat.wire.packets().iter().filter(|packet| packet.from.ip() == seat.ua.address().ip());
    let requests = own.map(|packet| packet.raw()).filter(|raw| raw.is_request() && raw.method() == method);
    requests.map(|raw| raw.branch().map(str::to_owned)).collect::<HashSet<_>>().len()
}

/// RFC 3261 §19.3: 32 random bits at least in each tag, and no tag or Call-ID twice, for whatever seed.
#[test]
fn tags_and_call_ids_are_random_and_new() {
    covers!("DLG-03");
    let session = seat(1).ua.session.clone();
    let (mut tags, mut ids) = (Vec::new(), HashSet::new());
    for seed in 0..40 {
        let mut ua = Endpoint::new(Config::new("sip:alice@10.0.0.1:5060"), seed);
        let addr = "10.0.0.1:5060".parse().expect("an address");
        ua.config_mut().local = vec![LocalAddr { transport: Transport::Udp, addr }];
        for _ in 0..25 {
            let invite = Invite::new("sip:bob@10.0.0.2:5060", session.clone());
            ua.invite(Instant::ZERO, invite).expect("a call");
            loop {
                match ua.poll_output() {
                    Output::Transmit(sent) => {
                        let message = Message::parse(sent.bytes).expect("SIP");
                        let tag = message.from().expect("From").tag().expect("a tag").to_owned();
                        assert!(ids.insert(message.call_id().expect("a Call-ID").to_owned()));
                        tags.push(tag);
                    }
                    Output::Timeout(_) => break,
                    _ => {}
                }
            }
        }
    }
    assert_eq!(tags.len(), 1000);
    assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len());
    // Base 32 or hexadecimal: seven digits are 28 bits at the least, eight are 32.
    assert!(tags.iter().all(|tag| tag.len() >= 8 && !tag.bytes().any(|byte| byte.is_ascii_uppercase())));
    assert!(!tags.windows(2).all(|pair| pair[0] < pair[1]), "they count");
}

/// RFC 3261 §12.1: a 100 makes no dialog, whatever tag it has; a 180 with a tag makes one.
#[test]
fn only_a_tagged_provisional_above_100_makes_a_dialog() {
    covers!("DLG-04", "DLG-05");
    let mut seat = seat(2);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 100).tag("To", Some("of-a-proxy")).send();
    seat.settle_briefly();
    assert_eq!(dialogs(&seat, call), 0);
    seat.peer.reply(&invite, 180).tag("To", Some("of-bob")).send();
    seat.settle_briefly();
    assert_eq!(dialogs(&seat, call), 1);
    let tag =
        seat.ua.look(call).and_then(|call| call.dialogs().next()).map(|one| one.party.theirs.tag.clone());
    assert_eq!(tag.as_deref(), Some("of-bob"));
    seat.peer.reply(&invite, 200).tag("To", Some("of-bob")).answer(&[]).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("of-bob"));
    seat.settle();
    assert_eq!(dialogs(&seat, call), 1);
}

/// RFC 3261 §12.1.1: the peer's numbers have nothing to do with ours, and may be lower.
#[test]
fn the_peer_counts_by_itself() {
    covers!("DLG-13");
    let mut seat = seat(3);
    let call = seat.placed_call();
    let ours = seat.ua.look(call).and_then(|call| call.dialog()?.party.ours.cseq).expect("a number");
    assert!(ours > 1);
    seat.peer.request("UPDATE").cseq(1).send();
    seat.expect(200);
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.cseq(), ours + 1);
    seat.peer.reply(&bye, 200).send();
    seat.settle();
}

/// RFC 3261 §8.1.1.5: a number of 2^31 or more, or none at all, is answered 400 and counts for nothing.
#[test]
fn an_impossible_cseq_is_refused() {
    covers!("DLG-14");
    let mut seat = seat(4);
    seat.expect_findings(&["DLG-14"]);
    let call = seat.placed_call();
    for cseq in ["2147483648 UPDATE", "4294967296 UPDATE", "x UPDATE"] {
        seat.peer.request("UPDATE").header("CSeq", cseq).send();
        seat.expect(400);
    }
    seat.peer.request("UPDATE").cseq(7).send();
    seat.expect(200);
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// RFC 5407 §3.1.4: PRACK and UPDATE took higher numbers, and the ACK still has that of the INVITE.
#[test]
fn an_ack_stands_outside_the_order() {
    covers!("DLG-15");
    let mut seat = seat(5);
    let to = seat.ua.uri();
    let invite = seat.peer.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    let session = seat.ua.session.clone();
    seat.ua.call(call).early(session);
    let early = seat.expect(183);
    seat.peer.prack(&early).send();
    seat.expect(Pick::status(200).of("PRACK"));
    seat.peer.request("UPDATE").offer(&[sdp("sendonly")]).send();
    seat.expect(Pick::status(200).of("UPDATE"));
    seat.ua.call(call).accept();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    let ack = seat.peer.ack(&ok).send();
    assert_eq!(ack.cseq(), invite.cseq());
    seat.run_for(secs(40));
    assert!(seat.ua.is_up(call));
    let successes =
        seat.wire.packets().iter().filter(|packet| packet.raw().summary() == "200 INVITE").count();
    assert_eq!(successes, 1, "the ACK ended the resends");
}

/// RFC 6141 §4.5: a new Contact is told by a request of its own at once, not in some later response; and apart from a
/// change that may need approval (§4.4).
#[test]
fn a_new_contact_is_told_by_request() {
    covers!("DLG-20", "DLG-21");
    let mut seat = seat(6);
    let call = seat.placed_call();
    seat.ua.config().contact_user = "elsewhere".to_owned();
    seat.ua.call(call).modify(Modification::Target, None);
    seat.ua.call(call).modify(Modification::Add(Stream::video(40_010, [Codec::new("H264", 90_000)])), None);
    let moved = seat.expect("UPDATE");
    assert!(moved.header("Contact").is_some_and(|contact| contact.contains("elsewhere@")), "{moved:?}");
    assert!(moved.sdp().is_none(), "the session is another matter");
    seat.peer.reply(&moved, 200).send();
    let added = seat.expect("INVITE");
    assert_eq!(added.sdp().map(|sdp| sdp.matches("m=").count()), Some(2));
    seat.peer.reply(&added, 488).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// RFC 6228 §4, §7: after a 199 nothing is asked in that early dialog any more; one for an unknown tag changes nothing.
#[test]
fn a_199_ends_its_early_dialog_alone() {
    covers!("DLG-29", "SV-17");
    let mut seat = seat(7);
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    seat.peer.reply(&invite, 180).tag("To", Some("branch-b")).send();
    seat.peer.reply(&invite, 180).tag("To", Some("branch-c")).send();
    seat.settle_briefly();
    assert_eq!(dialogs(&seat, call), 2);
    seat.peer.reply(&invite, 199).tag("To", Some("branch-x")).send();
    seat.peer.reply(&invite, 199).tag("To", Some("branch-b")).send();
    seat.settle_briefly();
    assert!(dialogs(&seat, call) <= 2);
    seat.peer.reply(&invite, 200).tag("To", Some("branch-c")).answer(&[]).send();
    assert_eq!(seat.expect("ACK").tag("To"), Some("branch-c"));
    seat.run_for(secs(40));
    assert!(seat.ua.is_up(call));
    let asked = seat.wire.packets().iter().map(|packet| packet.raw());
    let over = asked.filter(|raw| raw.is_request() && raw.tag("To") == Some("branch-b"));
    assert_eq!(over.count(), 0);
}

/// RFC 3261 §12.2.1.1: a caller of RFC 2543 has no tag; neither has the To of our requests then.
#[test]
fn a_peer_without_tag_is_answered_without() {
    covers!("DLG-33");
    let mut seat = seat(8);
    let to = seat.ua.uri();
    seat.peer.invite(&to).tag("From", None).offer(&[]).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    assert_eq!(ok.tag("From"), None);
    seat.peer.ack(&ok).tag("From", None).tag("To", ok.tag("To")).send();
    seat.settle();
    assert!(seat.ua.is_up(call));
    seat.ua.call(call).hang_up();
    let bye = seat.expect("BYE");
    assert_eq!(bye.tag("To"), None);
    seat.peer.reply(&bye, 200).tag("To", None).send();
    seat.settle();
    assert_eq!(seat.ua.ended(call), Some(&Ended::HungUp));
}

/// RFC 3261 §18.1.1: a request beyond the limit goes over TCP and says so in its Via; a short one stays with UDP.
#[test]
fn a_long_request_goes_over_tcp() {
    covers!("TX-26");
    for long in [true, false] {
        let mut seat = Seat::with(Seed(9), |config| config.mtu_limit = 500).latency(ms(20));
        let call = seat.answered_call();
        let asked = if long {
            seat.ua.call(call).hold();
            seat.expect("INVITE")
        } else {
            seat.ua.call(call).hang_up();
            seat.expect("BYE")
        };
        assert_eq!(asked.bytes().len() > 500, long, "{} bytes", asked.bytes().len());
        let transport = if long { "SIP/2.0/TCP" } else { "SIP/2.0/UDP" };
        assert!(asked.header("Via").is_some_and(|via| via.starts_with(transport)), "{asked:?}");
        let reply = seat.peer.reply(&asked, 200);
        if long {
            reply.answer(&[]).send()
        } else {
            reply.send()
        };
        seat.settle();
    }
}

/// RFC 3261 §18.3: over UDP surplus bytes are cut off, and a body that is cut short gets 400.
#[test]
fn content_length_frames_a_datagram() {
    covers!("TX-31");
    let mut seat = seat(10);
    // What is cut off is the telephone-event.
    seat.expect_findings(&["TX-31", "OA-57"]);
    let call = seat.placed_call();
    let to = seat.ua.address();
    let hold = seat.peer.request("UPDATE").offer(&[sdp("sendonly")]).raw().bytes();
    let text = String::from_utf8(hold.clone()).expect("text");
    seat.peer.send_bytes(to, text.as_bytes()[..text.len() - 20].to_vec());
    seat.expect(400);
    assert!(seat.ua.is_up(call));
    let next = seat.peer.leg().map_or(0, |leg| leg.cseq + 2);
    let whole = seat.peer.request("UPDATE").cseq(next).raw().bytes();
    let surplus = [&whole[..], b"BYE sip:alice@10.0.0.1 SIP/2.0\r\n\r\n"].concat();
    seat.peer.send_bytes(to, surplus);
    let ok = seat.expect(200);
    assert_eq!(ok.method(), "UPDATE");
    seat.run_for(secs(1));
    assert!(seat.ua.is_up(call));
}

/// RFC 3261 §13.3.1: an INVITE that says Expires and is not answered by then gets 487.
#[test]
fn an_invite_expires() {
    covers!("TX-33");
    let mut seat = seat(11);
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).header("Expires", 5).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).ring();
    seat.expect(180);
    let begun = seat.now();
    seat.expect(487);
    let waited = seat.now() - begun;
    assert!((secs(4)..secs(6)).contains(&waited), "{waited:?}");
    seat.settle();
    assert!(seat.ua.ended(call).is_some());
}

/// Refuses a hold and what the endpoint tries after it with this code; tells how the call ended, if it did.
fn refused_hold(code: u16, header: Option<(&str, &str)>) -> (Option<Ended>, Option<Received>) {
    let mut seat = seat(u64::from(code));
    seat.unobserved("the peer answers all alike");
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let mut bye = None;
    for _ in 0..8 {
        seat.run_for(secs(3));
        while let Some(asked) = seat.peer.take(Pick::any()) {
            match asked.method() {
                "BYE" if asked.is_request() => {
                    seat.peer.reply(&asked, 200).send();
                    bye = Some(asked);
                }
                "INVITE" | "UPDATE" if asked.is_request() => {
                    let mut reply = seat.peer.reply(&asked, code);
                    if let Some((name, value)) = header {
                        reply = reply.header(name, value);
                    }
                    reply.send();
                }
                _ => {}
            }
        }
    }
    seat.settle();
    (seat.ua.ended(call).cloned(), bye)
}

/// RFC 3261 §12.2.1.2, §14.1: of all codes only 408 and 481 end the call. Unknown ones count as x00 of their class.
#[test]
fn few_codes_end_the_call() {
    covers!("ER-01", "ER-09");
    let harmless = [
        400, 402, 403, 405, 406, 413, 415, 420, 422, 486, 487, 488, 491, 493, 499, 500, 501, 503, 504, 599,
        600, 603, 606, 699,
    ];
    for code in harmless {
        let (ended, bye) = refused_hold(code, None);
        assert!(ended.is_none() && bye.is_none(), "{code} ended the call: {ended:?}");
    }
    for code in [408, 481] {
        let (ended, bye) = refused_hold(code, None);
        assert!(ended.is_some() && bye.is_some(), "{code} left the call up");
    }
}

/// RFC 3326 §2: the BYE that follows a 481 says why.
#[test]
fn a_bye_after_an_error_has_a_reason() {
    covers!("ER-08");
    let (_, bye) = refused_hold(481, None);
    let reason = bye.and_then(|bye| bye.header("Reason").map(str::to_owned)).unwrap_or_default();
    assert!(reason.starts_with("SIP") && reason.contains("cause=481"), "{reason:?}");
}

/// RFC 3261 §14.2: 500 with Retry-After is an overlap and is tried again, later; without it the change has failed.
#[test]
fn a_500_leaves_the_call_up() {
    covers!("ER-02");
    for header in [None, Some(("Retry-After", "4"))] {
        let (ended, bye) = refused_hold(500, header);
        assert!(ended.is_none() && bye.is_none());
    }
    let mut seat = seat(12);
    let call = seat.placed_call();
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 500).header("Retry-After", 4).send();
    let refused = seat.now();
    let again = seat.expect("INVITE");
    assert!(seat.now() - refused >= secs(4) && again.cseq() == hold.cseq() + 1);
    seat.peer.reply(&again, 200).answer(&[]).send();
    seat.expect("ACK");
    seat.settle();
    assert!(seat.ua.told(call).any(|event| matches!(event, CallEvent::Changed(_))));
}

const CHALLENGE: &str = "Digest realm=\"b\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

fn with_password(config: &mut Config) {
    config.credentials = Some(midcall_proto::auth::Credentials::new("alice", "secret"));
}

/// RFC 3261 §22.1: the ACK for a 2xx repeats the credentials of its INVITE, and neither ACK nor CANCEL is challenged.
#[test]
fn an_ack_repeats_the_credentials() {
    covers!("SEC-03");
    let mut seat = Seat::with(Seed(13), with_password).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let first = seat.expect("INVITE");
    seat.peer.reply(&first, 401).header("WWW-Authenticate", CHALLENGE).send();
    let invite = seat.expect(Pick::request("INVITE"));
    assert!(invite.header("Authorization").is_some());
    seat.peer.reply(&invite, 200).answer(&[]).send();
    let ack = loop {
        let ack = seat.expect("ACK");
        if ack.cseq() == invite.cseq() {
            break ack;
        }
    };
    assert_eq!(ack.header("Authorization"), invite.header("Authorization"));
    seat.settle();
    assert!(seat.ua.is_up(call));
    let to = seat.ua.uri();
    let asked = seat.other.invite(&to).offer(&[]).send();
    seat.settle_briefly();
    let second = seat.ua.last_call();
    seat.ua.call(second).ring();
    seat.expect_other(180);
    seat.other.cancel(&asked).send();
    assert_eq!(seat.expect_other(Pick::any().of("CANCEL")).status(), Some(200));
    seat.expect_other(487);
    seat.settle();
}

/// RFC 3515 §5.2: whom the policy does not let transfer gets 603, and nobody is called. A stranger is never let, and
/// naming the dialog in Target-Dialog proves nothing where the tags went over the wire in the open (RFC 4538 §8): a person
/// may decide.
#[test]
fn a_refer_needs_leave() {
    covers!("SEC-08", "SEC-09");
    let mut seat = Seat::with(Seed(14), |config| config.refer = Policy::Refuse).latency(ms(20));
    let call = seat.placed_call();
    let carol = format!("<{}>", seat.other.uri());
    seat.peer.request("REFER").header("Refer-To", &carol).send();
    seat.expect(603);
    let to = seat.ua.uri();
    let dialog = seat.ua.look(call).and_then(|call| call.dialog().cloned()).expect("a dialog");
    for policy in [Policy::Refuse, Policy::Accept] {
        seat.ua.config().refer = policy;
        for named in [false, true] {
            let mut refer = seat.other.outside("REFER", &to).header("Refer-To", &carol);
            if named {
                let (ours, theirs) = (&dialog.party.ours.tag, &dialog.party.theirs.tag);
                let value = format!("{};local-tag={ours};remote-tag={theirs}", dialog.call_id);
                refer = refer.header("Target-Dialog", value);
            }
            refer.send();
            assert_eq!(seat.expect_other(Pick::any().of("REFER")).status(), Some(603));
        }
    }
    seat.settle();
    assert_eq!(sent(&seat, "INVITE"), 1);
    assert!(seat.ua.is_up(call));
    seat.ua.config().refer = Policy::Ask;
    let (ours, theirs) = (&dialog.party.ours.tag, &dialog.party.theirs.tag);
    let value = format!("{};local-tag={ours};remote-tag={theirs}", dialog.call_id);
    seat.other.outside("REFER", &to).header("Refer-To", &carol).header("Target-Dialog", value).send();
    seat.settle_briefly();
    let asked = |event: &&CallEvent| matches!(event, CallEvent::Referred { decide: true, .. });
    assert_eq!(seat.ua.told(call).filter(asked).count(), 1);
    assert_eq!(sent(&seat, "INVITE"), 1);
    assert_eq!(seat.expect_other(Pick::any().of("REFER")).status(), Some(200), "the outcome comes by NOTIFY");
}

/// RFC 5630 §5.1.1: a sips call that is refused for being sips is not placed again as sip.
#[test]
fn a_refused_sips_call_is_over() {
    covers!("SEC-14");
    for (status, warning) in [(416, None), (480, Some("380 bob \"SIPS Not Allowed\""))] {
        let mut seat = Seat::with(Seed(15), |config| {
            let addr = config.local[0].addr;
            config.local = vec![LocalAddr { transport: Transport::Tls, addr }];
        })
        .latency(ms(20));
        seat.peer = Party::new("bob", seat.peer.address(), 15).over(Transport::Tls);
        let call = seat.ua.invite("sips:bob@10.0.0.2:5060");
        let invite = seat.expect("INVITE");
        assert!(invite.uri().starts_with("sips:"));
        let mut reply = seat.peer.reply(&invite, status);
        if let Some(warning) = warning {
            reply = reply.header("Warning", warning);
        }
        reply.send();
        seat.run_for(secs(5));
        seat.settle();
        assert_eq!(sent(&seat, "INVITE"), 1);
        assert!(matches!(seat.ua.ended(call), Some(Ended::Refused { .. })), "{:?}", seat.ua.ended(call));
    }
}
