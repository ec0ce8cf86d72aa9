//! Session timers as they broke calls in the field: each test is named for the symptom (group T of the failure catalogue).

use midcall_proto::dialog::Way;
use midcall_proto::endpoint::{Config, Modification};
use midcall_proto::event::{CallId, Ended, Side};
use midcall_proto::session::{Codec, Stream};
use midcall_testkit::prelude::*;

const WITHOUT_UPDATE: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, REFER, NOTIFY, INFO";
const OURS: &str = "90;refresher=uac";

fn asks(config: &mut Config) {
    config.session_expires = Some(90);
}

/// Whether the endpoint refreshes this call; `None` without a timer.
fn refreshes(seat: &Seat, call: CallId) -> Option<bool> {
    let running = seat.ua.look(call)?.dialog()?.timer.running?;
    Some(running.refresher == Way::Sent)
}

/// A call that the endpoint placed and refreshes each 45 s.
#[track_caller]
fn refreshed_by_us(seat: &mut Seat) -> CallId {
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    accept(seat, &invite);
    seat.expect("ACK");
    seat.settle();
    call
}

/// A call that the endpoint answered and that the peer refreshes.
#[track_caller]
fn refreshed_by_them(seat: &mut Seat) -> CallId {
    let to = seat.ua.uri();
    seat.peer.invite(&to).offer(&[]).header("Session-Expires", OURS).send();
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    call
}

/// The peer accepts a request and lets the endpoint refresh.
fn accept(seat: &mut Seat, request: &Received) {
    let ok = seat.peer.reply(request, 200);
    let ok = if request.sdp().is_some() { ok.answer(&[]) } else { ok };
    ok.header("Session-Expires", OURS).add("Require", "timer").send();
}

/// T1: the peer refreshes by UPDATE, by a re-INVITE, or by a change; the endpoint must not count on.
#[test]
fn cut_at_the_interval_though_the_peer_refreshed() {
    covers!("ST-13", "ST-14");
    for method in ["UPDATE", "INVITE"] {
        let mut seat = Seat::new(Seed(1)).latency(ms(20));
        let call = refreshed_by_them(&mut seat);
        for round in 0..6 {
            seat.run_for(secs(45));
            let request = seat.peer.request(method).header("Session-Expires", OURS);
            let word = if round % 2 == 0 { "sendonly" } else { "sendrecv" };
            if method == "INVITE" {
                request.offer(&tweaks(&[word])).send()
            } else {
                request.send()
            };
            let ok = seat.expect(Pick::status(200).of(method));
            if method == "INVITE" {
                seat.peer.ack(&ok).send();
            }
        }
        assert!(seat.ua.is_up(call));
        assert_eq!(count(&seat.wire, "BYE"), 0);
    }
}

/// T2: a hold half-way restarts the timer: the next refresh is due 45 s after it, and the old expiry is forgotten.
#[test]
fn cut_after_a_modifying_reinvite() {
    covers!("ST-18");
    let mut seat = Seat::with(Seed(2), asks).latency(ms(20));
    let call = refreshed_by_us(&mut seat);
    seat.run_for(secs(30));
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    assert_eq!(hold.header("Session-Expires"), Some(OURS));
    accept(&mut seat, &hold);
    let held = seat.now();
    let refresh = seat.expect("UPDATE");
    assert_eq!(refresh.at, held + secs(45) + ms(40));
    accept(&mut seat, &refresh);
    seat.run_for(secs(40));
    assert!(seat.ua.is_up(call));
    assert_eq!(count(&seat.wire, "UPDATE"), 1);
}

/// T3 and T16: the peer is dead: the refresh is not answered, the call ends with it, and with one BYE.
#[test]
fn a_dead_peer_keeps_the_call_or_gets_two_byes() {
    for update in [true, false] {
        let mut seat = Seat::with(Seed(3), asks).latency(ms(20));
        seat.unobserved("the peer vanishes");
        if !update {
            seat.peer.allow = WITHOUT_UPDATE.to_owned();
        }
        let call = refreshed_by_us(&mut seat);
        let start = seat.now();
        seat.wire.cut();
        seat.run_for(secs(200));
        assert_eq!(seat.ua.ended(call), Some(&Ended::Timeout));
        let byes: Vec<_> =
            seat.packets().iter().filter(|packet| packet.raw().method() == "BYE").cloned().collect();
        let mut branches: Vec<_> = byes.iter().map(|bye| bye.raw().branch().map(str::to_owned)).collect();
        branches.dedup();
        assert_eq!(branches.len(), 1);
        assert!(byes[0].sent <= start + secs(90), "the session was over at 90 s");
        assert_eq!(seat.ua.state(call), "gone");
    }
}

/// T4: the refresher of the other side repeats refresher=uas in its own request, and so hands us the job. We do it then,
/// and do not hand it back.
#[test]
fn both_sides_refresh_after_the_roles_flipped() {
    covers!("CF-30");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let call = refreshed_by_them(&mut seat);
    assert_eq!(refreshes(&seat, call), Some(false));
    seat.run_for(secs(45));
    seat.peer.request("UPDATE").header("Session-Expires", "90;refresher=uas").send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uas"));
    assert_eq!(refreshes(&seat, call), Some(true));
    for _ in 0..3 {
        let update = seat.expect("UPDATE");
        assert_eq!(update.header("Session-Expires"), Some(OURS));
        accept(&mut seat, &update);
        seat.settle();
        assert_eq!(refreshes(&seat, call), Some(true));
    }
    assert_eq!(count(&seat.wire, "UPDATE"), 4);
}

/// T5: the answer came in a reliable 183; the 200 without description starts the timer all the same.
#[test]
fn no_refresh_after_early_media() {
    let mut seat = Seat::with(Seed(5), asks).latency(ms(20));
    let (call, invite) = seat.placed_early();
    seat.peer.reply(&invite, 200).header("Session-Expires", OURS).add("Require", "timer").send();
    seat.expect("ACK");
    let update = seat.expect("UPDATE");
    accept(&mut seat, &update);
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// T6: a re-INVITE that gives the job to the other side is answered, both ways.
#[test]
fn a_reinvite_that_changes_the_refresher_is_not_answered() {
    for (word, ours) in [("uas", true), ("uac", false)] {
        let mut seat = Seat::new(Seed(6)).latency(ms(20));
        let call = if ours { refreshed_by_them(&mut seat) } else { refreshed_by_us(&mut seat) };
        assert_eq!(refreshes(&seat, call), Some(!ours));
        let draft = seat.peer.request("INVITE").same().unwrap();
        draft.header("Session-Expires", format_args!("90;refresher={word}")).send();
        let ok = seat.expect(Pick::status(200).of("INVITE"));
        assert_eq!(ok.header("Session-Expires"), Some(format!("90;refresher={word}").as_str()));
        seat.peer.ack(&ok).send();
        seat.settle();
        assert_eq!(refreshes(&seat, call), Some(ours));
    }
}

/// T7: a timer that the 200 brings unasked is armed, and also served.
#[test]
fn a_timer_of_the_callee_is_armed_but_not_served() {
    covers!("ST-12");
    let mut seat = Seat::new(Seed(7)).latency(ms(20));
    let call = refreshed_by_us(&mut seat);
    for _ in 0..3 {
        let update = seat.expect("UPDATE");
        accept(&mut seat, &update);
    }
    assert!(seat.ua.is_up(call));
}

/// T9: a proxy lowers the interval on every try, so the 422 comes again: no third INVITE.
#[test]
fn the_invite_loops_on_422() {
    covers!("ST-07");
    let mut seat = Seat::with(Seed(9), asks).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    for _ in 0..2 {
        let invite = seat.expect("INVITE");
        seat.peer.reply(&invite, 422).header("Min-SE", 600).send();
    }
    seat.run_for(secs(60));
    assert_eq!(count(&seat.wire, "INVITE"), 2);
    assert_eq!(seat.ua.ended(call), Some(&Ended::Refused { status: 422, by: Side::Them }));
}

/// T10: 422 to the first INVITE is no refusal of the call: it goes out again, and the Min-SE is forgotten once it is up.
#[test]
fn a_422_fails_the_call() {
    covers!("ST-07", "ST-08");
    let mut seat = Seat::with(Seed(10), asks).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let first = seat.expect("INVITE");
    seat.peer.reply(&first, 422).header("Min-SE", 100).send();
    let second = seat.expect("INVITE");
    assert_eq!((second.header("Min-SE"), second.header("Session-Expires")), (Some("100"), Some("100")));
    assert_eq!((second.cseq(), second.call_id()), (first.cseq() + 1, first.call_id()));
    assert_eq!((second.tag("From"), second.tag("To")), (first.tag("From"), None));
    let ok = seat.peer.reply(&second, 200).answer(&[]);
    ok.header("Session-Expires", "100;refresher=uac").add("Require", "timer").send();
    seat.expect("ACK");
    let update = seat.expect("UPDATE");
    assert_eq!(update.header("Session-Expires"), Some("100;refresher=uac"));
    assert_eq!(update.header("Min-SE"), None);
    accept(&mut seat, &update);
    assert!(seat.ua.is_up(call));
}

/// T11: the peer does not take UPDATE, or says 405 to it though it listed it: a re-INVITE refreshes, in time.
#[test]
fn a_refresh_by_update_ends_the_call() {
    covers!("ST-20", "ST-22");
    for listed in [true, false] {
        let mut seat = Seat::with(Seed(11), asks).latency(ms(20));
        if !listed {
            seat.peer.allow = WITHOUT_UPDATE.to_owned();
        }
        let call = refreshed_by_us(&mut seat);
        if listed {
            let update = seat.expect("UPDATE");
            seat.peer.reply(&update, 405).header("Allow", WITHOUT_UPDATE).send();
        }
        let started = seat.now();
        let refresh = seat.expect("INVITE");
        assert!(!listed || refresh.at < started + secs(1));
        assert_eq!(version(&refresh), 1);
        accept(&mut seat, &refresh);
        seat.expect("ACK");
        // From then on at once by re-INVITE.
        let refresh = seat.expect("INVITE");
        accept(&mut seat, &refresh);
        seat.settle();
        assert!(seat.ua.is_up(call));
        assert_eq!(count(&seat.wire, "UPDATE"), usize::from(listed));
    }
}

/// T12: the 200 to a refresh names an interval below the minimum: told as a fault, followed, no reason to hang up.
#[test]
fn a_short_interval_in_a_success_hangs_up() {
    let mut seat = Seat::with(Seed(12), asks).latency(ms(20));
    seat.expect_findings(&["ST-03", "ST-09"]);
    let call = refreshed_by_us(&mut seat);
    let update = seat.expect("UPDATE");
    let ok = seat.peer.reply(&update, 200).header("Session-Expires", "60;refresher=uac");
    ok.add("Require", "timer").send();
    let shortened = seat.now();
    let update = seat.expect("UPDATE");
    assert!(update.at - shortened < secs(31));
    accept(&mut seat, &update);
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// T13: a refresh is refused for good: the call goes on, a few more tries are made before the session expires, not a
/// storm of them, and then it ends with one BYE.
#[test]
fn a_refused_refresh_ends_the_call_or_is_hammered() {
    covers!("ST-17");
    for status in [488, 500, 603] {
        let mut seat = Seat::with(Seed(13), asks).latency(ms(20));
        let call = refreshed_by_us(&mut seat);
        let start = seat.ua.look(call).unwrap().dialog().unwrap().timer.running.unwrap().start();
        let mut tries = Vec::new();
        while seat.now() < start + secs(88) {
            seat.run_for(ms(100));
            if let Some(update) = seat.peer.take("UPDATE") {
                assert!(seat.ua.is_up(call));
                tries.push(update.at - start);
                seat.peer.reply(&update, status).send();
            }
        }
        assert!((2..=4).contains(&tries.len()), "{status}: {tries:?}");
        assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= secs(5)), "{tries:?}");
        let bye = seat.expect("BYE");
        assert!(bye.at - start >= secs(90));
        seat.peer.reply(&bye, 200).send();
        seat.settle();
        assert_eq!(seat.ua.ended(call), Some(&Ended::SessionExpired));
    }
}

/// T13: one of the tries works: the call goes on as if nothing had been.
#[test]
fn a_refresh_that_works_the_second_time() {
    covers!("ST-17");
    let mut seat = Seat::with(Seed(13), asks).latency(ms(20));
    let call = refreshed_by_us(&mut seat);
    for status in [488, 200, 488, 200] {
        let update = seat.expect("UPDATE");
        match status {
            200 => accept(&mut seat, &update),
            status => {
                seat.peer.reply(&update, status).send();
            }
        }
    }
    seat.settle();
    assert!(seat.ua.is_up(call));
    assert_eq!(refreshes(&seat, call), Some(true));
}

/// T14: a refresh by re-INVITE repeats the session in force: after a hold that was refused not that hold, after a codec
/// change not the codecs of before; the version moves only if the text does.
#[test]
fn a_refresh_changes_the_session() {
    covers!("ST-21", "OA-31");
    let mut seat = Seat::with(Seed(14), asks).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let call = refreshed_by_us(&mut seat);
    seat.ua.call(call).codecs([Codec::pcmu(), Codec::pcma()]);
    let change = seat.expect("INVITE");
    accept(&mut seat, &change);
    seat.expect("ACK");
    let refresh = seat.expect("INVITE");
    assert_eq!(refresh.sdp(), change.sdp());
    accept(&mut seat, &refresh);
    seat.expect("ACK");
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    seat.peer.reply(&hold, 488).send();
    seat.settle();
    let before = seat.ua.media(call);
    let refresh = seat.expect("INVITE");
    assert_eq!((direction(&refresh), version(&refresh)), ("sendrecv", version(&hold) + 1));
    let text = |message: &Received| {
        message.sdp().unwrap().lines().filter(|line| !line.starts_with("o=")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(text(&refresh), text(&change));
    accept(&mut seat, &refresh);
    seat.expect("ACK");
    seat.settle();
    assert_eq!((seat.ua.media(call), seat.ua.held(call)), (before, (false, false)));
    let again = seat.expect("INVITE");
    assert_eq!(again.sdp(), refresh.sdp());
    accept(&mut seat, &again);
    seat.expect("ACK");
    seat.settle();
}

/// T14 with a hold of the peer: the refresh states what we want, else the peer could not tell its own hold from ours, and the
/// answer brings the hold again. From then on it is the same text.
#[test]
fn a_refresh_touches_the_hold_of_the_peer() {
    covers!("ST-21");
    let mut seat = Seat::with(Seed(14), asks).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let call = refreshed_by_us(&mut seat);
    let hold = seat.peer.request("INVITE").offer(&tweaks(&["sendonly"]));
    hold.header("Session-Expires", "90;refresher=uas").send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_eq!(direction(&ok), "recvonly");
    for _ in 0..2 {
        let refresh = seat.expect("INVITE");
        assert_eq!((direction(&refresh), version(&refresh)), ("sendrecv", version(&ok) + 1));
        let answer = seat.peer.reply(&refresh, 200).same().unwrap();
        answer.header("Session-Expires", OURS).add("Require", "timer").send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(seat.ua.held(call), (false, true));
    }
}

/// T15: a stream that was given up stays given up in a refresh, at its place.
#[test]
fn a_refresh_revives_a_dropped_stream() {
    covers!("ST-21");
    let mut seat = Seat::with(Seed(15), asks).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let call = refreshed_by_us(&mut seat);
    let video = Stream::video(40_002, [Codec::new("H264", 90_000)]);
    seat.ua.call(call).modify(Modification::Add(video), None);
    let add = seat.expect("INVITE");
    accept(&mut seat, &add);
    seat.expect("ACK");
    seat.ua.call(call).modify(Modification::Drop(1), None);
    let drop = seat.expect("INVITE");
    assert!(drop.sdp().is_some_and(|sdp| sdp.contains("m=video 0 ")));
    accept(&mut seat, &drop);
    seat.expect("ACK");
    for _ in 0..2 {
        let refresh = seat.expect("INVITE");
        assert_eq!(refresh.sdp(), drop.sdp());
        accept(&mut seat, &refresh);
        seat.expect("ACK");
    }
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// Both sides asked for a session timer at once, each became the refresher in its own eyes, and their refreshes met for ever.
#[test]
fn both_sides_refresh_and_collide_for_ever() {
    covers!("ST-25");
    let mut pair =
        Pair::with(Seed(25), |a, b| (a.session_expires, b.session_expires) = (None, None)).latency(ms(20));
    let call = pair.call();
    for agent in [&mut pair.a, &mut pair.b] {
        agent.config().session_expires = Some(90);
        agent.call(call).refresh();
    }
    pair.run_for(secs(300));
    let refreshes = |agent: &Agent| count(&pair.wire, Pick::request("UPDATE").sent_by(agent.address()));
    assert_eq!((refreshes(&pair.a), refreshes(&pair.b)), (7, 1));
    assert!(pair.a.is_up(call) && pair.b.is_up(call));
}
