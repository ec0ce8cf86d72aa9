//! The streams of a session in words, what changed between two sessions, and the lines that changed in a description.

use midcall_proto::dialog::{Sided, Way};
use midcall_proto::observer::Party;
use midcall_proto::session::{AgreedStream, Codec, Offerer, agreed_by};
use midcall_wire::sdp::Sdp;
use similar::{ChangeTag, TextDiff};

use crate::model::DiffLine;

/// A session: each stream from the caller's side and from the callee's.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Session(Vec<Sided<AgreedStream>>);

impl Session {
    pub(super) fn read(agreed: &Sided<Sdp>, offerer: Way) -> Self {
        let (us, peer) = match offerer {
            Way::Sent => (Offerer::Us, Offerer::Peer),
            Way::Received => (Offerer::Peer, Offerer::Us),
        };
        let ours = agreed_by(&agreed.ours, &agreed.theirs, us).streams;
        let theirs = agreed_by(&agreed.theirs, &agreed.ours, peer).streams;
        Self(ours.into_iter().zip(theirs).map(|(ours, theirs)| Sided { ours, theirs }).collect())
    }

    /// A line for each stream.
    pub(super) fn lines(&self, names: &Sided<String>) -> Vec<String> {
        let streams = self.0.iter().enumerate();
        streams.map(|(index, stream)| format!("{} {}", self.name(index), described(stream, names))).collect()
    }

    /// What is another than before, in words.
    pub(super) fn since(&self, before: &Self, by: Party, names: &Sided<String>) -> String {
        let mut what = Vec::new();
        for (index, new) in self.0.iter().enumerate() {
            let name = self.name(index);
            let old = before.0.get(index);
            let on = |stream: Option<&Sided<AgreedStream>>| stream.is_some_and(|stream| stream.ours.is_on());
            match (on(old), on(Some(new))) {
                (false, true) if before.0.is_empty() => {}
                (false, true) => what.push(format!("{name} added")),
                (true, false) => what.push(format!("{name} dropped")),
                (false, false) => {}
                (true, true) => {
                    if let Some(old) = old {
                        changes(&name, old, new, names, &mut what);
                    }
                }
            }
        }
        if before.0.is_empty() {
            what.insert(0, "the session is agreed".to_owned());
        } else if what.is_empty() {
            let who = if by == Party::Caller { &names.ours } else { &names.theirs };
            what.push(format!("the session of {who}'s offer is the one before"));
        }
        what.join("; ")
    }

    /// Its kind, with a number where there are more of it.
    fn name(&self, index: usize) -> String {
        let Some(stream) = self.0.get(index) else { return String::new() };
        let kind = stream.ours.kind.as_str();
        let same = |other: &&Sided<AgreedStream>| other.ours.kind.as_str() == kind;
        if self.0.iter().filter(same).count() < 2 {
            return kind.to_owned();
        }
        format!("{kind} {}", self.0.iter().take(index + 1).filter(same).count())
    }
}

/// What became another of a stream that goes on.
fn changes(
    name: &str,
    old: &Sided<AgreedStream>,
    new: &Sided<AgreedStream>,
    names: &Sided<String>,
    what: &mut Vec<String>,
) {
    let holds = [
        (&names.ours, old.ours.held_by_us, new.ours.held_by_us),
        (&names.theirs, old.ours.held_by_peer, new.ours.held_by_peer),
    ];
    for (who, before, after) in holds {
        match (before, after) {
            (false, true) => what.push(format!("{who} holds {name}")),
            (true, false) => what.push(format!("{who} resumes {name}")),
            _ => {}
        }
    }
    match (codecs(old), codecs(new)) {
        (Some(before), Some(after)) if before != after => {
            what.push(format!("{name} goes from {before} to {after}"));
        }
        _ => {
            let all = |stream: &Sided<AgreedStream>| {
                let names = stream.ours.send.iter().map(|(_, codec)| &*codec.name);
                names.collect::<Vec<_>>().join("/")
            };
            let (before, after) = (all(old), all(new));
            if before != after {
                what.push(format!("{name} may be {after}, no longer {before}"));
            }
        }
    }
    let places = [
        (&names.ours, &old.ours.local, &new.ours.local),
        (&names.theirs, &old.ours.remote, &new.ours.remote),
    ];
    for (who, before, after) in places {
        if let (true, Some((address, port))) = (before != after, after) {
            what.push(format!("{who} moves {name} to {address}:{port}"));
        }
    }
}

fn described(stream: &Sided<AgreedStream>, names: &Sided<String>) -> String {
    let ours = &stream.ours;
    let (Some((near, near_port)), Some((far, far_port))) = (&ours.local, &ours.remote) else {
        return "is off".to_owned();
    };
    let arrow = match (ours.sends, ours.receives) {
        (true, true) => "<->",
        (true, false) => "->",
        (false, true) => "<-",
        (false, false) => "--",
    };
    let codec = codecs(stream).unwrap_or_else(|| "without a common codec".to_owned());
    let held = match (ours.held_by_us, ours.held_by_peer) {
        (true, true) => ", held by both".to_owned(),
        (true, false) => format!(", held by {}", names.ours),
        (false, true) => format!(", held by {}", names.theirs),
        (false, false) if ours.sends && ours.receives => String::new(),
        (false, false) => ", although nobody holds it".to_owned(),
    };
    let (caller, callee) = (&names.ours, &names.theirs);
    format!("{codec}, {caller} {arrow} {callee}{held}, {near}:{near_port} {arrow} {far}:{far_port}")
}

/// What both use first; both names where the two ways differ.
fn codecs(stream: &Sided<AgreedStream>) -> Option<String> {
    let first = |codecs: &[(u8, Codec)]| {
        let codec = codecs.iter().map(|(_, codec)| codec).find(|codec| !codec.is_companion());
        codec.map(|codec| codec.name.to_string())
    };
    match (first(&stream.ours.send), first(&stream.theirs.send)) {
        (Some(there), Some(back)) if there != back => Some(format!("{there} there, {back} back")),
        (there, back) => there.or(back),
    }
}

/// The lines that differ, with their neighbours; nothing if only the version does.
pub(super) fn diff(old: &Sdp, new: &Sdp) -> Vec<DiffLine> {
    if old.same_but_version(new) {
        return Vec::new();
    }
    let (old, new) = (String::from_utf8_lossy(old.as_bytes()), String::from_utf8_lossy(new.as_bytes()));
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.lines().take(MOST_LINES).collect(), new.lines().take(MOST_LINES).collect());
    // Most differ in a line or two: what they begin and end with is the same.
    let begin = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let (old, new) = (old.split_at(begin), new.split_at(begin));
    let end = old.1.iter().rev().zip(new.1.iter().rev()).take_while(|(one, other)| one == other).count();
    let (before, (old, behind)) = (old.0, old.1.split_at(old.1.len() - end));
    let (new, _) = new.1.split_at(new.1.len() - end);
    let diff = TextDiff::from_slices(old, new);
    let line = |change: similar::Change<&str>| {
        let line = change.value().to_owned();
        match change.tag() {
            ChangeTag::Equal => DiffLine::Same(line),
            ChangeTag::Delete => DiffLine::Removed(line),
            ChangeTag::Insert => DiffLine::Added(line),
        }
    };
    let same = |line: &&str| DiffLine::Same((*line).to_owned());
    before.iter().map(same).chain(diff.iter_all_changes().map(line)).chain(behind.iter().map(same)).collect()
}

/// The most lines of a description that are compared.
const MOST_LINES: usize = 300;
