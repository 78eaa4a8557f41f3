//! Syslog lines, as RFC 3164 and RFC 5424 have them.

use super::clock::{Scan, local_ms, rfc3339, without_year};
use super::{Fields, Level, Login, ReadOptions};
use crate::parse::{Reason, Unparsed};
use eddyline_core::EventTime;
use std::borrow::Cow;

/// `<34>May 17 10:05:03 host program[1]: message`; the priority may be missing, as it is in files. Also with an
/// RFC 3339 time, as newer programs write it.
pub(super) fn read_3164<'a>(line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    let mut scan = Scan::new(line);
    let Some((time, level)) = header_3164(&mut scan, options) else {
        return Err(Unparsed::new(Reason::ForeignHeader, scan.position));
    };
    let rest = scan.rest();
    let Some(host_end) = memchr::memchr(b' ', rest).filter(|end| *end > 0) else {
        return Err(Unparsed::new(Reason::MissingField, line.len()));
    };
    Ok(message(time, level, &rest[host_end + 1..]))
}

fn header_3164(scan: &mut Scan<'_>, options: &ReadOptions) -> Option<(EventTime, Level)> {
    let level = if scan.rest().first() == Some(&b'<') { priority(scan)? } else { Level::Info };
    if scan.rest().first().is_some_and(u8::is_ascii_digit) {
        let time = rfc3339(scan, &options.zone)?;
        scan.byte(b' ')?;
        return Some((time, level));
    }
    let month = scan.month()?;
    scan.byte(b' ')?;
    let day = scan.padded_day()?;
    scan.byte(b' ')?;
    // Some routers write the year between the day and the time.
    let before = *scan;
    let year = scan.number(4).filter(|_| scan.byte(b' ').is_some());
    if year.is_none() {
        *scan = before;
    }
    let of_day_ms = scan.time_of_day()?;
    let time = match year {
        Some(year) => options.zone.to_utc(local_ms(year, month, day, of_day_ms)?),
        None => without_year((month, day, of_day_ms), &options.zone, options.reference_ms)?,
    };
    scan.byte(b' ')?;
    Some((time, level))
}

/// `<34>1 2015-05-17T10:05:03.123Z host program 1 id [data] message`.
pub(super) fn read_5424<'a>(line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    let mut scan = Scan::new(line);
    let Some((time, level)) = header_5424(&mut scan, options) else {
        return Err(Unparsed::new(Reason::ForeignHeader, scan.position));
    };
    // Host, program, process and kind of message.
    for _ in 0..4 {
        if scan.until(b' ').is_none_or(<[u8]>::is_empty) {
            return Err(Unparsed::new(Reason::MissingField, line.len()));
        }
    }
    Ok(message(time, level, scan.rest()))
}

fn header_5424(scan: &mut Scan<'_>, options: &ReadOptions) -> Option<(EventTime, Level)> {
    let level = priority(scan)?;
    scan.text(b"1 ")?;
    let time = rfc3339(scan, &options.zone)?;
    scan.byte(b' ')?;
    Some((time, level))
}

/// `<34>`: facility times eight plus level.
fn priority(scan: &mut Scan<'_>) -> Option<Level> {
    scan.byte(b'<')?;
    let digits = scan.until(b'>').filter(|digits| !digits.is_empty() && digits.len() <= 3)?;
    let number: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= 191).then(|| Level::of_number((number % 8) as u8))
}

/// The fields of a message; the host is that of the client it speaks of, if it speaks of one.
fn message(time: EventTime, level: Level, text: &[u8]) -> Fields<'_> {
    let mut fields = Fields::message(time, level);
    if let Some((login, host)) = Login::of_message(text) {
        fields.login = Some(login);
        fields.host = Cow::Borrowed(host);
    }
    fields
}
