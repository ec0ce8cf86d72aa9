//! Where practice departs from the texts.

use midcall_proto::rules::Rule;

use super::Words;
use crate::diagnosis::read::Reading;
use crate::model::Finding;

/// What is told of a conflict is what midcall makes of it, with the message at which it came up.
pub(super) fn words(r: &Reading<'_>, f: &Finding) -> Option<Words> {
    let rule = Rule::by_code(f.code)?;
    Some(Words::of(format!("This came up in {}. {}", r.the(f.at), rule.means)))
}
