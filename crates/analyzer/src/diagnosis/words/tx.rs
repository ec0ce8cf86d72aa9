//! Transactions: ACK, CANCEL, branches, final responses.

use midcall_wire::Name;

use super::{Words, both, first, second};
use crate::diagnosis::read::{Reading, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "TX-01" => Words::of(format!(
            "{} sent {} and nobody answered it{}.",
            r.sender(at),
            r.the(at),
            resends(r, at).map_or_else(String::new, |(count, last)| format!(
                ", although it was sent again {} until {}",
                times(count),
                r.time(last)
            ))
        ))
        .title("INVITE without any answer")
        .fix("Find out where the request gets lost: look for it at the other end, and check address, port, transport and firewall."),
        "TX-03" => {
            let (invite, refusal) = (first(f)?, second(f)?);
            Words::of(format!(
                "{who}'s ACK at {} (message {at}) for the {} (message {refusal}) has the branch {}, but {} has {}; \
                 {peer} cannot match it and will go on sending the {}.",
                r.time(at),
                r.status(refusal),
                branch(r, at),
                r.the(invite),
                branch(r, invite),
                r.status(refusal)
            ))
        }
        "TX-07" | "TX-08" | "TX-13" => {
            let again = match resends(r, at) {
                Some((count, last)) => format!(", sent it again {} until {}", times(count), r.time(last)),
                None => String::new(),
            };
            Words::of(format!(
                "{} answered {} at {} (message {at}){again}, and no ACK for it came by here.",
                r.sender(at),
                r.status(at),
                r.time(at)
            ))
            .title("The ACK never came")
            .fix(format!(
                "Look for the ACK at {}: it goes to {}{}. If it was sent, a wrong Contact, a lost route or NAT swallows it; \
                 if not, {} does not send it.",
                peer_of(r, at),
                r.contact(at),
                match r.header(at, Name::RecordRoute) {
                    Some(route) => format!(" along {route}"),
                    None => String::new(),
                },
                r.product(r.by(at).other())
            ))
        }
        "TX-09" => {
            let (invite, success) = (first(f)?, second(f).or_else(|| first(f))?);
            let wrong = if branch(r, at) == branch(r, invite) {
                format!("has the branch of the INVITE, {}", branch(r, at))
            } else if r.cseq(at) != r.cseq(invite) {
                format!("has CSeq {}, but the INVITE has {}", r.cseq(at), r.cseq(invite))
            } else {
                format!("goes to {}, but the Contact of the answer is {}", r.uri(at), r.contact(success))
            };
            Words::of(format!(
                "{who}'s ACK at {} (message {at}) for {} {wrong}.",
                r.time(at),
                r.the(success)
            ))
        }
        "TX-16" => {
            let request = first(f).or_else(|| r.request_of(at))?;
            Words::of(format!("{who} answered {} with {} at {} (message {at}).", r.the(request), r.status(at), r.time(at)))
                .title("Provisional response to a non-INVITE request")
        }
        "TX-17" => {
            let request = first(f).or_else(|| r.request_of(at))?;
            Words::of(format!(
                "{who} answered {} with 408 after {} (message {at}); {peer} then takes the call for dead.",
                r.the(request),
                seconds(r.between(request, at))
            ))
        }
        "TX-18" => {
            let (request, earlier) = (first(f)?, second(f)?);
            Words::of(format!(
                "{who} answered {} with {} (message {earlier}) and then with {} at {} (message {at}).",
                r.the(request),
                r.status(earlier),
                r.status(at),
                r.time(at)
            ))
        }
        "TX-21" => {
            let invite = first(f)?;
            Words::of(format!(
                "{who} cancelled {} after {} (message {at}), before any provisional response had come.",
                r.the(invite),
                seconds(r.between(invite, at))
            ))
            .title("CANCEL before any provisional response")
        }
        "TX-22" => Words::of(format!(
            "{who} answered {peer}'s CANCEL with {} at {} (message {at}).",
            r.status(at),
            r.time(at)
        )),
        "TX-29" => {
            let request = first(f).or_else(|| r.request_of(at))?;
            let tag = |n: u32| {
                let tag = r.get(n).and_then(|message| message.to().ok()).and_then(|to| to.tag().map(str::to_owned));
                tag.map_or_else(|| "no tag".to_owned(), |tag| format!("the tag \"{tag}\""))
            };
            Words::of(format!(
                "{who}'s {} at {} (message {at}) has {} in To, but {} has {}.",
                r.label(at),
                r.time(at),
                tag(at),
                r.the(request),
                tag(request)
            ))
            .title("Response with another To tag than its request")
        }
        "TX-34" => {
            let message = r.get(at)?;
            let all = [Name::To, Name::From, Name::CSeq, Name::CallId, Name::MaxForwards, Name::Via];
            let missing: Vec<_> = all.into_iter().filter(|name| message.count(*name) == 0).map(Name::as_str).collect();
            let missing = match missing.is_empty() {
                true => "a Via branch that begins with z9hG4bK".to_owned(),
                false => missing.join(" and "),
            };
            Words::of(format!("{who} sent {} without {missing}.", r.a(at)))
        }
        _ => return None,
    })
}

/// The branch of the top Via.
fn branch(r: &Reading<'_>, n: u32) -> String {
    let branch =
        r.get(n).and_then(|message| message.top_via().ok()).and_then(|via| via.branch().map(str::to_owned));
    branch.unwrap_or_else(|| "none".to_owned())
}

/// How often a message was sent again, and the last time.
pub(super) fn resends(r: &Reading<'_>, n: u32) -> Option<(usize, u32)> {
    use midcall_proto::observer::{Kind, Repeat};
    let copies = r
        .call
        .messages
        .iter()
        .filter(|message| matches!(message.kind, Kind::Again { of, how: Repeat::Resent } if of == n));
    let numbers: Vec<_> = copies.map(|message| message.n).collect();
    Some((numbers.len(), *numbers.last()?))
}

/// "once", "twice", "7 times".
pub(super) fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// The name of who a message went to.
fn peer_of(r: &Reading<'_>, n: u32) -> String {
    r.name(r.by(n).other())
}
