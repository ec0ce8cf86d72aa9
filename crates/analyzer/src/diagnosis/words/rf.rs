//! Transfer.

use midcall_wire::{Method, Name};

use super::{Words, advise, both, first, last_allow, second};
use crate::diagnosis::read::{Reading, capital, seconds, shorten};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "RF-01" => {
            let count = |name| r.get(at).map_or(0, |message| message.count(name));
            Words::of(format!(
                "{who} sent {} with {} Refer-To and {} Contact.",
                r.a(at),
                count(Name::ReferTo),
                count(Name::Contact)
            ))
        }
        "RF-04" => Words::of(format!(
            "{who} took {} to answer {} with {} (message {at}).",
            seconds(r.between(first(f)?, at)),
            r.the(first(f)?),
            r.status(at)
        )),
        "RF-05" => {
            let refer = r.request_of(at).unwrap_or(at);
            Words::of(format!(
                "{who} accepted {} ({}) with {} at {} (message {at}) and then sent no NOTIFY: {peer} does not learn what becomes \
                 of the transfer.",
                r.the(refer),
                r.quote(refer, Name::ReferTo),
                r.status(at),
                r.time(at)
            ))
        }
        "RF-06" => {
            let missing = [
                (r.header(at, Name::Event).is_none(), "Event"),
                (r.header(at, Name::SubscriptionState).is_none(), "Subscription-State"),
                (!body(r, at).starts_with("SIP/2.0 "), "a body that begins with a status line"),
            ];
            let missing: Vec<_> = missing.iter().filter(|(gone, _)| *gone).map(|(_, what)| *what).collect();
            Words::of(format!("{who} sent {} without {}.", r.a(at), missing.join(" and ")))
        }
        "RF-07" => Words::of(format!(
            "{who}'s NOTIFY at {} (message {at}) says {} without id, although {} was the second REFER of the call.",
            r.time(at),
            r.quote(at, Name::Event),
            r.the(first(f)?)
        )),
        "RF-08" if r.get(at).is_some_and(|message| message.method() == Method::Refer) => {
            let told = match last_report(r, f) {
                Some(n) => {
                    format!("the last word on the transfer is \"{}\" in {}", status_line(r, n), r.the(n))
                }
                None => "no NOTIFY came by here".to_owned(),
            };
            Words::of(format!(
                "{} sent {} ({}), and {who} never reported how the transfer ended: {told}.",
                r.sender(at),
                r.a(at),
                r.quote(at, Name::ReferTo)
            ))
        }
        "RF-08" | "RF-37" => Words::of(format!(
            "{who}'s NOTIFY at {} (message {at}) ended the subscription of {} with {}, and the last word on the transfer is \"{}\".",
            r.time(at),
            r.the(first(f)?),
            r.quote(at, Name::SubscriptionState),
            status_line(r, at)
        )),
        "RF-09" => {
            Words::of(format!("{who} sent {} with {}.", r.a(at), r.quote(at, Name::SubscriptionState)))
        }
        "RF-10" => Words::of(format!(
            "{who} sent {} only {} after {}.",
            r.a(at),
            seconds(r.between(first(f)?, at)),
            r.the(first(f)?)
        )),
        "RF-12" => {
            let contact = r.last_with(at, f.by.other(), Name::Contact);
            Words::of(format!(
                "{who} sent {} within the call, although {peer}'s Contact is a GRUU: {}.",
                r.a(at),
                contact.map_or_else(|| "seen before".to_owned(), |n| r.contact(n))
            ))
        }
        "RF-14" => Words::of(format!(
            "{peer} asked in {} for no NOTIFY ({}), {who} granted it (message {}), and sent {} all the same.",
            r.the(first(f)?),
            r.quote(first(f)?, Name::ReferSub),
            second(f)?,
            r.a(at)
        )),
        "RF-15" => Words::of(format!(
            "{} has {}, and {who}'s {} (message {at}) names no place to subscribe.",
            capital(&r.the(first(f)?)),
            r.quote(first(f)?, Name::Require),
            r.status(at)
        )),
        "RF-22" => Words::of(format!(
            "{who} sent {} with {}; behind the ? nothing is escaped.",
            r.a(at),
            r.quote(at, Name::ReferTo)
        )),
        "RF-30" => Words::of(format!(
            "{who} refused {} with {} (message {at}), a code that says that the whole call is broken.",
            r.the(first(f)?),
            r.status(at)
        )),
        "RF-34" => Words::of(format!(
            "{who}'s NOTIFY at {} (message {at}) tells more than \"{}\": \"{}\".",
            r.time(at),
            status_line(r, at),
            body(r, at).lines().nth(1).map(|line| shorten(line, 100)).unwrap_or_default()
        )),
        "RF-39" => Words::of(format!("{who} sent {} and lists no NOTIFY: {}.", r.a(at), own_allow(r, f)))
            .fix(advise(r, f.by, "List REFER and NOTIFY in Allow of every message that has one.")),
        "RF-03" => Words::of(format!("{who} sent {} to {peer}, {}.", r.a(at), last_allow(r, f))),
        "RF-21" => Words::of(format!(
            "{who} sent {} with {} and {}, which does not list replaces.",
            r.a(at),
            r.quote(at, Name::Replaces),
            r.quote(at, Name::Supported)
        ))
        .title("Takeover without listing replaces"),
        "RF-25" => {
            let report = second(f).unwrap_or(at);
            Words::of(format!(
                "The transfer that {} asked for failed (\"{}\", message {report}), and {who} hung up {} later (message {at}) although \
                 the old call was still there.",
                r.the(first(f)?),
                status_line(r, report),
                seconds(r.between(report, at))
            ))
        }
        "RF-27" => Words::of(format!("{who} sent {} with {}.", r.a(at), r.quote(at, Name::ReferredBy)))
            .title("Referred-By more than once"),
        "RF-33" => Words::of(format!(
            "The call was set up with a sips address, and {who} accepted {} with {}, which has none.",
            r.the(first(f)?),
            r.quote(first(f)?, Name::ReferTo)
        )),
        _ => return None,
    })
}

/// The last NOTIFY of the side that was asked, on the REFER that a finding is about.
fn last_report(r: &Reading<'_>, f: &Finding) -> Option<u32> {
    let id = format!("id={}", r.cseq(f.at));
    let own = |n: u32| {
        let event = r.header(n, Name::Event).unwrap_or_default();
        !event.contains("id=") || event.split(';').any(|part| part.trim() == id)
    };
    let notifies = r.originals().filter(|(message, parsed)| {
        message.n > f.at && message.by == f.by && parsed.is_request() && parsed.method() == Method::Notify
    });
    notifies.map(|(message, _)| message.n).filter(|n| own(*n)).last()
}

fn own_allow(r: &Reading<'_>, f: &Finding) -> String {
    match r.header(f.at, Name::Allow) {
        Some(allow) => format!("\"Allow: {allow}\""),
        None => match r.last_with(f.at, f.by, Name::Allow) {
            Some(n) => format!("{} (message {n})", r.quote(n, Name::Allow)),
            None => "no Allow at all".to_owned(),
        },
    }
}

fn body(r: &Reading<'_>, n: u32) -> String {
    r.get(n).map(|message| String::from_utf8_lossy(message.body()).into_owned()).unwrap_or_default()
}

/// The status line that a NOTIFY reports.
pub(super) fn status_line(r: &Reading<'_>, n: u32) -> String {
    body(r, n).lines().next().map(|line| shorten(line.trim_start_matches("SIP/2.0 "), 60)).unwrap_or_default()
}
