//! A failure as a ladder fixture: one line per message, in the grammar of the test kit.
//!
//! A message is told by what a scripted party would not do by itself: headers beyond the usual, another target, a number
//! that jumps, a description that bends. What crossed is told from the times: whatever came sooner than its sender ever
//! answered was sent before the line above arrived.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use midcall_proto::observer::{Certainty, Party};
use midcall_proto::rules::{Rule, Severity};
use midcall_wire::{Message as Sip, Method, Name, Uri};

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
    if lines.first().is_some_and(|first| !first.sip.is_request() || !first.to_tag().is_empty()) {
        return Err(Unexportable::Joined);
    }
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
    tags: Vec<String>,
}

#[derive(Debug, Default)]
struct Abilities {
    allow: Vec<String>,
    supported: Vec<String>,
    settings: Vec<&'static str>,
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
            let outside = line.of.and_then(|of| lines.get(of)).is_some_and(|of| of.to_tag().is_empty());
            let tag = line.to_tag();
            if forms && outside && line.sip.method() == Method::Invite && !tags.iter().any(|own| own == tag) {
                tags.push(tag.to_owned());
            }
        }
        let abilities = [Party::Caller, Party::Callee].map(|party| (party, Abilities::of(party, lines)));
        Self {
            call,
            lines,
            names,
            descriptions: Descriptions::of(lines),
            told: Vec::new(),
            cseqs: BTreeMap::new(),
            contacts: BTreeMap::new(),
            own_contacts: BTreeMap::new(),
            routes: BTreeMap::new(),
            rseqs: BTreeMap::new(),
            reactions: reactions(lines),
            abilities: abilities.into_iter().collect(),
            tags,
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
                format!("{status} {}", line.sip.method_name())
            }
            (None, None) => {
                self.request(at, line, &mut words)?;
                line.sip.method_name().to_owned()
            }
        };
        if line.again.is_none() {
            self.dressed(line, &mut words)?;
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
        let reaction = self.reactions.get(&line.by)?;
        let cause = line.of.or(line.again);
        let from = cause.map_or(0, |cause| cause + 1);
        (from..at).find(|earlier| {
            self.lines.get(*earlier).is_some_and(|earlier| {
                earlier.by != line.by && line.message.at.since(earlier.message.at) < *reaction
            })
        })
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
        let (own, peer) = (line.from_tag(), line.to_tag());
        let callee = if line.by == Party::Caller { peer } else { own };
        if let Some(fork) = self.fork(callee) {
            words.push(fork);
            return;
        }
        let caller_tag = self.lines.first().map(Line::from_tag).unwrap_or_default();
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
            [line.from_tag(), line.to_tag()]
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
            None => at == 0 || !uri.starts_with("sips:") || shared,
            Some(contact) => contact == uri || shared,
        };
        let first_sips = at == 0 && uri.starts_with("sips:");
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
        if status > 100 {
            let asked = request.map(Line::to_tag).unwrap_or_default();
            let forming = method == Method::Invite && status < 300 && asked.is_empty();
            match self.fork(line.to_tag()).filter(|_| forming) {
                Some(fork) => words.push(fork),
                None if line.to_tag().is_empty() => words.push("to-tag=none".to_owned()),
                None if !asked.is_empty() && asked != line.to_tag() => {
                    words.push(format!("to-tag={}", self.tag(line.to_tag())));
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
            let last = self.rseqs.insert(line.to_tag().to_owned(), number);
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

    /// Headers that a scripted party would not write, or would not leave out.
    fn headers(&mut self, line: &Line<'_>, words: &mut Vec<String>) -> Result<(), Unexportable> {
        let usual = self.usual(line);
        self.contact(line);
        let mut seen: Vec<Name> = Vec::new();
        for header in line.sip.headers() {
            let name = header.name;
            if STRUCTURE.contains(&name) || name == Name::Other || seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let values = self.values(line, name);
            let known = usual.iter().any(|(own, value)| *own == name && same(name, value, &values));
            if known || self.is_idle(line, name, &values) {
                continue;
            }
            let values = if LISTS.contains(&name) { vec![values.join(", ")] } else { values };
            let mut sign = "";
            for value in values {
                if value.contains(['{', '}']) {
                    return Err(Unexportable::OtherCall(line.message.n));
                }
                words.push(format!("[{sign}{}: {value}]", name.as_str()));
                sign = "+";
            }
        }
        for (name, value) in usual {
            if !value.is_empty() && !seen.contains(&name) {
                words.push(format!("[-{}]", name.as_str()));
            }
        }
        if line.sip.is_request() && line.sip.header(Name::MaxForwards).is_none() {
            words.push("[-Max-Forwards]".to_owned());
        }
        if self.is_stranger(line) {
            let from = SocketAddr::new(self.names.ip(line.message.from.ip()), line.message.from.port());
            words.push(format!("by={from}"));
            words.push(format!(
                "[Via: SIP/2.0/{} {from};branch=z9hG4bKstranger{}]",
                line.message.transport, line.message.n
            ));
        }
        Ok(())
    }

    /// Whether a party says once more what it can do, in a message in which a scripted party would not.
    fn is_idle(&self, line: &Line<'_>, name: Name, values: &[String]) -> bool {
        self.abilities.get(&line.by).is_some_and(|own| match name {
            Name::Allow => same(name, &own.allow.join(", "), values),
            Name::Supported => same(name, &own.supported.join(", "), values),
            _ => false,
        })
    }

    /// Whether a message comes from where its sender never was, and that matters.
    fn is_stranger(&self, line: &Line<'_>) -> bool {
        let n = line.message.n;
        let own = self.call.person(line.by).map(|person| person.address.ip());
        let elsewhere = own.is_some_and(|own| own != line.message.from.ip() && !own.is_unspecified());
        let told = |finding: &Finding| finding.at == n || finding.because.contains(&n);
        line.sip.is_request()
            && (line.by != line.message.by || elsewhere && self.call.findings.iter().any(told))
    }

    /// What a scripted party writes: the header and its value, empty where it writes none.
    fn usual(&mut self, line: &Line<'_>) -> Vec<(Name, String)> {
        let method = line.sip.method();
        let request = line.sip.is_request();
        let dressed = request || line.status().is_some_and(|status| (101..300).contains(&status));
        let mut usual = Vec::new();
        let has = |list: &[Method]| dressed && list.contains(&method);
        let contact =
            has(&[Method::Invite, Method::Update, Method::Refer, Method::Subscribe, Method::Notify]);
        usual.push((
            Name::Contact,
            if contact { format!("<{}>", names::uri(line.by)) } else { String::new() },
        ));
        let abilities = self.abilities.get(&line.by);
        let able = has(&[Method::Invite, Method::Update]);
        for (name, list) in [
            (Name::Allow, abilities.map(|own| own.allow.join(", "))),
            (Name::Supported, abilities.map(|own| own.supported.join(", "))),
        ] {
            usual.push((name, list.filter(|_| able).unwrap_or_default()));
        }
        if request {
            let route = self.routes.get(&line.by).cloned().unwrap_or_default();
            if !line.is(Method::Cancel) {
                usual.push((Name::Route, route.join(", ")));
            }
            match method {
                Method::Refer => usual.push((Name::ReferTo, format!("<{}>", names::uri(Party::Network)))),
                Method::Notify => {
                    usual.push((Name::Event, "refer".to_owned()));
                    let state = line.sip.header(Name::SubscriptionState).unwrap_or("active;expires=60");
                    let state = if line.sip.body().is_empty() { "active;expires=60" } else { state };
                    usual.push((Name::SubscriptionState, state.to_owned()));
                }
                Method::Subscribe => {
                    usual.push((Name::Event, "refer".to_owned()));
                    usual.push((Name::Expires, "60".to_owned()));
                }
                Method::Prack => {
                    usual.extend(line.sip.header(Name::RAck).map(|rack| (Name::RAck, rack.to_owned())))
                }
                _ => {}
            }
        } else if dressed {
            let asked = line.of.and_then(|of| self.lines.get(of));
            let recorded: Vec<String> =
                asked.map(|asked| self.values(asked, Name::RecordRoute)).unwrap_or_default();
            usual.push((Name::RecordRoute, recorded.join(", ")));
        }
        if line.is_reliable() {
            usual.push((Name::RSeq, line.sip.header(Name::RSeq).unwrap_or_default().to_owned()));
            usual.push((Name::Require, "100rel".to_owned()));
        }
        usual
    }

    /// The values of a header, without those who are in them.
    fn values(&mut self, line: &Line<'_>, name: Name) -> Vec<String> {
        let raw: Vec<String> = if LISTS.contains(&name) {
            line.sip.values(name).map(str::to_owned).collect()
        } else {
            let lines = line.sip.headers().filter(|header| header.name == name);
            lines.map(|header| String::from_utf8_lossy(header.value).replace("\r\n", " ")).collect()
        };
        raw.into_iter()
            .map(|value| match name {
                Name::Contact => self.contact_value(line.by, &value),
                _ if PEOPLE.contains(&name) => self.names.value(&value),
                _ => value,
            })
            .collect()
    }

    fn contact_value(&mut self, by: Party, value: &str) -> String {
        let uri = uri_of(value);
        if uri.is_some() && uri == self.own_contacts.get(&by).map(String::as_str) {
            return format!("<{}>", names::uri(by));
        }
        self.names.value(value)
    }

    /// Remembers where a party wants to be reached, and its route.
    fn contact(&mut self, line: &Line<'_>) {
        let success = line.status().is_none_or(|status| (200..300).contains(&status)) || line.is_reliable();
        let early = line.status().is_some_and(|status| (101..200).contains(&status));
        if let Some(uri) = line.sip.header(Name::Contact).and_then(uri_of) {
            if let std::collections::btree_map::Entry::Vacant(first) = self.own_contacts.entry(line.by) {
                // An odd first one is told as it is, and so is one beside the place that messages come from.
                let own = self.call.person(line.by).map(|person| person.address);
                let beside = Uri::parse(uri).is_ok_and(|uri| {
                    own.is_some_and(|own| {
                        uri.ip() == Some(own.ip())
                            && uri.port.unwrap_or(5060) != own.port()
                            && !line.message.transport.reliable()
                    })
                });
                if !beside
                    && !uri.starts_with("sips:")
                    && !uri.contains(";gr=")
                    && !uri.contains("transport=tls")
                {
                    first.insert(uri.to_owned());
                }
            }
            let known = self.contacts.contains_key(&line.by);
            if success || early && !known {
                self.contacts.insert(line.by, uri.to_owned());
            }
        }
        let forms = line.sip.method() == Method::Invite
            && (line.to_tag().is_empty() && line.sip.is_request()
                || line.status().is_some_and(|s| (101..300).contains(&s)));
        if forms && !self.routes.contains_key(&line.by.other()) {
            let mut route = self.values(line, Name::RecordRoute);
            if line.sip.is_response() {
                route.reverse();
            }
            if line.sip.is_request() || line.status() >= Some(200) || !route.is_empty() {
                self.routes.insert(line.by.other(), route);
            }
        }
    }

    fn finish(self, finding: Option<&Finding>) -> String {
        let mut wanted: Vec<&Finding> =
            self.call.findings.iter().filter(|own| own.severity > Severity::Info).collect();
        if let Some(finding) = finding {
            wanted.retain(|own| own == &finding);
            if wanted.is_empty() {
                wanted.push(finding);
            }
        }
        let (rules, others): (Vec<&Finding>, Vec<&Finding>) =
            wanted.into_iter().partition(|own| Rule::by_code(own.code).is_some());
        let mut out = String::new();
        for finding in rules.iter().chain(&others) {
            let cites: Vec<String> =
                finding.cites.iter().map(|cite| format!("RFC {} §{}", cite.rfc, cite.section)).collect();
            let _ = writeln!(out, "# {} {}. {}", finding.code, finding.title, cites.join(", "));
        }
        let short = self.short(&rules);
        if short {
            out.push_str("start call\n");
        }
        for (party, abilities) in &self.abilities {
            if !abilities.settings.is_empty() {
                let _ = writeln!(out, "config {} {}", letter(*party), abilities.settings.join(" "));
            }
        }
        for (name, lines) in &self.descriptions.bodies {
            let _ = writeln!(out, "sdp {name}");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
        let gone = if short { START.len() } else { 0 };
        for line in self.told.iter().skip(gone) {
            let _ = writeln!(out, "{}", moved(line, gone));
        }
        self.expectations(&mut out, &rules, finding.is_some(), gone);
        out
    }

    /// Whether the first lines are the usual beginning of a call.
    fn short(&self, rules: &[&Finding]) -> bool {
        let usual = self.told.iter().take(START.len()).map(String::as_str).eq(START);
        let early = |n: &u32| self.position(*n).is_none_or(|position| position < START.len());
        usual
            && !rules.iter().any(|finding| early(&finding.at))
            && !self
                .told
                .iter()
                .skip(START.len())
                .any(|line| numbers(line).any(|number| number <= START.len()))
    }

    fn position(&self, n: u32) -> Option<usize> {
        self.lines.iter().position(|line| line.message.n == n)
    }

    fn expectations(&self, out: &mut String, rules: &[&Finding], one: bool, gone: usize) {
        let number = |n: u32| {
            self.position(n).and_then(|position| (position + 1).checked_sub(gone)).filter(|n| *n > 0)
        };
        let mut expected = Vec::new();
        for finding in rules {
            let Some(at) = number(finding.at) else { continue };
            let who = match finding.by {
                Party::Network => "network".to_owned(),
                by => letter(by).to_string(),
            };
            let mut text = format!("expect   {who} breaks {} at {at}", finding.code);
            let because: Vec<String> =
                finding.because.iter().filter_map(|n| number(*n)).map(|n| n.to_string()).collect();
            if !because.is_empty() {
                let _ = write!(text, " because {}", because.join(" "));
            }
            match finding.certainty {
                Certainty::Certain => {}
                certainty => {
                    let _ = write!(text, " {certainty}");
                }
            }
            expected.push(finding.code);
            let _ = writeln!(out, "{text}");
        }
        if expected.is_empty() {
            out.push_str("expect nothing\n");
        }
        let others = self.call.findings.iter().filter(|finding| one && finding.severity > Severity::Info);
        let followed = self.call.findings.iter().flat_map(|finding| &finding.consequences);
        let mut allowed: Vec<&str> =
            others.map(|finding| finding.code).chain(followed.filter_map(|own| own.code)).collect();
        allowed.retain(|code| !expected.contains(code) && Rule::by_code(code).is_some());
        allowed.sort_unstable();
        allowed.dedup();
        for code in allowed {
            let _ = writeln!(out, "allow {code}");
        }
    }
}

impl Abilities {
    fn of(party: Party, lines: &[Line<'_>]) -> Self {
        let own = || lines.iter().filter(|line| line.by == party && line.again.is_none());
        let lacks = |name: Name, word: &str| {
            let mut told = own().filter(|line| line.sip.header(name).is_some()).peekable();
            told.peek().is_some() && told.all(|line| !has(&line.sip, name, word))
        };
        let mut abilities = Self {
            allow: ALLOW.map(str::to_owned).to_vec(),
            supported: SUPPORTED.map(str::to_owned).to_vec(),
            settings: Vec::new(),
        };
        if lacks(Name::Allow, "UPDATE") {
            abilities.settings.push("update=no");
            abilities.allow.retain(|word| word != "UPDATE");
        }
        if lacks(Name::Supported, "100rel") && lacks(Name::Allow, "PRACK") {
            abilities.settings.push("100rel=no");
            abilities.allow.retain(|word| word != "PRACK");
            abilities.supported.retain(|word| word != "100rel");
        }
        for (word, setting) in [("timer", "timer=no"), ("replaces", "replaces=no")] {
            if lacks(Name::Supported, word) {
                abilities.settings.push(setting);
                abilities.supported.retain(|own| own != word);
            }
        }
        if own().any(|line| line.message.transport.reliable()) {
            abilities.settings.push("transport=tcp");
        }
        abilities
    }
}

fn has(sip: &Sip<&[u8]>, name: Name, word: &str) -> bool {
    sip.values(name).any(|value| value.eq_ignore_ascii_case(word))
}

/// Whether a header says what is usual. Of methods and extensions only those count that scripted parties know.
fn same(name: Name, usual: &str, values: &[String]) -> bool {
    let told = values.join(", ");
    if !matches!(name, Name::Allow | Name::Supported) {
        return usual == told;
    }
    let set = |text: &str| {
        let words = text.split(',').map(|word| word.trim().to_ascii_lowercase());
        let mut words: Vec<String> = words
            .filter(|word| {
                name == Name::Supported || ALLOW.iter().any(|known| known.eq_ignore_ascii_case(word))
            })
            .collect();
        words.sort();
        words
    };
    !told.is_empty() && set(usual) == set(&told)
}

/// The URI of an address.
fn uri_of(value: &str) -> Option<&str> {
    midcall_wire::NameAddr::parse(value).ok().map(|address| address.uri)
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

/// The numbers of lines that a line names.
fn numbers(line: &str) -> impl Iterator<Item = usize> {
    let words = line.split(' ');
    let named = |word: &str| {
        let value = ["of=", "crosses=", "branch=of:"].iter().find_map(|key| word.strip_prefix(key))?;
        value.parse().ok()
    };
    let again = line.split_once(" again ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    words.filter_map(named).collect::<Vec<_>>().into_iter().chain(again)
}

/// A line of which the numbers are so much smaller.
fn moved(line: &str, gone: usize) -> String {
    if gone == 0 {
        return line.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut again = false;
    for word in line.split(' ') {
        let less = |text: &str| text.parse::<usize>().ok().and_then(|number| number.checked_sub(gone));
        let key = ["of=", "crosses=", "branch=of:"].into_iter().find(|key| word.starts_with(key));
        let fresh = match key {
            Some(key) => word.strip_prefix(key).and_then(less).map(|number| format!("{key}{number}")),
            None if again => less(word).map(|number| number.to_string()),
            None => None,
        };
        again = word == "again";
        words.push(fresh.unwrap_or_else(|| word.to_owned()));
    }
    words.join(" ")
}

/// A time as a ladder writes it.
fn span(gap: Duration) -> String {
    let millis = gap.as_millis();
    if millis % 1_000 == 0 { format!("{}s", millis / 1_000) } else { format!("{millis}ms") }
}

/// How a call usually begins, and `start call` says.
const START: [&str; 3] = ["A -> B   INVITE offer", "B -> A   200 INVITE answer", "A -> B   ACK"];

/// What a scripted party allows and supports.
const ALLOW: [&str; 10] =
    ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "UPDATE", "REFER", "NOTIFY", "INFO"];
const SUPPORTED: [&str; 3] = ["100rel", "timer", "replaces"];

/// Extensions that the rules speak of.
const EXTENSIONS: [&str; 5] = ["100rel", "timer", "replaces", "from-change", "precondition"];

/// Headers that the lines of a ladder give by themselves, or that change nothing.
const STRUCTURE: [Name; 24] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::MaxForwards,
    Name::ContentLength,
    Name::ContentType,
    Name::UserAgent,
    Name::Server,
    Name::Date,
    Name::Timestamp,
    Name::SessionId,
    Name::UserToUser,
    Name::Organization,
    Name::Subject,
    Name::CallInfo,
    Name::AlertInfo,
    Name::PChargingVector,
    Name::PAccessNetworkInfo,
    Name::PAssociatedUri,
    Name::PCalledPartyId,
    Name::MimeVersion,
    Name::Path,
];

/// Headers whose elements are told one by one.
const LISTS: [Name; 5] = [Name::Contact, Name::Route, Name::RecordRoute, Name::Allow, Name::Supported];

/// Headers that name people or places.
const PEOPLE: [Name; 10] = [
    Name::Route,
    Name::RecordRoute,
    Name::ReferTo,
    Name::ReferredBy,
    Name::Replaces,
    Name::Authorization,
    Name::ProxyAuthorization,
    Name::WwwAuthenticate,
    Name::ProxyAuthenticate,
    Name::Warning,
];

/// A gap from here on is told: shorter ones are the time that a message takes.
const PAUSE: Duration = Duration::from_millis(200);
