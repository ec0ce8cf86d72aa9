//! UPDATE.

use midcall_wire::{Method, Name};

use super::ri::{crossing, receiver_and_sender};
use super::{Words, advise, both, first, last_allow, second};
use crate::diagnosis::read::{Reading, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    let offered = match r.get(at).is_some_and(|message| message.sdp().is_some()) {
        true => "offered",
        false => "sent",
    };
    Some(match f.code {
        "UP-01" => {
            Words::of(format!("{who} sent an ACK at {} (message {at}) for {}.", r.time(at), r.the(first(f)?)))
        }
        "UP-02" => Words::of(format!("{who} {offered} {} to {peer}, {}.", an(r, at), last_allow(r, f))),
        "UP-03" => Words::of(format!(
            "{who} accepted {} with {} (message {at}), but {}.",
            r.the(first(f)?),
            r.status(at),
            match r.header(at, Name::Allow) {
                Some(allow) => format!("its Allow reads \"{allow}\""),
                None => "lists it in no Allow".to_owned(),
            }
        )),
        "UP-05" | "UP-06" | "UP-07" | "UP-08" => {
            let waited = match f.code {
                "UP-05" => match reliable_answer(r, f) {
                    Some(answer) => format!("before the PRACK for {} was answered", r.the(answer)),
                    None => "before the INVITE's offer was answered in a reliable response".to_owned(),
                },
                "UP-06" => format!("before answering {peer}'s offer in the PRACK"),
                "UP-07" => "before its answer to the INVITE had been sent reliably and acknowledged by PRACK"
                    .to_owned(),
                _ => format!("before {peer} had answered its first offer in the PRACK"),
            };
            Words::of(format!("{who} made a new offer in {} {waited}.", r.the(at)))
        }
        "UP-09" => {
            let open = first(f)?;
            let own = r.by(open) == f.by;
            match offered {
                "offered" => {
                    let whose = if own { "its last offer".to_owned() } else { format!("{peer}'s offer") };
                    Words::of(format!(
                        "{who} made an offer in {} while {whose} in {} was still unanswered.",
                        r.the(at),
                        r.the(open)
                    ))
                }
                _ => {
                    let whose = if own { "its own".to_owned() } else { format!("{peer}'s") };
                    Words::of(format!(
                        "{who} sent {} while {whose} {} at {} (message {open}) was still open.",
                        r.a(at),
                        r.label(open),
                        r.time(open)
                    ))
                    .title("UPDATE while another was open")
                }
            }
        }
        "UP-11" => {
            let request = first(f)?;
            Words::of(format!(
                "{who} took {} to answer {} with {} (message {at}).",
                seconds(r.between(request, at)),
                r.the(request),
                r.status(at)
            ))
        }
        "UP-12" => {
            let (open, request) = (first(f)?, second(f).or_else(|| r.request_of(at))?);
            Words::of(format!(
                "{who} answered {peer}'s second UPDATE at {} (message {request}) with {} although the first, {}, had no final \
                 response yet; 500 with Retry-After was owed.",
                r.time(request),
                r.status(at),
                r.the(open)
            ))
            .title("Second UPDATE was not refused")
            .fix(receiver_and_sender(r, f, "Refuse a second UPDATE with 500 and Retry-After until the first is answered.", "Keep one UPDATE open at a time."))
        }
        "UP-13" => crossing(r, f)?,
        "UP-14" => {
            let (open, request) = (first(f)?, second(f).or_else(|| r.request_of(at))?);
            Words::of(format!(
                "{who} accepted {peer}'s offer in {} with {} (message {at}) while {peer}'s earlier offer in {} still waited \
                 for its answer; 500 with Retry-After was owed.",
                r.the(request),
                r.status(at),
                r.the(open)
            ))
            .title("Second offer was not refused")
            .fix(receiver_and_sender(r, f, "Refuse an offer with 500 and Retry-After while an earlier one is unanswered.", "Wait for the answer to the first offer."))
        }
        "UP-17" => {
            let update = first(f).or_else(|| {
                r.last_before(at, |own, message| {
                    own.by == f.by && message.is_request() && message.method() == Method::Update
                })
            })?;
            let update = r.request_of(update).unwrap_or(update);
            Words::of(format!(
                "{who} had moved to {} in {}, and {} names {} again.",
                r.contact(update),
                r.the(update),
                r.the(at),
                r.contact(at)
            ))
        }
        "UP-18" => Words::of(format!("{who} sent {} for {}.", r.a(at), r.the(first(f)?)))
            .title(&format!("{} for an UPDATE", r.label(at))),
        "UP-19" => Words::of(format!(
            "{who} refused {} with {} (message {at}).",
            first(f).map(|n| r.the(n))?,
            r.status(at)
        ))
        .fix(advise(r, f.by.other(), "Use re-INVITE in this call.")),
        _ => return None,
    })
}

/// A request with its article.
fn an(r: &Reading<'_>, n: u32) -> String {
    match r.get(n).is_some_and(|message| message.sdp().is_some()) {
        true => format!("a change in {}", r.the(n)),
        false => r.a(n),
    }
}

/// The reliable response that answered the INVITE before this message.
fn reliable_answer(r: &Reading<'_>, f: &Finding) -> Option<u32> {
    r.last_before(f.at, |own, message| {
        own.by == f.by.other() && message.rseq().is_some() && message.sdp().is_some()
    })
}
