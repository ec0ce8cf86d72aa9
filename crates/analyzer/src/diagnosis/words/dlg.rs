//! Dialogs: identity, targets, routes, CSeq, the end.

use midcall_proto::rules::Severity;
use midcall_wire::{Message, Method, Name};

use super::{Words, advise, both, first, last_allow, second};
use crate::diagnosis::read::Reading;
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "DLG-01" => {
            let request = first(f)?;
            Words::of(format!(
                "{peer} sent {} with the Call-ID and both tags of this running call, and {who} answered 481 at {} \
                 (message {at}): {who} no longer knows the call.",
                r.a(request),
                r.time(at)
            ))
            .title("481 to a request of a running call")
            .fix(format!(
                "{}: find out why the call was forgotten (a restart, a failover, a second server without its state). \
                 {}: end the call with BYE.",
                r.product(f.by),
                r.product(f.by.other())
            ))
        }
        "DLG-02" => {
            let (told, known) = changed_tag(r, f)?;
            Words::of(format!(
                "{who} wrote the tag \"{known}\" as \"{told}\" in {}; {peer} may not recognise it.",
                r.the(at)
            ))
        }
        "DLG-06" => {
            let request = first(f)?;
            let count = |n: u32| r.get(n).map_or(0, |message| message.values(Name::RecordRoute).count());
            Words::of(format!(
                "The {} (message {request}) has {} Record-Route {}, and {who}'s {} at {} (message {at}) repeats {} of them: \
                 {}.",
                r.label(request),
                count(request),
                if count(request) == 1 { "value" } else { "values" },
                r.label(at),
                r.time(at),
                count(at),
                r.quote(at, Name::RecordRoute)
            ))
        }
        "DLG-07" => {
            let set = route_source(r, f)?;
            Words::of(format!(
                "{who} sent {} with {}, in the order of the Record-Route in {}; a caller has to reverse it.",
                r.a(at),
                r.quote(at, Name::Route),
                r.the(set)
            ))
        }
        "DLG-08" => {
            let success = first(f)?;
            Words::of(format!(
                "{who} sent {} to {}, a Contact from before the answer, although {} names {}.",
                r.a(at),
                r.uri(at),
                r.the(success),
                r.contact(success)
            ))
        }
        "DLG-09" => {
            let set = route_source(r, f)?;
            Words::of(format!(
                "{who} sent {} without Route, although {} recorded {}; the request passes by that proxy.",
                r.a(at),
                r.the(set),
                r.header(set, Name::RecordRoute).unwrap_or_default()
            ))
        }
        "DLG-11" if f.severity != Severity::Error => Words::of(format!(
            "{who} gave {} the CSeq number {}, which is below {}.",
            r.the(at),
            r.cseq(at),
            first(f).map_or_else(
                || "one that it had used before".to_owned(),
                |n| format!("{} of {}", r.cseq(n), r.the(n))
            )
        ))
        .title("CSeq number went back"),
        "DLG-11" => {
            let earlier = first(f).map_or_else(|| "an earlier request".to_owned(), |n| r.the(n));
            Words::of(format!(
                "{who} gave {} the CSeq number {}, which {earlier} already had.",
                r.the(at),
                r.cseq(at)
            ))
            .title("CSeq number used twice")
        }
        "DLG-12" if r.status(at) == 500 => {
            let request = r.request_of(at)?;
            Words::of(format!(
                "{peer} refused {} of {who} with 500 (message {at}): its CSeq {} is not above the last one that had come.",
                r.the(request),
                r.cseq(request)
            ))
            .title("Request with an old CSeq was refused")
            .fix(advise(r, f.by, "Count one sequence per dialog and direction."))
        }
        "DLG-12" => {
            let request = r.request_of(at)?;
            let last = f
                .because
                .iter()
                .copied()
                .filter(|n| *n != request)
                .map(|n| r.request_of(n).unwrap_or(n))
                .max_by_key(|n| r.cseq(*n));
            Words::of(format!(
                "{who} answered {} with {} although its CSeq {} is below {}, which {} had. It should have been 500.",
                r.the(request),
                r.status(at),
                r.cseq(request),
                last.map_or(0, |n| r.cseq(n)),
                last.map_or_else(|| "an earlier request".to_owned(), |n| r.the(n))
            ))
            .title("Request with an old CSeq was accepted")
            .fix(format!(
                "{}: refuse an old CSeq with 500 and change nothing. {}: count one sequence per dialog.",
                r.product(f.by),
                r.product(f.by.other())
            ))
        }
        "DLG-17" => {
            let refusal = first(f)?;
            let request = r.request_of(refusal).unwrap_or(refusal);
            Words::of(format!(
                "{who} sent {} to {}, the Contact of {}, which {who} had refused with {} (message {refusal}); \
                 the old Contact of {peer} still counts.",
                r.a(at),
                r.uri(at),
                r.the(request),
                r.status(refusal)
            ))
        }
        "DLG-18" => {
            let provisional = first(f)?;
            Words::of(format!(
                "{who} sent {} to {}, the Contact of {}, which was not sent reliably; {peer}'s Contact from before \
                 still counts.",
                r.a(at),
                r.uri(at),
                r.the(provisional)
            ))
        }
        "DLG-19" => {
            let moved = r.last_before(at, |own, message| {
                own.by == f.by.other()
                    && matches!(message.method(), Method::Invite | Method::Update)
                    && message.is_request()
            });
            let moved = moved.or_else(|| first(f))?;
            Words::of(format!(
                "{who} sent {} to {}, although {peer} had moved to {} in {} and {who} had confirmed that with a reliable \
                 response; the error that followed does not undo it.",
                r.a(at),
                r.uri(at),
                r.contact(moved),
                r.the(moved)
            ))
        }
        "DLG-22" => Words::of(format!("{who} sent {} without Contact.", r.a(at))),
        "DLG-24" if r.get(at).is_some_and(Message::is_response) => Words::of(format!(
            "{who} answered the ACK of {peer} with {} at {} (message {at}); nothing may answer an ACK.",
            r.status(at),
            r.time(at)
        ))
        .title("An ACK was answered")
        .fix(advise(r, f.by, "Drop an ACK that fits nothing in silence.")),
        "DLG-26" => {
            let success = second(f);
            let state = match success {
                Some(success) => format!("before the ACK for {}", r.the(success)),
                None => "while the call was still ringing".to_owned(),
            };
            Words::of(format!("{who}, who was called, sent BYE at {} (message {at}) {state}.", r.time(at)))
        }
        "DLG-30" => {
            let (refer, bye) = (first(f)?, second(f)?);
            let notify = r.request_of(at).unwrap_or(at);
            Words::of(format!(
                "{who} answered {} with {} (message {at}): the BYE (message {bye}) ended the call, but the subscription \
                 of {who}'s REFER (message {refer}) was still open, so the outcome of the transfer is lost.",
                r.the(notify),
                r.status(at)
            ))
            .title("NOTIFY after BYE refused, though still subscribed")
        }
        "DLG-31" => Words::of(format!("{who} sent {} to {peer}, {}.", r.a(at), last_allow(r, f))),
        "DLG-32" if r.get(at).is_some_and(Message::is_response) => Words::of(format!(
            "{who} refused {} with {} (message {at}) although the call was up. The call is over for {peer} all the same.",
            r.the(first(f)?),
            r.status(at)
        ))
        .title("BYE was refused")
        .fix(advise(r, f.by, "Answer a BYE of a call that is up with 200.")),
        "DLG-32" => {
            let bye = first(f)?;
            Words::of(format!(
                "{who} sent {} although the call was over for that side since its own BYE at {} (message {bye}).",
                r.a(at),
                r.time(bye)
            ))
            .title("New request after the sender's own BYE")
            .fix(advise(r, f.by, "Send nothing but the ACK of a 2xx once BYE is out, and drop what was still to be changed."))
        }
        "DLG-34" => {
            let message = r.get(at)?;
            let cseq = message.header(Name::CSeq).unwrap_or_default();
            Words::of(format!(
                "{who} sent a {} at {} (message {at}) whose headers do not fit the dialog: \"CSeq: {cseq}\", {}, {}.",
                message.request_uri().map_or("", |_| request_word(message)),
                r.time(at),
                r.quote(at, Name::From),
                r.quote(at, Name::To)
            ))
            .fix(advise(r, f.by, "Build From, To and CSeq from the dialog, and put the request's own method into CSeq."))
        }
        "DLG-03" => {
            let tag = |n: u32| r.get(n).and_then(|message| message.from().ok()).and_then(|from| from.tag().map(str::to_owned));
            match first(f).and_then(tag) {
                Some(earlier) => Words::of(format!(
                    "{who} gave {} the tag \"{}\", after \"{earlier}\" in {}.",
                    r.the(at),
                    tag(at).unwrap_or_default(),
                    first(f).map(|n| r.the(n))?
                )),
                None => Words::of(format!(
                    "{who} gave {} the tag \"{}\": it had used that tag in another call before, or counts its tags up.",
                    r.the(at),
                    tag(at).unwrap_or_default()
                )),
            }
            .title("Tag used again or counted up")
        }
        "DLG-05" => {
            let tag = |n: u32| r.get(n).and_then(|message| message.to().ok()).and_then(|to| to.tag().map(str::to_owned));
            let earlier = first(f)?;
            Words::of(format!(
                "{who}'s {} at {} (message {at}) has the To tag \"{}\", but {} had \"{}\" with the same Contact, and nothing \
                 shows a fork.",
                r.label(at),
                r.time(at),
                tag(at).unwrap_or_default(),
                r.the(earlier),
                tag(earlier).unwrap_or_default()
            ))
            .title("To tag changed without a fork")
        }
        "DLG-10" => Words::of(format!(
            "{who} sent {} with {}, which came in with {}; the route set is that of the call's first 2xx.",
            r.a(at),
            r.quote(at, Name::Route),
            r.the(first(f)?)
        )),
        "DLG-14" => Words::of(format!("{who} sent a request at {} (message {at}) with {}.", r.time(at), r.quote(at, Name::CSeq)))
            .title("CSeq is no number below 2^31")
            .fix(advise(r, f.by, "Count CSeq in decimal, from a number well below 2^31.")),
        "DLG-15" => {
            let (success, ack) = (first(f)?, second(f)?);
            Words::of(format!(
                "{} answered in {} and goes on sending it, although each copy gets its ACK (message {ack}, CSeq {}): the ACK is \
                 dropped or lost behind this tap.",
                r.sender(success),
                r.the(success),
                r.cseq(ack)
            ))
            .title("2xx goes on although it is acknowledged")
        }
        "DLG-20" => {
            let request = first(f).or_else(|| r.request_of(at))?;
            Words::of(format!(
                "{who} moved to {} and said so only in {}, the answer to {peer}'s {}, although nothing had kept it from \
                 sending a request before.",
                r.contact(at),
                r.the(at),
                r.label(request)
            ))
            .title("Move told only in an answer")
        }
        "DLG-23" => Words::of(format!(
            "{who} sent {} with {}, another URI than before, and {peer}, who never listed from-change, refused it with {} \
             (message {}).",
            r.a(at),
            r.quote(at, Name::From),
            r.status(first(f)?),
            first(f)?
        ))
        .title("New From for a peer that does not take it"),
        "DLG-28" => Words::of(format!(
            "A second branch answered in {}, and {who} sent no ACK for it.",
            r.the(at)
        ))
        .title("Second 2xx got no ACK"),
        _ => return None,
    })
}

/// The method as the start line has it.
fn request_word<'m>(message: &'m Message<&[u8]>) -> &'m str {
    let bytes = message.bytes();
    let end = bytes.iter().position(|byte| *byte == b' ').unwrap_or(0);
    bytes.get(..end).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or("request")
}

/// The tag as written, and as the dialog has it.
fn changed_tag(r: &Reading<'_>, f: &Finding) -> Option<(String, String)> {
    let message = r.get(f.at)?;
    let told = [message.from().ok()?.tag(), message.to().ok()?.tag()];
    let known =
        r.call.dialogs.iter().flat_map(|dialog| [dialog.caller_tag.clone(), dialog.callee_tag.clone()]);
    let known = known.chain([r.call.caller.tag.clone(), r.call.callee.tag.clone()]).collect::<Vec<_>>();
    told.into_iter().flatten().find_map(|told| {
        let own = known.iter().find(|known| known.eq_ignore_ascii_case(told) && *known != told)?;
        Some((told.to_owned(), own.clone()))
    })
}

/// The response that a route set was taken from.
fn route_source(r: &Reading<'_>, f: &Finding) -> Option<u32> {
    let success =
        |message: &Message<&[u8]>| message.status().is_some_and(|status| (200..300).contains(&status));
    r.last_before(f.at, |own, message| {
        own.by == f.by.other() && success(message) && message.count(Name::RecordRoute) > 0
    })
}
