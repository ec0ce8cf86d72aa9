//! Rules of session timers that no ladder can hold.

use midcall_proto::dialog::Way;
use midcall_proto::endpoint::{Config, Reliable};
use midcall_proto::event::CallId;
use midcall_testkit::prelude::*;

const OURS: &str = "90;refresher=uac";
const WITHOUT_UPDATE: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, REFER, NOTIFY, INFO";

fn asks(config: &mut Config) {
    config.session_expires = Some(90);
}

/// The interval of a call's timer and whether the endpoint refreshes.
fn timer(seat: &Seat, call: CallId) -> Option<(u64, bool)> {
    let running = seat.ua.look(call)?.dialog()?.timer.running?;
    Some((running.interval.as_secs(), running.refresher == Way::Sent))
}

/// When the session of a call expires.
fn expiry(seat: &Seat, call: CallId) -> Option<midcall_proto::time::Instant> {
    Some(seat.ua.look(call)?.dialog()?.timer.running?.expires)
}

/// A call that the endpoint placed, with this word of the 2xx on the timer.
#[track_caller]
fn placed(seat: &mut Seat, word: &str) -> CallId {
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let ok = seat.peer.reply(&invite, 200).answer(&[]).header("Session-Expires", word);
    ok.add("Require", "timer").send();
    seat.expect("ACK");
    seat.settle();
    call
}

/// A proxy lowered the interval, or asked for one that neither end wanted: the endpoint follows what the 2xx says, for a
/// peer that knows no timers too.
#[test]
fn what_a_proxy_made_of_the_timer_is_followed() {
    covers!("ST-23", "ST-24");
    for own in [None, Some(1800)] {
        let mut seat = Seat::with(Seed(1), |config| config.session_expires = own).latency(ms(20));
        seat.peer.supported = "100rel, replaces".to_owned();
        let call = placed(&mut seat, "600;refresher=uac");
        assert_eq!(timer(&seat, call), Some((600, true)), "{own:?}");
        let start = seat.now();
        seat.run_for(secs(290));
        let refresh = seat.expect("UPDATE");
        assert!(refresh.at - start < secs(301));
        assert_eq!(refresh.header("Session-Expires"), Some("600;refresher=uac"));
        let ok = seat.peer.reply(&refresh, 200).header("Session-Expires", "600;refresher=uac");
        ok.add("Require", "timer").send();
        seat.settle();
        assert!(seat.ua.is_up(call));
        assert_eq!(seat.ua.peers_broke(), []);
    }
}

/// Both sides refresh at once, without descriptions: both get their 2xx, and the timer goes on.
#[test]
fn refreshes_without_descriptions_do_not_collide() {
    covers!("ST-25");
    let mut seat = Seat::with(Seed(2), asks).latency(ms(20));
    let call = placed(&mut seat, OURS);
    let ours = seat.expect("UPDATE");
    seat.peer.request("UPDATE").header("Session-Expires", "90;refresher=uas").send();
    let ok = seat.expect(Pick::status(200).of("UPDATE"));
    assert_eq!(ok.header("Session-Expires"), Some("90;refresher=uas"));
    seat.peer.reply(&ours, 200).header("Session-Expires", OURS).add("Require", "timer").send();
    seat.settle();
    assert_eq!(timer(&seat, call), Some((90, true)));
    assert_eq!(seat.ua.peers_broke(), []);
}

/// Refreshes by re-INVITE collide as any two changes: 491 for both, which moves no expiry, and one more try in time.
#[test]
fn refreshes_by_reinvite_collide_and_are_made_again() {
    covers!("ST-25", "ST-14");
    let mut seat = Seat::with(Seed(3), asks).latency(ms(20));
    seat.peer.allow = WITHOUT_UPDATE.to_owned();
    let call = placed(&mut seat, OURS);
    let before = expiry(&seat, call);
    let ours = seat.expect("INVITE");
    let theirs = seat.peer.request("INVITE").same().unwrap();
    theirs.header("Session-Expires", "90;refresher=uas").send();
    seat.expect(Pick::status(491).of("INVITE"));
    seat.peer.reply(&ours, 491).send();
    seat.settle_briefly();
    assert_eq!(expiry(&seat, call), before);
    let again = seat.expect("INVITE");
    assert!(Some(again.at) < before);
    let ok = seat.peer.reply(&again, 200).same().unwrap();
    ok.header("Session-Expires", OURS).add("Require", "timer").send();
    seat.expect("ACK");
    seat.settle();
    assert!(expiry(&seat, call) > before && seat.ua.is_up(call));
}

/// Two calls of one endpoint, as a B2BUA has them: each keeps its own interval and role, and is refreshed by itself.
#[test]
fn each_call_has_a_timer_of_its_own() {
    covers!("ST-28");
    let mut seat = Seat::with(Seed(4), asks).latency(ms(20));
    let first = placed(&mut seat, OURS);
    let second = seat.ua.invite(&seat.other.uri());
    let invite = seat.expect_other("INVITE");
    let ok = seat.other.reply(&invite, 200).answer(&[]);
    ok.header("Session-Expires", "90;refresher=uas").send();
    seat.expect_other("ACK");
    seat.settle();
    assert_eq!((timer(&seat, first), timer(&seat, second)), (Some((90, true)), Some((90, false))));
    let before = expiry(&seat, second);
    let update = seat.expect("UPDATE");
    seat.peer.reply(&update, 200).header("Session-Expires", OURS).add("Require", "timer").send();
    seat.settle();
    assert_eq!(expiry(&seat, second), before);
    assert!(seat.other.inbox().iter().all(|got| got.method() != "UPDATE"));
}

/// A fork: the branch that was taken has a timer, the branch that answered later has none. The first keeps its own.
#[test]
fn each_dialog_of_a_fork_has_a_timer_of_its_own() {
    covers!("ST-31");
    let mut seat = Seat::with(Seed(5), asks).latency(ms(20));
    let call = seat.ua.invite(&seat.peer.uri());
    let invite = seat.expect("INVITE");
    let first = seat.peer.reply(&invite, 200).tag("To", Some("first")).answer(&[]);
    first.header("Session-Expires", OURS).add("Require", "timer").send();
    seat.expect("ACK");
    let second = seat.peer.reply(&invite, 200).tag("To", Some("second")).answer(&[]);
    second.send();
    let bye = seat.expect("BYE");
    assert_eq!(bye.tag("To"), Some("second"));
    seat.peer.reply(&bye, 200).send();
    seat.settle();
    assert_eq!(timer(&seat, call), Some((90, true)));
    let update = seat.expect("UPDATE");
    assert_eq!(update.tag("To"), Some("first"));
    seat.peer.reply(&update, 200).header("Session-Expires", OURS).add("Require", "timer").send();
    seat.settle();
    assert!(seat.ua.is_up(call));
}

/// Each refresh lists timer as the first INVITE did, and requires nothing; the 100rel that the INVITE required stays there.
#[test]
fn a_refresh_lists_what_the_first_invite_listed() {
    covers!("ST-30");
    for allow in [None, Some(WITHOUT_UPDATE)] {
        let mut seat = Seat::with(Seed(6), |config| {
            asks(config);
            config.reliable = Reliable::Required;
        })
        .latency(ms(20));
        if let Some(allow) = allow {
            seat.peer.allow = allow.to_owned();
        }
        let call = seat.ua.invite(&seat.peer.uri());
        let invite = seat.expect("INVITE");
        assert!(invite.has_token("Require", "100rel") && invite.has_token("Supported", "timer"));
        let ok = seat.peer.reply(&invite, 200).answer(&[]).header("Session-Expires", OURS);
        ok.add("Require", "timer").send();
        seat.expect("ACK");
        let method = if allow.is_some() { "INVITE" } else { "UPDATE" };
        for _ in 0..2 {
            let refresh = seat.expect(method);
            assert!(refresh.has_token("Supported", "timer"));
            assert_eq!(
                (refresh.header("Proxy-Require"), refresh.has_token("Require", "timer")),
                (None, false)
            );
            assert!(method == "INVITE" || refresh.header("Require").is_none());
            let ok = seat.peer.reply(&refresh, 200);
            let ok = if refresh.sdp().is_some() { ok.same().unwrap() } else { ok };
            ok.header("Session-Expires", OURS).add("Require", "timer").send();
            if method == "INVITE" {
                seat.expect("ACK");
            }
            seat.settle();
        }
        assert!(seat.ua.is_up(call));
    }
}
