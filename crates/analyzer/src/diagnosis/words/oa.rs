//! Offers and answers: where they ride, and in which order.

use midcall_wire::Name;

use super::{Words, advise, both, first, second};
use crate::diagnosis::read::{Reading, codecs};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    Some(match f.code {
        "OA-01" if r.status(at) != 0 => {
            let (update, invite) = (first(f)?, f.because.get(1).copied()?);
            Words::of(format!(
                "{who} accepted {} although {peer}'s offer in {} was still unanswered: two exchanges ran at once.",
                r.the(invite),
                r.the(update)
            ))
            .title("re-INVITE accepted over an open UPDATE")
            .fix(advise(r, f.by, "Refuse a re-INVITE with 500 and Retry-After while an UPDATE of the same side waits for its answer."))
        }
        "OA-01" => {
            let offer = first(f)?;
            let owner = match r.by(offer) == f.by {
                true => "its last offer".to_owned(),
                false => format!("{peer}'s offer"),
            };
            Words::of(format!(
                "{who} made an offer in {} while {owner} in {} was still unanswered.",
                r.the(at),
                r.the(offer)
            ))
            .title("New offer while another was open")
            .fix(advise(r, f.by, "Wait for the answer or the refusal, then derive the next offer from what is agreed."))
        }
        "OA-02" => {
            let invite = first(f)?;
            Words::of(format!(
                "{peer} sent {} without SDP, so {who} had to make the offer, and {} has none: nobody has said where media goes.",
                r.the(invite),
                r.the(at)
            ))
        }
        "OA-03" => {
            let preview = first(f).and_then(|invite| {
                r.next_after(invite, |own, message| {
                    own.n < at && own.by == f.by && message.status().is_some_and(|status| status < 200) && message.sdp().is_some()
                })
            });
            match preview {
                Some(preview) => Words::of(format!(
                    "{who} sent SDP only in {}, which is not reliable, and then {} without SDP: the offer in {} was never answered.",
                    r.the(preview),
                    r.the(at),
                    first(f).map_or_else(String::new, |invite| r.the(invite))
                )),
                None => Words::of(format!(
                    "{who} accepted {} with {} without SDP: the offer was never answered.",
                    first(f).map_or_else(String::new, |invite| r.the(invite)),
                    r.the(at)
                ))
                .title("2xx without the answer"),
            }
        }
        "OA-04" => {
            let before = first(f)?;
            Words::of(format!(
                "{who}'s {} (message {at}) describes {}, but {} had described {}; {peer} keeps the first.",
                r.label(at),
                described(r, at),
                r.the(before),
                described(r, before)
            ))
        }
        "OA-05" => Words::of(format!(
            "{who} had answered in {} already and repeats SDP in {}.",
            r.the(first(f)?),
            r.the(at)
        )),
        "OA-06" => Words::of(format!(
            "{peer} sent {} without SDP, and {who}'s first reliable response to it, {}, makes no offer.",
            r.the(first(f)?),
            r.the(at)
        )),
        "OA-07" => Words::of(format!(
            "{who} got an offer in {} and sent {} without an answer, so {peer} does not know where to send media.",
            r.the(first(f)?),
            r.the(at)
        ))
        .title(&format!("{} lacks the answer", r.label(at))),
        "OA-08" => Words::of(format!(
            "{peer} made an offer in {}, and {who} accepted it with {} without an answer.",
            r.the(first(f)?),
            r.the(at)
        ))
        .title(&format!("{} without the answer", r.label(at))),
        "OA-09" => Words::of(format!(
            "The exchange of this INVITE was finished with {}, and {who} describes something else in {}.",
            r.the(first(f)?),
            r.the(at)
        )),
        "OA-10" => {
            let invite = first(f)?;
            Words::of(format!(
                "{who}'s ACK at {} (message {at}) has SDP, although the offer in {} had been answered; {peer} ignores it.",
                r.time(at),
                r.the(invite)
            ))
        }
        "OA-48" => Words::of(format!(
            "{who} refused {} with {} (message {at}), although it has no SDP that could be refused.",
            r.the(first(f)?),
            r.status(at)
        )),
        "OA-50" => Words::of(format!(
            "{who}'s {} at {} (message {at}) has {}.",
            r.label(at),
            r.time(at),
            r.quote(at, Name::ContentDisposition)
        )),
        "OA-35" => {
            let offer = first(f)?;
            Words::of(format!(
                "{peer} put the call on hold in {} (sendonly), and {who} answered inactive (message {at}) without having \
                 asked for a hold itself.",
                r.the(offer)
            ))
        }
        "OA-36" => {
            let answer = first(f)?;
            Words::of(format!(
                "{who} offers recvonly in {}: that is what {who} answered to {peer}'s hold in {}, not a wish of its own, \
                 so the call stays mute.",
                r.the(at),
                r.the(answer)
            ))
            .fix(advise(r, f.by, "Offer what this side itself wants, normally sendrecv, whatever it last answered."))
        }
        "OA-13" => Words::of(format!(
            "{who} did not like the offer in {} and sent {} without an answer before hanging up.",
            r.the(first(f)?),
            r.the(at)
        )),
        "OA-14" => Words::of(format!(
            "{who} and {peer} offer the same two descriptions in turn, again and again, last in {} ({}).",
            r.the(at),
            r.list(&f.because)
        ))
        .title("Two descriptions offered in turn for ever")
        .fix("Both: leave the session as it is once the own wish was refused or changed back."),
        "OA-32" => Words::of(format!(
            "{peer}'s offer in {} differs from its last one, and {who} answered (message {at}) as if nothing had changed.",
            r.the(first(f)?)
        ))
        .title("Changed offer was taken for a repetition"),
        "OA-37" => {
            let (wanted, asked) = (first(f)?, second(f)?);
            Words::of(format!(
                "{peer} asked for an offer in {}, and {who} offered only what was agreed, {} (message {at}), not what it had \
                 wanted in {}: {}.",
                r.the(asked),
                described(r, at),
                r.the(wanted),
                described(r, wanted)
            ))
            .title("Offer on request only repeats the last answer")
        }
        "OA-49" => Words::of(format!(
            "{who} refused {} with 415 (message {at}), although every part that it may not know was marked as optional.",
            r.the(first(f)?)
        ))
        .title("Optional body part was refused"),
        _ => return None,
    })
}

/// What a description describes, in short: "audio with PCMA, opus (sendonly)".
pub(super) fn described(r: &Reading<'_>, n: u32) -> String {
    let Some(sdp) = r.sdp(n) else { return "nothing".to_owned() };
    let streams: Vec<_> = sdp
        .media()
        .map(|media| match media.rejected() {
            true => format!("{} with port 0", media.kind()),
            false => format!(
                "{} {} with {} at {}:{}",
                media.kind(),
                media.direction(),
                codecs(&media),
                media.connection().unwrap_or("no address"),
                media.port()
            ),
        })
        .collect();
    if streams.is_empty() { "no stream".to_owned() } else { streams.join(" and ") }
}
