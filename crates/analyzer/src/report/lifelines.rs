//! Lifelines: the places that messages of a call go from and to.

use std::net::SocketAddr;

use midcall_proto::flow::Transport;
use midcall_proto::observer::Party;

use crate::model::{Call, Message, Person};

/// A lifeline.
pub(super) struct Lifeline {
    /// The addresses that stand for it.
    addresses: Vec<SocketAddr>,
    /// Whose it is; of the network for a hop in between.
    pub(super) party: Party,
    /// Its name: of a party the short one, of a hop its address.
    pub(super) label: String,
    /// More about where it is; may be empty.
    pub(super) detail: String,
}

/// The columns of a call, in the order in which its messages reach them, the parties outside.
pub(super) fn lifelines(call: &Call) -> Vec<Lifeline> {
    let person = |party, person: &Person| Lifeline {
        addresses: vec![person.address],
        party,
        label: person.name.clone(),
        detail: if unknown(person.address) { String::new() } else { person.address.to_string() },
    };
    let (mut columns, callee) =
        (vec![person(Party::Caller, &call.caller)], person(Party::Callee, &call.callee));
    let mut last = callee;
    for message in &call.messages {
        for (own, other) in [(message.from, message.to), (message.to, message.from)] {
            let known = columns.iter().chain([&last]).any(|column| column.addresses.contains(&own));
            if known || unknown(own) {
                continue;
            }
            // A connection has a port of its own: the same host, unless both ends are on it.
            let same = columns.iter_mut().chain([&mut last]).find(|column| {
                message.transport != Transport::Udp
                    && other.ip() != own.ip()
                    && column.addresses.iter().any(|known| known.ip() == own.ip())
            });
            if let Some(column) = same {
                column.addresses.push(own);
            } else if columns.len() + 1 < COLUMNS {
                let (label, detail) = (own.ip().to_string(), format!("port {}", own.port()));
                columns.push(Lifeline { addresses: vec![own], party: Party::Network, label, detail });
            }
        }
    }
    columns.push(last);
    columns
}

fn unknown(address: SocketAddr) -> bool {
    address.ip().is_unspecified()
}

/// From which column to which a message goes.
pub(super) fn ends(columns: &[Lifeline], message: &Message) -> (usize, usize) {
    let last = columns.len().saturating_sub(1);
    let at = |address: SocketAddr| {
        columns.iter().position(|column| !unknown(address) && column.addresses.contains(&address))
    };
    let by_side = |own: Party| match (message.by, own) {
        (Party::Callee, _) => (last, 0),
        _ => (0, last),
    };
    match (at(message.from), at(message.to)) {
        (Some(from), Some(to)) if from != to => (from, to),
        (Some(from), None) if from != last => (from, last),
        (Some(from), None) => (from, 0),
        (None, Some(to)) if to != 0 => (0, to),
        (None, Some(to)) => (last, to),
        _ => by_side(message.by),
    }
}

/// The most lifelines; what goes elsewhere is drawn from and to the parties.
const COLUMNS: usize = 8;
