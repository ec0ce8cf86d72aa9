//! From lines to messages: which line begins a record, which are its message, which are neither.

use std::collections::VecDeque;

use midcall_proto::flow::Transport;

use super::format::{Format, Head, Step, all};
use super::lines::{End, Line};
use super::message::{Draft, Taken, is_start};
use super::prefix::Prefix;
use super::run_on::{Wrapped, is_run_on, unwrapped};
use super::sides::{NOWHERE, Sides};
use super::stamp::{Clock, Stamp};
use super::wrapped::{folded, plain, spelled_end, unfolded};
use crate::source::{Packet, Place, Summary};

/// What is known while a log is read.
pub(super) struct Records {
    formats: Vec<Box<dyn Format>>,
    /// The format of this log, once a record told it.
    chosen: Option<usize>,
    /// The format whose line was the last to be known.
    found: usize,
    /// Whether other formats are looked for, too.
    searching: bool,
    state: State,
    /// A whole message whose time is still to come.
    untimed: Option<Done>,
    prefix: Option<Prefix>,
    /// What might be the prefix of every line.
    guess: Option<Prefix>,
    wrapped: Wrapped,
    /// The last lines, as long as no prefix and no format is known.
    past: VecDeque<(Vec<u8>, End, u64)>,
    /// The time in the line before, for messages without a head.
    nearby: Option<Stamp>,
    clock: Clock,
    sides: Sides,
    summary: Summary,
    over: bool,
}

/// Where in a record the next line is.
#[derive(Default)]
enum State {
    /// In none.
    #[default]
    Outside,
    /// Behind a head, with so many lines since. A torn message may go on in this record.
    Awaiting { head: Head, lines: u8, torn: Option<Open> },
    /// In a message.
    Inside(Open),
    /// Behind the end of a message; another may follow in the same record.
    Behind(Head),
}

/// A message that is being put together.
struct Open {
    head: Head,
    draft: Draft,
    number: u64,
    /// Whether a head came before it.
    headed: bool,
    /// Whether its time has come that stands behind it.
    timed: bool,
}

/// A message that is whole, or as much of it as there is.
struct Done {
    head: Head,
    payload: Vec<u8>,
    transport: Transport,
    number: u64,
    cut: bool,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            formats: all(),
            chosen: None,
            found: 0,
            searching: true,
            state: State::Outside,
            untimed: None,
            prefix: None,
            guess: None,
            wrapped: Wrapped::default(),
            past: VecDeque::new(),
            nearby: None,
            clock: Clock::default(),
            sides: Sides::default(),
            summary: Summary::default(),
            over: false,
        }
    }
}

impl Records {
    /// The next message.
    pub(super) fn ready(&mut self) -> Option<Packet> {
        self.sides.ready(self.over)
    }

    /// Whether not a single message was found.
    pub(super) const fn is_empty(&self) -> bool {
        self.summary.messages == 0
    }

    /// What was read so far.
    pub(super) fn summary(&self) -> Summary {
        let format = self.chosen.and_then(|chosen| self.formats.get(chosen)).map(|format| format.name());
        let format = format.unwrap_or(if self.is_empty() { "text" } else { "SIP text" });
        Summary { format: format.to_owned(), resolution: self.clock.resolution(), ..self.summary.clone() }
    }

    /// No line comes any more.
    pub(super) fn finish(&mut self) {
        self.unwrap();
        self.leave();
        self.settle();
        self.over = true;
    }

    /// Takes a line.
    pub(super) fn line(&mut self, line: Line<'_>) {
        if line.cut {
            self.summary.skip("ends of lines longer than 64 KiB");
        }
        let text = plain(line.text);
        let learning = self.prefix.is_none() && self.searching;
        if learning && self.learns_prefix(&text) {
            for (text, end, number) in std::mem::take(&mut self.past) {
                self.unprefixed(&text, end, number);
            }
        }
        let number = line.number;
        self.unprefixed(&text, line.end, number);
        if learning && self.prefix.is_none() && self.searching {
            if self.past.len() == PAST {
                self.past.pop_front();
            }
            let text = text.get(..text.len().min(PAST_LINE)).unwrap_or_default();
            self.past.push_back((text.to_vec(), line.end, number));
        }
    }

    /// Whether this line proves that every line has a prefix. Then all begins again with the lines before it.
    fn learns_prefix(&mut self, text: &[u8]) -> bool {
        if matches!(self.state, State::Inside(_)) {
            return false;
        }
        if let Some(guess) = self.guess.take()
            && guess.proved_by(text)
        {
            self.prefix = Some(guess);
            self.formats = all();
            self.state = State::Outside;
            return true;
        }
        self.guess = Prefix::before_start(text);
        false
    }

    fn unprefixed(&mut self, text: &[u8], end: End, number: u64) {
        let rest = self.prefix.as_ref().and_then(|prefix| prefix.strip(text));
        if let Some(rest) = rest
            && self.chosen.is_none()
        {
            self.nearby =
                Stamp::find(text.get(..text.len() - rest.len()).unwrap_or_default()).or(self.nearby);
        }
        let text = rest.unwrap_or(text);
        let expected = matches!(self.state, State::Awaiting { .. })
            && self.format().is_some_and(|format| format.wraps());
        if self.wrapped.take(text, number, expected) {
            return;
        }
        self.unwrap();
        if let Some(name) = folded(text) {
            for (text, end) in unfolded(text, name) {
                self.text(text, end, number);
            }
        } else {
            let (text, end) = spelled_end(text, end);
            self.text(text, end, number);
        }
    }

    /// Takes the message whose lines were wrapped, now that all of them have come.
    fn unwrap(&mut self) {
        if let Some((text, number)) = self.wrapped.done() {
            self.content(&text, End::Lf, number);
        }
    }

    /// Takes a line that is as it was logged.
    fn text(&mut self, text: &[u8], end: End, number: u64) {
        let behind = |at: usize| text.get(at..).unwrap_or_default();
        match self.step(text) {
            Step::Pass => self.content(text, end, number),
            Step::Part => {}
            Step::Begin | Step::End => {
                self.leave();
                self.settle();
            }
            Step::Head(head) => self.head(head),
            Step::Inline(head, at) => {
                self.head(head);
                self.content(behind(at), end, number);
            }
            Step::Text(at) if behind(at).is_empty() => {}
            Step::Text(at) => self.content(behind(at), end, number),
            Step::Body(at) => {
                self.content(b"", end, number);
                self.content(behind(at), end, number);
            }
            Step::Last(length) => {
                self.content(text.get(..length).unwrap_or_default(), End::Missing, number);
                self.leave();
            }
            Step::Cut => {
                if let State::Inside(open) = &mut self.state {
                    open.draft.cut();
                }
                self.leave();
            }
            Step::Time(stamp) => self.time(stamp),
        }
        if self.chosen.is_none() && matches!(self.state, State::Outside) {
            self.nearby = Stamp::find(text.get(..text.len().min(NEAR)).unwrap_or_default()).or(self.nearby);
        }
    }

    /// What this line is in the format of this log, or in any while that is not known.
    fn step(&mut self, text: &[u8]) -> Step {
        let open = matches!(self.state, State::Inside(_));
        let trimmed = text.trim_ascii_end();
        if let Some(chosen) = self.chosen
            && let Some(format) = self.formats.get_mut(chosen)
        {
            let step = format.line(trimmed, open);
            if !matches!(step, Step::Pass) || !self.searching {
                self.found = chosen;
                return step;
            }
        }
        if !self.searching || trimmed.is_empty() {
            return Step::Pass;
        }
        for (nth, format) in self.formats.iter_mut().enumerate() {
            if Some(nth) == self.chosen {
                continue;
            }
            let step = format.line(trimmed, open);
            let begins = matches!(step, Step::Begin | Step::Head(_) | Step::Inline(..));
            // The ends of records look alike in many formats.
            if begins || (nth == self.found && !matches!(step, Step::Pass)) {
                self.found = nth;
                return step;
            }
        }
        Step::Pass
    }

    fn format(&self) -> Option<&dyn Format> {
        self.formats.get(self.found).map(AsRef::as_ref)
    }

    fn head(&mut self, head: Head) {
        let mut torn = None;
        if let State::Inside(open) = &self.state
            && open.head.path == head.path
            && open.draft.is_open()
            && head.transport.is_some_and(Transport::reliable)
            && let State::Inside(open) = std::mem::take(&mut self.state)
        {
            torn = Some(open);
        }
        self.leave();
        self.settle();
        self.state = State::Awaiting { head, lines: 0, torn };
    }

    /// Takes a line that no format claims.
    fn content(&mut self, text: &[u8], end: End, number: u64) {
        if matches!(self.state, State::Awaiting { .. }) && is_run_on(text) {
            for (text, end) in unwrapped(text) {
                self.content(text, end, number);
            }
            return;
        }
        let blank = text.trim_ascii().is_empty();
        match std::mem::take(&mut self.state) {
            State::Outside => {
                if !blank && is_start(text) {
                    let head = Head { stamp: self.nearby, ..Head::default() };
                    self.searching = true;
                    self.open(head, false, text, end, number);
                }
            }
            State::Awaiting { head, lines, torn } => {
                if blank {
                    self.state = State::Awaiting { head, lines, torn };
                } else if is_start(text) {
                    if let Some(torn) = torn {
                        self.close(torn);
                    }
                    (self.chosen, self.searching) = (Some(self.found), false);
                    self.open(head, true, text, end, number);
                } else if let Some(mut torn) = torn {
                    let taken = torn.draft.go_on(text, end);
                    self.taken(torn, taken, text, end, number);
                } else if lines < FURNITURE {
                    self.state = State::Awaiting { head, lines: lines + 1, torn };
                } else {
                    self.summary.records += 1;
                    self.summary.skip("records without a SIP message");
                }
            }
            State::Behind(head) => {
                if !blank && is_start(text) {
                    self.open(head, true, text, end, number);
                } else {
                    self.state = State::Behind(head);
                }
            }
            State::Inside(mut open) => {
                let pads = || self.format().is_some_and(|format| format.pads());
                if blank && open.draft.in_body() && pads() {
                    self.state = State::Inside(open);
                } else if !blank && is_start(text) && open.draft.may_end() {
                    let (head, headed) = (open.head, open.headed);
                    self.close(open);
                    self.open(head, headed, text, end, number);
                } else if open.draft.is_foreign(text, end) {
                    self.summary.skip("lines of the log between those of a message");
                    self.state = State::Inside(open);
                } else {
                    let taken = open.draft.push(text, end);
                    if !open.headed && open.draft.is_none() {
                        self.summary.skip("first lines of messages without more of them");
                    } else {
                        self.taken(open, taken, text, end, number);
                    }
                }
            }
        }
    }

    fn open(&mut self, head: Head, headed: bool, text: &[u8], end: End, number: u64) {
        self.summary.records += 1;
        self.past.clear();
        self.state = State::Inside(Open { head, draft: Draft::new(text, end), number, headed, timed: false });
    }

    fn taken(&mut self, open: Open, taken: Taken, text: &[u8], end: End, number: u64) {
        let (head, headed) = (open.head, open.headed);
        match taken {
            Taken::More => self.state = State::Inside(open),
            Taken::Done | Taken::Refused => {
                self.close(open);
                if headed {
                    self.state = State::Behind(head);
                }
                if taken == Taken::Refused {
                    self.content(text, end, number);
                }
            }
        }
    }

    /// The time of the message before came.
    fn time(&mut self, stamp: Stamp) {
        if let State::Inside(open) = &mut self.state {
            if !open.timed {
                (open.head.stamp, open.timed) = (Some(stamp), true);
            }
            // Of a message that was split the rest is still to come.
            if !open.draft.is_open() {
                self.leave();
            }
        } else if let Some(done) = &mut self.untimed {
            done.head.stamp = Some(stamp);
            self.settle();
        }
    }

    /// Leaves the record, whatever state it is in.
    fn leave(&mut self) {
        match std::mem::take(&mut self.state) {
            State::Outside | State::Behind(_) => {}
            State::Inside(open) => self.close(open),
            State::Awaiting { torn, .. } => {
                if let Some(torn) = torn {
                    self.close(torn);
                } else {
                    self.summary.records += 1;
                    self.summary.skip("records without a SIP message");
                }
            }
        }
    }

    /// Ends a message.
    fn close(&mut self, open: Open) {
        if !open.headed && open.draft.is_none() {
            self.summary.skip("first lines of messages without more of them");
            return;
        }
        let Open { head, draft, number, timed, .. } = open;
        let transport = head.transport.or(draft.transport()).unwrap_or(Transport::Udp);
        let (payload, cut) = draft.finish(head.size);
        self.settle();
        self.untimed = Some(Done { head, payload, transport, number, cut });
        if timed || !self.format().is_some_and(|format| format.late()) || self.chosen != Some(self.found) {
            self.settle();
        }
    }

    /// Passes on the message whose time was awaited.
    fn settle(&mut self) {
        let Some(Done { head, payload, transport, number, cut }) = self.untimed.take() else { return };
        let at = match head.stamp {
            Some(stamp) => self.clock.at(stamp),
            None => self.clock.unstamped(),
        };
        if cut {
            self.summary.skip("ends of messages that the log lacks");
        }
        self.summary.messages += 1;
        let (from, to) = (NOWHERE, NOWHERE);
        let place = Place { source: 0, number };
        self.sides.take(Packet { at, from, to, transport, payload, place, cut }, head.path);
    }
}

/// How many lines may stand between a head and its message.
const FURNITURE: u8 = 3;
/// How far back a prefix may be found out: the longest head.
const PAST: usize = 16;
const PAST_LINE: usize = 4096;
/// Where in a line the time stands, if it begins a line of a log.
const NEAR: usize = 160;
