//! Session timers.

use midcall_proto::observer::Kind;
use midcall_wire::{Message, Method, Name};

use super::{Words, advise, both, first, second};
use crate::diagnosis::read::{Reading, capital, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    let expires = |n: u32| r.quote(n, Name::SessionExpires);
    let min = |n: u32| r.quote(n, Name::MinSe);
    Some(match f.code {
        "ST-01" | "ST-30" => {
            let listed = r.last_before(at, |own, message| {
                own.by == f.by && message.has_option(Name::Supported, "timer")
            });
            Words::of(format!(
                "{who} sent {} with {}, but had listed timer in {}.",
                r.a(at),
                r.quote(at, Name::Supported),
                listed.map_or_else(|| "an earlier message".to_owned(), |n| r.the(n))
            ))
        }
        "ST-02" => Words::of(format!(
            "{who} sent {} with {}.",
            r.a(at),
            if r.header(at, Name::SessionExpires).is_some() && !(r.status(at) / 100 == 2 && r.header(at, Name::MinSe).is_some()) { expires(at) } else { min(at) }
        )),
        "ST-03" => {
            let words = Words::of(format!("{who} sent {} with {} and {}.", r.a(at), expires(at), min(at)));
            match r.status(at) {
                0 => words,
                _ => words.fix(advise(r, f.by, "Answer with an interval of at least 90 s.")),
            }
        }
        "ST-04" => Words::of(format!("{who} sent {} with {} and {}.", r.a(at), expires(at), min(at))),
        "ST-05" => Words::of(format!(
            "{who}'s {} at {} (message {at}) says {} and hands the refreshing to the other side again; {} had handed it over \
             before, and {} set it last.",
            r.label(at),
            r.time(at),
            expires(at),
            first(f).map(|n| r.the(n))?,
            second(f).or_else(|| first(f)).map(|n| r.the(n))?
        )),
        "ST-06" => Words::of(format!(
            "{who} refused {} with 422 (message {at}) and {}; the request has {}.",
            r.the(first(f).or_else(|| r.request_of(at))?),
            min(at),
            r.quote(first(f).or_else(|| r.request_of(at))?, Name::Supported)
        )),
        "ST-07" => Words::of(format!(
            "{peer} had refused with 422 and {} (message {}), and {who} tried again in {} with {} and {}.",
            min(first(f)?),
            first(f)?,
            r.the(at),
            expires(at),
            min(at)
        )),
        "ST-08" => Words::of(format!(
            "{who} was told {} in {} and sends {} with {}.",
            min(first(f)?),
            r.the(first(f)?),
            r.the(at),
            min(at)
        )),
        "ST-09" => {
            let request = first(f)?;
            let seconds = |n: u32| {
                r.get(n).and_then(|message| message.session_expires()).and_then(Result::ok).map_or(0, |it| it.seconds)
            };
            Words::of(format!(
                "{} asked for {} with {}, and {who} answered {} (message {at}).",
                capital(&r.the(request)),
                expires(request),
                min(request),
                expires(at)
            ))
            .title(if seconds(at) < seconds(request) {
                "UAS answered less than the minimum interval"
            } else {
                "UAS raised the session interval"
            })
        }
        "ST-10" => Words::of(format!(
            "{who} answered {} with {}{}.",
            r.request_of(at).or_else(|| first(f)).map(|n| r.the(n))?,
            expires(at),
            match r.request_of(at).or_else(|| first(f)).and_then(|n| r.header(n, Name::SessionExpires)) {
                Some(asked) if asked.contains("refresher") => format!("; asked was \"{asked}\""),
                _ => ", without saying who refreshes".to_owned(),
            }
        )),
        "ST-11" => Words::of(format!(
            "{who}'s {} at {} (message {at}) makes {peer} refresh ({}) without \"Require: timer\".",
            r.label(at),
            r.time(at),
            expires(at)
        )),
        "ST-15" | "ST-12" => {
            let set = first(f).unwrap_or(at);
            let bye = r.get(at).is_some_and(|message| message.method() == Method::Bye);
            if bye {
                return Some(
                    Words::of(format!(
                        "{} set a timer ({}) that {who} had to keep although it had not asked for one; no refresh came, and the \
                         call ended in {}.",
                        capital(&r.the(set)),
                        expires(set),
                        r.the(at)
                    ))
                    .title("Timer that was not asked for was ignored"),
                );
            }
            if set == at {
                let interval = r
                    .get(at)
                    .and_then(|message| message.session_expires())
                    .and_then(Result::ok)
                    .map_or(0, |it| it.seconds);
                Words::of(format!(
                    "{} set the session to {interval} s ({}), and {who} had to refresh it; no refresh came by here before it ran out.",
                    capital(&r.the(at)),
                    expires(at)
                ))
                .title("Session was never refreshed")
            } else {
                Words::of(format!(
                    "{who} had to refresh the session that {} set ({}), best after half of that, and did so only {} later in {}.",
                    r.the(set),
                    expires(set),
                    seconds(r.between(set, at)),
                    r.the(at)
                ))
                .title("Session was refreshed late")
            }
        }
        "ST-18" => Words::of(format!(
            "A session timer runs since {} ({}), and {who}'s {} at {} (message {at}) has no Session-Expires, which switches it off.",
            r.the(first(f)?),
            expires(first(f)?),
            r.label(at),
            r.time(at)
        )),
        "ST-19" => Words::of(format!(
            "A session timer runs since {} ({}), and {who}'s {} at {} (message {at}) asks for {}.",
            r.the(first(f)?),
            expires(first(f)?),
            r.label(at),
            r.time(at),
            expires(at)
        )),
        "ST-21" => {
            let last = r.earlier_sdp(at)?;
            Words::of(format!(
                "{who}'s {} at {} (message {at}) repeats the description of {} but raises its version from {} to {}.",
                r.label(at),
                r.time(at),
                r.the(last),
                r.version(last),
                r.version(at)
            ))
        }
        "ST-29" => Words::of(format!(
            "{who}'s {} at {} (message {at}) makes {peer} refresh ({}), but {} has {}: nobody will refresh.",
            r.label(at),
            r.time(at),
            expires(at),
            r.the(first(f)?),
            r.quote(first(f)?, Name::Supported)
        ))
        .title("Refreshing left to a side without timers"),
        "ST-13" => {
            let (set, off) = (first(f)?, second(f)?);
            Words::of(format!(
                "{} set a timer ({}), {} has no Session-Expires and switched it off, and {who} hung up in {} as if it still ran.",
                capital(&r.the(set)),
                expires(set),
                r.the(off),
                r.the(at)
            ))
        }
        "ST-16" => {
            let set = first(f)?;
            let refused = refused_refresh(r, f, set);
            let refresh = match refused {
                Some((refresh, refusal)) => format!(
                    "and its refresh in {} was refused with {} (message {refusal})",
                    r.the(refresh),
                    r.status(refusal)
                ),
                None => "and no refresh came by here".to_owned(),
            };
            Words::of(format!(
                "{} hung up in {}: {} had set the session to {}, {who} had to refresh it, {refresh}.",
                r.sender(at),
                r.the(at),
                r.the(set),
                expires(set)
            ))
            .title(match refused {
                Some(_) => "Hung up because the refresh was refused",
                None => "Hung up because nobody refreshed",
            })
        }
        "ST-17" => {
            let refusal = f.because.iter().copied().rfind(|n| r.status(*n) >= 300);
            let refused = match refusal {
                Some(refusal) => format!("was refused with {} (message {refusal})", r.status(refusal)),
                None => "failed".to_owned(),
            };
            let wait = refusal.map_or_else(String::new, |refusal| format!(" {} later", seconds(r.between(refusal, at))));
            match r.get(at).map(Message::method) {
                Some(Method::Bye) => Words::of(format!(
                    "{who}'s refresh {refused}, and {who} hung up{wait} (message {at}) instead of trying again before the session \
                     runs out."
                ))
                .title("Refresh given up too soon"),
                _ => Words::of(format!("{who}'s refresh {refused}, and {who} tried again only{wait} in {}.", r.the(at)))
                    .title("Refresh tried again without pause"),
            }
        }
        "ST-24" => Words::of(format!(
            "{} came from neither side's place just when the session interval ran out: something between the two ended the call \
             ({}).",
            capital(&r.the(at)),
            r.list(&f.because)
        ))
        .title("Something in the middle ended the call at expiry"),
        "ST-25" => Words::of(format!(
            "{who}'s refresh in {} met that of the other side again ({}).",
            r.the(at),
            r.list(&f.because)
        )),
        _ => return None,
    })
}

/// The last refresh of the side that had to, since the timer was set, if it was refused: the request and its refusal.
fn refused_refresh(r: &Reading<'_>, f: &Finding, set: u32) -> Option<(u32, u32)> {
    let refresh = r.last_before(f.at, |own, message| {
        own.n > set
            && own.by == f.by
            && message.is_request()
            && matches!(message.method(), Method::Invite | Method::Update)
            && !matches!(own.kind, Kind::Again { .. })
    })?;
    let refusal = r.final_of(refresh).filter(|n| *n < f.at && r.status(*n) >= 300)?;
    Some((refresh, refusal))
}
