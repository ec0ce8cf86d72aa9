//! Tags across calls: each is random and never used twice (RFC 3261 §19.3).

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::quality::FixedState;
use midcall_proto::observer::Party;
use midcall_proto::rules::{RuleId, Severity};

use super::known::Known;
use crate::diagnosis::Worded;
use crate::model::{Call, Finding};

/// The tags of the calls before.
#[derive(Default, Debug)]
pub(super) struct Tags {
    /// Each tag with whose it is and its call; all by print.
    seen: HashMap<u64, (u64, u64), FixedState>,
    order: VecDeque<u64>,
    /// How each address makes its tags.
    makers: HashMap<IpAddr, Maker, FixedState>,
    addresses: VecDeque<IpAddr>,
}

/// How an address makes its tags, as far as its last one tells.
#[derive(Clone, Copy, Debug)]
struct Maker {
    /// A print of what stands before the number at the end.
    prefix: u64,
    number: u64,
    /// How many came one after the other.
    run: u32,
}

impl Tags {
    /// Looks at the tags of a finished call: the caller takes its one with the INVITE, the callee with the response that
    /// forms the dialog.
    pub(super) fn take(&mut self, call: &Call, known: &Known) -> Vec<Finding> {
        let formed = known.first(|event| event.by == Party::Callee && (101..300).contains(&event.status));
        let taken = [
            (Party::Caller, &call.caller.tag, known.from, known.setup.n),
            (Party::Callee, &call.callee.tag, known.to, formed.map_or(0, |event| event.n)),
        ];
        let taken = taken.into_iter().filter(|(_, tag, _, n)| *n > 0 && !tag.is_empty());
        let call_id = print(&call.call_id);
        let wrong = taken.filter(|(_, tag, owner, _)| self.is_no_chance(tag, *owner, call_id));
        let findings = wrong.map(|(by, _, _, n)| {
            let mut finding = super::finding(RuleId::TagNotRandom, RuleId::TagNotRandom.rule().means);
            finding.worded = Worded::ByRule;
            (finding.by, finding.at, finding.severity) = (by, n, Severity::Warning);
            finding
        });
        findings.collect()
    }

    /// Whether this address had the tag in another call, or counts its tags up.
    fn is_no_chance(&mut self, tag: &str, owner: IpAddr, call: u64) -> bool {
        let (print, whose) = (print(tag), FixedState::default().hash_one(owner));
        if let Some((before, of)) = self.seen.get(&print).copied() {
            // Another address may pass it on from leg to leg.
            return of != call && before == whose;
        }
        if self.order.len() >= MOST_TAGS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(print);
        self.seen.insert(print, (whose, call));
        self.counts(tag, owner).is_some()
    }

    /// Whether this address only counts: told when the row has its third tag.
    fn counts(&mut self, tag: &str, owner: IpAddr) -> Option<()> {
        let digits = tag.bytes().rev().take_while(u8::is_ascii_digit).count().min(MOST_DIGITS);
        let (prefix, number) = tag.split_at_checked(tag.len() - digits)?;
        let (prefix, number) = (print(prefix), number.parse().unwrap_or(0));
        let fresh = Maker { prefix, number, run: 1 };
        let Some(maker) = self.makers.get_mut(&owner) else {
            if self.addresses.len() >= MOST_MAKERS
                && let Some(oldest) = self.addresses.pop_front()
            {
                self.makers.remove(&oldest);
            }
            self.addresses.push_back(owner);
            self.makers.insert(owner, fresh);
            return None;
        };
        let next = digits > 0 && maker.prefix == prefix && Some(number) == maker.number.checked_add(1);
        *maker = if next { Maker { number, run: maker.run.saturating_add(1), ..*maker } } else { fresh };
        (maker.run == ROW).then_some(())
    }
}

fn print(text: &str) -> u64 {
    FixedState::default().hash_one(text)
}

/// The most tags that are remembered.
const MOST_TAGS: usize = 16_384;
/// The most addresses that are remembered.
const MOST_MAKERS: usize = 1_024;
/// How many digits at the end of a tag are read as a number.
const MOST_DIGITS: usize = 18;
/// How many tags in a row show that somebody counts.
const ROW: u32 = 3;
