//! Session timers. RFC 4028.

use midcall_wire::{Method, Refresher};

use super::{Check, Kinds, MethodSet, View, because, on, plainly};
use crate::dialog::{Dialog, Evidence, OptionTag, Seen};
use crate::rules::RuleId;

const TIMED: MethodSet = MethodSet::of(&[Method::Invite, Method::Update]);

pub(super) const CHECKS: &[Check] = &[
    Check {
        rule: RuleId::TimerNotListed,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: timer_unlisted,
    },
    Check {
        rule: RuleId::TimerHeaderMisplaced,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: MethodSet::ALL,
        reply: None,
        look: misplaced,
    },
    Check {
        rule: RuleId::IntervalTooShort,
        view: View::Both,
        kinds: Kinds::ANY,
        methods: TIMED,
        reply: None,
        look: too_short,
    },
    Check {
        rule: RuleId::IntervalBelowOwnMinimum,
        view: View::Both,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: below_own_min,
    },
    Check {
        rule: RuleId::RefresherPingPong,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: flips_again,
    },
    Check {
        rule: RuleId::IntervalRefusedWrongly,
        view: View::Both,
        kinds: Kinds::FAILURE,
        methods: TIMED,
        reply: None,
        look: bad_422,
    },
    Check {
        rule: RuleId::MinimumForgotten,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: minimum_forgotten,
    },
    Check {
        rule: RuleId::IntervalRaised,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: TIMED,
        reply: None,
        look: raised,
    },
    Check {
        rule: RuleId::RefresherOverridden,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: TIMED,
        reply: None,
        look: refresher_wrong,
    },
    Check {
        rule: RuleId::TimerNotRequired,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: TIMED,
        reply: None,
        look: require_missing,
    },
    Check {
        rule: RuleId::TimerStartedByUas,
        view: View::Both,
        kinds: Kinds::SUCCESS,
        methods: TIMED,
        reply: None,
        look: uac_unasked,
    },
    Check {
        rule: RuleId::NotRaisedAfterRefusal,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: interval_still_small,
    },
    Check {
        rule: RuleId::RefreshLate,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: refreshed_late,
    },
    Check {
        rule: RuleId::TimerLostByOtherChange,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: interval_forgotten,
    },
    Check {
        rule: RuleId::IntervalNotKept,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: interval_changed,
    },
    Check {
        rule: RuleId::RefreshBumpedVersion,
        view: View::Sender,
        kinds: Kinds::REQUEST,
        methods: TIMED,
        reply: None,
        look: version_without_change,
    },
];

fn misplaced(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let timed = TIMED.has(seen.method);
    let interval = seen.session_expires.is_some() && !(timed && (seen.is_request() || seen.is_success()));
    let min = seen.min_se.is_some() && !(timed && (seen.is_request() || seen.status == Some(422)));
    (interval || min).then(|| dialog.request_of(seen).map(|open| on(open.on)).unwrap_or_default())
}

fn too_short(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let min = seen.min_se.is_some_and(|min| min < 90) && seen.status != Some(422);
    let interval = seen.is_success() && seen.session_expires.is_some_and(|(seconds, _)| seconds < 90);
    (min || interval).then(Evidence::new)
}

fn below_own_min(_: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    (seen.session_expires?.0 < seen.min_se?).then(Evidence::new)
}

/// A 422 without a usable Min-SE, or to a requester that never heard of timers.
fn bad_422(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen);
    let unasked = open.is_some_and(|open| !open.supported.has(OptionTag::Timer));
    let wrong = seen.status == Some(422) && (unasked || seen.min_se.is_none_or(|min| min < 90));
    wrong.then(|| open.map(|open| on(open.on)).unwrap_or_default())
}

/// What listed timer before lists it no longer.
fn timer_unlisted(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let listed = dialog.party.by(seen.way).can.supported.has(OptionTag::Timer);
    (seen.headers.real && listed && !seen.supported.has(OptionTag::Timer)).then(Evidence::new)
}

/// The roles changed with the last refresh, and this one names the other side again. To change them once is legal.
fn flips_again(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let running = dialog.timer.running?;
    let named = match seen.session_expires?.1? {
        Refresher::Uac => seen.way,
        Refresher::Uas => seen.way.reversed(),
    };
    let before = dialog.timer.flipped?;
    // Copies of a 2xx may still be on their way to a side that knows other roles until then.
    let settled = seen.at.time >= running.start() + SETTLED;
    let again = seen.headers.real && settled && named != running.refresher;
    again.then(|| because(&[before, running.set_by])).flatten()
}

/// RFC 4028 §7.4: the largest Min-SE of the 422 and the requests that this side got in the dialog. Without one it is 90.
fn minimum_forgotten(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let (least, told) = (*dialog.timer.told.as_ref()?.by(seen.way))?;
    let timed = seen.supported.has(OptionTag::Timer) && seen.session_expires.is_some();
    (seen.headers.real && timed && seen.min_se.unwrap_or(90) < least).then(|| on(told))
}

fn raised(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.supported.has(OptionTag::Timer))?;
    let (answered, _) = seen.session_expires?;
    let too_low = answered < open.min_se.unwrap_or(90);
    let too_high = open.session_expires.is_some_and(|(asked, _)| answered > asked);
    (too_low || too_high).then(|| on(open.on))
}

fn refresher_wrong(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen)?;
    let (_, refresher) = seen.session_expires?;
    let Some(refresher) = refresher else { return plainly() };
    // A requester without timer support cannot refresh, whatever it asked for (ST-29).
    let asked = open
        .session_expires
        .filter(|_| open.supported.has(OptionTag::Timer))
        .and_then(|(_, refresher)| refresher)?;
    (asked == Refresher::Uac && refresher == Refresher::Uas).then(|| on(open.on))
}

fn require_missing(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| open.supported.has(OptionTag::Timer))?;
    let (_, refresher) = seen.session_expires?;
    (refresher == Some(Refresher::Uac) && !seen.require.has(OptionTag::Timer)).then(|| on(open.on))
}

fn uac_unasked(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen).filter(|open| !open.supported.has(OptionTag::Timer))?;
    (seen.session_expires?.1 == Some(Refresher::Uac)).then(|| on(open.on))
}

fn interval_still_small(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let refusal = dialog.party.by(seen.way).refused.as_ref().filter(|refusal| refusal.status == 422)?;
    (seen.session_expires?.0 < refusal.min_se.max(dialog.timer.min_se)?).then(|| on(refusal.on))
}

fn refreshed_late(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let running = dialog.session_timer().filter(|running| running.refresher == seen.way)?;
    let late = running.start() + running.interval / 3 * 2;
    // Whoever tried in time and was refused tries again.
    let tried =
        dialog.party.by(seen.way).refused.as_ref().is_some_and(|refusal| refusal.time > running.start());
    (seen.headers.real && seen.at.time > late && !tried).then(|| on(running.set_by))
}

fn interval_forgotten(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let running = dialog.timer.running?;
    let supports = dialog.party.by(seen.way).can.supported.has(OptionTag::Timer);
    (seen.headers.real && supports && seen.session_expires.is_none()).then(|| on(running.set_by))
}

fn interval_changed(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let running = dialog.timer.running?;
    let (asked, _) = seen.session_expires?;
    let interval = running.interval.as_secs().max(u64::from(dialog.timer.min_se.unwrap_or(0)));
    (u64::from(asked) != interval).then(|| on(running.set_by))
}

fn version_without_change(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let (new, last) = (seen.sdp.as_ref()?, dialog.offers.last.by(seen.way).as_ref()?);
    // A change that was refused and comes again is no refresh.
    let agreed =
        || dialog.offers.agreed.as_ref().is_none_or(|agreed| agreed.by(seen.way).same_but_version(last));
    (new.version() != last.version() && new.same_but_version(last) && agreed()).then(Evidence::new)
}

/// RFC 3261 64*T1: for how long a 2xx is sent again. Refreshes are further apart: at least half of 90 s (RFC 4028 §4, §10).
const SETTLED: std::time::Duration = std::time::Duration::from_secs(32);
