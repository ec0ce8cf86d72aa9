//! Where a sentence names somebody: marked where the sentence is built, so that the same can be said of others.
//!
//! Most sentences are told anew from the messages of their call. What was worded by comparing calls or by looking at media
//! cannot be, and keeps the places of its names instead.

use std::fmt::{self, Display, Write as _};
use std::ops::Range;

/// How a finding came by its words, and so how it gets them again for the same call with other names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Worded {
    /// They are those of its rule until the call is told.
    #[default]
    ByRule,
    /// A check of its own call worded it.
    ByCheck,
    /// More than its call was needed: here they stand, with the places of the names in meaning and cure.
    Elsewhere { means: Vec<Range<usize>>, fix: Vec<Range<usize>> },
}

/// A name, address or URI in a sentence that [`read`] is to find again.
pub(crate) struct Marked<T>(pub(crate) T);

impl<T: Display> Display for Marked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.to_string();
        f.write_char(BEGIN)?;
        f.write_str(&name.replace([BEGIN, END], ""))?;
        f.write_char(END)
    }
}

/// A sentence without its marks, and the places they were around.
pub(crate) fn read(marked: &str) -> (String, Vec<Range<usize>>) {
    let (mut text, mut places, mut begin) = (String::with_capacity(marked.len()), Vec::new(), 0);
    for letter in marked.chars() {
        match letter {
            BEGIN => begin = text.len(),
            END => places.push(begin..text.len()),
            letter => text.push(letter),
        }
    }
    (text, places)
}

/// The same sentence with other names, and the places of those.
pub(crate) fn renamed(
    text: &str,
    places: &[Range<usize>],
    mut other: impl FnMut(&str) -> String,
) -> (String, Vec<Range<usize>>) {
    let (mut out, mut new, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
    for place in places {
        out.push_str(text.get(at..place.start).unwrap_or_default());
        let begin = out.len();
        out.push_str(&other(text.get(place.clone()).unwrap_or_default()));
        new.push(begin..out.len());
        at = place.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    (out, new)
}

/// Signs that no sentence has.
const BEGIN: char = '\u{1}';
const END: char = '\u{2}';
