//! `17/May/2015:10:05:03 +0000` to milliseconds since 1970, by arithmetic alone.

use super::{Reason, Unparsed};
use eddyline_core::EventTime;

/// The length of a time of the log format, in bytes.
pub(super) const TIME_BYTES: usize = 26;

const MILLISECONDS_PER_SECOND: i64 = 1_000;

/// The days from 1970-01-01 to a day of the proleptic Gregorian calendar, negative before it. The arguments must
/// be a real day; `month` counts from 1.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013), `days_from_civil`: years are shifted to
/// begin in March, so that the leap day is the last of its year, and counted in eras of 400 years.
///
/// # Examples
/// ```
/// use eddyline_logs::parse::days_from_civil;
/// assert_eq!(days_from_civil(1970, 1, 1), 0);
/// assert_eq!(days_from_civil(2000, 3, 1), 11_017);
/// ```
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The day of the proleptic Gregorian calendar that is `days` after 1970-01-01, as year, month (from 1) and day:
/// the inverse of [`days_from_civil`], from the same source.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The names of the months as logs have them.
pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The number of a month, from 1, by its name of three letters in any case.
pub(crate) fn month_number(name: [u8; 3]) -> Option<i64> {
    // Upper or lower case: 0x20 is the bit between them.
    let number = match name.map(|byte| byte | 0x20) {
        [b'j', b'a', b'n'] => 1,
        [b'f', b'e', b'b'] => 2,
        [b'm', b'a', b'r'] => 3,
        [b'a', b'p', b'r'] => 4,
        [b'm', b'a', b'y'] => 5,
        [b'j', b'u', b'n'] => 6,
        [b'j', b'u', b'l'] => 7,
        [b'a', b'u', b'g'] => 8,
        [b's', b'e', b'p'] => 9,
        [b'o', b'c', b't'] => 10,
        [b'n', b'o', b'v'] => 11,
        [b'd', b'e', b'c'] => 12,
        _ => return None,
    };
    name.iter().all(u8::is_ascii_alphabetic).then_some(number)
}

/// The days of a month of the Gregorian calendar.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Where the digits of a time are.
const DIGIT_PLACES: [usize; 16] = [0, 1, 7, 8, 9, 10, 12, 13, 15, 16, 18, 19, 22, 23, 24, 25];

/// Where what stands between the digits is, and what it is.
const SEPARATORS: [(usize, u8); 6] = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];

/// The first byte that does not fit the form. Cold: looks again at a time that is known not to.
#[cold]
fn malformed_at(text: &[u8; TIME_BYTES]) -> Unparsed {
    let fits = |at: usize| {
        if let Some((_, separator)) = SEPARATORS.iter().find(|(place, _)| *place == at) {
            return text[at] == *separator;
        }
        match at {
            3..=5 => month_number([text[3], text[4], text[5]]).is_some(),
            21 => matches!(text[at], b'+' | b'-'),
            _ => text[at].is_ascii_digit(),
        }
    };
    Unparsed::new(Reason::MalformedTime, (0..TIME_BYTES).find(|&at| !fits(at)).unwrap_or(0))
}

/// Reads the time between the brackets, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Years 1 to 9999; a second of 60 (a leap second) is the first of the next minute; zone offsets of less than a
/// day.
///
/// # Errors
/// [`Reason::MalformedTime`] at the first byte that does not fit the form, [`Reason::ImpossibleTime`] at the part
/// that is out of range; columns count from the first digit of the day.
pub fn parse_timestamp(text: &[u8; TIME_BYTES]) -> Result<EventTime, Unparsed> {
    // One branch for the whole form: what does not fit is looked for only if something does not.
    let digits_fit = DIGIT_PLACES.iter().fold(true, |fits, &at| fits & text[at].is_ascii_digit());
    let separators_fit =
        SEPARATORS.iter().fold(true, |fits, &(at, separator)| fits & (text[at] == separator));
    let is_east = text[21] == b'+';
    if !(digits_fit & separators_fit & (is_east | (text[21] == b'-'))) {
        return Err(malformed_at(text));
    }
    let Some(month) = month_number([text[3], text[4], text[5]]) else { return Err(malformed_at(text)) };
    let two = |at: usize| i64::from(text[at] - b'0') * 10 + i64::from(text[at + 1] - b'0');
    let day = two(0);
    let year = two(7) * 100 + two(9);
    let (hour, minute, second) = (two(12), two(15), two(18));
    let (zone_hours, zone_minutes) = (two(22), two(24));
    let checks = [
        (day >= 1 && day <= days_in_month(year, month), 0),
        (year >= 1, 7),
        (hour <= 23, 12),
        (minute <= 59, 15),
        (second <= 60, 18),
        (zone_hours <= 23 && zone_minutes <= 59, 21),
    ];
    if let Some(&(_, at)) = checks.iter().find(|(holds, _)| !holds) {
        return Err(Unparsed::new(Reason::ImpossibleTime, at));
    }
    let local = (days_from_civil(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    let zone = zone_hours * 3_600 + zone_minutes * 60;
    Ok((if is_east { local - zone } else { local + zone }) * MILLISECONDS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_and_days_are_inverse() {
        let mut expected = days_from_civil(1, 1, 1);
        assert_eq!(expected, -719_162);
        for year in 1..=2500 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_from_civil(year, month, day), expected);
                    assert_eq!(civil_from_days(expected), (year, month, day));
                    expected += 1;
                }
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<i64, (Reason, usize)>) {
        let bytes: &[u8; TIME_BYTES] = text.as_bytes().try_into().expect("26 bytes");
        let found = parse_timestamp(bytes).map_err(|unparsed| (unparsed.reason, unparsed.column));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn known_times() {
        check("01/Jan/1970:00:00:00 +0000", Ok(0));
        check("17/May/2015:10:05:03 +0000", Ok(1_431_857_103_000));
        check("17/MAY/2015:10:05:03 +0230", Ok(1_431_848_103_000));
        check("16/may/2015:23:05:03 -1100", Ok(1_431_857_103_000));
        check("29/Feb/2000:23:59:60 +0000", Ok(951_868_800_000));
        check("31/Dec/9999:23:59:59 -2359", Ok(253_402_387_139_000));
    }

    #[test]
    fn wrong_times_say_where() {
        check("1x/May/2015:10:05:03 +0000", Err((Reason::MalformedTime, 2)));
        check("17/Mai/2015:10:05:03 +0000", Err((Reason::MalformedTime, 4)));
        check("17/May/2015 10:05:03 +0000", Err((Reason::MalformedTime, 12)));
        check("17/May/2015:10:05:03 Z0000", Err((Reason::MalformedTime, 22)));
        check("00/May/2015:10:05:03 +0000", Err((Reason::ImpossibleTime, 1)));
        check("29/Feb/1900:10:05:03 +0000", Err((Reason::ImpossibleTime, 1)));
        check("17/May/0000:10:05:03 +0000", Err((Reason::ImpossibleTime, 8)));
        check("17/May/2015:24:05:03 +0000", Err((Reason::ImpossibleTime, 13)));
        check("17/May/2015:10:60:03 +0000", Err((Reason::ImpossibleTime, 16)));
        check("17/May/2015:10:05:61 +0000", Err((Reason::ImpossibleTime, 19)));
        check("17/May/2015:10:05:03 +2400", Err((Reason::ImpossibleTime, 22)));
    }
}
