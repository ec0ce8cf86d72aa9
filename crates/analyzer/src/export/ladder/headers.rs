//! Headers in a ladder: those that a scripted party would not write by itself, and those that it would not leave out.

use std::net::SocketAddr;

use midcall_proto::observer::Party;
use midcall_wire::{Message as Sip, Method, Name, Uri};

use super::{Line, Unexportable, Writer, names};
use crate::model::Finding;

/// What a party allows and supports, by its settings.
#[derive(Debug, Default)]
pub(super) struct Abilities {
    pub(super) allow: Vec<String>,
    pub(super) supported: Vec<String>,
    pub(super) settings: Vec<&'static str>,
}

impl Writer<'_> {
    /// Headers that a scripted party would not write, or would not leave out.
    pub(super) fn headers(&mut self, line: &Line<'_>, words: &mut Vec<String>) -> Result<(), Unexportable> {
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
        let refusal = line.status() >= Some(300);
        self.abilities.get(&line.by).filter(|_| !refusal).is_some_and(|own| match name {
            Name::Allow => same(name, &own.allow.join(", "), values),
            Name::Supported => same(name, &own.supported.join(", "), values),
            _ => false,
        })
    }

    /// Whether a message comes from where its sender never was, and that matters.
    pub(super) fn is_stranger(&self, line: &Line<'_>) -> bool {
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
                    usual.extend(line.sip.header(Name::RAck).map(|rack| (Name::RAck, rack.to_owned())));
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
            && (line.receivers_tag().is_empty() && line.sip.is_request()
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
}

impl Abilities {
    pub(super) fn of(party: Party, lines: &[Line<'_>]) -> Self {
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
        if own().any(|line| has(&line.sip, Name::Supported, "from-change")) {
            abilities.settings.push("from-change=yes");
            abilities.supported.push("from-change".to_owned());
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
        let known: &[&str] = if name == Name::Allow { &ALLOW } else { &EXTENSIONS };
        let mut words: Vec<String> =
            words.filter(|word| known.iter().any(|known| known.eq_ignore_ascii_case(word))).collect();
        words.sort();
        words
    };
    !told.is_empty() && set(usual) == set(&told)
}

/// The URI of an address.
fn uri_of(value: &str) -> Option<&str> {
    midcall_wire::NameAddr::parse(value).ok().map(|address| address.uri)
}

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
