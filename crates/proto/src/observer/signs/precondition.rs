//! Signs in preconditions (RFC 3312).

use midcall_wire::Method;
use midcall_wire::sdp::{Media, Sdp};
use smallvec::smallvec;

use crate::dialog::{Evidence, OptionTag, SdpRole, Way};
use crate::observer::dialog::{Claim, ObservedDialog, Passing};
use crate::observer::weigh::against;
use crate::rules::RuleId;

pub(super) fn look(observed: &ObservedDialog, passing: &Passing<'_>, found: &mut Vec<Claim>) {
    let seen = passing.seen;
    let dialog = &observed.side(passing.by).base;
    if let Some(sdp) = seen.sdp.as_ref().filter(|sdp| desires(sdp)) {
        let untold = seen.is_request() && !seen.require.has(OptionTag::Precondition);
        let role = dialog.role_of_sdp(seen);
        if untold && matches!(role, SdpRole::Offer(_)) && mandatory(sdp) {
            found.push(against(passing.by, RuleId::PreconditionTags, seen.at.n, Evidence::new()));
        }
        let offer = dialog.offers.pending.by(Way::Received).as_ref().filter(|_| role == SdpRole::Answer);
        if let Some(offer) = offer
            && let Some(offered) = &offer.sdp
            && lowers(offered, sdp)
        {
            found.push(against(passing.by, RuleId::PreconditionTags, seen.at.n, smallvec![offer.on]));
        }
    }
    let rings = seen.method == Method::Invite && (seen.status == Some(180) || seen.is_success());
    let forms = rings && dialog.request_of(seen).is_some_and(|open| open.forms && open.accepted.is_none());
    if forms
        && let Some(last) = dialog.offers.last.by(Way::Received).as_ref()
        && desires(last)
        && last.media().any(|media| !media.rejected() && denies(&media))
    {
        let on = *dialog.offers.last_on.by(Way::Received);
        found.push(against(passing.by, RuleId::AlertedBeforePreconditions, seen.at.n, smallvec![on]));
    }
}

/// Whether a description has preconditions at all; most have none.
fn desires(sdp: &Sdp) -> bool {
    sdp.media().any(|media| media.has_attribute("des"))
}

fn mandatory(sdp: &Sdp) -> bool {
    sdp.media()
        .any(|media| !media.rejected() && media.attributes("des").any(|des| strength(des) == Some(MANDATORY)))
}

/// The strength of `des:qos mandatory local sendrecv`, by rank.
fn strength(des: &str) -> Option<u8> {
    let word = des.split_ascii_whitespace().nth(1)?;
    let ranks = ["none", "optional", "mandatory"];
    ranks.iter().position(|rank| rank.eq_ignore_ascii_case(word)).and_then(|rank| u8::try_from(rank).ok())
}

/// Which kind, segment and direction a desire or state is about.
fn subject(line: &str, of_state: bool) -> Option<(&str, &str, &str)> {
    let mut words = line.split_ascii_whitespace();
    let kind = words.next()?;
    if !of_state {
        words.next()?;
    }
    Some((kind, words.next()?, words.next()?))
}

/// Whether an answer wants less than its offer: segments are named from the other side there (RFC 3312 §5.2).
fn lowers(offer: &Sdp, answer: &Sdp) -> bool {
    offer.media().zip(answer.media()).filter(|(_, answer)| !answer.rejected()).any(|(offer, answer)| {
        offer.attributes("des").any(|wanted| {
            let Some((kind, segment, direction)) = subject(wanted, false) else { return false };
            let mirrored = match segment {
                "local" => "remote",
                "remote" => "local",
                other => other,
            };
            let reversed = match direction {
                "send" => "recv",
                "recv" => "send",
                other => other,
            };
            let same = |des: &&str| subject(des, false) == Some((kind, mirrored, reversed));
            answer.attributes("des").find(same).is_some_and(|des| strength(des) < strength(wanted))
        })
    })
}

/// Whether its sender says that its own segment lacks what must be there first.
fn denies(media: &Media<'_>) -> bool {
    media.attributes("des").filter(|des| strength(des) == Some(MANDATORY)).any(|des| {
        let Some((kind, "local", wanted)) = subject(des, false) else { return false };
        let mut states = media.attributes("curr").filter_map(|curr| subject(curr, true));
        let state = states.find(|(own, segment, _)| *own == kind && *segment == "local");
        state.is_some_and(|(_, _, has)| has == "none" || has != "sendrecv" && has != wanted)
    })
}

const MANDATORY: u8 = 2;
