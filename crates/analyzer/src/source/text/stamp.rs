//! The times that logs write, and how they become one line of time.

use std::time::Duration;

use midcall_proto::time::Instant;
use midcall_wire::Date;

use super::scan::number;

/// A time as a log writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) day: Day,
    /// Since midnight; since 1970 where the log counts so.
    micros: u64,
    /// How many digits stand behind the second.
    digits: u8,
    /// How far its zone is ahead, in minutes; nothing where the log names none.
    ahead: i32,
}

/// The date of a stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Day {
    /// There is none.
    None,
    /// Month and day without a year.
    Yearless(u8, u8),
    /// Days since 1970.
    Of(i64),
}

impl Stamp {
    /// A time of the day.
    pub(super) const fn new(day: Day, micros: u64, digits: u8) -> Self {
        Self { day, micros, digits, ahead: 0 }
    }

    /// Seconds since 1970 with digits behind them, as in `1793361600.123456`.
    pub(super) fn epoch(text: &[u8]) -> Option<Self> {
        let (seconds, fraction) = match memchr::memchr(b'.', text) {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?),
            None => (text, &b""[..]),
        };
        let (micros, digits) = fraction_of(fraction)?;
        let micros = number(seconds)?.checked_mul(SECOND)?.checked_add(micros)?;
        Some(Self::new(Day::Of(0), micros, digits))
    }

    /// The same time on another day.
    pub(super) const fn on(self, day: Day) -> Self {
        Self { day, ..self }
    }

    /// So much later, by a clock with this many digits behind the second.
    pub(super) const fn later(self, micros: u64, digits: u8) -> Self {
        Self { micros: self.micros.saturating_add(micros), digits, ..self }
    }

    /// So much later.
    pub(super) const fn shifted(self, micros: u64) -> Self {
        self.later(micros, self.digits)
    }

    /// Whether two times of the day are so near that rounding explains the difference.
    pub(super) const fn is_near(self, other: Self) -> bool {
        self.micros.abs_diff(other.micros) <= 2 * SECOND
    }

    /// The last time of the day that stands in a text, with the nearest date before it.
    pub(super) fn find(text: &[u8]) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut from = 0;
        while let Some(at) = memchr::memchr(b':', text.get(from..)?).map(|at| from + at) {
            let Some((begin, end, mut stamp)) = time_around(text, at) else {
                from = at + 1;
                continue;
            };
            stamp.day = date_before(text.get(..begin)?);
            if let (Day::None, Some(earlier)) = (stamp.day, found) {
                stamp.day = earlier.day;
            }
            found = Some(stamp);
            from = end;
        }
        found
    }

    /// Whether a line begins with a time, as lines of logs do and lines of messages do not.
    pub(super) fn leads(line: &[u8]) -> bool {
        let line = line.get(..line.len().min(40)).unwrap_or_default();
        let line = line.trim_ascii_start();
        let plausible = line.first().is_some_and(|first| {
            first.is_ascii_digit()
                || b"[*(<".contains(first)
                || line.get(..3).is_some_and(|name| month(name).is_some())
        });
        plausible && Self::find(line).is_some()
    }
}

/// Makes one line of time from stamps.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<Instant>,
    days: i64,
    years: i64,
    finest: Option<u8>,
}

impl Clock {
    /// When something without a stamp of its own was.
    pub(super) fn unstamped(&self) -> Instant {
        self.last.unwrap_or(Instant::ZERO)
    }

    /// When something happened.
    pub(super) fn at(&mut self, stamp: Stamp) -> Instant {
        self.finest = self.finest.max(Some(stamp.digits));
        let base = match stamp.day {
            Day::Of(day) => day,
            Day::Yearless(month, day) => {
                Date::midnight(1970 + self.years, month.into(), day.into()).unix_seconds() / DAY_SECONDS
            }
            Day::None => self.days,
        };
        let place = |days: i64| {
            let micros = days.saturating_mul(DAY_SECONDS * 1_000_000);
            let micros = micros.saturating_add_unsigned(stamp.micros);
            let micros = micros.saturating_sub(i64::from(stamp.ahead) * 60_000_000);
            Instant::from_micros(u64::try_from(micros).unwrap_or_default())
        };
        let mut at = place(base);
        if let Some(last) = self.last {
            match stamp.day {
                Day::Of(_) => {}
                Day::Yearless(month, day) => {
                    if last.since(at) > HALF_A_YEAR {
                        self.years += 1;
                        let days = Date::midnight(1970 + self.years, month.into(), day.into());
                        at = place(days.unix_seconds() / DAY_SECONDS);
                    }
                }
                Day::None => {
                    if last.since(at) > HALF_A_DAY {
                        self.days += 1;
                        at = place(self.days);
                    } else if at.since(last) > ALMOST_A_DAY && self.days > 0 {
                        // Written a moment after midnight, but from before it.
                        return place(self.days - 1);
                    }
                }
            }
        }
        self.last = Some(self.last.map_or(at, |last| if stamp.day == Day::None { last.max(at) } else { at }));
        at
    }

    /// How finely it counts; nothing is known where there was no time at all.
    pub(super) const fn resolution(&self) -> Duration {
        match self.finest {
            None => Duration::MAX,
            Some(0) => Duration::from_secs(1),
            Some(1) => Duration::from_millis(100),
            Some(2) => Duration::from_millis(10),
            Some(3) => Duration::from_millis(1),
            Some(_) => Duration::ZERO,
        }
    }
}

/// The time of which this colon is the first: where it begins and ends in the text.
fn time_around(text: &[u8], colon: usize) -> Option<(usize, usize, Stamp)> {
    let two = |from: usize| {
        let digits = text.get(from..from + 2)?;
        number(digits)
    };
    let tail = text.get(colon + 3)?;
    if *tail != b':' {
        return None;
    }
    let (minute, second) = (two(colon + 1)?, two(colon + 4)?);
    let digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
    let begin = if digit(colon.checked_sub(2)) { colon - 2 } else { colon.checked_sub(1)? };
    if digit(begin.checked_sub(1)) || digit(Some(colon + 6)) {
        return None;
    }
    let hour = number(text.get(begin..colon)?)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut end = colon + 6;
    let (mut micros, mut digits) = (0, 0);
    if text.get(end).is_some_and(|byte| b".,:".contains(byte)) && digit(Some(end + 1)) {
        let rest = text.get(end + 1..)?;
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        // Another time's hour, not a fraction.
        (micros, digits) = fraction_of(rest.get(..length)?)?;
        end += 1 + length;
    }
    let ahead = zone(text.get(end..)?);
    let micros = (hour * 3600 + minute * 60 + second) * SECOND + micros;
    Some((begin, end, Stamp { day: Day::None, micros, digits, ahead }))
}

/// Digits behind the second, as microseconds.
fn fraction_of(digits: &[u8]) -> Option<(u64, u8)> {
    if digits.is_empty() {
        return Some((0, 0));
    }
    let known = digits.get(..digits.len().min(6))?;
    let mut micros = number(known)?;
    for _ in known.len()..6 {
        micros *= 10;
    }
    Some((micros, u8::try_from(known.len()).unwrap_or(6)))
}

/// Minutes ahead of UTC, from what stands behind a time: `Z`, `+02:00`, ` GMT+0200`.
fn zone(text: &[u8]) -> i32 {
    let text = text.strip_prefix(b" GMT").or_else(|| text.strip_prefix(b" ")).unwrap_or(text);
    let (sign, text) = match text.split_first() {
        Some((b'+', text)) => (1, text),
        Some((b'-', text)) => (-1, text),
        _ => return 0,
    };
    let digits: Vec<u8> = text.iter().take(5).copied().filter(u8::is_ascii_digit).collect();
    match number(&digits).and_then(|digits| i32::try_from(digits).ok()) {
        Some(digits) if digits <= 1400 => sign * (digits / 100 * 60 + digits % 100),
        _ => 0,
    }
}

/// The date that ends where a time begins.
fn date_before(text: &[u8]) -> Day {
    let text = text.get(text.len().saturating_sub(24)..).unwrap_or_default();
    let text = match text.split_last() {
        Some((separator, text)) if b"T@-_| \t,".contains(separator) => text,
        _ => return Day::None,
    };
    let mut words =
        text.trim_ascii_end().rsplit(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let Some(last) = words.next() else { return Day::None };
    numeric(last).or_else(|| named(last, &mut words)).unwrap_or(Day::None)
}

/// `2026-10-30`, `2026/10/30`, `10-30`, behind whatever bracket.
fn numeric(word: &[u8]) -> Option<Day> {
    let begin = word.iter().rposition(|byte| !(byte.is_ascii_digit() || b"-/".contains(byte)));
    let word = word.get(begin.map_or(0, |at| at + 1)..)?;
    let parts: Vec<&[u8]> = word.split(|byte| b"-/".contains(byte)).collect();
    match parts.as_slice() {
        [.., year, month, day] if year.len() == 4 => civil(number(year)?, number(month)?, number(day)?),
        [month, day] if month.len() == 2 && day.len() == 2 => yearless(number(month)?, number(day)?),
        _ => None,
    }
}

/// `Oct 30`, `Oct 30 2026`, read from its end.
fn named<'w>(last: &[u8], words: &mut impl Iterator<Item = &'w [u8]>) -> Option<Day> {
    let last = last.strip_suffix(b",").unwrap_or(last);
    let value = number(last)?;
    if last.len() == 4 {
        let day = number(words.next()?)?;
        return civil(value, month(words.next()?)?, day);
    }
    yearless(month(words.next()?)?, value)
}

/// The number of a month by its English name, of which whatever stands before it is no part.
fn month(word: &[u8]) -> Option<u64> {
    let name = word.get(word.len().checked_sub(3)?..)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    u64::try_from(at + 1).ok()
}

/// A date with its year.
pub(super) fn civil(year: u64, month: u64, day: u64) -> Option<Day> {
    let valid = (1970..=2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let days = || {
        let (year, month, day) = (year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?);
        Some(Day::Of(Date::midnight(year, month, day).unix_seconds() / DAY_SECONDS))
    };
    valid.then(days).flatten()
}

/// A date without its year.
pub(super) fn yearless(month: u64, day: u64) -> Option<Day> {
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| Some(Day::Yearless(u8::try_from(month).ok()?, u8::try_from(day).ok()?))).flatten()
}

const SECOND: u64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
const HALF_A_DAY: Duration = Duration::from_secs(12 * 3600);
const ALMOST_A_DAY: Duration = Duration::from_secs(23 * 3600);
const HALF_A_YEAR: Duration = Duration::from_secs(183 * 86_400);
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 12 * 3600 * SECOND;

    fn micros(text: &str) -> Option<u64> {
        Stamp::find(text.as_bytes()).map(|stamp| Clock::default().at(stamp).as_micros())
    }

    #[test]
    fn every_way_to_write_a_date_is_read() {
        let day = u64::try_from(Date::midnight(2026, 10, 30).unix_seconds()).unwrap() * SECOND;
        for text in [
            "2026-10-30 12:00:00",
            "2026/10/30 12:00:00",
            "[2026-10-30T12:00:00Z]",
            "x 2026-10-30T14:00:00+02:00",
            "Fri Oct 30 2026 07:00:00 GMT-0500 (somewhere)",
            "2026-10-30 12:00:00.000000 then recv at 12:00:00",
            "Oct 30 11:59:59 host 2026-10-30 12:00:00,000",
        ] {
            assert_eq!(micros(text), Some(day + NOON), "{text}");
        }
        let yearless = u64::try_from(Date::midnight(1970, 10, 30).unix_seconds()).unwrap() * SECOND;
        for text in ["*Oct 30 12:00:00", "[Oct 30 12:00:00]", "10-30 12:00:00", "<13>Oct 30 12:00:00 host"] {
            assert_eq!(micros(text), Some(yearless + NOON), "{text}");
        }
        for text in ["12:00:00", "recv at 12:00:00:", "|12:00:00.000 |"] {
            assert_eq!(micros(text), Some(NOON), "{text}");
        }
        for text in ["", ":", "1:2:3", "25:00:00", "12:60:00", "112:00:00", "aa:bb:cc:00", "12:00:000"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_of_any_length_are_read() {
        for (text, expected, digits) in [
            ("0:00:01", 1_000_000, 0),
            ("00:00:00.1", 100_000, 1),
            ("00:00:00:123", 123_000, 3),
            ("00:00:00,123456", 123_456, 6),
            ("00:00:00.123456789", 123_456, 6),
        ] {
            let stamp = Stamp::find(text.as_bytes()).unwrap();
            assert_eq!((stamp.micros, stamp.digits), (expected, digits), "{text}");
        }
        assert_eq!(Stamp::epoch(b"1793361600.5").unwrap().micros, 1_793_361_600_500_000);
        assert_eq!(Stamp::epoch(b"x"), None);
    }

    #[test]
    fn midnight_begins_a_day_and_a_late_line_does_not() {
        let mut clock = Clock::default();
        let mut at = |text: &str| clock.at(Stamp::find(text.as_bytes()).unwrap()).as_micros() / SECOND;
        assert_eq!(at("23:59:59"), 86_399);
        assert_eq!(at("00:00:01"), 86_401);
        assert_eq!(at("23:59:59"), 86_399);
        assert_eq!(at("00:00:02"), 86_402);
        assert_eq!(at("00:00:00"), 86_400);
    }

    #[test]
    fn a_year_begins_after_december() {
        let mut clock = Clock::default();
        let mut at =
            |text: &str| clock.at(Stamp::find(text.as_bytes()).unwrap()).as_micros() / SECOND / 86_400;
        assert_eq!((at("Dec 31 23:59:59"), at("Jan  1 00:00:00")), (364, 365));
    }

    #[test]
    fn lines_of_messages_do_not_look_like_lines_of_logs() {
        for line in ["[Oct 30 12:00:00] NOTICE", "12:00:00.123 x", "2026-10-30 12:00:00", "Oct 30 12:00:00 h"]
        {
            assert!(Stamp::leads(line.as_bytes()), "{line}");
        }
        for line in ["Date: Fri, 30 Oct 2026 12:00:00 GMT", "a=x 12:00:00", "", "Via: SIP/2.0/UDP 12:00:00"] {
            assert!(!Stamp::leads(line.as_bytes()), "{line}");
        }
    }
}
