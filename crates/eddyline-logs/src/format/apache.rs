//! The error log of Apache: `[Sun May 17 10:05:03.123456 2015] [core:error] [pid 1:tid 2] [client ::1:80] AH0: message`.

use super::clock::{Scan, local_ms};
use super::nginx::between;
use super::{Fields, Level, ReadOptions};
use crate::parse::{Reason, Unparsed};
use std::borrow::Cow;

pub(super) fn read<'a>(line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    let mut scan = Scan::new(line);
    let Some((local, level)) = header(&mut scan) else {
        return Err(Unparsed::new(Reason::ForeignHeader, scan.position));
    };
    let mut fields = Fields::message(options.zone.to_utc(local), level);
    if let Some(client) = between(scan.rest(), b"[client ", b"]") {
        fields.host = Cow::Borrowed(without_port(client));
    }
    Ok(fields)
}

/// Local time and level. Apache 2.2 has no module before the level, and no fraction of a second.
fn header(scan: &mut Scan<'_>) -> Option<(i64, Level)> {
    scan.byte(b'[')?;
    scan.until(b' ')?;
    let month = scan.month()?;
    scan.byte(b' ')?;
    let day = scan.padded_day()?;
    scan.byte(b' ')?;
    let of_day_ms = scan.time_of_day()?;
    scan.byte(b' ')?;
    let year = scan.number(4)?;
    scan.text(b"] [")?;
    let module_and_level = scan.until(b']')?;
    let level = module_and_level.rsplit(|&byte| byte == b':').next()?;
    Some((local_ms(year, month, day, of_day_ms)?, Level::of_name(level)?))
}

/// An address without the port behind it. One colon is an IPv4 address with a port; of more than seven groups the
/// last is a port.
fn without_port(client: &[u8]) -> &[u8] {
    let colons = client.iter().filter(|&&byte| byte == b':').count();
    let with_port = colons == 1 || colons == 8 || (colons > 1 && client.starts_with(b"["));
    match memchr::memrchr(b':', client).filter(|_| with_port) {
        Some(end) => &client[..end],
        None => client,
    }
}
