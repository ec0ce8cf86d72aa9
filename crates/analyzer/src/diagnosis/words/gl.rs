//! Glare: who waits how long.

use midcall_wire::{Message, Name};

use super::{Words, both, first};
use crate::diagnosis::read::{Reading, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "GL-01" | "GL-02" | "GL-03" => {
            let refusal = first(f)?;
            let window = match f.code {
                "GL-02" => "0 and 2 s",
                _ => "2.1 and 4 s",
            };
            let role = match f.code {
                "GL-02" => "did not begin the call",
                _ => "began the call",
            };
            Words::of(format!(
                "{who}, who {role}, got 491 at {} (message {refusal}) and tried again {} later in {}; it should be a random \
                 time between {window}.",
                r.time(refusal),
                seconds(r.between(refusal, at)),
                r.the(at)
            ))
            .title("Retry after 491 outside its window")
        }
        "GL-06" => {
            let refusals: Vec<_> = r
                .originals()
                .filter(|(own, message)| own.n <= at && message.status() == Some(491))
                .map(|(own, _)| own.n)
                .collect();
            Words::of(format!(
                "491 came {} times between {} and {} ({}).",
                refusals.len(),
                refusals.first().map(|n| r.time(*n)).unwrap_or_default(),
                r.time(at),
                r.list(&refusals)
            ))
        }
        "GL-08" | "ER-03" => {
            let refusal = first(f)?;
            Words::of(format!(
                "{peer} refused with {} at {} (message {refusal}) and asked for a wait of {} s; {who} sent {} after {}.",
                r.status(refusal),
                r.time(refusal),
                r.header(refusal, Name::RetryAfter).unwrap_or_default(),
                r.the(at),
                seconds(r.between(refusal, at))
            ))
            .title("Retry-After was ignored")
        }
        "GL-09" => {
            let bye = first(f).or_else(|| r.request_of(at))?;
            Words::of(format!(
                "{who} refused {} with {} (message {at}).",
                r.the(bye),
                r.get(at).and_then(Message::status)?
            ))
        }
        "GL-04" => {
            let (offer, refusal) = (first(f)?, f.because.get(1).copied()?);
            Words::of(format!(
                "{who}'s change in {} met another and was refused with 491 (message {refusal}); {who} sends the same description \
                 again in {}, although the session changed in between.",
                r.the(offer),
                r.the(at)
            ))
            .title("Old description sent again after 491")
        }
        "GL-05" => {
            let (refusal, hold) = (first(f)?, f.because.get(1).copied()?);
            Words::of(format!(
                "{who}'s change was refused with 491 (message {refusal}), {peer} then held the call in {}, and {who} asks for \
                 the same media again in {}.",
                r.the(hold),
                r.the(at)
            ))
            .title("Media added to a call that was just held")
        }
        _ => return None,
    })
}
