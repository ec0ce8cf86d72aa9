//! A call as something to play.

use midcall_analyzer::export;
use midcall_analyzer::model::{Call, Finding};
use midcall_proto::observer::Party;
use midcall_proto::rules::Severity;

use crate::trouble::Trouble;

/// What a call is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Export {
    /// A ladder fixture.
    Ladder,
    /// A SIPp scenario of this party; without it, of the one that did wrong.
    Sipp(Option<Party>),
}

impl Export {
    /// Reads `ladder`, `sipp`, `sipp:caller` or `sipp:callee`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "ladder" => Ok(Self::Ladder),
            "sipp" => Ok(Self::Sipp(None)),
            "sipp:caller" => Ok(Self::Sipp(Some(Party::Caller))),
            "sipp:callee" => Ok(Self::Sipp(Some(Party::Callee))),
            _ => Err("say ladder, sipp, sipp:caller or sipp:callee".to_owned()),
        }
    }

    pub(super) fn of(self, call: &Call) -> Result<String, Trouble> {
        let written = match self {
            Self::Ladder => export::ladder(call, None),
            Self::Sipp(party) => {
                let guilty = worst(call).map(|finding| finding.by).filter(|by| *by != Party::Network);
                export::sipp(call, party.or(guilty).unwrap_or(Party::Caller))
            }
        };
        written.map_err(|why| {
            Trouble::not_started(
                format!("cannot write call {} as something to play", call.number),
                why.to_string(),
                "choose another call with --call-id",
            )
        })
    }
}

/// The call to be written: the one that is left, or the only one in which something went wrong.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// The first call, and the first one with the worst finding.
    best: Option<Box<Call>>,
    calls: u64,
    bad: u64,
}

impl Choice {
    pub(super) fn take(&mut self, call: Call) {
        self.calls += 1;
        self.bad += u64::from(call.worst() > Severity::Info);
        if self.best.as_ref().is_none_or(|best| best.worst() < call.worst()) {
            self.best = Some(Box::new(call));
        }
    }

    /// The call, and what to say about the others.
    pub(super) fn made(self) -> Option<(Box<Call>, Option<String>)> {
        let call = self.best?;
        let others = if self.bad > 1 { self.bad } else { self.calls };
        let told = (self.bad > 1 || self.bad == 0 && self.calls > 1)
            .then(|| format!("this is call {} of {others}; choose another one with --call-id", call.number));
        Some((call, told))
    }
}

fn worst(call: &Call) -> Option<&Finding> {
    call.findings.iter().rev().max_by_key(|finding| finding.severity)
}
