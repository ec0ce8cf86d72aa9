//! The one table of rules: what SIP demands of a call that is set up and then changed.
//!
//! Every rule has a short code such as `UP-13`. The UA's refusals, its automatic replies, the analyzer's
//! findings, `midcall rules` and `docs/rules.md` all read this table. There is one file per family, and the
//! order within a family is the order of the codes, so [`RuleId`] and table always agree.
//!
//! The functions that find a breach live in [`check`], keyed by [`RuleId`]; a rule that needs none says in
//! [`Rule::held`] what keeps it.

mod bb;
mod cf;
pub mod check;
mod dlg;
mod er;
mod gl;
mod id;
mod markdown;
pub(crate) mod methods;
mod oa;
mod oa_media;
mod pr;
mod rc;
mod rf;
mod ri;
mod sec;
mod st;
mod sv;
#[cfg(test)]
mod tests;
mod text;
mod told;
mod tx;
mod up;

use std::fmt;

pub use id::RuleId;
pub use markdown::markdown;
pub use text::explain;

/// One rule: where it comes from, what it means, how to cure a breach and what holds it.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The name for code.
    pub id: RuleId,
    /// The short name for everyone, such as `UP-13`; never reused.
    pub code: &'static str,
    /// A plain title of at most eight words.
    pub title: &'static str,
    /// How strongly the texts demand it; where they grade it, the strongest word.
    pub level: Level,
    /// The strongest claim that a reader of the wire may make about it.
    pub severity: Severity,
    /// The sections it rests on; empty only for practice and for our own decisions.
    pub cites: &'static [Cite],
    /// What the rule says or what goes wrong, in our own words.
    pub means: &'static str,
    /// The cure.
    pub fix: &'static str,
    /// What the receiver of the offending message owes, if it owes something.
    pub reply: Option<Reply>,
    /// Whether a packet missing from a capture could look like a breach.
    pub loss: bool,
    /// What makes midcall keep it.
    pub held: Held,
}

impl Rule {
    /// Finds a rule by its code, in any case.
    ///
    /// ```
    /// use midcall_proto::rules::{Rule, RuleId};
    /// assert_eq!(Rule::by_code("up-13").map(|rule| rule.id), Some(RuleId::UpdateCrossesOurOffer));
    /// assert!(Rule::by_code("UP-99").is_none());
    /// ```
    #[must_use]
    pub fn by_code(code: &str) -> Option<&'static Self> {
        all().find(|rule| rule.code.eq_ignore_ascii_case(code))
    }

    /// The letters before the dash, such as `UP`.
    #[must_use]
    pub fn family(&self) -> &'static str {
        self.code.split_once('-').map_or(self.code, |(family, _)| family)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

impl RuleId {
    /// The row of this rule.
    #[must_use]
    pub const fn rule(self) -> &'static Rule {
        TABLE[self as usize]
    }

    /// The short code, such as `UP-13`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.rule().code
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// All rules, family by family, in the order of their codes.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    TABLE.iter().copied()
}

/// How strongly a rule is demanded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Level {
    /// RFC 2119 MUST.
    Must,
    /// RFC 2119 MUST NOT.
    MustNot,
    /// RFC 2119 SHOULD.
    Should,
    /// RFC 2119 SHOULD NOT.
    ShouldNot,
    /// RFC 2119 RECOMMENDED.
    Recommended,
    /// RFC 2119 NOT RECOMMENDED.
    NotRecommended,
    /// RFC 2119 MAY.
    May,
    /// Advice of an informational RFC.
    Advice,
    /// Best current practice.
    Bcp,
    /// Follows from several texts read together.
    Derived,
    /// What the field does; no text says it.
    Practice,
    /// A fact or definition that other rules need.
    Note,
}

impl Level {
    /// The level as people say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::MustNot => "MUST NOT",
            Self::Should => "SHOULD",
            Self::ShouldNot => "SHOULD NOT",
            Self::Recommended => "RECOMMENDED",
            Self::NotRecommended => "NOT RECOMMENDED",
            Self::May => "MAY",
            Self::Advice => "advice",
            Self::Bcp => "best practice",
            Self::Derived => "derived",
            Self::Practice => "field practice",
            Self::Note => "note",
        }
    }

    /// The level in a few words, for help texts.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Must => "demanded (MUST)",
            Self::MustNot => "forbidden (MUST NOT)",
            Self::Should => "expected (SHOULD)",
            Self::ShouldNot => "discouraged (SHOULD NOT)",
            Self::Recommended => "recommended (RECOMMENDED)",
            Self::NotRecommended => "advised against (NOT RECOMMENDED)",
            Self::May => "allowed (MAY)",
            Self::Advice => "advice of an informational RFC",
            Self::Bcp => "best current practice",
            Self::Derived => "follows from several texts",
            Self::Practice => "field practice, no RFC text",
            Self::Note => "a fact that other rules need",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How bad a breach is, at most, when seen on the wire; ordered, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Not visible on the wire.
    None,
    /// A fact worth a line.
    Info,
    /// A likely fault or a risk.
    Warning,
    /// A violation.
    Error,
}

impl Severity {
    /// The word that reports use: `error`, `warning`, `info` or `none`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A section of an RFC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cite {
    /// The number of the RFC.
    pub rfc: u16,
    /// The section, such as `5.2`, or the letter of an appendix.
    pub section: &'static str,
}

impl Cite {
    /// Names a section.
    #[must_use]
    pub const fn new(rfc: u16, section: &'static str) -> Self {
        Self { rfc, section }
    }
}

impl fmt::Display for Cite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {} §{}", self.rfc, self.section)
    }
}

/// What the receiver of an offending message owes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reply {
    /// This status code.
    Status(u16),
    /// 500 with a random Retry-After of at most ten seconds.
    RetryAfter,
    /// Nothing: the message is dropped.
    Drop,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::RetryAfter => f.write_str("500 with Retry-After"),
            Self::Drop => f.write_str("none, the message is dropped"),
        }
    }
}

/// What makes midcall keep a rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Held {
    /// A function looks for breaches, in what we are about to send and in what we receive or read.
    Check,
    /// A state machine keeps it by construction; its module is named.
    Machine(&'static str),
    /// Parsing or printing keeps it; the module is named.
    Wire(&'static str),
    /// A setting or a fixed decision of ours.
    Policy(&'static str),
    /// Nothing yet, for the reason named.
    Open(&'static str),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check => f.write_str("check"),
            Self::Machine(module) => write!(f, "machine: {module}"),
            Self::Wire(module) => write!(f, "wire: {module}"),
            Self::Policy(what) => write!(f, "policy: {what}"),
            Self::Open(why) => write!(f, "open: {why}"),
        }
    }
}

/// The tables of all families, in the order of [`RuleId`].
const FAMILIES: &[&[Rule]] = &[
    dlg::TABLE,
    tx::TABLE,
    oa::TABLE,
    oa_media::TABLE,
    ri::TABLE,
    up::TABLE,
    gl::TABLE,
    pr::TABLE,
    st::TABLE,
    rf::TABLE,
    rc::TABLE,
    sv::TABLE,
    bb::TABLE,
    er::TABLE,
    sec::TABLE,
    cf::TABLE,
];

/// All rows, so that a [`RuleId`] is an index. Built by the compiler, which also checks the order.
static TABLE: [&Rule; RuleId::COUNT] = {
    let mut table: [&Rule; RuleId::COUNT] = [&FAMILIES[0][0]; RuleId::COUNT];
    let (mut family, mut next) = (0, 0);
    while family < FAMILIES.len() {
        let mut row = 0;
        while row < FAMILIES[family].len() {
            table[next] = &FAMILIES[family][row];
            assert!(table[next].id as usize == next, "a rule is out of order");
            next += 1;
            row += 1;
        }
        family += 1;
    }
    assert!(next == RuleId::COUNT, "a rule has no row");
    table
};
