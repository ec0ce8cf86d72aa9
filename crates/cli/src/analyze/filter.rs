//! Which calls and findings are shown.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use midcall_analyzer::model::{Call, Finding, Person};
use midcall_proto::observer::{Kind, Party};
use midcall_proto::time::Instant;

use crate::options::AnalyzeOptions;
use crate::rules;
use crate::trouble::Trouble;

/// What was asked for; what was not asked for is let through.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    call_id: Option<String>,
    party: Option<String>,
    method: Option<String>,
    rule: Option<String>,
    from: Option<When>,
    to: Option<When>,
    met: Met,
}

/// Which conditions a call has met, each by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    call_id: bool,
    time: bool,
    party: bool,
    method: bool,
    all: bool,
}

/// A point in time as it is given on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum When {
    /// Since the trace began.
    After(Duration),
    /// A time of day, of the first day of the trace, UTC.
    TimeOfDay(Duration),
    /// A day and a time, UTC.
    At(Instant),
}

impl When {
    /// Reads `12.5`, `14:03:12.5`, `2026-11-21 14:03:12` or `2026-11-21T14:03:12+01:00`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).map(Self::After).map_err(|error| error.to_string());
        }
        let instant = |at: Timestamp| {
            u64::try_from(at.as_microsecond()).map(|at| Self::At(Instant::from_micros(at))).ok()
        };
        let time = text.parse::<Time>().ok().filter(|_| !text.contains('-'));
        let found =
            time.and_then(|time| time.duration_since(Time::midnight()).try_into().ok()).map(Self::TimeOfDay);
        let found = found.or_else(|| text.parse::<Timestamp>().ok().and_then(instant));
        let found = found.or_else(|| {
            let zoned = text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?;
            instant(zoned.timestamp())
        });
        found.ok_or_else(|| {
            "say seconds since the trace began (12.5), a time of day (14:03:12) or a day with it \
             (2026-11-21T14:03:12), both UTC"
                .to_owned()
        })
    }

    fn of_trace(self, began: Instant) -> Instant {
        match self {
            Self::After(span) => began + span,
            Self::TimeOfDay(time) => {
                let micros = began.as_micros();
                Instant::from_micros(micros - micros % DAY) + time
            }
            Self::At(at) => at,
        }
    }
}

impl Filter {
    /// # Errors
    /// There is no such rule.
    pub(super) fn of(options: &AnalyzeOptions) -> Result<Self, Trouble> {
        let rule = options.rule.as_ref().map(|rule| rule.to_ascii_uppercase());
        if let Some(rule) = rule.as_deref().filter(|rule| !rules::is_known(rule)) {
            return Err(rules::unknown(rule));
        }
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_lowercase());
        Ok(Self {
            call_id: options.call_id.clone(),
            party: lower(&options.party),
            method: options.method.as_ref().map(|method| method.to_ascii_uppercase()),
            rule,
            from: options.from,
            to: options.to,
            met: Met::default(),
        })
    }

    /// Whether a call is shown, of a trace that began at this time. Findings that were not asked for are taken out of it.
    pub(super) fn lets_through(&mut self, call: &mut Call, began: Option<Instant>) -> bool {
        let call_id = self.call_id.as_ref().is_none_or(|part| call.call_id.contains(part.as_str()));
        let (time, method) = (self.in_time(call, began), self.method(call));
        let (party, is_side) = self.party(call);
        let met = &mut self.met;
        met.call_id |= call_id;
        met.time |= time;
        met.method |= method;
        // A side without fault is good news.
        met.party |= party || is_side;
        met.all |= call_id && time && method && (party || is_side);
        let shown = call_id && time && party && method;
        let Some(rule) = &self.rule else { return shown };
        let asked = |finding: &Finding| {
            let same = finding.consequences.iter().filter_map(|one| one.code).any(|code| code == rule);
            same || finding.code == rule
                || finding.code.rsplit_once('-').is_some_and(|(family, _)| family == rule)
        };
        call.findings.retain(asked);
        shown && !call.findings.is_empty()
    }

    /// What kept every call out, if there is none that it let through; what nobody asked for lets all through.
    pub(super) fn unmet(&self) -> Option<String> {
        if self.met.all {
            return None;
        }
        let quoted = |name: &str, value: &Option<String>, met: bool| {
            value.as_ref().filter(|_| !met).map(|value| format!("{name} {value}"))
        };
        let timed = (self.from.is_some() || self.to.is_some()) && !self.met.time;
        let all = [
            quoted("--call-id", &self.call_id, self.met.call_id),
            quoted("--party", &self.party, self.met.party),
            quoted("--method", &self.method, self.met.method),
            timed.then(|| "--from and --to".to_owned()),
        ];
        let unmet: Vec<String> = all.into_iter().flatten().collect();
        Some(match unmet.is_empty() {
            true => "all conditions at once".to_owned(),
            false => unmet.join(" nor by "),
        })
    }

    fn in_time(&self, call: &Call, began: Option<Instant>) -> bool {
        let Some(began) = began else { return true };
        let last = call.messages.last().map_or(Instant::ZERO, |message| message.at);
        self.from.is_none_or(|from| from.of_trace(began) <= last)
            && self.to.is_none_or(|to| call.began() <= to.of_trace(began))
    }

    /// A side keeps the findings of that side; a name keeps the calls of those who bear it. Whether it is a side comes second.
    fn party(&self, call: &mut Call) -> (bool, bool) {
        let Some(party) = &self.party else { return (true, false) };
        let side =
            [Party::Caller, Party::Callee, Party::Network].into_iter().find(|side| side.as_str() == party);
        if let Some(side) = side {
            call.findings.retain(|finding| finding.by == side);
            return (!call.findings.is_empty(), true);
        }
        let is = |person: &Person| {
            let texts = [person.uri.to_ascii_lowercase(), person.name.to_ascii_lowercase()];
            texts.iter().any(|text| text.contains(party.as_str()))
                || person.address.to_string().contains(party.as_str())
        };
        (is(&call.caller) || is(&call.callee), false)
    }

    fn method(&self, call: &Call) -> bool {
        let Some(method) = &self.method else { return true };
        call.messages.iter().any(|message| {
            let line = message.raw.strip_prefix(method.as_bytes());
            matches!(message.kind, Kind::First) && line.is_some_and(|rest| rest.first() == Some(&b' '))
        })
    }
}

/// Microseconds.
const DAY: u64 = 86_400_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read_in_every_form() {
        let began = Instant::from_micros(1_795_226_400_000_000);
        let at = |text: &str| When::parse(text).unwrap().of_trace(began).as_micros();
        assert_eq!(at("12.5"), 1_795_226_412_500_000);
        assert_eq!(at("2026-11-21 14:03:12"), 1_795_269_792_000_000);
        assert_eq!(at("2026-11-21T14:03:12Z"), 1_795_269_792_000_000);
        assert_eq!(at("2026-11-21T15:03:12.25+01:00"), 1_795_269_792_250_000);
        assert_eq!(at("14:03:12"), at("2026-11-21 14:03:12"));
        assert!(When::parse("noon").is_err() && When::parse("-1").is_err());
    }
}
