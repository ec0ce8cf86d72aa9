//! Where practice departs from the texts.

use midcall_proto::rules::Rule;

use super::{Words, advise, first};
use crate::diagnosis::read::Reading;
use crate::model::Finding;

/// What is told of a conflict is what midcall makes of it, with the message at which it came up.
pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    if f.code == "CF-28" {
        let request = first(f).or_else(|| r.request_of(f.at))?;
        return Some(
            Words::of(format!(
                "{} refused {}, which has no SDP and so nothing that could collide, with {} (message {}).",
                r.name(f.by),
                r.the(request),
                r.status(f.at),
                f.at
            ))
            .title("Early UPDATE without SDP was refused")
            .fix(advise(r, f.by, "Accept an UPDATE without SDP at any time of the call.")),
        );
    }
    let rule = Rule::by_code(f.code)?;
    Some(Words::of(format!("This came up in {}. {}", r.the(f.at), rule.means)))
}
