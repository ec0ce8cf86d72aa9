//! Session timers: scenarios H01 to H05, H07, H12 and H14.

use midcall_proto::dialog::Way;
use midcall_proto::endpoint::Config;
use midcall_proto::event::{CallId, Ended};
use midcall_proto::rules::RuleId;
use midcall_testkit::prelude::*;

const WITHOUT_UPDATE: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, REFER, NOTIFY, INFO";

/// The timer of a call: its interval and whether we refresh.
fn timer(seat: &Seat, call: CallId) -> Option<(u64, bool)> {
    let running = seat.ua.look(call)?.dialog()?.timer.running?;
    Some((running.interval.as_secs(), running.refresher == Way::Sent))
}

fn asks(seconds: u32) -> impl FnOnce(&mut Config) {
    move |config| config.session_expires = Some(seconds)
}

/// A call that the endpoint placed, of which the 2xx says this about the timer.
#[track_caller]
fn placed(seat: &mut Seat, timer: Option<&str>) -> (CallId, Received) {
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let ok = seat.peer.reply(&invite, 200).answer(&[]);
    match timer {
        Some(timer) if timer.contains("uac") => {
            ok.header("Session-Expires", timer).add("Require", "timer").send()
        }
        Some(timer) => ok.header("Session-Expires", timer).send(),
        None => ok.send(),
    };
    seat.expect("ACK");
    seat.settle();
    (call, invite)
}

/// A call that the endpoint answered, of which the INVITE says this about the timer; and its 200.
#[track_caller]
fn answered(seat: &mut Seat, timer: Option<&str>) -> (CallId, Received) {
    let to = seat.ua.uri();
    let invite = seat.peer.invite(&to).offer(&[]);
    match timer {
        Some(timer) => invite.header("Session-Expires", timer).send(),
        None => invite.send(),
    };
    seat.settle_briefly();
    let call = seat.ua.last_call();
    seat.ua.call(call).accept();
    let ok = seat.expect(200);
    seat.peer.ack(&ok).send();
    seat.settle();
    (call, ok)
}

/// H01 as UAS: each row of RFC 4028 §9 table 2, and what follows from the settings of the UAS.
#[test]
fn h01_what_the_callee_answers() {
    covers!("ST-10", "ST-11", "ST-29");
    // Peer lists timer, its Session-Expires, our own wish, we support timers: Session-Expires, Require: timer.
    let rows = [
        (false, None, None, true, None, false),
        (false, Some("1800"), None, false, None, false),
        (false, Some("1800"), None, true, Some("1800;refresher=uas"), false),
        (false, Some("1800;refresher=uac"), None, true, Some("1800;refresher=uas"), false),
        (false, None, Some(1800), true, Some("1800;refresher=uas"), false),
        (true, None, None, false, None, false),
        (true, Some("1800"), None, false, None, false),
        (true, None, None, true, None, false),
        (true, None, Some(1800), true, Some("1800;refresher=uac"), true),
        (true, Some("1800"), None, true, Some("1800;refresher=uac"), true),
        (true, Some("1800;refresher=uac"), None, true, Some("1800;refresher=uac"), true),
        (true, Some("1800;refresher=uas"), None, true, Some("1800;refresher=uas"), true),
        (true, Some("3600"), Some(1800), true, Some("1800;refresher=uac"), true),
        (true, Some("1800"), Some(3600), true, Some("1800;refresher=uac"), true),
    ];
    for (lists, asked, own, supports, expected, required) in rows {
        let mut seat = Seat::with(Seed(1), |config| {
            (config.session_expires, config.timer) = (own, supports);
        })
        .latency(ms(20));
        if !lists {
            seat.peer.supported = "100rel, replaces".to_owned();
        }
        let (call, ok) = answered(&mut seat, asked);
        let row = format!("{lists} {asked:?} {own:?} {supports}");
        assert_eq!(ok.header("Session-Expires"), expected, "{row}");
        assert_eq!(ok.has_token("Require", "timer"), required, "{row}");
        let running = expected.map(|value| (1800, value.ends_with("uas")));
        assert_eq!(timer(&seat, call), running, "{row}");
    }
}

/// H01 as UAC: the 2xx decides, also about a timer that was not asked for.
#[test]
fn h01_what_the_caller_makes_of_the_success() {
    covers!("ST-01", "ST-05", "ST-12", "ST-13");
    let rows = [
        (None, None, None),
        (None, Some("1800;refresher=uac"), Some((1800, true))),
        (None, Some("1800;refresher=uas"), Some((1800, false))),
        (Some(1800), None, None),
        (Some(1800), Some("1800;refresher=uac"), Some((1800, true))),
        (Some(1800), Some("1800;refresher=uas"), Some((1800, false))),
        (Some(1800), Some("1200;refresher=uac"), Some((1200, true))),
    ];
    for (own, answer, running) in rows {
        let mut seat = Seat::with(Seed(1), |config| config.session_expires = own).latency(ms(20));
        let (call, invite) = placed(&mut seat, answer);
        // The first request names no refresher: that is for the UAS to choose.
        assert_eq!(invite.header("Session-Expires"), own.map(|_| "1800"));
        assert!(invite.has_token("Supported", "timer"));
        assert_eq!(timer(&seat, call), running, "{own:?} {answer:?}");
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// H02: at half the interval an UPDATE without description goes out; its 2xx moves the expiry.
#[test]
fn h02_the_caller_refreshes_by_update() {
    covers!("ST-14", "ST-15", "ST-20", "ST-30");
    let mut seat = Seat::with(Seed(2), asks(90)).latency(ms(20));
    let (call, _) = placed(&mut seat, Some("90;refresher=uac"));
    let mut last = seat.now();
    for round in 0..3 {
        let update = seat.expect("UPDATE");
        let waited = update.at - last;
        assert!(waited > secs(44) && waited < secs(46), "{round}: {waited:?}");
        assert_eq!((update.sdp(), update.header("Session-Expires")), (None, Some("90;refresher=uac")));
        assert!(update.has_token("Supported", "timer") && update.header("Min-SE").is_none());
        last = seat.now();
        seat.peer
            .reply(&update, 200)
            .header("Session-Expires", "90;refresher=uac")
            .add("Require", "timer")
            .send();
    }
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(timer(&seat, call), Some((90, true)));
}

/// H02 at the callee: a bodiless UPDATE of the refresher moves the expiry, and is answered with the same roles.
#[test]
fn h02_the_callee_is_refreshed_by_update() {
    covers!("ST-10", "ST-13");
    let mut seat = Seat::new(Seed(2)).latency(ms(20));
    let (call, _) = answered(&mut seat, Some("90;refresher=uac"));
    for _ in 0..3 {
        seat.run_for(secs(45));
        seat.peer.request("UPDATE").header("Session-Expires", "90;refresher=uac").send();
        let ok = seat.expect(Pick::status(200).of("UPDATE"));
        assert_eq!((ok.sdp(), ok.header("Session-Expires")), (None, Some("90;refresher=uac")));
        assert!(ok.has_token("Require", "timer"));
    }
    assert!(seat.ua.is_up(call));
    assert_eq!(count(&seat.wire, "BYE"), 0);
}

/// H03: the peer does not take UPDATE: a re-INVITE with the very same description refreshes, twice.
#[test]
fn h03_without_update_a_reinvite_repeats_the_description() {
    covers!("RI-20", "ST-20", "ST-21", "CF-31");
    let mut seat = Seat::with(Seed(3), asks(90)).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let (call, invite) = placed(&mut seat, Some("90;refresher=uac"));
    for _ in 0..2 {
        let refresh = seat.expect("INVITE");
        assert_eq!(refresh.sdp(), invite.sdp());
        assert_eq!(refresh.header("Session-Expires"), Some("90;refresher=uac"));
        let ok = seat.peer.reply(&refresh, 200).same().unwrap();
        ok.header("Session-Expires", "90;refresher=uac").add("Require", "timer").send();
        seat.expect("ACK");
    }
    seat.settle();
    assert_state!(seat.ua, call, @"up | audio <-> 10.0.0.2:41960 8 0 101 | o= 1/1 | to sip:bob@10.0.0.2:5060 | idle");
    assert_eq!(timer(&seat, call), Some((90, true)));
    assert_eq!(seat.ua.peers_broke(), []);
}

/// H03 at the callee: the description comes again unchanged: answered with the own one unchanged.
#[test]
fn h03_an_unchanged_offer_draws_an_unchanged_answer() {
    covers!("ST-21");
    let mut seat = Seat::new(Seed(3)).latency(ms(20));
    let (call, ok) = answered(&mut seat, Some("90;refresher=uac"));
    let told = seat.ua.events().len();
    seat.run_for(secs(45));
    let refresh = seat.peer.request("INVITE").same().unwrap();
    refresh.header("Session-Expires", "90;refresher=uac").send();
    let again = seat.expect(Pick::status(200).of("INVITE"));
    seat.peer.ack(&again).send();
    seat.settle();
    assert_eq!(again.sdp(), ok.sdp());
    assert!(seat.ua.is_up(call));
    // Nothing but the refresh is told: media goes on untouched.
    let changed = |event: &midcall_proto::event::CallEvent| {
        matches!(event, midcall_proto::event::CallEvent::PeerChanged { .. })
    };
    assert!(!seat.ua.told(call).skip(told).any(changed));
}

/// H04: the callee refreshes. In its own requests it is the uac; the roles stay with it.
#[test]
fn h04_the_callee_refreshes() {
    covers!("ST-05", "CF-30");
    let mut seat = Seat::new(Seed(4)).latency(ms(20));
    let (call, ok) = answered(&mut seat, Some("90;refresher=uas"));
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uas"));
    for _ in 0..2 {
        let update = seat.expect("UPDATE");
        assert_eq!(update.header("Session-Expires"), Some("90;refresher=uac"));
        seat.peer
            .reply(&update, 200)
            .header("Session-Expires", "90;refresher=uac")
            .add("Require", "timer")
            .send();
        seat.settle();
        assert_eq!(timer(&seat, call), Some((90, true)));
    }
    // A hold of the peer in between asks us to go on refreshing.
    let hold = seat.peer.request("INVITE").offer(&tweaks(&["sendonly"]));
    hold.header("Session-Expires", "90;refresher=uas").send();
    let ok = seat.expect(Pick::status(200).of("INVITE"));
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uas"));
    seat.peer.ack(&ok).send();
    seat.settle();
    assert_eq!(timer(&seat, call), Some((90, true)));
}

/// H04 at the caller: the callee refreshes; a hold of the caller leaves it that role.
#[test]
fn h04_the_caller_leaves_the_role_to_the_callee() {
    covers!("ST-05", "ST-18", "CF-30");
    let mut seat = Seat::with(Seed(4), asks(90)).latency(ms(20));
    let (call, _) = placed(&mut seat, Some("90;refresher=uas"));
    seat.run_for(secs(20));
    seat.ua.call(call).hold();
    let hold = seat.expect("INVITE");
    assert_eq!(hold.header("Session-Expires"), Some("90;refresher=uas"));
    seat.peer.reply(&hold, 200).answer(&[]).header("Session-Expires", "90;refresher=uas").send();
    seat.expect("ACK");
    // The hold restarted the timer: the end would come 60 s after it, not before.
    seat.run_for(secs(50));
    assert_eq!(timer(&seat, call), Some((90, false)));
    seat.peer.request("UPDATE").header("Session-Expires", "90;refresher=uac").send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uac"));
    seat.run_for(secs(50));
    assert!(seat.ua.is_up(call));
}

/// H05: no refresh comes: the other side ends the session min(32 s, a third) before it expires, whichever end it is.
#[test]
fn h05_a_refresher_that_died_ends_the_call() {
    covers!("ST-16");
    for (interval, at) in [(90, 60), (96, 64), (1800, 1768)] {
        for placed_by_us in [true, false] {
            let mut seat = Seat::with(Seed(5), asks(interval)).latency(ms(20));
            let call = if placed_by_us {
                placed(&mut seat, Some(&format!("{interval};refresher=uas"))).0
            } else {
                answered(&mut seat, Some(&format!("{interval};refresher=uac"))).0
            };
            let start = seat.ua.look(call).unwrap().dialog().unwrap().timer.running.unwrap().start();
            let due = start + secs(at);
            let rest = due - seat.now();
            seat.run_for(rest - ms(1));
            assert_eq!(count(&seat.wire, "BYE"), 0);
            let bye = seat.expect("BYE");
            assert_eq!(bye.at, due + ms(20), "{interval} {placed_by_us}");
            seat.peer.reply(&bye, 200).send();
            seat.settle();
            assert_eq!(seat.ua.ended(call), Some(&Ended::SessionExpired));
            assert_eq!(count(&seat.wire, "BYE"), 1);
        }
    }
}

/// H07: a refresh gets 422: the call stays, the refresh goes out again with the longer interval, which is kept.
#[test]
fn h07_a_refresh_is_too_short_for_the_peer() {
    covers!("ST-07", "ST-08", "ST-19", "ST-26", "CF-13");
    let mut seat = Seat::with(Seed(7), asks(90)).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let (call, invite) = placed(&mut seat, Some("90;refresher=uac"));
    let refresh = seat.expect("INVITE");
    seat.peer.reply(&refresh, 422).header("Min-SE", 600).send();
    let mut cseq = refresh.cseq();
    for _ in 0..2 {
        let again = seat.expect("INVITE");
        cseq += 1;
        assert_eq!((again.cseq(), again.sdp()), (cseq, invite.sdp()));
        assert_eq!(again.header("Session-Expires"), Some("600;refresher=uac"));
        assert_eq!(again.header("Min-SE"), Some("600"));
        let ok = seat.peer.reply(&again, 200).same().unwrap();
        ok.header("Session-Expires", "600;refresher=uac").add("Require", "timer").send();
        seat.expect("ACK");
        seat.settle();
        assert_eq!(timer(&seat, call), Some((600, true)));
        seat.run_for(secs(290));
    }
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.peers_broke(), []);
}

/// H07 from the other side: a refresh below our minimum gets 422 and leaves everything as it was.
#[test]
fn h07_a_refresh_is_too_short_for_us() {
    covers!("ST-06", "ST-14", "ST-27");
    for (method, seconds) in [("INVITE", 300), ("UPDATE", 300), ("UPDATE", 1)] {
        let mut seat = Seat::with(Seed(7), |config| config.min_se = 600).latency(ms(20));
        seat.expect_findings(&["ST-19"]);
        let (call, _) = answered(&mut seat, Some("1800;refresher=uac"));
        let timer = |seat: &Seat| seat.ua.look(call).unwrap().dialog().unwrap().timer.running;
        let before = timer(&seat);
        seat.run_for(secs(5));
        let draft = seat.peer.request(method).header("Session-Expires", seconds);
        if method == "INVITE" {
            draft.same().unwrap().send()
        } else {
            draft.send()
        };
        let refused = seat.expect(422);
        assert_eq!(refused.header("Min-SE"), Some("600"));
        seat.settle();
        assert_eq!(timer(&seat), before);
        assert!(seat.ua.is_up(call));
    }
}

/// H12: both sides refresh by re-INVITE at once: glare like any other, resolved long before the session ends.
#[test]
fn h12_refreshes_collide() {
    covers!("ST-25", "ST-14");
    let mut pair = Pair::with(Seed(12), |a, b| {
        (a.session_expires, a.update, b.update) = (Some(90), false, false);
    })
    .latency(ms(20));
    let call = pair.call();
    let expires = |agent: &Agent| agent.look(call).unwrap().dialog().unwrap().timer.running.unwrap().expires;
    pair.run_for(secs(20));
    let before = (expires(&pair.a), expires(&pair.b));
    pair.a.call(call).refresh();
    pair.b.call(call).refresh();
    pair.run_for(ms(100));
    assert_eq!(count(&pair.wire, Pick::status(491)), 2);
    // Refused refreshes move nothing.
    assert_eq!((expires(&pair.a), expires(&pair.b)), before);
    pair.settle();
    assert!(expires(&pair.a) > before.0 + secs(20) && expires(&pair.b) > before.1 + secs(20));
    assert_eq!((pair.a.changes(call).len(), pair.b.changes(call).len()), (1, 1));
    pair.run_for(secs(300));
    assert!(pair.a.is_up(call) && pair.b.is_up(call));
    assert_eq!((pair.a.peers_broke(), pair.b.peers_broke()), (vec![], vec![]));
}

/// H14: a proxy put an interval below our minimum on the INVITE of a UAC without timers: no 422, which it could not
/// heed, and no Require; we refresh.
#[test]
fn h14_a_caller_without_timers_is_not_refused() {
    covers!("ST-06", "ST-11");
    let mut seat = Seat::with(Seed(14), |config| config.min_se = 300).latency(ms(20));
    seat.peer.supported = "100rel, replaces".to_owned();
    let (call, ok) = answered(&mut seat, Some("120"));
    assert_eq!(ok.header("Session-Expires"), Some("120;refresher=uas"));
    assert_eq!(ok.header("Require"), None);
    let start = seat.now();
    let update = seat.expect("UPDATE");
    assert!(update.at - start > secs(58));
    // It answers as if there were no timer at all.
    seat.peer.reply(&update, 200).send();
    seat.run_for(secs(300));
    assert!(seat.ua.is_up(call));
    assert_eq!(seat.ua.peers_broke(), Vec::<RuleId>::new());
}
