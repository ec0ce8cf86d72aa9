//! Session descriptions: an answer against its offer, a description against the last one of the same side.

use midcall_wire::sdp::{Media, Sdp};

use super::{Words, both, first};
use crate::diagnosis::read::{Reading, capital, codecs, kinds, shorten, voices};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    let sdp = r.sdp(at)?;
    let earlier = first(f);
    let last = earlier.filter(|n| r.by(*n) == f.by).or_else(|| r.earlier_sdp(at));
    let old = last.and_then(|n| r.sdp(n));
    let offered = earlier.and_then(|n| r.sdp(n));
    Some(match f.code {
        "OA-17" => Words::of(format!(
            "{peer} offered {} in {}, and {who} answered {} (message {at}).",
            kinds(&offered?),
            r.the(earlier?),
            kinds(&sdp)
        )),
        "OA-18" | "OA-45" => Words::of(format!(
            "The session had {} m-lines ({} in message {}), and {who}'s {} (message {at}) has {} ({}).",
            old.as_ref()?.media_count(),
            kinds(old.as_ref()?),
            last?,
            r.label(at),
            sdp.media_count(),
            kinds(&sdp)
        )),
        "OA-19" => Words::of(format!(
            "{who}'s {} (message {at}) lists {}, but {} listed {}.",
            r.label(at),
            kinds(&sdp),
            r.the(last?),
            kinds(old.as_ref()?)
        )),
        "OA-20" => {
            let offered = offered?;
            let (_, answer) =
                pairs(&offered, &sdp).find(|(offer, answer)| offer.rejected() && !answer.rejected())?;
            Words::of(format!(
                "{peer} offered {} with port 0 in {}, and {who} answered with port {} (message {at}).",
                answer.kind(),
                r.the(earlier?),
                answer.port()
            ))
        }
        "OA-23" => {
            let offered = offered?;
            let (offer, answer) = pairs(&offered, &sdp).find(|(offer, answer)| {
                !offer.rejected()
                    && !answer.rejected()
                    && !offer.direction().may_be_answered(answer.direction())
            })?;
            let hold = match (offer.direction().as_str(), answer.direction().as_str()) {
                ("sendonly", _) => {
                    format!(" {peer} asked for a hold, and {who} goes on sending or never learns of it.")
                }
                ("inactive", _) => format!(" {peer} wants no media at all."),
                _ => format!(
                    " Both would {}.",
                    if answer.direction().receives() { "only listen" } else { "only send" }
                ),
            };
            Words::of(format!(
                "{peer} offered {} {} in {}, and {who} answered {} (message {at}); allowed is {}.{hold}",
                offer.kind(),
                offer.direction(),
                r.the(earlier?),
                answer.direction(),
                match offer.direction().as_str() {
                    "sendonly" => "recvonly or inactive",
                    "recvonly" => "sendonly or inactive",
                    _ => "inactive",
                }
            ))
            .title(if offer.direction().as_str() == "sendonly" {
                "Hold was answered as if it were none"
            } else {
                "Answer direction does not fit the offer"
            })
        }
        "OA-25" => {
            let offered = offered?;
            let (offer, answer) = pairs(&offered, &sdp).find(|(offer, answer)| {
                let same = |a: &str, b: &str| match (offer.rtpmap(a), answer.rtpmap(b)) {
                    (Some(a), Some(b)) => a.name.eq_ignore_ascii_case(b.name) && a.clock == b.clock,
                    _ => a == b,
                };
                !answer.rejected() && !offer.formats().any(|a| answer.formats().any(|b| same(a, b)))
            })?;
            Words::of(format!(
                "{peer} offered {} with {} in {}, and {who} accepted it with {} (message {at}).",
                offer.kind(),
                codecs(&offer),
                r.the(earlier?),
                codecs(&answer)
            ))
        }
        "OA-27" => {
            let old = old.as_ref()?;
            let (number, before, now) = pairs(old, &sdp).find_map(|(before, now)| {
                now.formats().find_map(|format| {
                    let (a, b) = (before.rtpmap(format)?, now.rtpmap(format)?);
                    let moved = !a.name.eq_ignore_ascii_case(b.name) || a.clock != b.clock;
                    moved.then(|| (format.to_owned(), a.to_string(), b.to_string()))
                })
            })?;
            Words::of(format!(
                "In {who}'s {} (message {at}) payload number {number} stands for {now}; in {} it stood for {before}.",
                r.label(at),
                r.the(last?)
            ))
        }
        "OA-29" => Words::of(format!(
            "{who}'s {} at {} (message {at}) has \"o={}\", but {} had \"o={}\"{}.",
            r.label(at),
            r.time(at),
            origin(&sdp),
            last.map_or_else(|| "the last one".to_owned(), |n| r.the(n)),
            old.as_ref().map_or_else(String::new, origin),
            origin_fault(old.as_ref(), &sdp)
        )),
        "OA-30" => Words::of(format!(
            "{who}'s {} at {} (message {at}) keeps the version {} of {}, but the description differs: {}.",
            r.label(at),
            r.time(at),
            r.version(at),
            last.map_or_else(|| "the last one".to_owned(), |n| r.the(n)),
            old.as_ref().map_or_else(String::new, |old| difference(old, &sdp))
        )),
        "OA-31" => Words::of(format!(
            "{who}'s {} at {} (message {at}) has version {}, which {} had used up with another description, refused though it was.",
            r.label(at),
            r.time(at),
            r.version(at),
            last.map_or_else(|| "an earlier offer".to_owned(), |n| r.the(n))
        )),
        "OA-33" => Words::of(format!("{who}'s {} (message {at}) has \"o={}\".", r.label(at), origin(&sdp))),
        "OA-38" => Words::of(format!(
            "{peer} held the call with c=0.0.0.0 in {}, and {who} answered with the zero address as well (message {at}).",
            r.the(earlier?)
        )),
        "OA-39" => {
            let offered = offered?;
            let (offer, answer) = pairs(&offered, &sdp).find(|(offer, answer)| {
                let family = |media: &Media<'_>| media.connection_data().map(|c| c.address_type.to_owned());
                family(offer) != family(answer)
            })?;
            Words::of(format!(
                "{peer} offered {} at {} in {}, and {who} answered {} (message {at}).",
                offer.kind(),
                offer.connection().unwrap_or("no address"),
                r.the(earlier?),
                answer.connection().unwrap_or("no address")
            ))
        }
        "OA-43" => Words::of(format!(
            "{who} was asked for an offer and made one in {} with {}, none of which the session uses ({}).",
            r.the(at),
            voices(&sdp.media_at(0)?),
            old.as_ref().and_then(|old| old.media_at(0)).map(|media| voices(&media)).unwrap_or_default()
        )),
        "OA-46" => Words::of(format!(
            "{who}'s answer (message {at}) repeats the line \"o={}\" of {peer}'s offer in {}, with other content.",
            origin(&sdp),
            r.the(earlier?)
        )),
        "OA-47" => {
            let (kind, number) = sdp.media().filter(|media| !media.rejected()).find_map(|media| {
                let bare = media.formats().find(|format| media.is_rtp() && media.rtpmap(format).is_none())?;
                Some((media.kind(), bare))
            })?;
            Words::of(format!(
                "{who}'s {} (message {at}) lists payload number {number} for {kind} and has no a=rtpmap:{number} line.",
                r.label(at)
            ))
        }
        "OA-51" => {
            let old = old.as_ref()?;
            let (before, now) = pairs(old, &sdp).find(|(before, now)| {
                let changed = |name| before.inherited(name) != now.inherited(name);
                changed("ice-ufrag") != changed("ice-pwd")
            })?;
            let (changed, kept) = match before.inherited("ice-ufrag") == now.inherited("ice-ufrag") {
                true => ("password", "ufrag"),
                false => ("ufrag", "password"),
            };
            Words::of(format!(
                "{who}'s {} (message {at}) has a new ICE {changed} for {} but the old {kept} of {}.",
                r.label(at),
                now.kind(),
                r.the(last?)
            ))
        }
        "OA-52" => {
            let dead = sdp.media().find(|media| media.rejected() && media.has_attribute("candidate"))?;
            Words::of(format!(
                "{who}'s {} (message {at}) removes {} with port 0 and still lists ICE candidates for it.",
                r.label(at),
                dead.kind()
            ))
            .title("ICE candidates of a removed stream")
        }
        "OA-53" => Words::of(format!(
            "{peer} left the DTLS role open in {}, and {who}'s answer (message {at}) says a=setup:actpass again; nobody starts.",
            r.the(earlier?)
        )),
        "OA-54" => {
            let keys = |sdp: &Sdp| {
                let keys: Vec<_> = sdp
                    .media()
                    .flat_map(|media| {
                        media.crypto().map(|key| format!("{} {}", key.tag, key.suite)).collect::<Vec<_>>()
                    })
                    .collect();
                if keys.is_empty() { "no a=crypto".to_owned() } else { keys.join(", ") }
            };
            if let Some(old) =
                old.as_ref().filter(|old| earlier.is_none_or(|n| r.by(n) == f.by) && keys(old) == keys(&sdp))
            {
                return Some(
                    Words::of(format!(
                        "{who}'s {} (message {at}) moves to {} and keeps the SRTP key of {} ({}).",
                        r.label(at),
                        places(&sdp),
                        r.the(last?),
                        places(old)
                    ))
                    .title("SRTP key kept though the address moved"),
                );
            }
            Words::of(format!(
                "{who}'s {} (message {at}) has the SRTP key line \"{}\", and {} \"{}\".",
                r.label(at),
                keys(&sdp),
                earlier.or(last).map_or_else(String::new, |n| r.the(n)),
                keys(offered.as_ref().or(old.as_ref())?)
            ))
        }
        "OA-55" => {
            let offered = offered?;
            let (offer, answer) =
                pairs(&offered, &sdp).find(|(offer, answer)| offer.mid() != answer.mid())?;
            Words::of(format!(
                "{} calls {} \"a=mid:{}\", and {who}'s {} (message {at}) \"a=mid:{}\".",
                capital(&r.the(earlier?)),
                offer.kind(),
                offer.mid().unwrap_or("none"),
                r.label(at),
                answer.mid().unwrap_or("none")
            ))
        }
        "OA-56" => {
            Words::of(format!("{who}'s answer (message {at}) says a=rtcp-mux-only, which only an offer may."))
                .title("rtcp-mux-only in an answer")
        }
        "OA-57" => Words::of(format!(
            "telephone-event was agreed, and {who}'s {} at {} (message {at}) lists {} without it: DTMF stops working.",
            r.label(at),
            r.time(at),
            sdp.media().find(|media| !media.rejected()).map(|media| codecs(&media)).unwrap_or_default()
        )),
        _ => return None,
    })
}

/// The streams of two descriptions, place by place.
fn pairs<'a>(old: &'a Sdp, new: &'a Sdp) -> impl Iterator<Item = (Media<'a>, Media<'a>)> {
    old.media().zip(new.media())
}

/// Where the streams are: "192.0.2.1:4000".
fn places(sdp: &Sdp) -> String {
    let places: Vec<_> = sdp
        .media()
        .filter(|media| !media.rejected())
        .map(|media| format!("{}:{}", media.connection().unwrap_or("no address"), media.port()))
        .collect();
    places.join(", ")
}

/// An o= line without its `o=`.
fn origin(sdp: &Sdp) -> String {
    sdp.origin().map_or_else(|| "missing".to_owned(), |origin| shorten(&origin.to_string(), 100))
}

/// What is wrong with an o= line after another.
fn origin_fault(old: Option<&Sdp>, new: &Sdp) -> &'static str {
    match (old.and_then(Sdp::origin), new.origin()) {
        (Some(before), Some(now)) if !before.same_session(&now) => ": the session changed its name",
        _ if old.and_then(Sdp::version) > new.version() => ": the version went back",
        _ => ": the version jumped",
    }
}

/// The first line that differs between two descriptions, apart from the o= line.
fn difference(old: &Sdp, new: &Sdp) -> String {
    let lines = |sdp: &Sdp| {
        let text = String::from_utf8_lossy(sdp.as_bytes()).into_owned();
        text.lines()
            .map(str::trim_end)
            .filter(|line| !line.starts_with("o="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (old, new) = (lines(old), lines(new));
    let gone = old.iter().find(|line| !new.contains(line));
    let come = new.iter().find(|line| !old.contains(line));
    let cut = |line: &String| shorten(line, 80);
    match (gone, come) {
        (Some(gone), Some(come)) => format!("\"{}\" became \"{}\"", cut(gone), cut(come)),
        (Some(gone), None) => format!("\"{}\" is gone", cut(gone)),
        (None, Some(come)) => format!("\"{}\" is new", cut(come)),
        (None, None) => "the same lines in another order".to_owned(),
    }
}
