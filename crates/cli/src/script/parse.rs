//! From text to steps.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use midcall_proto::endpoint::Prefer;
use midcall_wire::{Scheme, Uri};

use super::words::{EXPECTATIONS, VERBS, codecs, codecs_known, nearest};
use super::{Change, Expectation, Script, ScriptError, Step, Verb};

pub(super) fn script(text: &str) -> Result<Script, ScriptError> {
    let mut steps = Vec::new();
    for line in text.lines() {
        for part in parts(line) {
            let mut words = Words::new(line, part.clone());
            if words.peek().is_some() {
                let verb = words.verb()?;
                words.end()?;
                steps.push(Step { text: line.get(part).unwrap_or_default().trim().to_owned(), verb });
            }
        }
    }
    Ok(Script { steps })
}

/// The stretches between semicolons; those inside `<` and `>` belong to a URI.
fn parts(line: &str) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'<' => inside = true,
            b'>' => inside = false,
            b';' if !inside => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(start..line.len());
    parts
}

/// The words of one step, each with its place in the line.
struct Words<'t> {
    line: &'t str,
    words: Vec<Range<usize>>,
    next: usize,
    /// Where the last word ended: where a missing one is missed.
    end: usize,
}

impl<'t> Words<'t> {
    fn new(line: &'t str, part: Range<usize>) -> Self {
        let (mut words, mut start) = (Vec::new(), None);
        let text = line.get(part.clone()).unwrap_or_default();
        for (at, character) in text.char_indices() {
            match (character.is_whitespace(), start) {
                (false, None) => start = Some(at),
                (true, Some(from)) => {
                    words.push(part.start + from..part.start + at);
                    start = None;
                }
                _ => {}
            }
        }
        words.extend(start.map(|from| part.start + from..part.end));
        Self { line, words, next: 0, end: part.start }
    }

    fn peek(&self) -> Option<&'t str> {
        self.line.get(self.words.get(self.next)?.clone())
    }

    fn take(&mut self) -> Option<&'t str> {
        let word = self.peek()?;
        self.end = self.words.get(self.next)?.end;
        self.next += 1;
        Some(word)
    }

    /// The next word if it is this one.
    fn take_if(&mut self, word: &str) -> bool {
        let same = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if same {
            self.take();
        }
        same
    }

    /// The word that was taken last is wrong.
    fn wrong(&self, what: impl Into<String>, cure: impl Into<String>) -> ScriptError {
        let at = self.next.checked_sub(1).and_then(|last| self.words.get(last)).cloned().unwrap_or(0..0);
        self.error(at, what, cure)
    }

    /// A word is missing behind the last one.
    fn missing(&self, what: impl Into<String>, cure: impl Into<String>) -> ScriptError {
        self.error(self.end..self.end, what, cure)
    }

    fn error(&self, at: Range<usize>, what: impl Into<String>, cure: impl Into<String>) -> ScriptError {
        ScriptError { line: self.line.to_owned(), at, what: what.into(), cure: cure.into() }
    }

    fn end(&mut self) -> Result<(), ScriptError> {
        match self.take() {
            None => Ok(()),
            Some(word) => {
                let again = VERBS.iter().any(|(verb, ..)| verb.eq_ignore_ascii_case(word));
                let cure = if again {
                    "Put a `;` between two verbs."
                } else {
                    "The verb before it is complete without it."
                };
                Err(self.wrong(format!("`{word}` is one word too many"), cure))
            }
        }
    }

    fn verb(&mut self) -> Result<Verb, ScriptError> {
        let word = self.take().unwrap_or_default();
        let change = |change| Ok(Verb::Change(change, None));
        match word.to_ascii_lowercase().as_str() {
            "ring" => {
                let time = if self.peek().is_some() { self.time("ring 1s")? } else { Duration::ZERO };
                Ok(Verb::Ring(time))
            }
            "early" => Ok(Verb::Early),
            "answer" => Ok(Verb::Answer),
            "refuse" => Ok(Verb::Refuse(self.status(300)?)),
            "accept" => Ok(Verb::Decide(true)),
            "decline" => Ok(Verb::Decide(false)),
            "wait" => Ok(Verb::Wait(self.time("wait 500ms")?)),
            "hold" => self.somewhere(Change::Hold),
            "resume" => self.somewhere(Change::Resume),
            "codec" => {
                let list = self.codecs()?;
                self.somewhere(Change::Codecs(list))
            }
            "contact" => {
                let place = self.address("contact 127.0.0.1:5070")?;
                Ok(Verb::Contact(place, self.take_if("lost")))
            }
            "move" => {
                let place = self.address("move 127.0.0.1:40000")?;
                Ok(Verb::Change(Change::Move(place), self.via()?))
            }
            "refresh" => Ok(Verb::Change(Change::Refresh, self.via()?)),
            "update" => change(Change::Update),
            "reinvite" => change(Change::Reinvite),
            "offerless" => change(Change::Offerless),
            "add-video" => change(Change::AddVideo),
            "drop-video" => change(Change::DropVideo),
            "dtmf" => Ok(Verb::Dtmf(self.digits("dtmf 12#")?)),
            "transfer" if self.take_if("other") => Ok(Verb::TransferToOther),
            "transfer" => Ok(Verb::Transfer(self.uri("transfer")?)),
            "consult" => Ok(Verb::Consult(self.uri("consult")?)),
            "other" => self.other(),
            "cancel" => Ok(Verb::Cancel),
            "bye" => Ok(Verb::Bye),
            "expect" => self.expect(),
            _ => {
                let verbs = || VERBS.iter().map(|(verb, ..)| *verb);
                let list = verbs().collect::<Vec<_>>().join(" ");
                let meant =
                    nearest(word, verbs()).map(|verb| format!("Did you mean `{verb}`? ")).unwrap_or_default();
                Err(self.wrong(format!("there is no verb `{word}`"), format!("{meant}Verbs: {list}")))
            }
        }
    }

    /// A change of the call, or of one branch of it.
    fn somewhere(&mut self, change: Change) -> Result<Verb, ScriptError> {
        let via = self.via()?;
        if !self.take_if("in") {
            return Ok(Verb::Change(change, via));
        }
        let cure = "Say the To tag of the place where it rings.";
        if via == Some(Prefer::ReInvite) {
            let cure = "Leave out `via reinvite`, or wait until the call is established.";
            return Err(self.wrong("a place that rings is changed by UPDATE", cure));
        }
        match self.take() {
            Some(tag) => Ok(Verb::InBranch(change, tag.to_owned())),
            None => Err(self.missing("in which branch?", cure)),
        }
    }

    /// A verb for the call of `consult`.
    fn other(&mut self) -> Result<Verb, ScriptError> {
        let cure = "Say what to do in the call of `consult`, as in `other hold`.";
        if self.peek().is_none() {
            return Err(self.missing("do what in the other call?", cure));
        }
        match self.verb()? {
            Verb::Other(_) | Verb::Consult(_) | Verb::TransferToOther => {
                Err(self.wrong("there is only one other call", cure))
            }
            verb => Ok(Verb::Other(Box::new(verb))),
        }
    }

    fn expect(&mut self) -> Result<Verb, ScriptError> {
        let words = || EXPECTATIONS.iter().map(|(word, _)| *word);
        let list = || format!("One of: {}", words().collect::<Vec<_>>().join(" "));
        let Some(word) = self.take() else { return Err(self.missing("expect what?", list())) };
        let what = match word.to_ascii_lowercase().as_str() {
            "ringing" => Expectation::Ringing,
            "early" => Expectation::Early,
            "established" => Expectation::Established,
            "held" => Expectation::Held,
            "peer-held" => Expectation::PeerHeld,
            "resumed" => Expectation::Resumed,
            "changed" => Expectation::Changed,
            "peer-changed" => Expectation::PeerChanged,
            "refused" | "rejected" => Expectation::Refused(self.status(300)?),
            "refreshed" => Expectation::Refreshed,
            "moved" => Expectation::Moved,
            "offered" => Expectation::Offered,
            "referred" => Expectation::Referred,
            "transferred" => Expectation::Transferred,
            "replaced" => Expectation::Replaced,
            "digits" => Expectation::Digits(self.digits("expect digits 12#")?),
            "played" => Expectation::Played,
            "media" => Expectation::Media,
            "silence" => Expectation::Silence,
            "ended" => Expectation::Ended,
            _ => {
                let meant =
                    nearest(word, words()).map(|word| format!("Did you mean `{word}`? ")).unwrap_or_default();
                return Err(
                    self.wrong(format!("nothing is called `{word}` here"), format!("{meant}{}", list()))
                );
            }
        };
        let within = if self.take_if("within") { self.time("within 5s")? } else { PATIENCE };
        Ok(Verb::Expect { what, within })
    }

    fn via(&mut self) -> Result<Option<Prefer>, ScriptError> {
        if !self.take_if("via") {
            return Ok(None);
        }
        let cure = "Say `via update` or `via reinvite`; without it the library chooses.";
        match self.take() {
            None => Err(self.missing("via which method?", cure)),
            Some(word) => match word.to_ascii_lowercase().as_str() {
                "update" => Ok(Some(Prefer::Update)),
                "reinvite" | "re-invite" => Ok(Some(Prefer::ReInvite)),
                _ => Err(self.wrong(format!("`{word}` cannot change a session"), cure)),
            },
        }
    }

    fn time(&mut self, example: &str) -> Result<Duration, ScriptError> {
        let cure = format!("Say a number with its unit: ms, s or m, as in `{example}`.");
        let Some(word) = self.take() else { return Err(self.missing("how long?", cure)) };
        time(word).ok_or_else(|| self.wrong(format!("`{word}` is not a time"), cure))
    }

    fn status(&mut self, least: u16) -> Result<Option<u16>, ScriptError> {
        if self.peek().is_none_or(|word| word.eq_ignore_ascii_case("within")) {
            return Ok(None);
        }
        let word = self.take().unwrap_or_default();
        let status = word.parse().ok().filter(|status| (least..700).contains(status));
        let cure = format!("A final status is a number from {least} to 699, such as 486.");
        status.map(Some).ok_or_else(|| self.wrong(format!("`{word}` is not a status of a refusal"), cure))
    }

    fn digits(&mut self, example: &str) -> Result<String, ScriptError> {
        let cure = format!("Digits are 0 to 9, *, #, A to D, as in `{example}`.");
        let Some(word) = self.take() else { return Err(self.missing("which digits?", cure)) };
        let good = word.chars().all(|digit| matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d'));
        if good {
            Ok(word.to_ascii_uppercase())
        } else {
            Err(self.wrong(format!("`{word}` are not digits"), cure))
        }
    }

    fn codecs(&mut self) -> Result<Vec<midcall_proto::session::Codec>, ScriptError> {
        let cure = format!("Known: {}; the best first, joined by commas.", codecs_known());
        let Some(word) = self.take() else { return Err(self.missing("which codec?", cure)) };
        codecs(word).map_err(|name| self.wrong(format!("there is no codec `{name}`"), cure))
    }

    fn address(&mut self, example: &str) -> Result<SocketAddr, ScriptError> {
        let cure = format!("Say an address of this machine and a port, 0 for any, as in `{example}`.");
        let Some(word) = self.take() else { return Err(self.missing("where to?", cure)) };
        word.parse().map_err(|_| self.wrong(format!("`{word}` is not an address with a port"), cure))
    }

    fn uri(&mut self, verb: &str) -> Result<String, ScriptError> {
        let cure = format!(
            "Say a SIP URI, as in `{verb} sip:carol@192.0.2.7`; one with a `;` goes between < and >."
        );
        let Some(word) = self.take() else {
            let what = if verb == "transfer" { "transfer to whom?" } else { "consult whom?" };
            return Err(self.missing(what, cure));
        };
        let uri = word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(word);
        let callable = Uri::parse(uri).is_ok_and(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips));
        if callable {
            Ok(uri.to_owned())
        } else {
            Err(self.wrong(format!("`{word}` is not a SIP URI"), cure))
        }
    }
}

/// A number with its unit.
fn time(word: &str) -> Option<Duration> {
    let split = word.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let (number, unit) = word.split_at_checked(split)?;
    let number: f64 = number.parse().ok()?;
    let seconds = match unit.to_ascii_lowercase().as_str() {
        "ms" => number / 1_000.0,
        "s" => number,
        "m" | "min" => number * 60.0,
        _ => return None,
    };
    // A day: nobody waits longer, and sums of times stay far from overflow.
    (seconds <= 86_400.0).then(|| Duration::from_secs_f64(seconds))
}

/// How long `expect` waits unless told.
const PATIENCE: Duration = Duration::from_secs(5);
