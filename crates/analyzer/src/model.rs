//! A call as reports show it: who, which messages, which changes, what went wrong.

use std::net::SocketAddr;

use bytes::Bytes;
use midcall_proto::flow::Transport;
use midcall_proto::observer::{Certainty, ChangeOutcome, Kind, Party};
use midcall_proto::rules::{Cite, Severity};
use midcall_proto::time::Instant;
use midcall_wire::Method;

use crate::diagnosis::Worded;
use crate::glance::Glance;
use crate::source::Place;
use crate::story::{Log, Numbers};

/// One call of a trace, ready to be reported.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its number in the trace, in the order of beginning, from 1.
    pub number: u32,
    /// The Call-ID.
    pub call_id: String,
    /// Who sent the INVITE, or the first message of a trace that begins later.
    pub caller: Person,
    /// The other one.
    pub callee: Person,
    /// Its messages, copies included, as captured.
    pub messages: Vec<Message>,
    /// Its dialogs: one for each To tag that answered.
    pub dialogs: Vec<DialogInfo>,
    /// The changes that its parties asked for.
    pub changes: Vec<Change>,
    /// What went wrong, by cause: what only followed from it is listed under it.
    pub findings: Vec<Finding>,
    /// The session as it was agreed, moment by moment.
    pub story: Vec<Moment>,
    /// Other calls that look like legs of the same conversation.
    pub legs: Vec<Leg>,
    /// When it ended, if it did.
    pub ended: Option<Instant>,
    /// How much of it was not remembered because it was too much.
    pub dropped: u64,
    /// Its findings as they were found, from which those above were told; empty until then.
    pub(crate) found: Vec<Finding>,
    /// What its story is told from, if that was noted while it was observed.
    pub(crate) log: Option<Box<(Log, Numbers)>>,
    /// Its messages at a glance, until it was looked through; `None` for those without bytes.
    pub(crate) glances: Vec<Option<Glance>>,
}

impl Call {
    /// The message with this number.
    #[must_use]
    pub fn message(&self, n: u32) -> Option<&Message> {
        self.messages.get(usize::try_from(n).ok()?.checked_sub(1)?)
    }

    /// When its first message was captured.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.messages.first().map_or(Instant::ZERO, |message| message.at)
    }

    /// The party, unless it is the network.
    #[must_use]
    pub const fn person(&self, party: Party) -> Option<&Person> {
        match party {
            Party::Caller => Some(&self.caller),
            Party::Callee => Some(&self.callee),
            Party::Network => None,
        }
    }

    /// The worst severity of its findings.
    #[must_use]
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::None)
    }
}

/// A party of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// Its URI.
    pub uri: String,
    /// A short name for ladders and sentences, unlike that of the other one: `alice`.
    pub name: String,
    /// Its tag, empty while not known.
    pub tag: String,
    /// Where its messages come from, as captured.
    pub address: SocketAddr,
    /// User-Agent or Server as it last named itself.
    pub user_agent: Option<String>,
}

/// A message of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its number in the call, from 1, in the order of the trace; findings and changes name messages by it.
    pub n: u32,
    /// When it was captured.
    pub at: Instant,
    /// Who sent it, by address.
    pub from: SocketAddr,
    /// Whom it was sent to, by address.
    pub to: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// Who sent it; the network for a message that fits no side.
    pub by: Party,
    /// What it was: itself, a copy, or a response without a request.
    pub kind: Kind,
    /// What a ladder shows of it: `INVITE (sendonly)`, `200 OK (UPDATE)`.
    pub summary: String,
    /// Its bytes.
    pub raw: Bytes,
    /// Where in the trace it stands.
    pub place: Place,
    /// Whether the trace lacks the end of it.
    pub cut: bool,
}

/// A dialog of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialogInfo {
    /// The caller's tag.
    pub caller_tag: String,
    /// The callee's tag.
    pub callee_tag: String,
    /// Whether the trace shows it from its INVITE on, or a whole exchange since.
    pub whole: bool,
}

/// A change that a party asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its messages.
    pub messages: Vec<u32>,
    /// Who asked for it.
    pub by: Party,
    /// By which method.
    pub method: Method,
    /// What it was to change: `hold`, `codec`, ...
    pub what: Vec<&'static str>,
    /// What came of it.
    pub outcome: ChangeOutcome,
    /// The status of its final response.
    pub status: Option<u16>,
}

/// Something that went wrong in a call, or a fact worth a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The code of the rule (`UP-13`), or of the diagnosis (`F-SDP9`) where no rule of the table is broken.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// Who did it.
    pub by: Party,
    /// The message that did it; for something that never came, the message that made it due.
    pub at: u32,
    /// The earlier messages that make it so.
    pub because: Vec<u32>,
    /// Where it is written.
    pub cites: Vec<Cite>,
    /// A plain title of a few words.
    pub title: String,
    /// What it means in this call, with its own values.
    pub means: String,
    /// The cure.
    pub fix: String,
    /// What only followed from it.
    pub consequences: Vec<Consequence>,
    /// For what two calls show together, if that they belong together is no surer: how sure it is, in percent.
    pub joined: Option<u8>,
    /// How it came by its words.
    pub(crate) worded: Worded,
}

/// What followed from a finding: it is told under it, not beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Consequence {
    /// The message.
    pub at: u32,
    /// What happened, such as "the 200 was sent again, 10 times".
    pub what: String,
    /// The rule that this alone would have broken.
    pub code: Option<&'static str>,
}

/// A moment at which the session or the dialog became another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// When.
    pub at: Instant,
    /// The message that made it so.
    pub n: u32,
    /// Who brought it about.
    pub by: Party,
    /// What happened, such as "alice put audio on hold".
    pub what: String,
    /// The streams in force from here on, a line each: "audio PCMA alice -> bob only, 192.0.2.1:4000 <-> ...".
    pub streams: Vec<String>,
    /// What changed in the sender's description against its last.
    pub diff: Diff,
}

/// The lines of an SDP diff.
///
/// ```
/// use midcall_analyzer::model::{Diff, DiffLine};
///
/// let diff = Diff::from_iter([DiffLine::Same("s=-"), DiffLine::Removed("a=sendrecv"), DiffLine::Added("a=sendonly")]);
/// assert_eq!(diff.lines().nth(1), Some(DiffLine::Removed("a=sendrecv")));
/// assert_eq!(diff.signed().collect::<Vec<_>>(), [" s=-", "-a=sendrecv", "+a=sendonly"]);
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Diff {
    /// Each line behind its sign.
    text: String,
}

/// A line of an SDP diff.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiffLine<'d> {
    /// In both.
    Same(&'d str),
    /// Only in the old one.
    Removed(&'d str),
    /// Only in the new one.
    Added(&'d str),
}

impl Diff {
    /// Whether there are no lines.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Its lines.
    pub fn lines(&self) -> impl Iterator<Item = DiffLine<'_>> {
        self.signed().map(|line| match line.split_at_checked(1) {
            Some(("-", line)) => DiffLine::Removed(line),
            Some(("+", line)) => DiffLine::Added(line),
            Some((_, line)) => DiffLine::Same(line),
            None => DiffLine::Same(line),
        })
    }

    /// Its lines as a diff is written: each behind a space, a minus or a plus.
    pub fn signed(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n')
    }

    pub(crate) fn push(&mut self, line: DiffLine<'_>) {
        let (sign, line) = match line {
            DiffLine::Same(line) => (' ', line),
            DiffLine::Removed(line) => ('-', line),
            DiffLine::Added(line) => ('+', line),
        };
        self.text.push(sign);
        self.text.push_str(line);
        self.text.push('\n');
    }
}

impl<'d> FromIterator<DiffLine<'d>> for Diff {
    fn from_iter<I: IntoIterator<Item = DiffLine<'d>>>(lines: I) -> Self {
        let mut diff = Self::default();
        lines.into_iter().for_each(|line| diff.push(line));
        diff.text.shrink_to_fit();
        diff
    }
}

/// Another call that looks like a leg of the same conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leg {
    /// The Call-ID of the other.
    pub call_id: String,
    /// How sure it is, in percent.
    pub confidence: u8,
    /// Why it looks so: "same Session-ID", "same SDP", ...
    pub because: Vec<&'static str>,
}
