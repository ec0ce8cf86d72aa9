//! What a description breaks of the session that it continues, beyond what [`check_next`](super::check_next) finds.

use midcall_wire::sdp::{Media, Sdp, Version};

use super::Fault;
use super::formats::{Facts, Format, Formats, explained};

/// Says what is wrong with the numbers of an `o=` line alone. RFC 3264 §5.
pub fn check_origin_numbers(sdp: &Sdp) -> Option<Fault> {
    let fits = |digits: &str| Version::parse(digits).is_none_or(|number| number.fits_63_bits());
    let (version, session_id) = (sdp.version(), sdp.session_id()?);
    let fitting = version.is_none_or(|version| version.fits_63_bits()) && fits(session_id);
    (!fitting).then_some(Fault::VersionTooLarge)
}

/// Says what is wrong with an offer after the previous description of the same side. RFC 3264 §8.1, RFC 8839 §4.4.1.1.2.
///
/// An answer has its order and its dead streams from the offer, so it is not asked about them.
pub fn check_offer(previous: &Sdp, new: &Sdp) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (before, after): (Vec<_>, Vec<_>) = (previous.media().collect(), new.media().collect());
    let same = |one: &Media<'_>, other: &Media<'_>| {
        one.kind().eq_ignore_ascii_case(other.kind()) && one.port() == other.port() && !one.rejected()
    };
    for (index, (was, is)) in before.iter().zip(&after).enumerate() {
        // Both types moved and their ports with them: no stream took a new type (OA-42).
        let swapped = |(other, (was_there, is_there)): (usize, (&Media<'_>, &Media<'_>))| {
            other > index
                && !was.kind().eq_ignore_ascii_case(was_there.kind())
                && same(was, is_there)
                && same(was_there, is)
        };
        if before.iter().zip(&after).enumerate().any(swapped) {
            faults.push(Fault::Reordered { stream: index });
        }
        if is.rejected() && Facts::of(is).has_candidates {
            faults.push(Fault::DeadCandidates { stream: index });
        }
    }
    faults
}

/// Says which streams of an offer made on request have nothing in common with what was in use. RFC 3261 §14.2.
///
/// `ours` and `theirs` are the last exchange that was completed, `ours` of the side that now offers.
pub fn check_overlap(ours: &Sdp, theirs: &Sdp, new: &Sdp) -> Vec<Fault> {
    let alien = |((before, peer), after): ((Media<'_>, Media<'_>), Media<'_>)| {
        let streams = [&before, &peer, &after];
        let goes_on = before.kind().eq_ignore_ascii_case(after.kind());
        if !goes_on || streams.iter().any(|media| media.rejected() || !media.is_rtp()) {
            return None;
        }
        let (known, now) = (codecs(&before), codecs(&after));
        let shared = known.iter().any(|format| now.iter().any(|other| other.alike(format)));
        (!shared && !known.is_empty()).then(|| Fault::NoOverlap { stream: after.index() })
    };
    ours.media().zip(theirs.media()).zip(new.media()).filter_map(alien).collect()
}

/// The real codecs of a stream.
fn codecs<'a>(media: &Media<'a>) -> Formats<'a> {
    let mut formats = explained(media);
    formats.retain(|format| !format.is_companion());
    formats
}

/// Says in which streams only `telephone-event` went missing, so that digits no longer pass. RFC 4733 §2.1.
///
/// `ours` and `theirs` are the last exchange that was completed, `ours` of the side that now says `new`, and `offer` is what
/// that answers. Who drops codecs as well may have meant it.
pub fn check_tones(ours: &Sdp, theirs: &Sdp, offer: Option<&Sdp>, new: &Sdp) -> Vec<Fault> {
    let lost = |((own, peer), now): ((Media<'_>, Media<'_>), Media<'_>)| {
        let audio = |media: &Media<'_>| {
            media.kind().eq_ignore_ascii_case("audio") && media.is_rtp() && !media.rejected()
        };
        if !audio(&own) || !audio(&peer) || !audio(&now) {
            return None;
        }
        let has = |media: &Media<'_>| explained(media).iter().any(Format::is_telephone_event);
        let kept = explained(&now);
        let whole = || {
            explained(&own)
                .iter()
                .all(|known| known.is_companion() || kept.iter().any(|format| format.alike(known)))
        };
        let offered = offer.is_none_or(|offer| offer.media_at(now.index()).is_some_and(|media| has(&media)));
        (has(&own) && has(&peer) && offered && !has(&now) && whole())
            .then(|| Fault::EventsLost { stream: now.index() })
    };
    ours.media().zip(theirs.media()).zip(new.media()).filter_map(lost).collect()
}
