//! The words of the script language, and the nearest one to a misspelt word.

use midcall_proto::session::Codec;

/// Every verb with what follows it, in the order of the help.
pub(crate) const VERBS: &[(&str, &str, &str)] = &[
    ("ring", "[TIME]", "tell the caller that it rings (180), then wait"),
    ("early", "", "open early media: 183 with a session"),
    ("answer", "", "take the call"),
    ("refuse", "[STATUS]", "decline the call or the offer that waits, 603 and 488 unless told"),
    ("accept", "", "take the streams that an offer adds"),
    ("decline", "", "answer that offer without them"),
    ("wait", "TIME", "do nothing for 500ms, 2s or 1m"),
    ("hold", "[via METHOD] [in TAG]", "put the call on hold, or one place where it rings"),
    ("resume", "[via METHOD] [in TAG]", "take it off hold"),
    ("codec", "NAME[,NAME] [via METHOD] [in TAG]", "talk in another codec"),
    ("move", "HOST:PORT [via METHOD]", "receive media elsewhere"),
    (
        "contact",
        "HOST:PORT [lost]",
        "be reached elsewhere from now on; nowhere else if the old address is lost",
    ),
    ("add-video", "", "add a video stream"),
    ("drop-video", "", "remove it again"),
    ("update", "", "send an UPDATE without an offer"),
    ("reinvite", "", "send a re-INVITE with the session as it is"),
    ("offerless", "", "send a re-INVITE without an offer"),
    ("refresh", "[via METHOD]", "refresh the session timer now"),
    ("dtmf", "DIGITS", "send digits as telephone events"),
    ("transfer", "URI|other", "ask the other side to call URI instead, or to go on in the call of `consult`"),
    ("consult", "URI", "call somebody else beside the call"),
    ("other", "VERB", "do this in the call of `consult`"),
    ("cancel", "", "cancel the call that rings, or the re-INVITE under way"),
    ("bye", "", "hang up"),
    ("expect", "WHAT [within TIME]", "wait until it is so, fail if it is not in time (5s)"),
];

/// Every word behind `expect`.
pub(crate) const EXPECTATIONS: &[(&str, &str)] = &[
    ("ringing", ""),
    ("early", ""),
    ("established", ""),
    ("held", ""),
    ("peer-held", ""),
    ("resumed", ""),
    ("changed", ""),
    ("peer-changed", ""),
    ("refused", "[STATUS]"),
    ("rejected", "[STATUS]"),
    ("refreshed", ""),
    ("moved", ""),
    ("offered", ""),
    ("referred", ""),
    ("transferred", ""),
    ("replaced", ""),
    ("digits", "DIGITS"),
    ("played", ""),
    ("media", ""),
    ("silence", ""),
    ("ended", ""),
];

/// Reads a list of codec names; the first unknown one is the error.
pub(crate) fn codecs(list: &str) -> Result<Vec<Codec>, &str> {
    list.split(',').map(|name| codec(name.trim()).ok_or(name.trim())).collect()
}

/// The names that [`codecs`] knows.
pub(crate) fn codecs_known() -> String {
    CODECS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn codec(name: &str) -> Option<Codec> {
    let known = CODECS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some((known.1)())
}

type Maker = fn() -> Codec;

const CODECS: &[(&str, Maker)] = &[
    ("pcma", Codec::pcma),
    ("pcmu", Codec::pcmu),
    ("g722", Codec::g722),
    ("opus", Codec::opus),
    ("telephone-event", Codec::telephone_event),
];

/// The known word that was probably meant.
pub(super) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_ascii_lowercase();
    let near = |candidate: &&str| distance(&word, candidate);
    known.min_by_key(near).filter(|best| distance(&word, best) <= 1 + best.len() / 7)
}

/// Insertions, deletions, changes and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let at = |rows: &Vec<Vec<usize>>, i: usize, j: usize| {
        rows.get(i).and_then(|row: &Vec<usize>| row.get(j)).copied().unwrap_or(usize::MAX / 2)
    };
    for (i, from) in a.iter().enumerate() {
        rows.push(vec![i + 1]);
        for (j, to) in b.iter().enumerate() {
            let mut best = (at(&rows, i, j + 1) + 1).min(at(&rows, i + 1, j) + 1);
            best = best.min(at(&rows, i, j) + usize::from(from != to));
            if i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from) {
                best = best.min(at(&rows, i - 1, j - 1) + 1);
            }
            if let Some(row) = rows.last_mut() {
                row.push(best);
            }
        }
    }
    at(&rows, a.len(), b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let verbs = || VERBS.iter().map(|(verb, ..)| *verb);
        for (word, meant) in
            [("hodl", "hold"), ("resme", "resume"), ("addvideo", "add-video"), ("BYE", "bye")]
        {
            assert_eq!(nearest(word, verbs()), Some(meant), "{word}");
        }
        for word in ["dance", "x", ""] {
            assert_eq!(nearest(word, verbs()), None, "{word}");
        }
    }
}
