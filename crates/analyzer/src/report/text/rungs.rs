//! The rungs of a ladder: which messages get a line, and between which columns.

use std::collections::HashMap;
use std::net::SocketAddr;

use midcall_proto::observer::{Kind, Party, Repeat};
use midcall_proto::rules::Severity;
use midcall_proto::time::Instant;
use owo_colors::Style;

use super::super::clock::seconds;
use super::super::ladder::{Columns, caption};
use super::super::lifelines::{Lifeline, ends, lifelines};
use super::words::{colour, harmless};
use crate::model::{Call, Message};

/// A ladder that is ready to be drawn.
pub(super) struct Rungs<'c> {
    pub(super) list: Vec<Rung<'c>>,
    call: &'c Call,
    columns: Columns,
    lifelines: Vec<Lifeline>,
}

/// A message with its copies.
pub(super) struct Rung<'c> {
    pub(super) message: &'c Message,
    from: usize,
    to: usize,
    /// How often it was sent again.
    again: u32,
    last: Instant,
}

impl<'c> Rungs<'c> {
    /// The rungs of a call in lines of this width.
    pub(super) fn of(call: &'c Call, width: usize) -> Self {
        let mut lifelines = lifelines(call);
        if lifelines.len() > Columns::most(width) {
            // Then hops share the lines of the parties.
            lifelines.retain(|lifeline| lifeline.party != Party::Network);
        }
        let hops = lifelines.len() > 2;
        let mut list: Vec<Rung<'c>> = Vec::new();
        // Where the line of a message stands, by the message, and by the hop too if hops have columns.
        let mut places: HashMap<(u32, Option<(SocketAddr, SocketAddr)>), usize> = HashMap::new();
        for message in &call.messages {
            let root = match message.kind {
                Kind::Again { of, .. } => of,
                Kind::First | Kind::Orphan => message.n,
            };
            let key = (root, hops.then_some((message.from, message.to)));
            if let Some(rung) = places.get(&key).and_then(|place| list.get_mut(*place)) {
                let resent =
                    !matches!(message.kind, Kind::Again { how: Repeat::Duplicate | Repeat::Hop, .. });
                let seen_there = hops && !matches!(message.kind, Kind::Again { how: Repeat::Duplicate, .. });
                if resent || seen_there {
                    (rung.again, rung.last) = (rung.again + 1, message.at);
                }
                continue;
            }
            let (from, to) = ends(&lifelines, message);
            places.insert(key, list.len());
            list.push(Rung { message, from, to, again: 0, last: message.at });
        }
        let columns = Columns::fitting(lifelines.len(), width);
        Self { list, call, columns, lifelines }
    }

    pub(super) fn names(&self) -> String {
        self.head(|lifeline| &lifeline.label)
    }

    pub(super) fn addresses(&self) -> String {
        self.head(|lifeline| &lifeline.detail)
    }

    fn head(&self, text: impl Fn(&Lifeline) -> &str) -> String {
        let texts: Vec<String> = self.lifelines.iter().map(|lifeline| harmless(text(lifeline))).collect();
        self.columns.head(&texts)
    }

    /// A rung; the worst that was found at it gives its colour.
    pub(super) fn draw(&self, rung: &Rung<'_>, worst: Severity) -> String {
        let message = rung.message;
        let status = message.summary.get(..3).and_then(|start| start.parse::<u16>().ok());
        let style = match status {
            _ if worst >= Severity::Warning => colour(worst).bold(),
            None => Style::new().bold(),
            Some(..200) => Style::new().dimmed(),
            Some(200..300) => Style::new().green(),
            Some(_) => Style::new().yellow(),
        };
        let mut label = harmless(&caption(self.call, message));
        if rung.again > 0 {
            let until = seconds(rung.last.since(self.call.began()));
            label.push_str(&format!(" ×{} until {until}", rung.again + 1));
        }
        self.columns.arrow(rung.from, rung.to, &label, style, '-')
    }
}
