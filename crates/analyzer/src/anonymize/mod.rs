//! Identities out, everything else kept: calls that can be shown to others.
//!
//! User parts, display names, hosts, addresses, numbers, Call-IDs, tags, branches, credentials and keys are replaced, each
//! by the same wherever it stands, in every call that one [`Anonymizer`] takes: whoever was the same stays the same, whoever
//! was another stays another. A replacement has the shape of what it replaces: digits for digits, as many, in the same case;
//! a private address for a private one. Ports, times, versions, codecs and all protocol words stay. Bodies that are neither
//! descriptions nor fragments of messages lose every word.
//!
//! Replacements are drawn by lot and do not depend on what they replace: without the original trace nothing leads back.

mod message;
mod scan;
mod sdp;
mod table;
#[cfg(test)]
mod tests;

use midcall_proto::observer::Party;

use crate::Stats;
use crate::diagnosis::{Worded, renamed};
use crate::model::{Call, Person};
use crate::replay::build;
use crate::source::Summary;

pub use self::table::Anonymizer;

impl Anonymizer {
    /// Replaces every identity in a call.
    ///
    /// What was said of the call is said again, from its messages without identities: no sentence is looked through for names.
    pub fn call(&mut self, call: &mut Call) {
        let told = call.untell();
        self.names(call);
        call.tell_again(told);
    }

    /// Replaces them in all that a call was told from.
    fn names(&mut self, call: &mut Call) {
        // What is found in one message may stand in the free text of an earlier one.
        for message in &call.messages {
            self.message(&message.raw);
        }
        call.call_id = self.value(&call.call_id);
        for person in [&mut call.caller, &mut call.callee] {
            self.person(person);
        }
        build::name(&mut call.caller, &mut call.callee);
        for message in &mut call.messages {
            message.raw = self.message(&message.raw).into();
            message.from = self.socket(message.from);
            message.to = self.socket(message.to);
        }
        for dialog in &mut call.dialogs {
            dialog.caller_tag = self.value(&dialog.caller_tag);
            dialog.callee_tag = self.value(&dialog.callee_tag);
        }
        for finding in &mut call.findings {
            if let Worded::Elsewhere { means, fix } = &mut finding.worded {
                for (text, places) in [(&mut finding.means, means), (&mut finding.fix, fix)] {
                    (*text, *places) = renamed(text, places, |name| self.name(name));
                }
            }
        }
        for leg in &mut call.legs {
            leg.call_id = self.value(&leg.call_id);
        }
    }

    /// Replaces every identity in the numbers over all calls.
    pub fn stats(&mut self, stats: &mut Stats) {
        stats.by_user_agent = stats.by_user_agent.renamed(|software| self.software(software));
        stats.by_peer = stats.by_peer.renamed(|address| self.ip(*address));
    }

    /// Replaces the names of the sources, which may be those of customers.
    pub fn sources(&mut self, sources: &mut [Summary]) {
        for (source, number) in sources.iter_mut().zip(1_u32..) {
            source.name = format!("trace {number}");
        }
    }

    /// A name in a sentence.
    fn name(&mut self, name: &str) -> String {
        // Two who have the same name are called by their sides.
        let side = [Party::Caller, Party::Callee].iter().any(|side| side.as_str() == name);
        if side { name.to_owned() } else { self.value(name) }
    }

    fn person(&mut self, person: &mut Person) {
        person.uri = self.value(&person.uri);
        person.tag = self.value(&person.tag);
        person.address = self.socket(person.address);
    }
}
