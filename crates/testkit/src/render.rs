//! A trace as a text ladder, for snapshots and for reading.
//!
//! ```text
//!                alice                            bob
//!   1  0.000     |----- INVITE 7 offer ---------->|
//!   2  0.004     |<---- UPDATE 31 offer ----------|   crosses 1
//! ```
//! Numbers and times are the wire's; a resend says which packet it repeats, a lost packet ends in `~`.

use std::collections::HashMap;
use std::net::SocketAddr;

use midcall_proto::time::Instant;

use crate::network::{Fate, Packet};
use crate::node::Node;
use crate::raw::Raw;
use crate::sketch::direction;

/// One lifeline of a ladder.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name on top.
    pub name: String,
    /// The addresses that belong to it.
    pub addresses: Vec<SocketAddr>,
}

impl Column {
    /// The lifeline of a node.
    pub fn of(node: &dyn Node) -> Self {
        Self { name: node.name().to_owned(), addresses: node.addresses().to_vec() }
    }

    fn owns(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// The trace as a ladder. Times are told from `start`.
pub fn ladder(packets: &[Packet], columns: &[Column], start: Instant) -> String {
    let mut text = head(columns);
    let words = words(packets);
    for (at, packet) in packets.iter().enumerate() {
        let label = words.get(at).map(String::as_str).unwrap_or_default();
        let mark = format!("{:>3} {}  ", packet.number, time(packet.sent, start));
        let notes = notes(packets, packet);
        let row = format!("{mark}{}{notes}", arrow(columns, packet, label));
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Seconds from `start`, with a minus before it.
fn time(at: Instant, start: Instant) -> String {
    let (sign, span) = if at < start { ("-", start - at) } else { ("", at - start) };
    let millis = span.as_micros() / 1_000;
    format!("{:>7}", format!("{sign}{}.{:03}", millis / 1_000, millis % 1_000))
}

fn head(columns: &[Column]) -> String {
    let mut row = vec![' '; MARGIN + columns.len() * (WIDTH + 1) + 20];
    for (at, column) in columns.iter().enumerate() {
        let middle = MARGIN + at * (WIDTH + 1);
        let from = middle.saturating_sub(column.name.chars().count() / 2);
        for (place, letter) in row.iter_mut().skip(from).zip(column.name.chars()) {
            *place = letter;
        }
    }
    let text: String = row.into_iter().collect();
    format!("{}\n", text.trim_end())
}

fn arrow(columns: &[Column], packet: &Packet, label: &str) -> String {
    let column = |address: SocketAddr| {
        let exact = columns.iter().position(|column| column.owns(address));
        exact.or_else(|| {
            columns.iter().position(|column| column.addresses.iter().any(|own| own.ip() == address.ip()))
        })
    };
    let mut row: Vec<char> = Vec::new();
    for at in 0..columns.len() {
        row.push('|');
        row.extend(std::iter::repeat_n(if at + 1 < columns.len() { ' ' } else { '\0' }, WIDTH));
    }
    row.retain(|letter| *letter != '\0');
    let lost = matches!(packet.fate, Fate::Lost | Fate::Unreachable | Fate::Held);
    let (from, to) = match (column(packet.from), column(packet.to)) {
        (Some(from), Some(to)) if from != to => (from, to),
        (from, _) => {
            let text: String = row.iter().collect();
            let name = from.and_then(|at| columns.get(at)).map_or("?", |column| column.name.as_str());
            return format!("{text}   {name} -> {}: {label}", packet.to);
        }
    };
    let (left, right) = (from.min(to) * (WIDTH + 1) + 1, from.max(to) * (WIDTH + 1));
    let space = right - left;
    let ahead = space.saturating_sub(label.chars().count() + 2) / 2;
    let mut body: Vec<char> = std::iter::repeat_n('-', ahead.min(6)).collect();
    body.push(' ');
    body.extend(label.chars());
    body.push(' ');
    body.truncate(space.saturating_sub(2));
    while body.len() < space {
        body.push('-');
    }
    let cut = (ahead.min(6) + label.chars().count() + 4).min(space - 1);
    if from < to {
        body[space - 1] = '>';
        if lost {
            body[cut] = '~';
            body[cut + 1..].fill(' ');
        }
    } else {
        body[0] = if lost { '~' } else { '<' };
    }
    row.splice(left..right, body);
    row.into_iter().collect()
}

fn notes(packets: &[Packet], packet: &Packet) -> String {
    let mut notes = Vec::new();
    match packet.fate {
        Fate::Lost => notes.push("lost".to_owned()),
        Fate::Held => notes.push("held".to_owned()),
        Fate::Unreachable => notes.push("unreachable".to_owned()),
        Fate::Flying(_) | Fate::Delivered(_) => {}
    }
    let earlier = packets.iter().take_while(|other| other.number < packet.number);
    let crossed: Vec<String> = earlier
        .clone()
        .filter(|other| packet.delivered().is_some() && other.delivered().is_some() && other.crosses(packet))
        .map(|other| other.number.to_string())
        .collect();
    if !crossed.is_empty() {
        notes.push(format!("crosses {}", crossed.join(" ")));
    }
    let overtaken: Vec<String> = earlier
        .filter(|other| other.from == packet.from && other.to == packet.to)
        .filter(|other| matches!((other.delivered(), packet.delivered()), (Some(late), Some(early)) if late > early))
        .map(|other| other.number.to_string())
        .collect();
    if !overtaken.is_empty() {
        notes.push(format!("overtakes {}", overtaken.join(" ")));
    }
    if notes.is_empty() { String::new() } else { format!("   {}", notes.join(", ")) }
}

/// What to write on each packet's arrow.
pub fn words(packets: &[Packet]) -> Vec<String> {
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut roles = Roles::default();
    packets
        .iter()
        .map(|packet| {
            let raw = packet.raw();
            if raw.start().trim().is_empty() {
                return "keep-alive".to_owned();
            }
            let key = Key::of(packet, &raw);
            if let Some(first) = seen.get(&key) {
                return format!("{} {} again {first}", raw.summary(), raw.cseq());
            }
            seen.insert(key, packet.number);
            let mut words = vec![raw.summary(), raw.cseq().to_string()];
            if raw.header("RSeq").is_some() {
                words.push("reliable".to_owned());
            }
            if let Some(role) = roles.note(&raw) {
                words.push(role.to_owned());
                let way = raw.sdp().and_then(direction).filter(|way| *way != "sendrecv");
                words.extend(way.map(str::to_owned));
            }
            words.join(" ")
        })
        .collect()
}

/// Keeps which INVITE had an offer, so that later bodies can be called offer or answer.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    offered: HashMap<(String, u32), bool>,
    reliable_offers: Vec<String>,
}

impl Roles {
    /// What the description in this message is: `offer`, `answer`, or nothing.
    pub(crate) fn note(&mut self, raw: &Raw) -> Option<&'static str> {
        let sdp = raw.sdp().is_some();
        let invite = (raw.call_id().to_owned(), raw.cseq());
        let role = match (raw.method(), raw.is_request()) {
            ("INVITE", true) => {
                self.offered.insert(invite, sdp);
                "offer"
            }
            ("INVITE", false) if self.offered.get(&invite).copied().unwrap_or(true) => "answer",
            ("INVITE", false) => {
                if let (Some(rseq), Some(cseq)) = (raw.header("RSeq"), raw.header("CSeq")) {
                    self.reliable_offers.push(format!("{rseq} {cseq}"));
                }
                "offer"
            }
            ("PRACK", true)
                if raw.header("RAck").is_some_and(|rack| self.reliable_offers.iter().any(|r| r == rack)) =>
            {
                "answer"
            }
            (_, true) if raw.method() != "ACK" => "offer",
            _ => "answer",
        };
        sdp.then_some(role)
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    from: SocketAddr,
    start: String,
    branch: Option<String>,
    cseq: u32,
    tag: Option<String>,
    rseq: Option<String>,
}

impl Key {
    fn of(packet: &Packet, raw: &Raw) -> Self {
        Self {
            from: packet.from,
            start: raw.start().to_owned(),
            branch: raw.branch().map(str::to_owned),
            cseq: raw.cseq(),
            tag: raw.tag("To").map(str::to_owned),
            rseq: raw.header("RSeq").map(str::to_owned),
        }
    }
}

const WIDTH: usize = 36;
const MARGIN: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use crate::node::{Node, pump, step};
    use crate::party::Party;
    use std::time::Duration;

    #[test]
    fn a_ladder_shows_crossings_losses_and_resends() {
        let mut wire = Network::new(7);
        wire.weather().latency = Duration::from_millis(40);
        let mut alice = Party::new("alice", "10.0.0.1:5060".parse().unwrap(), 1);
        let mut bob = Party::new("bob", "10.0.0.2:5060".parse().unwrap(), 2);
        let columns: Vec<Column> = [&alice, &bob]
            .map(|party| Column { name: party.name().to_owned(), addresses: party.addresses().to_vec() })
            .into();
        let invite = alice.invite("sip:bob@10.0.0.2:5060").cseq(7).send();
        let run = |alice: &mut Party, bob: &mut Party, wire: &mut Network| {
            pump(wire, &mut [alice, bob]);
            while step(wire, &mut [alice, bob], Instant::MAX) {}
        };
        run(&mut alice, &mut bob, &mut wire);
        let got = bob.take("INVITE").unwrap();
        bob.reply(&got, 183).reliable().offer(&[]).send();
        run(&mut alice, &mut bob, &mut wire);
        let got = alice.take(183).unwrap();
        alice.prack(&got).answer(&[]).send();
        alice.send_bytes(bob.address(), invite.bytes());
        wire.drop_next("UPDATE");
        alice.request("UPDATE").send();
        bob.request("INFO").cseq(31).send();
        bob.request("INFO").cseq(32).to("10.0.0.9:5060".parse().unwrap()).send();
        run(&mut alice, &mut bob, &mut wire);
        insta::assert_snapshot!(ladder(wire.packets(), &columns, Instant::ZERO), @r"
                 alice                                 bob
        1   0.000  |------ INVITE 7 ------------------->|
        2   0.040  |<-- 183 INVITE 7 reliable offer ----|
        3   0.080  |------ PRACK 183 answer ----------->|
        4   0.080  |------ INVITE 7 again 1 ----------->|
        5   0.080  |------ UPDATE 184 --~               |   lost
        6   0.080  |<----- INFO 31 ---------------------|   crosses 3 4
        7   0.080  |                                    |   bob -> 10.0.0.9:5060: INFO 32
        ");
    }
}
