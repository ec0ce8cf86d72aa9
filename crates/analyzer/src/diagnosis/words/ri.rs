//! re-INVITEs, and the races of a call.

use midcall_wire::{Message, Method, Name};

use super::{Words, advise, both, first, second};
use crate::diagnosis::read::{Reading, capital, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "RI-01" => {
            let open = first(f)?;
            let whose = if r.by(open) == f.by { "its own" } else { "the other side's" };
            Words::of(format!(
                "{who} sent {} while {whose} {} at {} (message {open}) was still open.",
                r.a(at),
                r.label(open),
                r.time(open)
            ))
        }
        "RI-02" => Words::of(format!(
            "{who} sent {} before the ACK with the answer to its offer in {} had come.",
            r.a(at),
            second(f).or_else(|| first(f)).map(|n| r.the(n))?
        )),
        "RI-03" => {
            let setup =
                r.last_before(at, |_, message| message.is_request() && message.method() == Method::Invite);
            Words::of(format!(
                "{who} sent {} while the INVITE that sets up the call{} had no final response.",
                r.a(at),
                setup.map_or_else(String::new, |n| format!(" (message {n})"))
            ))
        }
        "RI-05" => {
            let (request, earlier) = (first(f)?, second(f)?);
            Words::of(format!(
                "{who} answered {} with {} (message {earlier}) and {} later with {} (message {at}).",
                r.the(request),
                r.status(earlier),
                seconds(r.between(earlier, at)),
                r.status(at)
            ))
        }
        "RI-06" => {
            let (open, request) = (first(f)?, second(f).or_else(|| r.request_of(at))?);
            Words::of(format!(
                "{who} answered {peer}'s second INVITE at {} (message {request}) with {} although the first, {}, had no final \
                 response yet; 500 with Retry-After was owed.",
                r.time(request),
                r.status(at),
                r.the(open)
            ))
            .title("Second INVITE was not refused")
            .fix(receiver_and_sender(r, f, "Refuse a second INVITE with 500 and Retry-After until the first is answered.", "Send one INVITE at a time."))
        }
        "RI-07" | "RC-12" | "RC-05" => crossing(r, f)?,
        "RI-11" => {
            let (request, provisional) = (first(f)?, second(f)?);
            Words::of(format!(
                "{who} answered the offer of {} in {} and then refused the re-INVITE with {} (message {at}), when the change \
                 was already in use: the two sides may now disagree.",
                r.the(request),
                r.the(provisional),
                r.status(at)
            ))
        }
        "RI-18" => Words::of(format!(
            "{who} refused {} with {} (message {at}), although it has no SDP that could be refused.",
            r.the(first(f)?),
            r.status(at)
        )),
        "RI-21" => Words::of(format!(
            "{who} answered {} with {} and {} (message {at}).",
            r.the(first(f)?),
            r.status(at),
            r.quote(at, Name::Contact)
        )),
        "RI-09" | "RI-27" => {
            let request = first(f)?;
            let moved = if f.code == "RI-27" { ", which moves its sender," } else { "" };
            Words::of(format!(
                "{who} took {} to answer {}{moved} with {} (message {at}).",
                seconds(r.between(request, at)),
                r.the(request),
                r.status(at)
            ))
            .title(if f.code == "RI-27" { "Moved peer had to wait for its answer" } else { "Change that asks nobody was answered late" })
        }
        "RI-10" => {
            let (offer, refusal) = (first(f)?, second(f)?);
            Words::of(format!(
                "{} was refused with {} (message {refusal}), and {who} describes the same change in {} all the same.",
                capital(&r.the(offer)),
                r.status(refusal),
                r.the(at)
            ))
        }
        "RI-13" => Words::of(format!(
            "{} was answered in part and then refused with {} (message {at}), and {who} did not offer again: nobody has said which \
             session holds now.",
            capital(&r.the(first(f)?)),
            r.status(at)
        ))
        .title("No new offer after a half-done change was refused"),
        "RI-14" | "ER-01" => {
            let (request, refusal) = (first(f)?, second(f)?);
            Words::of(format!(
                "{peer} refused {} with {} (message {refusal}), and {who} hung up {} later (message {at}); that code leaves the \
                 call as it was.",
                r.the(request),
                r.status(refusal),
                seconds(r.between(refusal, at))
            ))
            .fix(advise(r, f.by, "Keep the call on every code but 408 and 481."))
        }
        "RI-15" => Words::of(format!(
            "{} was cancelled and ended with 487 (message {}), and {who} hung up in {}: only the change was to be cancelled.",
            capital(&r.the(first(f)?)),
            second(f)?,
            r.the(at)
        ))
        .title("CANCEL of a change ended the call"),
        "RI-16" => Words::of(format!(
            "{who} never answered {}; {} ended the call meanwhile, and 487 was owed.",
            r.the(at),
            first(f).map(|n| r.the(n))?
        ))
        .title("Open re-INVITE was left unanswered at the BYE"),
        "RI-22" => Words::of(format!(
            "{peer} challenged {who} in {}, {who} answered it in {}, and {peer} refused with the same challenge again (message {}).",
            r.the(first(f)?),
            r.the(at),
            second(f)?
        ))
        .title("Credentials were not accepted"),
        "RI-25" => Words::of(format!(
            "{who} sent re-INVITEs that change nothing one after the other, from {} to {}.",
            r.the(first(f)?),
            r.the(at)
        ))
        .title("Burst of re-INVITEs that change nothing"),
        "RI-26" => Words::of(format!(
            "The call was set up over TLS (message {}), and {who} sent {} without.",
            first(f)?,
            r.a(at)
        ))
        .title("Change less protected than the call"),
        "RC-04" => {
            let success = first(f)?;
            match second(f).filter(|_| r.get(at).is_some_and(|message| message.method() == Method::Ack)) {
                Some(next) => Words::of(format!(
                    "{} for {} came only behind {}.",
                    capital(&r.the(at)),
                    r.the(success),
                    r.the(next)
                )),
                None => Words::of(format!(
                    "{} came and no ACK for {} before it: that ACK was lost.",
                    capital(&r.the(at)),
                    r.the(success)
                )),
            }
            .title("ACK was lost or late")
        }
        "RC-09" => Words::of(format!(
            "{} hung up while its re-INVITE was open, got {} for it and sent no ACK.",
            r.sender(bye_of(r, at).unwrap_or(at)),
            r.the(at)
        ))
        .title("2xx behind the own BYE got no ACK")
        .fix(advise(r, f.by, "ACK each 2xx, also one that comes behind the own BYE.")),
        "RC-11" => Words::of(format!(
            "Both sides' changes met and were refused with 491 (messages {} and {at}), and neither side tried again: both changes \
             are lost.",
            first(f)?
        ))
        .title("Both changes given up after they met")
        .fix("Both: try again after the random wait if the change is still wanted."),
        "RC-17" => Words::of(format!(
            "{who} was asked for credentials for {} with {} (message {at}) and sent no BYE with them: the other side may still hold \
             the call.",
            r.the(first(f)?),
            r.status(at)
        )),
        _ => return None,
    })
}

/// The BYE before a message.
fn bye_of(r: &Reading<'_>, n: u32) -> Option<u32> {
    r.last_before(n, |_, message| message.is_request() && message.method() == Method::Bye)
}

/// A request was accepted that crossed one of the accepting side.
pub(super) fn crossing(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let (who, peer) = both(r, f);
    let request = r.request_of(f.at)?;
    let own = f.because.iter().copied().filter(|n| *n != request).find(|n| r.by(*n) == f.by);
    let own = own.or_else(|| first(f))?;
    let what = match r.get(own).map(Message::is_response) {
        Some(true) => "offer in",
        _ if r.get(own).is_some_and(|message| message.sdp().is_none()) => "own",
        _ => "offer in",
    };
    let open = match what {
        "own" => format!("{who}'s own {} at {} (message {own}) was still open", r.label(own), r.time(own)),
        _ => format!("{who}'s own offer in {} was still unanswered", r.the(own)),
    };
    Some(
        Words::of(format!(
            "{who} answered {peer}'s {} at {} (message {request}) with {} (message {}), although {open}: the two changes \
             crossed, and 491 was owed.",
            r.label(request),
            r.time(request),
            r.status(f.at),
            f.at
        ))
        .title(&format!("Crossing {} was accepted", r.label(request)))
        .fix(advise(r, f.by, "Refuse a change that crosses an own one with 491; both sides then try again after their random wait.")),
    )
}

/// Advice for both: whoever answered, and whoever asked.
pub(super) fn receiver_and_sender(r: &Reading<'_>, f: &Finding, receiver: &str, sender: &str) -> String {
    format!("{} {}", advise(r, f.by, receiver), advise(r, f.by.other(), sender))
}
