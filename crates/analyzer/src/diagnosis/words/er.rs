//! Error responses and security.

use midcall_wire::Name;

use super::{Words, both, first};
use crate::diagnosis::read::Reading;
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
        _ => return None,
    })
}
