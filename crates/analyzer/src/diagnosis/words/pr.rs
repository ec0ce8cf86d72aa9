//! Reliable provisional responses and PRACK.

use midcall_wire::Name;

use super::tx::again;
use super::{Words, both, first, second};
use crate::diagnosis::read::{Reading, capital, seconds, shorten};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "PR-01" => {
            let invite = first(f)?;
            Words::of(format!(
                "{who} sent {} reliably (RSeq {}), but {} has {} and {}.",
                r.the(at),
                r.header(at, Name::RSeq).unwrap_or_default(),
                r.the(invite),
                r.quote(invite, Name::Supported),
                r.quote(invite, Name::Require)
            ))
        }
        "PR-02" => Words::of(format!(
            "{} has \"Require: 100rel\", and {who} sent {} without RSeq.",
            capital(&r.the(first(f)?)),
            r.the(at)
        )),
        "PR-03" => Words::of(format!(
            "{who} sent {} with {} and {}.",
            r.the(at),
            r.quote(at, Name::Require),
            r.quote(at, Name::RSeq)
        )),
        "PR-04" => match (first(f), r.header(at, Name::RSeq)) {
            (_, None) => {
                Words::of(format!("{who} sent {} with \"Require: 100rel\" but without RSeq.", r.the(at)))
            }
            (Some(last), Some(rseq)) => Words::of(format!(
                "{who} gave {} RSeq {rseq}, after RSeq {} in {}.",
                r.the(at),
                r.header(last, Name::RSeq).unwrap_or_default(),
                r.the(last)
            )),
            (None, Some(rseq)) => Words::of(format!("{who} began with RSeq {rseq} in {}.", r.the(at))),
        },
        "PR-14" => Words::of(format!(
            "{who} took {} to answer the offer in {} (message {at}); until then it was sent again and again.",
            seconds(r.between(first(f)?, at)),
            r.the(first(f)?)
        ))
        .title("Answer in PRACK came late"),
        "PR-05" => {
            let again = again(r, at, ", sent it again");
            Words::of(format!(
                "{} sent {} reliably{again}, and no PRACK for it came by here.",
                r.sender(at),
                r.the(at)
            ))
            .title("The PRACK never came")
        }
        "PR-06" => Words::of(format!(
            "{who} sent {} with {}, which names no response of {peer}.",
            r.the(at),
            r.quote(at, Name::RAck)
        )),
        "PR-07" => Words::of(format!(
            "{who} sent {} reliably, {} after {}, whose PRACK had not come yet.",
            r.the(at),
            seconds(r.between(first(f)?, at)),
            r.the(first(f)?)
        )),
        "PR-08" => Words::of(format!(
            "{who} accepted the call in {} before the PRACK for {}, which has SDP.",
            r.the(at),
            second(f).or_else(|| first(f)).map(|n| r.the(n))?
        )),
        "PR-12" => Words::of(format!("{who} sent {} with {}.", r.a(at), r.quote(at, Name::Require))),
        "PR-10" => Words::of(format!(
            "{who} acknowledged one reliable response twice: in {} and again in {}.",
            r.the(first(f)?),
            r.the(at)
        ))
        .title("Second PRACK for one response"),
        "PR-18" => match first(f) {
            Some(offer) => Words::of(format!(
                "{who}'s answer (message {at}) lowers a precondition of {}: {}.",
                r.the(offer),
                preconditions(r, at)
            ))
            .title("Precondition lowered in the answer"),
            None => Words::of(format!(
                "{who}'s {} at {} (message {at}) has a mandatory precondition ({}) and {}.",
                r.label(at),
                r.time(at),
                preconditions(r, at),
                r.quote(at, Name::Require)
            ))
            .title("Mandatory precondition without Require"),
        },
        "PR-19" => Words::of(format!(
            "{who} went on with {} although the precondition of {} was not met: {}.",
            r.the(at),
            r.the(first(f)?),
            preconditions(r, first(f)?)
        ))
        .title("Rang before the preconditions were met"),
        _ => return None,
    })
}

/// The precondition lines of a description.
fn preconditions(r: &Reading<'_>, n: u32) -> String {
    let Some(sdp) = r.sdp(n) else { return "none".to_owned() };
    let text = String::from_utf8_lossy(sdp.as_bytes()).into_owned();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("a=curr:") || line.starts_with("a=des:"))
        .map(str::trim_end)
        .collect();
    if lines.is_empty() { "none".to_owned() } else { shorten(&lines.join(", "), 160) }
}
