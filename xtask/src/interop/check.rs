//! Holds the record against the ladder, line by line.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::ladder::{Flow, Line, SdpWords, Step};
use super::record::Seen;

/// How strictly lines are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything the ladder says, of both sides.
    Full,
    /// The peer sends what the ladder told it to; of its lines only order and time are looked at.
    Scripted,
    /// Only which message came when: SIPp sat in midcall's place.
    Order,
}

/// What a comparison found.
#[derive(Default)]
pub(crate) struct Checked {
    /// Every difference between the record and the ladder, in words.
    pub(crate) faults: Vec<String>,
    /// The times in which the ladder wants media to flow or not.
    pub(crate) windows: Vec<Window>,
}

/// A time in which media must flow as told.
pub(crate) struct Window {
    pub(crate) flow: Flow,
    pub(crate) after: String,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// Compares a record with its ladder.
pub(crate) fn check(steps: &[Step], record: &[Seen], depth: Depth) -> Checked {
    let mut matcher = Matcher::new(record, depth);
    for (index, step) in steps.iter().enumerate() {
        if !matcher.step(step, steps.get(index + 1..).unwrap_or_default()) {
            return matcher.checked;
        }
    }
    while let Some(seen) = matcher.peek(false) {
        matcher.checked.faults.push(format!("not in the ladder: {} {}", way(seen.from_midcall), seen.sip));
        matcher.next += 1;
    }
    matcher.checked
}

/// The marks of a ladder a record that is still growing has come to.
pub(crate) fn reached<'a>(steps: &'a [Step], record: &'a [Seen]) -> Vec<&'a str> {
    let mut matcher = Matcher::new(record, Depth::Order);
    for (index, step) in steps.iter().enumerate() {
        if !matcher.step(step, steps.get(index + 1..).unwrap_or_default()) {
            break;
        }
    }
    matcher.labels.keys().copied().collect()
}

struct Matcher<'a> {
    record: &'a [Seen],
    next: usize,
    labels: BTreeMap<&'a str, f64>,
    last: (f64, &'a str),
    open: Vec<Flow>,
    checked: Checked,
    depth: Depth,
}

impl<'a> Matcher<'a> {
    fn new(record: &'a [Seen], depth: Depth) -> Self {
        let (labels, open, checked) = (BTreeMap::new(), Vec::new(), Checked::default());
        Self { record, next: 0, labels, last: (0.0, ""), open, checked, depth }
    }

    /// False when it makes no sense to go on.
    fn step(&mut self, step: &'a Step, rest: &'a [Step]) -> bool {
        match step {
            Step::Line(line) if line.again => true,
            Step::Line(line) => self.line(line),
            Step::AnyOrder(group) => {
                let mut left: Vec<&Line> = group.iter().collect();
                while !left.is_empty() {
                    let wants_100 = left.iter().any(|line| line.statuses.contains(&100));
                    let seen = self.peek(wants_100);
                    let Some(at) = seen.and_then(|s| left.iter().position(|line| is(line, s))) else {
                        let names: Vec<&str> = left.iter().map(|line| line.text.as_str()).collect();
                        self.missing(&names.join("  and  "));
                        return false;
                    };
                    let line = left.remove(at);
                    self.take(line);
                }
                true
            }
            Step::Maybe(group) => {
                // as often as it comes, until the next line is what comes
                let next = rest.iter().find_map(|step| match step {
                    Step::Line(line) => Some(line),
                    _ => None,
                });
                loop {
                    let Some(seen) = self.peek(false) else { return true };
                    let first_comes = group.first().is_some_and(|line| is(line, seen));
                    if !first_comes || next.is_some_and(|line| fits(line, seen)) {
                        return true;
                    }
                    if !group.iter().all(|line| self.line(line)) {
                        return false;
                    }
                }
            }
            Step::Rtp(flow) => {
                self.open.push(*flow);
                true
            }
            Step::Quiet(_) | Step::Pause(_) | Step::Freeze(_) | Step::Towards(_) => true,
        }
    }

    fn line(&mut self, line: &'a Line) -> bool {
        match self.peek(line.statuses.contains(&100)) {
            Some(seen) if is(line, seen) => {
                self.take(line);
                true
            }
            _ if line.maybe => true,
            _ => {
                self.missing(&line.text);
                false
            }
        }
    }

    fn missing(&mut self, wanted: &str) {
        let came = match self.peek(false) {
            Some(seen) => format!("came {} {}", way(seen.from_midcall), seen.sip),
            None => "nothing more came".into(),
        };
        self.checked.faults.push(format!("wanted {wanted}: {came}"));
    }

    /// The next message; a 100 counts only where the ladder names one.
    fn peek(&mut self, trying: bool) -> Option<&'a Seen> {
        while let Some(seen) = self.record.get(self.next) {
            if trying || seen.sip.status() != Some(100) {
                return Some(seen);
            }
            self.next += 1;
        }
        None
    }

    fn take(&mut self, line: &'a Line) {
        let index = self.next;
        self.next += 1;
        let Some(seen) = self.record.get(index) else { return };
        let at = seen.at.first().copied().unwrap_or_default();
        for flow in self.open.drain(..) {
            let (from, after) = self.last;
            self.checked.windows.push(Window { flow, after: after.to_string(), from, to: at });
        }
        self.last = (at, &line.text);
        if let Some(label) = &line.label {
            self.labels.insert(label, at);
        }
        if self.depth == Depth::Order {
            return;
        }
        let mut faults = Vec::new();
        let read = line.from_midcall || self.depth == Depth::Full;
        if let Some((label, low, high)) = &line.since {
            match self.labels.get(label.as_str()) {
                Some(mark) if (*low..=*high).contains(&(at - mark)) => {}
                Some(mark) => {
                    faults.push(format!("came {:.3} s after {label}, wanted {low}..{high}", at - mark));
                }
                None => faults.push(format!("no mark {label}")),
            }
        }
        if let Some((low, high)) = line.copies
            && !(low..=high).contains(&seen.at.len())
        {
            faults.push(format!("{} copies, wanted {low}..{high}", seen.at.len()));
        }
        if read {
            headers(line, seen, &mut faults);
        }
        if read && line.no_sdp && seen.sip.sdp().is_some() {
            faults.push("has a session description".into());
        }
        if let Some(words) = line.sdp.as_ref().filter(|_| read) {
            let earlier = self.record.iter().take(index).rev();
            let before = earlier.filter(|s| s.from_midcall == seen.from_midcall && s.sip.sdp().is_some());
            description(words, seen, before.map(|s| &s.sip).next(), &mut faults);
        }
        self.checked.faults.extend(faults.into_iter().map(|fault| format!("{}: {fault}", line.text)));
    }
}

fn way(from_midcall: bool) -> char {
    if from_midcall { '>' } else { '<' }
}

/// Whether a message is the one a line speaks of.
fn is(line: &Line, seen: &Seen) -> bool {
    if line.from_midcall != seen.from_midcall || line.method != seen.sip.method() {
        return false;
    }
    match seen.sip.status() {
        Some(status) => line.statuses.contains(&status),
        None => line.is_request(),
    }
}

/// As [`is`], and the sipfrag fits: tells NOTIFY from NOTIFY.
fn fits(line: &Line, seen: &Seen) -> bool {
    is(line, seen)
        && line.fragment.is_none_or(|status| seen.sip.body.starts_with(&format!("SIP/2.0 {status}")))
}

fn headers(line: &Line, seen: &Seen, faults: &mut Vec<String>) {
    for word in &line.headers {
        let values: Vec<&str> = seen.sip.all(&word.name).collect();
        match (&word.value, word.absent) {
            (None, true) if !values.is_empty() => {
                faults.push(format!("has {}: {}", word.name, values.join(", ")));
            }
            (None, false) if values.is_empty() => faults.push(format!("has no {}", word.name)),
            (Some(pattern), absent) => {
                let Ok(pattern) = Regex::new(&format!("(?i){pattern}")) else {
                    faults.push(format!("bad pattern {pattern}"));
                    continue;
                };
                if values.iter().any(|value| pattern.is_match(value)) == absent {
                    let wanted = if absent { "not wanted" } else { "wanted" };
                    faults.push(format!(
                        "{}: {:?}, {wanted} {}",
                        word.name,
                        values.join(", "),
                        pattern.as_str()
                    ));
                }
            }
            _ => {}
        }
    }
    if line.reliable
        && (seen.sip.header("RSeq").is_none() || !seen.sip.all("Require").any(|v| v.contains("100rel")))
    {
        faults.push("is not reliable (Require: 100rel and RSeq)".into());
    }
    if let (Some(user), Some(uri)) = (&line.user, seen.sip.uri())
        && !uri.starts_with(&format!("sip:{user}@"))
    {
        faults.push(format!("goes to {uri}, wanted sip:{user}@"));
    }
    if let Some(tag) = &line.tag
        && seen.sip.tag("To") != Some(tag)
    {
        faults.push(format!("To tag {:?}, wanted {tag}", seen.sip.tag("To")));
    }
    if let Some(status) = line.fragment
        && !seen.sip.body.starts_with(&format!("SIP/2.0 {status}"))
    {
        faults
            .push(format!("reports {:?}, wanted {status}", seen.sip.body.lines().next().unwrap_or_default()));
    }
}

fn description(words: &SdpWords, seen: &Seen, before: Option<&super::sip::Sip>, faults: &mut Vec<String>) {
    let Some(sdp) = seen.sip.sdp() else {
        faults.push("has no session description".into());
        return;
    };
    if let Some(direction) = &words.direction
        && sdp.direction() != direction
    {
        faults.push(format!("is {}, wanted {direction}", sdp.direction()));
    }
    if let (Some(distance), Some(before)) = (words.version, before.and_then(|sip| sip.sdp())) {
        let want = i128::try_from(before.version()).unwrap_or(0) + i128::from(distance);
        if i128::try_from(sdp.version()) != Ok(want) {
            faults.push(format!("o= version {} after {}, wanted {want}", sdp.version(), before.version()));
        }
    }
    let media = sdp.media();
    if let Some(streams) = &words.media {
        let got: Vec<(String, bool)> = media.iter().map(|m| (m.kind.to_string(), m.port != 0)).collect();
        if &got != streams {
            faults.push(format!("streams {got:?}, wanted {streams:?}"));
        }
    }
    let Some(live) = media.iter().find(|m| m.port != 0).or(media.first()) else { return };
    if let Some(address) = &words.connection
        && live.connection != address
    {
        faults.push(format!("c= {}, wanted {address}", live.connection));
    }
    if let Some(codecs) = &words.codecs {
        let wanted: Vec<&str> = codecs.iter().map(|codec| number(codec)).collect();
        if !live.formats.starts_with(&wanted) {
            faults.push(format!("formats {}, wanted {} first", live.formats.join(" "), wanted.join(" ")));
        }
    }
    if let Some(distance) = words.port
        && let Some(before) = before.and_then(|sip| sip.sdp())
        && let Some(old) = before.media().first().map(|m| m.port)
        && (distance == 0) != (old == live.port)
    {
        faults.push(format!("port {} after {old}", live.port));
    }
}

fn number(codec: &str) -> &str {
    match codec {
        "pcmu" => "0",
        "pcma" => "8",
        "g722" => "9",
        other => other,
    }
}
