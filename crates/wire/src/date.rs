//! The Date header. RFC 3261 §20.17.

use std::fmt;

use crate::scan::Scan;
use crate::{ParseError, What};

/// A point in time to the second, always in GMT.
///
/// ```
/// use midcall_wire::Date;
///
/// let date = Date::parse("Sat, 13 Nov 2010 23:29:00 GMT").unwrap();
/// assert_eq!(date.unix_seconds(), 1_289_690_940);
/// assert_eq!(date.to_string(), "Sat, 13 Nov 2010 23:29:00 GMT");
/// assert!(Date::parse("Fri, 01 Jan 2010 16:00:00 EST").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    seconds: i64,
}

impl Date {
    /// The date that many seconds after the start of 1970.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self { seconds }
    }

    /// The first second of a day of the Gregorian calendar; months and days count from 1.
    #[must_use]
    pub const fn midnight(year: i64, month: i64, day: i64) -> Self {
        Self { seconds: days_before(year, month, day) * DAY }
    }

    /// Seconds since the start of 1970.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Takes a value apart. The day of the week is not compared with the date.
    ///
    /// # Errors
    /// Says where it is no such date, or names another time zone than GMT.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut scan = Scan::new(text);
        scan.lws();
        one_of(&mut scan, &DAYS)?;
        expect(&mut scan, b',')?;
        let day = two_digits(&mut scan, 1, 31)?;
        let month = one_of(&mut scan, &MONTHS)?;
        scan.lws();
        let start = scan.at();
        let year = scan.number(9999)?;
        if scan.at() - start != 4 {
            return Err(ParseError::new(start, What::Date));
        }
        let hour = two_digits(&mut scan, 0, 23)?;
        expect(&mut scan, b':')?;
        let minute = two_digits(&mut scan, 0, 59)?;
        expect(&mut scan, b':')?;
        let second = two_digits(&mut scan, 0, 60)?;
        one_of(&mut scan, &["GMT"])?;
        scan.end()?;
        let year = i64::try_from(year).unwrap_or_default();
        let days = days_before(year, month + 1, day);
        Ok(Self { seconds: days * DAY + hour * 3600 + minute * 60 + second })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.seconds.div_euclid(DAY);
        let second = self.seconds.rem_euclid(DAY);
        let (year, month, day) = civil(days);
        // The first day of 1970 was a Thursday.
        let name = |names: &[&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
        };
        let weekday = name(&DAYS, (days + 3).rem_euclid(7));
        let month = name(&MONTHS, month - 1);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{:02} GMT", second % 60)
    }
}

const DAY: i64 = 86_400;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days from the start of 1970 to a date of the Gregorian calendar; years begin in March here, so that the
/// leap day is the last.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The date that many days after the start of 1970.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let shifted = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + if shifted <= 2 { 1 } else { 0 }, shifted, day)
}

fn one_of(scan: &mut Scan<'_>, words: &[&str]) -> Result<i64, ParseError> {
    scan.lws();
    let start = scan.at();
    let word = scan.run(|b| b.is_ascii_alphabetic());
    let index = words.iter().position(|known| known.eq_ignore_ascii_case(word));
    index.and_then(|index| i64::try_from(index).ok()).ok_or(ParseError::new(start, What::Date))
}

fn two_digits(scan: &mut Scan<'_>, least: i64, most: i64) -> Result<i64, ParseError> {
    scan.lws();
    let start = scan.at();
    match scan.number(99).map(i64::try_from) {
        Ok(Ok(number)) if (least..=most).contains(&number) => Ok(number),
        _ => Err(ParseError::new(start, What::Date)),
    }
}

fn expect(scan: &mut Scan<'_>, byte: u8) -> Result<(), ParseError> {
    scan.lws();
    if scan.eat(byte) { Ok(()) } else { scan.fail(What::Date) }
}
