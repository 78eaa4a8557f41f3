//! The error log of nginx: `2015/05/17 10:05:03 [error] 31#31: *5 message, client: ::1, server: …, request: "GET / …"`.

use super::clock::{Scan, local_ms};
use super::{Fields, Level, ReadOptions};
use crate::parse::{Reason, Request, Unparsed};
use std::borrow::Cow;

pub(super) fn read<'a>(line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    let mut scan = Scan::new(line);
    let Some((local, level)) = header(&mut scan) else {
        return Err(Unparsed::new(Reason::ForeignHeader, scan.position));
    };
    let mut fields = Fields::message(options.zone.to_utc(local), level);
    let rest = scan.rest();
    if let Some(host) = between(rest, b", client: ", b",") {
        fields.host = Cow::Borrowed(host);
    }
    if let Some(request) = between(rest, b", request: \"", b"\"") {
        let words: Vec<&[u8]> = request.splitn(3, |&byte| byte == b' ').collect();
        if let [method, target, ..] = words[..] {
            fields.method = Cow::Borrowed(method);
            let whole = Request::Line { method, path: target, protocol: b"" };
            fields.path = Cow::Borrowed(whole.resource());
        }
    }
    Ok(fields)
}

/// Local time and level.
fn header(scan: &mut Scan<'_>) -> Option<(i64, Level)> {
    let year = scan.number(4)?;
    scan.byte(b'/')?;
    let month = scan.number(2)?;
    scan.byte(b'/')?;
    let day = scan.number(2)?;
    scan.byte(b' ')?;
    let local = local_ms(year, month, day, scan.time_of_day()?)?;
    scan.text(b" [")?;
    let level = Level::of_name(scan.until(b']')?)?;
    Some((local, level))
}

/// What stands behind `before` up to `end`, or to the end of the line.
pub(super) fn between<'a>(text: &'a [u8], before: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let start = memchr::memmem::find(text, before)? + before.len();
    let rest = &text[start..];
    Some(&rest[..memchr::memmem::find(rest, end).unwrap_or(rest.len())])
}
