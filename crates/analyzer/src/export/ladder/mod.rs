//! A failure as a ladder fixture: one line per message, in the grammar of the test kit.
//!
//! A message is told by what a scripted party would not do by itself: headers beyond the usual, another target, a number
//! that jumps, a description that bends. What crossed is told from the times: whatever came sooner than its sender ever
//! answered was sent before the line above arrived. A call that begins before the trace gets the usual beginning.

mod headers;
mod odd;
mod outcome;

use std::collections::BTreeMap;
use std::time::Duration;

use midcall_proto::observer::Party;
use midcall_proto::rules::Rule;
use midcall_wire::{Method, Name};

use self::headers::Abilities;
use super::Unexportable;
use super::description::Descriptions;
use super::names::{self, Names, letter};
use super::read::{Line, lines};
use crate::model::{Call, Finding};

/// Writes a call as a ladder that expects this finding, or all that it has.
///
/// # Errors
/// Why the call cannot be played again, or the finding not be expected.
pub fn ladder(call: &Call, finding: Option<&Finding>) -> Result<String, Unexportable> {
    let lines = lines(call)?;
    if let Some(finding) = finding.filter(|finding| Rule::by_code(finding.code).is_none()) {
        return Err(Unexportable::Diagnosis(finding.code));
    }
    let mut writer = Writer::new(call, &lines);
    for at in 0..lines.len() {
        writer.line(at)?;
    }
    Ok(writer.finish(finding))
}

struct Writer<'w> {
    call: &'w Call,
    lines: &'w [Line<'w>],
    names: Names,
    descriptions: Descriptions,
    /// The text of each line.
    told: Vec<String>,
    /// The last CSeq of each party.
    cseqs: BTreeMap<Party, u32>,
    /// The Contact that each party told last, as written.
    contacts: BTreeMap<Party, String>,
    /// The Contact that stands for each party's own address.
    own_contacts: BTreeMap<Party, String>,
    /// The route of each party's requests.
    routes: BTreeMap<Party, Vec<String>>,
    rseqs: BTreeMap<String, u32>,
    /// How soon each party ever answered.
    reactions: BTreeMap<Party, Duration>,
    /// What each party can do, where it is less or more than usual.
    abilities: BTreeMap<Party, Abilities>,
    /// The tags of the callee.
    tags: Vec<String>,
    /// Whether the call was up when the trace began.
    joined: bool,
}

impl<'w> Writer<'w> {
    fn new(call: &'w Call, lines: &'w [Line<'w>]) -> Self {
        let mut names = Names::of(call);
        let mut tags: Vec<String> = Vec::new();
        for line in lines {
            if let Some(target) = line.sip.refer_to().and_then(Result::ok).filter(|_| line.is(Method::Refer))
            {
                names.third(target.uri);
            }
            let forms = line.status().is_some_and(|status| (101..300).contains(&status));
            let outside =
                line.of.and_then(|of| lines.get(of)).is_some_and(|of| of.receivers_tag().is_empty());
            let tag = line.receivers_tag();
            if forms && outside && line.sip.method() == Method::Invite && !tags.iter().any(|own| own == tag) {
                tags.push(tag.to_owned());
            }
        }
        let abilities = [Party::Caller, Party::Callee].map(|party| (party, Abilities::of(party, lines)));
        let joined = lines.first().is_some_and(|first| !first.receivers_tag().is_empty());
        let mut contacts = BTreeMap::new();
        if joined {
            tags.insert(0, call.callee.tag.clone());
            // Where the first request of each party goes, its peer wanted to be reached before.
            for line in lines.iter().rev().filter(|line| line.sip.is_request()) {
                contacts.extend(line.sip.request_uri().map(|uri| (line.by.other(), uri.to_owned())));
            }
        }
        Self {
            call,
            lines,
            names,
            descriptions: Descriptions::of(lines),
            told: Vec::new(),
            cseqs: BTreeMap::new(),
            own_contacts: contacts.clone(),
            contacts,
            routes: BTreeMap::new(),
            rseqs: BTreeMap::new(),
            reactions: reactions(lines),
            abilities: abilities.into_iter().collect(),
            tags,
            joined,
        }
    }

    fn line(&mut self, at: usize) -> Result<(), Unexportable> {
        let lines = self.lines;
        let Some(line) = lines.get(at) else { return Ok(()) };
        self.names.speaks(line.by);
        let mut words = Vec::new();
        let crosses = self.crosses(at);
        let arrow = if crosses.is_some() { "><" } else { "->" };
        let what = match (line.again, line.status()) {
            (Some(of), _) => format!("again {}", of + 1),
            (None, Some(status)) => {
                self.response(at, line, status, &mut words)?;
                format!("{status} {}", line.sip.method_name()).trim_end().to_owned()
            }
            (None, None) => {
                self.request(at, line, &mut words)?;
                line.sip.method_name().to_owned()
            }
        };
        if line.again.is_none() {
            self.dressed(line, &mut words)?;
            self.odd(at, line, &mut words);
        }
        if let Some(first) = crosses.filter(|first| first + 1 != at) {
            words.push(format!("crosses={}", first + 1));
        }
        words.extend(self.when(at, crosses.is_some()));
        let (from, to) = (letter(line.by), letter(line.by.other()));
        let mut text = format!("{from} {arrow} {to}   {what}");
        for word in words {
            text.push(' ');
            text.push_str(&word);
        }
        self.told.push(text);
        Ok(())
    }

    /// The earliest line that was still on its way to the sender of this one.
    fn crosses(&self, at: usize) -> Option<usize> {
        let line = self.lines.get(at)?;
        let from = line.of.or(line.again).map_or(0, |cause| cause + 1);
        let reaction = self.reactions.get(&line.by).copied().unwrap_or_default();
        (from..at).find(|position| {
            self.lines.get(*position).is_some_and(|earlier| {
                let soon = line.message.at.since(earlier.message.at) < reaction;
                earlier.by != line.by && (soon || self.collides(at, *position))
            })
        })
    }

    /// Whether two changes met: one was asked for before the other was answered, and got 491 for it.
    fn collides(&self, at: usize, earlier: usize) -> bool {
        let change = |position: usize| {
            let line = self.lines.get(position);
            line.is_some_and(|line| {
                (line.is(Method::Invite) || line.is(Method::Update)) && line.again.is_none()
            })
        };
        let answers = |of: usize| self.lines.iter().enumerate().filter(move |(_, line)| line.of == Some(of));
        change(at)
            && change(earlier)
            && answers(at).any(|(_, line)| line.status() == Some(491))
            && !answers(earlier).any(|(position, _)| position < at)
    }

    /// How long it took since the line above, where that is longer than a message takes.
    fn when(&self, at: usize, crosses: bool) -> Option<String> {
        let (line, before) = (self.lines.get(at)?, self.lines.get(at.checked_sub(1)?)?);
        let gap = line.message.at.since(before.message.at);
        (gap >= PAUSE && !crosses).then(|| format!("+{}", span(gap)))
    }

    fn request(&mut self, at: usize, line: &Line<'_>, words: &mut Vec<String>) -> Result<(), Unexportable> {
        let method = line.sip.method();
        let newest = |fits: &dyn Fn(&Line<'_>) -> bool| {
            self.lines.iter().take(at).rposition(|earlier| earlier.again.is_none() && fits(earlier))
        };
        let usual = match method {
            Method::Ack => newest(&|earlier| earlier.by != line.by && earlier.is_final_of_invite()),
            Method::Prack => newest(&|earlier| earlier.by != line.by && earlier.is_reliable()),
            Method::Cancel => newest(&|earlier| earlier.by == line.by && earlier.is(Method::Invite)),
            _ => None,
        };
        if matches!(method, Method::Ack | Method::Prack | Method::Cancel) {
            let of = line.of.ok_or(Unexportable::Orphan(line.message.n))?;
            words.extend((usual != Some(of)).then(|| format!("of={}", of + 1)));
        }
        let of = line.of.and_then(|of| self.lines.get(of));
        let expected = match (method, of) {
            (Method::Ack | Method::Cancel, Some(of)) => Some(of.cseq()),
            _ => self.cseqs.get(&line.by).map(|last| last + 1),
        };
        if !matches!(method, Method::Ack | Method::Cancel) {
            let last = self.cseqs.entry(line.by).or_insert(line.cseq());
            *last = (*last).max(line.cseq());
        }
        let base = expected
            .map(|expected| i64::from(expected) - i64::from(!matches!(method, Method::Ack | Method::Cancel)));
        if let (Some(expected), Some(base)) = (expected, base)
            && expected != line.cseq()
            && line.sip.cseq().is_ok()
        {
            words.push(format!("cseq={:+}", i64::from(line.cseq()) - base));
        }
        if let Ok(cseq) = line.sip.cseq()
            && cseq.name != line.sip.method_name()
        {
            words.push(format!("cseq-method={}", cseq.name));
        }
        self.request_tags(line, words);
        self.branch(at, line, words);
        self.target(at, line, words);
        Ok(())
    }

    fn request_tags(&mut self, line: &Line<'_>, words: &mut Vec<String>) {
        let (own, peer) = (line.senders_tag(), line.receivers_tag());
        let callee = if line.by == Party::Caller { peer } else { own };
        if let Some(fork) = self.fork(callee) {
            words.push(fork);
            return;
        }
        let caller_tag = match self.lines.first() {
            Some(first) if !self.joined => first.senders_tag(),
            _ => self.call.caller.tag.as_str(),
        };
        let known =
            if line.by == Party::Caller { self.tags.first().map(String::as_str) } else { Some(caller_tag) };
        let failed =
            line.of.and_then(|of| self.lines.get(of)).is_some_and(|of| of.status().is_some_and(|s| s >= 300));
        if failed && line.is(Method::Ack) || line.is(Method::Cancel) {
            return;
        }
        let formed = self.contacts.contains_key(&Party::Callee);
        match known.filter(|_| formed) {
            Some(_) if peer.is_empty() => words.push("to-tag=none".to_owned()),
            Some(known) if known != peer => words.push(format!("to-tag={}", self.tag(peer))),
            _ => {}
        }
        let ours =
            if line.by == Party::Caller { Some(caller_tag) } else { self.tags.first().map(String::as_str) };
        match ours.filter(|_| formed) {
            Some(_) if own.is_empty() => words.push("from-tag=none".to_owned()),
            Some(ours) if ours != own => words.push(format!("from-tag={}", self.tag(own))),
            _ => {}
        }
    }

    /// A tag that fits no dialog: like that of one but for the case, or nobody's.
    fn tag(&mut self, tag: &str) -> String {
        match self.tags.iter().position(|own| own.eq_ignore_ascii_case(tag)) {
            Some(at) => format!("FORK{}", at + 1),
            None => format!("x{}", self.names.value(tag)),
        }
    }

    /// The dialog of a fork, or of a tag that some message has in another case.
    fn fork(&self, callee: &str) -> Option<String> {
        let at = self.tags.iter().position(|own| own == callee)?;
        let odd = self.lines.iter().any(|line| {
            [line.senders_tag(), line.receivers_tag()]
                .iter()
                .any(|tag| *tag != callee && tag.eq_ignore_ascii_case(callee))
        });
        (self.tags.len() > 1 || odd).then(|| format!("tag=fork{}", at + 1))
    }

    /// A branch that was there before, or that has no cookie.
    fn branch(&mut self, at: usize, line: &Line<'_>, words: &mut Vec<String>) {
        let of = line.of.and_then(|of| self.lines.get(of));
        let failed = of.is_some_and(|of| of.status().is_some_and(|status| status >= 300));
        let invite = of.and_then(|of| of.of).or(line.of).and_then(|of| self.lines.get(of));
        let shared = line.is(Method::Cancel) || line.is(Method::Ack) && failed;
        if shared && invite.is_some_and(|invite| invite.branch() == line.branch()) {
            return;
        }
        let same = |earlier: &Line<'_>| {
            earlier.sip.is_request() && earlier.by == line.by && earlier.branch() == line.branch()
        };
        if let Some(earlier) = self.lines.iter().take(at).position(same) {
            words.push(format!("branch=of:{}", earlier + 1));
        } else if shared {
            words.push(format!("branch=z9hG4bKother{at}"));
        } else if !line.branch().starts_with("z9hG4bK") {
            words.push(format!("branch=plain{at}"));
        }
    }

    fn target(&mut self, at: usize, line: &Line<'_>, words: &mut Vec<String>) {
        let peer = line.by.other();
        let Some(uri) = line.sip.request_uri() else { return };
        let shared = line.is(Method::Cancel)
            || line.is(Method::Ack)
                && line.of.and_then(|of| self.lines.get(of)).is_some_and(|of| of.status() >= Some(300));
        let known = self.contacts.get(&peer);
        let fits = match known {
            None => at == 0 && !self.joined || !uri.starts_with("sips:") || shared,
            Some(contact) => contact == uri || shared,
        };
        let first_sips = at == 0 && !self.joined && uri.starts_with("sips:");
        if !fits || first_sips {
            let own = self.own_contacts.get(&peer).is_some_and(|own| own == uri);
            let told = if own { names::uri(peer) } else { self.names.value(uri) };
            let told = if first_sips {
                format!("sips:{}", names::uri(peer).trim_start_matches("sip:"))
            } else {
                told
            };
            words.push(format!("uri={told}"));
        }
    }

    fn response(
        &mut self,
        at: usize,
        line: &Line<'_>,
        status: u16,
        words: &mut Vec<String>,
    ) -> Result<(), Unexportable> {
        let of = line.of.ok_or(Unexportable::Orphan(line.message.n))?;
        let answered = |request: usize| {
            self.lines.iter().take(at).any(|earlier| {
                earlier.of == Some(request) && earlier.sip.is_response() && earlier.status() >= Some(200)
            })
        };
        let method = line.sip.method();
        let open = self.lines.iter().enumerate().take(at).rev().find(|(position, earlier)| {
            earlier.sip.is_request()
                && earlier.again.is_none()
                && earlier.by != line.by
                && earlier.sip.method() == method
                && !answered(*position)
        });
        let request = self.lines.get(of);
        let sure = open.map(|(position, _)| position) == Some(of)
            && method != Method::Ack
            && !request.is_some_and(|request| self.is_stranger(request));
        words.extend((!sure).then(|| format!("of={}", of + 1)));
        if let (Some(request), Ok(cseq)) = (request, line.sip.cseq())
            && request.cseq() != cseq.number
        {
            words.push(format!("cseq={}", cseq.number));
        }
        if request.is_some_and(|request| request.branch() != line.branch()) {
            words.push(format!("branch=z9hG4bKstray{at}"));
        }
        if status > 100 {
            let asked = request.map(Line::receivers_tag).unwrap_or_default();
            let forming = method == Method::Invite && status < 300 && asked.is_empty();
            match self.fork(line.receivers_tag()).filter(|_| forming) {
                Some(fork) => words.push(fork),
                None if line.receivers_tag().is_empty() => words.push("to-tag=none".to_owned()),
                None if !asked.is_empty() && asked != line.receivers_tag() => {
                    words.push(format!("to-tag={}", self.tag(line.receivers_tag())));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Descriptions, bodies and headers.
    fn dressed(&mut self, line: &Line<'_>, words: &mut Vec<String>) -> Result<(), Unexportable> {
        let described = self.descriptions.words(line, self.lines, &mut self.names);
        let plain = described.is_empty();
        let mut all = described;
        all.append(words);
        *words = all;
        self.headers(line, words)?;
        if plain && !line.sip.body().is_empty() {
            self.body(line, words);
        }
        if line.is_reliable() {
            let number = line.sip.rseq().and_then(Result::ok).unwrap_or(0);
            words.push("reliable".to_owned());
            let last = self.rseqs.insert(line.receivers_tag().to_owned(), number);
            if let Some(last) = last.filter(|last| last.checked_add(1) != Some(number)) {
                words.push(format!("rseq={:+}", i64::from(number) - i64::from(last)));
            }
        }
        Ok(())
    }

    fn body(&mut self, line: &Line<'_>, words: &mut Vec<String>) {
        let text = String::from_utf8_lossy(line.sip.body()).into_owned();
        let fragment = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        let kind = line.sip.header(Name::ContentType).unwrap_or_default().to_owned();
        match fragment.filter(|_| line.is(Method::Notify) && text.lines().count() <= 1) {
            Some(status) => {
                words.push(format!("sipfrag={status}"));
                if kind != "message/sipfrag;version=2.0" {
                    words.push(format!("[Content-Type: {kind}]"));
                }
                let usual = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
                // The word for the body sets the state anew.
                match line.sip.header(Name::SubscriptionState) {
                    Some(state) if state == usual => {}
                    Some(state) => words.push(format!("[Subscription-State: {state}]")),
                    None => words.push("[-Subscription-State]".to_owned()),
                }
            }
            None => {
                let name = self.descriptions.body(&text, &mut self.names);
                words.push(format!("body={name}"));
                words.push(format!("[Content-Type: {kind}]"));
            }
        }
    }
}

/// How soon each party ever answered anything.
fn reactions(lines: &[Line<'_>]) -> BTreeMap<Party, Duration> {
    let mut soonest = BTreeMap::new();
    for line in lines.iter().filter(|line| line.again.is_none()) {
        let Some(cause) = line.of.and_then(|of| lines.get(of)).filter(|cause| cause.by != line.by) else {
            continue;
        };
        let took = line.message.at.since(cause.message.at);
        let own = soonest.entry(line.by).or_insert(took);
        *own = took.min(*own);
    }
    soonest
}

/// A time as a ladder writes it.
fn span(gap: Duration) -> String {
    let millis = gap.as_millis();
    if millis.is_multiple_of(1_000) { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
}

/// A gap from here on is told: shorter ones are the time that a message takes.
const PAUSE: Duration = Duration::from_millis(200);
