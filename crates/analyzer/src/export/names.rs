//! The parties of a call by the names that examples have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use midcall_proto::observer::Party;
use midcall_wire::Uri;

use crate::Anonymizer;
use crate::model::Call;

/// Replaces everybody: the parties by alice and bob at their example addresses, the others by somebody.
#[derive(Debug)]
pub(super) struct Names {
    others: Anonymizer,
    /// How each place was written, and how it is now: hosts may be one for several parties.
    places: Vec<(String, String)>,
    hosts: Vec<(Party, IpAddr)>,
}

impl Names {
    pub(super) fn of(call: &Call) -> Self {
        let mut names = Self { others: Anonymizer::new(0), places: Vec::new(), hosts: Vec::new() };
        for (party, person) in [(Party::Caller, &call.caller), (Party::Callee, &call.callee)] {
            names.place(party, person.address);
            if let Some(user) = Uri::parse(&person.uri).ok().and_then(|uri| uri.user) {
                names.others.tell_word(user, name(party));
            }
        }
        names
    }

    fn place(&mut self, party: Party, old: SocketAddr) {
        let new = address(party);
        if !old.ip().is_unspecified() {
            self.others.tell_address(new.ip(), new.ip());
            self.others.tell_address(old.ip(), new.ip());
            self.hosts.push((party, old.ip()));
            self.places.push((old.to_string(), new.to_string()));
        }
    }

    /// From here on a party speaks: a host that is that of several parties is its own.
    pub(super) fn speaks(&mut self, party: Party) {
        for (own, host) in &self.hosts {
            if *own == party {
                self.others.tell_address(*host, address(party).ip());
            }
        }
    }

    /// Takes whom a URI names for the third party of examples.
    pub(super) fn third(&mut self, uri: &str) {
        let Ok(uri) = Uri::parse(uri) else { return };
        if let Some(user) = uri.user {
            self.others.tell_word(user, name(Party::Network));
        }
        if let Some(ip) = uri.ip() {
            self.place(Party::Network, SocketAddr::new(ip, uri.port.unwrap_or(5060)));
        }
    }

    /// A value of a header, or a URI.
    pub(super) fn value(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (old, new) in &self.places {
            text = placed(&text, old, new);
        }
        self.others.value(&text)
    }

    pub(super) fn ip(&mut self, address: IpAddr) -> IpAddr {
        self.others.ip(address)
    }

    pub(super) fn sdp_line(&mut self, line: &str) -> String {
        self.others.sdp_line(line)
    }
}

/// A text with one place instead of another, where it stands for itself.
fn placed(text: &str, old: &str, new: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((front, behind)) = rest.split_once(old) {
        let whole = !front.ends_with(|letter: char| letter.is_ascii_digit() || letter == '.')
            && !behind.starts_with(|letter: char| letter.is_ascii_digit());
        out.push_str(front);
        out.push_str(if whole { new } else { old });
        rest = behind;
    }
    out + rest
}

/// The user of a party's URIs.
pub(super) const fn name(party: Party) -> &'static str {
    match party {
        Party::Caller => "alice",
        Party::Callee => "bob",
        Party::Network => "carol",
    }
}

/// The letter of a party.
pub(super) const fn letter(party: Party) -> char {
    match party {
        Party::Caller => 'A',
        Party::Callee => 'B',
        Party::Network => 'C',
    }
}

/// Where a party is in a ladder.
pub(super) const fn address(party: Party) -> SocketAddr {
    let last = match party {
        Party::Caller => 1,
        Party::Callee => 2,
        Party::Network => 3,
    };
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 5060)
}

/// A party's Contact URI.
pub(super) fn uri(party: Party) -> String {
    format!("sip:{}@{}", name(party), address(party))
}
