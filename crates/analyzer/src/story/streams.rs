//! The streams of a session in words, what changed between two sessions, and the lines that changed in a description.

use std::fmt::Write as _;

use midcall_proto::dialog::{Sided, Way};
use midcall_proto::observer::Party;
use midcall_proto::session::{AgreedStream, Codec, Offerer, agreed_by};
use midcall_wire::sdp::Sdp;
use similar::{ChangeTag, TextDiff};

use crate::model::{Diff, DiffLine};

/// A session: its streams from the caller's side.
#[derive(Default, Debug)]
pub(super) struct Session(Vec<AgreedStream>);

impl Session {
    pub(super) fn read(agreed: &Sided<Sdp>, offerer: Way) -> Self {
        let offerer = match offerer {
            Way::Sent => Offerer::Us,
            Way::Received => Offerer::Peer,
        };
        Self(agreed_by(&agreed.ours, &agreed.theirs, offerer).streams)
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
            let on = |stream: Option<&AgreedStream>| stream.is_some_and(AgreedStream::is_on);
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
        let kind = stream.kind.as_str();
        let same = |other: &&AgreedStream| other.kind.as_str() == kind;
        if self.0.iter().filter(same).count() < 2 {
            return kind.to_owned();
        }
        format!("{kind} {}", self.0.iter().take(index + 1).filter(same).count())
    }
}

/// What became another of a stream that goes on.
fn changes(
    name: &str,
    old: &AgreedStream,
    new: &AgreedStream,
    names: &Sided<String>,
    what: &mut Vec<String>,
) {
    let holds =
        [(&names.ours, old.held_by_us, new.held_by_us), (&names.theirs, old.held_by_peer, new.held_by_peer)];
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
            let all = |stream: &AgreedStream| {
                let names = stream.send.iter().map(|(_, codec)| &*codec.name);
                names.collect::<Vec<_>>().join("/")
            };
            let (before, after) = (all(old), all(new));
            if before != after {
                what.push(format!("{name} may be {after}, no longer {before}"));
            }
        }
    }
    let places = [(&names.ours, &old.local, &new.local), (&names.theirs, &old.remote, &new.remote)];
    for (who, before, after) in places {
        if let (true, Some((address, port))) = (before != after, after) {
            what.push(format!("{who} moves {name} to {address}:{port}"));
        }
    }
}

fn described(stream: &AgreedStream, names: &Sided<String>) -> String {
    let (Some((near, near_port)), Some((far, far_port))) = (&stream.local, &stream.remote) else {
        return "is off".to_owned();
    };
    let arrow = match (stream.sends, stream.receives) {
        (true, true) => "<->",
        (true, false) => "->",
        (false, true) => "<-",
        (false, false) => "--",
    };
    let codec = codecs(stream).unwrap_or_else(|| "without a common codec".to_owned());
    let held = match (stream.held_by_us, stream.held_by_peer) {
        (true, true) => ", held by both".to_owned(),
        (true, false) => format!(", held by {}", names.ours),
        (false, true) => format!(", held by {}", names.theirs),
        (false, false) if stream.sends && stream.receives => String::new(),
        (false, false) => ", although nobody holds it".to_owned(),
    };
    let (caller, callee) = (&names.ours, &names.theirs);
    let mut line = String::with_capacity(USUAL);
    let _ =
        write!(line, "{codec}, {caller} {arrow} {callee}{held}, {near}:{near_port} {arrow} {far}:{far_port}");
    line
}

/// What both use first; both names where the two ways differ.
fn codecs(stream: &AgreedStream) -> Option<String> {
    let real = |(_, codec): &&(u8, Codec)| !codec.is_companion();
    let there = stream.send.iter().find(real);
    // What comes back is of what may come in, and known to whoever sends it.
    let known = |(_, codec): &&(u8, Codec)| stream.send.iter().any(|(_, theirs)| codec.same(theirs));
    let back = stream.receive.iter().filter(known).find(real);
    fn name((_, codec): &(u8, Codec)) -> &str {
        &codec.name
    }
    match (there.map(name), back.map(name)) {
        (Some(there), Some(back)) if there != back => Some(format!("{there} there, {back} back")),
        (there, back) => there.or(back).map(str::to_owned),
    }
}

/// The lines that differ, with their neighbours; nothing if only the version does.
pub(super) fn diff(old: &Sdp, new: &Sdp) -> Diff {
    if old.same_but_version(new) {
        return Diff::default();
    }
    let (old, new) = (old.to_text(), new.to_text());
    let (old, new) = (lines(&old), lines(&new));
    replaced(&old, &new).unwrap_or_else(|| compared(&old, &new))
}

/// The lines that it takes to get from one to the other, the fewest.
fn compared(old: &[&str], new: &[&str]) -> Diff {
    // What they begin and end with is the same.
    let begin = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let (old, new) = (old.split_at(begin), new.split_at(begin));
    let end = old.1.iter().rev().zip(new.1.iter().rev()).take_while(|(one, other)| one == other).count();
    let (before, (old, behind)) = (old.0, old.1.split_at(old.1.len() - end));
    let (new, _) = new.1.split_at(new.1.len() - end);
    let diff = TextDiff::from_slices(old, new);
    let before = before.iter().map(|line| DiffLine::Same(line));
    let behind = behind.iter().map(|line| DiffLine::Same(line));
    before.chain(diff.iter_all_changes().map(line)).chain(behind).collect()
}

/// The first lines of a description, without their ends.
fn lines(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::with_capacity(32), text);
    while let Some(end) = memchr::memchr(b'\n', rest.as_bytes())
        && let Some((line, behind)) = rest.split_at_checked(end)
        && lines.len() < MOST_LINES
    {
        lines.push(line.strip_suffix('\r').unwrap_or(line));
        rest = behind.get(1..).unwrap_or_default();
    }
    if !rest.is_empty() && lines.len() < MOST_LINES {
        lines.push(rest);
    }
    lines
}

/// Most differ in a line or two. Where each new line stands in the place of an old one, and neither stands anywhere in the
/// other description, there is no other way to tell what changed.
fn replaced(old: &[&str], new: &[&str]) -> Option<Diff> {
    let pairs: Vec<(&str, &str)> = old.iter().copied().zip(new.iter().copied()).collect();
    let same = |(one, other): &(&str, &str)| one == other;
    let moved = |(one, other): &(&str, &str)| new.contains(one) || old.contains(other);
    if old.len() != new.len() || pairs.iter().any(|pair| !same(pair) && moved(pair)) {
        return None;
    }
    let mut diff = Diff::default();
    for run in pairs.chunk_by(|one, next| same(one) == same(next)) {
        if run.first().is_some_and(same) {
            run.iter().for_each(|(line, _)| diff.push(DiffLine::Same(line)));
        } else {
            run.iter().for_each(|(line, _)| diff.push(DiffLine::Removed(line)));
            run.iter().for_each(|(_, line)| diff.push(DiffLine::Added(line)));
        }
    }
    Some(diff)
}

fn line<'l>(change: similar::Change<&'l str>) -> DiffLine<'l> {
    match change.tag() {
        ChangeTag::Equal => DiffLine::Same(change.value()),
        ChangeTag::Delete => DiffLine::Removed(change.value()),
        ChangeTag::Insert => DiffLine::Added(change.value()),
    }
}

/// Most lines about a stream are no longer.
const USUAL: usize = 96;
/// The most lines of a description that are compared.
const MOST_LINES: usize = 300;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_in_the_place_of_others_are_all_that_changed(old in "([abc]\n){0,6}", new in "([a-e]\r?\n){0,6}") {
            let (old, new) = (lines(&old), lines(&new));
            if let Some(diff) = replaced(&old, &new) {
                prop_assert_eq!(diff, compared(&old, &new));
            }
        }

        #[test]
        fn lines_end_where_they_end_in_any_text(text in "([ab]{0,2}\r?\r?\n?){0,5}") {
            prop_assert_eq!(lines(&text), text.lines().collect::<Vec<_>>());
        }
    }
}
