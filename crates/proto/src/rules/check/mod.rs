//! The checks: functions that look at a dialog and a message and answer with evidence.
//!
//! A check never mutates and never knows whether an endpoint or an observer is asking. It names sides by the way of the
//! message (`by(seen.way)` is the sender), so it reads the same from both ends.

mod dialog;
mod offer;
mod refer;
mod reliable;
mod response;
mod session_timer;
mod target;
mod update;

use midcall_wire::Method;
use smallvec::smallvec;

use super::{Reply, RuleId};
use crate::dialog::{Dialog, Evidence, MethodSet, Seen, Way};

/// From whose knowledge a check is decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// The sender's: what it may send depends on what it had sent and received.
    Sender,
    /// The receiver's: what it then owes, or what it can tell from what it knows.
    Receiver,
    /// Either party's: both know the same, so crossing cannot excuse it.
    Both,
}

/// What kinds of messages a check looks at, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kinds(u8);

impl Kinds {
    /// Requests.
    pub const REQUEST: Self = Self(1);
    /// Provisional responses.
    pub const PROVISIONAL: Self = Self(2);
    /// 2xx responses.
    pub const SUCCESS: Self = Self(4);
    /// Requests and 2xx responses.
    pub const REQUEST_OR_SUCCESS: Self = Self(5);
    /// Other final responses.
    pub const FAILURE: Self = Self(8);
    /// Final responses.
    pub const FINAL: Self = Self(12);
    /// Any response.
    pub const RESPONSE: Self = Self(14);
    /// Any message.
    pub const ANY: Self = Self(15);

    const fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::REQUEST,
            Some(..=199) => Self::PROVISIONAL,
            Some(200..=299) => Self::SUCCESS,
            Some(_) => Self::FAILURE,
        }
    }
}

/// One check.
pub struct Check {
    /// The rule that it decides.
    pub rule: RuleId,
    /// From whose knowledge.
    pub view: View,
    /// The kinds of messages.
    pub kinds: Kinds,
    /// The methods (of the request, for responses).
    pub methods: MethodSet,
    /// For a received request: the refusal that its receiver then owes. The request itself is no breach.
    pub reply: Option<Reply>,
    /// The look: evidence if the rule is broken (or its refusal is owed).
    pub look: fn(&Dialog, &Seen<'_>) -> Option<Evidence>,
}

impl Check {
    /// Whether it makes its receiver owe a refusal instead of finding a breach.
    #[must_use]
    pub const fn obliges(&self) -> bool {
        self.reply.is_some()
    }
}

/// The checks that look at this message, in table order.
pub fn of(seen: &Seen<'_>) -> impl Iterator<Item = &'static Check> + use<> {
    let view = match seen.way {
        Way::Sent => View::Sender,
        Way::Received => View::Receiver,
    };
    let row = LOOKERS.get(Kinds::of(seen.status).0.trailing_zeros() as usize);
    let among = row.and_then(|row| row.get(seen.method as usize)).copied().unwrap_or_default();
    let left = among & (VIEWS[view as usize] | VIEWS[View::Both as usize]);
    // One half after the other: a whole takes several steps for each check.
    let (mut left, mut later, mut first) = (left as u64, Some((left >> u64::BITS) as u64), 0);
    std::iter::from_fn(move || {
        while left == 0 {
            (left, first) = (later.take()?, u64::BITS);
        }
        let next = CHECKS.get((first + left.trailing_zeros()) as usize)?;
        left &= left - 1;
        Some(*next)
    })
}

/// What is wrong with the session description of this message, rule by rule.
pub fn of_description(dialog: &Dialog, seen: &Seen<'_>, found: impl FnMut(RuleId, Evidence)) {
    offer::faults(dialog, seen, found);
}

/// Every rule that has a check.
pub fn rules() -> impl Iterator<Item = RuleId> {
    all().map(|check| check.rule).chain(offer::FAULTS.iter().copied())
}

/// Every check.
pub fn all() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().copied()
}

const FAMILIES: [&[Check]; 8] = [
    dialog::CHECKS,
    target::CHECKS,
    reliable::CHECKS,
    offer::CHECKS,
    update::CHECKS,
    session_timer::CHECKS,
    refer::CHECKS,
    response::CHECKS,
];

const COUNT: usize = {
    let (mut count, mut family) = (0, 0);
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    count
};

/// Every check, in table order.
static CHECKS: [&Check; COUNT] = {
    let mut checks = [&FAMILIES[0][0]; COUNT];
    let (mut at, mut family) = (0, 0);
    while family < FAMILIES.len() {
        let mut row = 0;
        while row < FAMILIES[family].len() {
            checks[at] = &FAMILIES[family][row];
            (at, row) = (at + 1, row + 1);
        }
        family += 1;
    }
    checks
};

/// Checks by their places in [`CHECKS`], as bits.
type Lookers = u128;

const _: () = assert!(COUNT <= Lookers::BITS as usize, "every check has a bit");

/// The checks that look at a kind of messages (by its bit) of a method: of a message few of them do.
static LOOKERS: [[Lookers; METHODS]; 4] = {
    let mut table = [[0; METHODS]; 4];
    let mut at = 0;
    while at < COUNT {
        let check = CHECKS[at];
        let mut kind = 0;
        while kind < table.len() {
            let mut method = 0;
            while method < METHODS {
                if check.kinds.0 & (1 << kind) != 0 && check.methods.has_bit(method) {
                    table[kind][method] |= 1 << at;
                }
                method += 1;
            }
            kind += 1;
        }
        at += 1;
    }
    table
};

/// The checks of each view.
static VIEWS: [Lookers; 3] = {
    let mut table = [0; 3];
    let mut at = 0;
    while at < COUNT {
        table[CHECKS[at].view as usize] |= 1 << at;
        at += 1;
    }
    table
};

/// How many methods there are, unknown ones being one.
const METHODS: usize = Method::Other as usize + 1;

/// A final response that goes out later than a non-INVITE request may wait (only its sender can tell it from a lost one): RFC 4320 §4.1 gives the time of a 100 over UDP, 3.5 s.
fn slow(dialog: &Dialog, seen: &Seen<'_>) -> Option<Evidence> {
    let open = dialog.request_of(seen)?;
    (seen.at.time > open.since + std::time::Duration::from_millis(3500)).then(|| on(open.on))
}

/// Evidence of no earlier message: the message itself is enough.
fn plainly() -> Option<Evidence> {
    Some(Evidence::new())
}

/// Evidence of these earlier messages.
fn because(messages: &[u32]) -> Option<Evidence> {
    Some(messages.iter().copied().collect())
}

/// Evidence of one earlier message.
fn on(message: u32) -> Evidence {
    smallvec![message]
}

const INVITE: MethodSet = MethodSet::of(&[Method::Invite]);
const UPDATE: MethodSet = MethodSet::of(&[Method::Update]);
const PRACK: MethodSet = MethodSet::of(&[Method::Prack]);
const ACK: MethodSet = MethodSet::of(&[Method::Ack]);

/// Option tags in Require of a response that rules of their own look after.
fn own_rules() -> crate::dialog::OptionSet {
    crate::dialog::OptionSet::default()
        .with(crate::dialog::OptionTag::Rel100)
        .with(crate::dialog::OptionTag::Timer)
}
