//! Error responses and security.

use midcall_wire::Name;

use super::{Words, advise, both, first};
use crate::diagnosis::read::{Reading, capital, seconds};
use crate::model::Finding;

pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let at = f.at;
    let (who, peer) = both(r, f);
    let refused = |missing: &str| {
        let request = first(f).or_else(|| r.request_of(at))?;
        Some(Words::of(format!(
            "{who} refused {} with {} (message {at}) without {missing}.",
            r.the(request),
            r.status(at)
        )))
    };
    Some(match f.code {
        "ER-03" => return super::gl::words(r, f),
        "ER-04" => {
            let request = first(f).or_else(|| r.request_of(at))?;
            Words::of(format!(
                "{who} refused {}, which has {}, with 420 (message {at}) without saying in Unsupported what it lacks.",
                r.the(request),
                r.quote(request, Name::Require)
            ))
        }
        "ER-05" => refused("an Allow")?,
        "ER-06" => refused("saying in Require which extension it wants")?,
        "ER-07" => refused("saying in Accept what it would take")?,
        "ER-10" => {
            let request = first(f)?;
            Words::of(format!(
                "{who}'s {} at {} (message {at}) has {}, but {} offered {}.",
                r.label(at),
                r.time(at),
                r.quote(at, Name::Require),
                r.the(request),
                r.quote(request, Name::Supported)
            ))
        }
        "SEC-04" => Words::of(format!(
            "{peer} refused {who}'s credentials in {}, and {who} sends the very same ones in {}.",
            r.the(first(f)?),
            r.the(at)
        )),
        "SEC-06" => Words::of(format!(
            "The call was set up with a sips address, and {who}'s {} at {} (message {at}) has the Contact {}.",
            r.label(at),
            r.time(at),
            r.contact(at)
        )),
        "SEC-07" => Words::of(format!("{who} sent {} with the Contact {}.", r.a(at), r.contact(at))),
        "ER-01" => return super::ri::words(r, f),
        "SEC-01" | "SEC-08" => {
            let request = if r.get(at).is_some_and(|message| message.is_request()) { at } else { first(f)? };
            let from = r.call.message(request).map_or_else(String::new, |message| message.from.to_string());
            match f.code {
                "SEC-01" => Words::of(format!(
                    "{} came from {from}, an address that has no part in this call.",
                    capital(&r.the(request))
                )),
                _ => Words::of(format!(
                    "{} came from {from}, an address that has no part in this call, and {who} accepted it with {} (message {at}) \
                     without asking for credentials.",
                    capital(&r.the(request)),
                    r.status(at)
                ))
                .title("Transfer accepted from a stranger"),
            }
        }
        "SEC-03" => Words::of(format!(
            "{} has credentials, and {who}'s ACK for it at {} (message {at}) has none.",
            capital(&r.the(first(f)?)),
            r.time(at)
        ))
        .title("ACK without the credentials of its INVITE")
        .fix(advise(r, f.by, "Repeat the credentials of the INVITE in its ACK.")),
        "SEC-05" => Words::of(format!(
            "{who} asks in {} for {}, and for nothing better than MD5.",
            r.the(at),
            r.quote(at, if r.status(at) == 407 { Name::ProxyAuthenticate } else { Name::WwwAuthenticate })
        ))
        .title("Digest with MD5 only"),
        "SEC-12" => Words::of(format!(
            "{who} asks in {} for media at an address that was never seen in this call: {}.",
            r.the(at),
            super::oa::described(r, at)
        ))
        .title("Media wanted at an address unknown to the call"),
        "SEC-14" => Words::of(format!(
            "{peer} refused the sips call in {}, and {who} tried it without protection {} later in {}.",
            r.the(first(f)?),
            seconds(r.between(first(f)?, at)),
            r.the(at)
        ))
        .title("Refused sips call tried again without"),
        _ => return None,
    })
}
