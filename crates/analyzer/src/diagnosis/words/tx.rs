//! Transactions: ACK, CANCEL, branches, final responses.

use midcall_proto::observer::Party;
use midcall_wire::Name;

use super::{Words, advise, both, first, second};
use crate::diagnosis::read::{Reading, capital, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "TX-01" => Words::of(format!(
            "{} sent {} and nobody answered it{}.",
            r.sender(at),
            r.the(at),
            again(r, at, ", although it was sent again")
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
            let again = again(r, at, ", sent it again");
            Words::of(format!(
                "{} answered {} at {} (message {at}){again}, and no ACK for it came by here.",
                r.sender(at),
                r.status(at),
                r.time(at)
            ))
            .title("The ACK never came")
            .fix(ack_advice(r, at))
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
        "TX-15" => {
            let label = r.label(at);
            let again = again(r, at, ", sent it again");
            Words::of(format!("{} sent {}{again}, and no final response came by here.", r.sender(at), r.a(at)))
                .title(&format!("{label} got no answer"))
                .fix(format!(
                    "Look for the {label} at {who}: it goes to {}{}. If it came, {} does not answer it; if not, a wrong Contact, \
                     a lost route or NAT swallows it.",
                    r.uri(at),
                    r.header(at, Name::Route).map_or_else(String::new, |route| format!(" along {route}")),
                    r.product(f.by)
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
        "TX-02" => {
            let (invite, provisional) = (first(f)?, second(f)?);
            Words::of(format!(
                "{} sent {} again at {} (message {at}), although {} had answered it with {} (message {provisional}){}.",
                r.sender(invite),
                r.the(invite),
                r.time(at),
                r.sender(provisional),
                r.status(provisional),
                match f.by {
                    Party::Network => ": that response does not get through",
                    _ => "",
                }
            ))
        }
        "TX-06" => {
            let (invite, earlier) = (first(f)?, second(f)?);
            Words::of(format!(
                "{} was sent again, and {who} answered the copy with {} (message {at}) under another To tag than in {}: it took \
                 the copy for a new call.",
                capital(&r.the(invite)),
                r.status(at),
                r.the(earlier)
            ))
            .title("Copy of an INVITE was taken for a new one")
        }
        "TX-11" => match first(f) {
            Some(request) => Words::of(format!(
                "{who} sent {} long after the transaction of {} was over; nobody takes it any more.",
                r.a(at),
                r.the(request)
            ))
            .fix(advise(r, f.by, "Send no response once the transaction of its request is over.")),
            None => Words::of(format!("{who} sent {}, and no request of this trace fits it.", r.a(at)))
                .fix("Capture the other direction or hop if the request is missing."),
        },
        "TX-20" => Words::of(format!("{who} sent {} with {}.", r.a(at), r.quote(at, Name::Via)))
            .fix(advise(r, f.by, "Begin every branch with z9hG4bK.")),
        "TX-23" => Words::of(format!(
            "{} was cancelled{}, and no final response to it came.",
            capital(&r.the(at)),
            first(f).map_or_else(String::new, |cancel| format!(" in {}", r.the(cancel)))
        ))
        .fix(advise(r, f.by, "Answer a cancelled INVITE with 487.")),
        "TX-25" => Words::of(format!(
            "{} had got no final response for minutes and the last provisional one was {}; then {}.",
            capital(&r.the(first(f)?)),
            r.the(second(f)?),
            r.the(at)
        ))
        .title("No provisional response for minutes"),
        "TX-26" => {
            let size = r.call.message(at).map_or(0, |message| message.raw.len());
            let (end, title) = match r.final_of(at) {
                Some(_) => ("more than fit without fragments", "Large request over UDP"),
                None => ("and it got no answer", "Large request over UDP got lost"),
            };
            Words::of(format!("{} sent {} over UDP with {size} bytes, {end}.", r.sender(at), r.the(at))).title(title)
        }
        "TX-27" => Words::of(format!(
            "{who} got the same {} twice over different ways (messages {} and {}) and answered both.",
            first(f).map(|n| r.label(n))?,
            first(f)?,
            second(f).unwrap_or(at)
        )),
        "TX-28" => Words::of(format!(
            "{} was sent again at {} (message {at}), and {who} did not repeat its provisional response{}.",
            capital(&r.the(first(f)?)),
            r.time(at),
            second(f).map_or_else(String::new, |n| format!(" of {} (message {n})", r.time(n)))
        ))
        .title("Copy of an INVITE got no response"),
        "TX-30" => {
            let request = first(f).or_else(|| r.request_of(at))?;
            let (sent, asked) = (r.call.message(at)?, r.call.message(request)?);
            let (what, wanted, got) = match sent.to == asked.from {
                true => ("from", asked.to, sent.from),
                false => ("to", asked.from, sent.to),
            };
            let asked = if what == "from" { "was sent to" } else { "came from" };
            Words::of(format!(
                "{who} sent the {} at {} (message {at}) {what} {got}, but {} {asked} {wanted}.",
                r.label(at),
                r.time(at),
                r.the(request)
            ))
            .title(if what == "from" { "Response came from another address" } else { "Response went to another address" })
        }
        "TX-31" => Words::of(format!(
            "{who} sent {} with {} and a body of {} bytes.",
            r.a(at),
            r.quote(at, Name::ContentLength),
            r.get(at).map_or(0, |message| message.body().len())
        ))
        .title("Content-Length is missing or wrong"),
        "TX-32" => Words::of(format!(
            "{} sent {} to a second server although the first had taken it ({}).",
            r.sender(at),
            r.the(at),
            r.list(&f.because)
        ))
        .title("Both copies of a failover were taken"),
        _ => return None,
    })
}

/// The branch of the top Via.
fn branch(r: &Reading<'_>, n: u32) -> String {
    let branch =
        r.get(n).and_then(|message| message.top_via().ok()).and_then(|via| via.branch().map(str::to_owned));
    branch.unwrap_or_else(|| "none".to_owned())
}

/// How often a message was sent again, and until when, behind these words; nothing if it was not.
pub(super) fn again(r: &Reading<'_>, n: u32, words: &str) -> String {
    use midcall_proto::observer::{Kind, Repeat};
    let copies = r.call.messages.iter();
    let copies =
        copies.filter(|copy| matches!(copy.kind, Kind::Again { of, how: Repeat::Resent } if of == n));
    let (count, last) = copies.fold((0, n), |(count, _), copy| (count + 1, copy.n));
    let times = match count {
        0 => return String::new(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    };
    // A paste has no clock.
    if r.between(n, last).is_zero() {
        return format!("{words} {times}");
    }
    format!("{words} {times} until {}", r.time(last))
}

/// The name of who a message went to.
fn peer_of(r: &Reading<'_>, n: u32) -> String {
    r.name(r.by(n).other())
}

/// Where to look for an ACK that did not come.
fn ack_advice(r: &Reading<'_>, at: u32) -> String {
    let who = peer_of(r, at);
    if r.status(at) >= 300 {
        return format!(
            "Look for the ACK at {who}: it goes the way of the INVITE, from the same transaction. If it was sent, look what \
             swallows it; if not, {} does not send it.",
            r.product(r.by(at).other())
        );
    }
    format!(
        "Look for the ACK at {who}: it goes to {}{}. If it was sent, a wrong Contact, a lost route or NAT swallows it; if not, {} \
         does not send it.",
        r.contact(at),
        r.header(at, Name::RecordRoute).map_or_else(String::new, |route| format!(" along {route}")),
        r.product(r.by(at).other())
    )
}
