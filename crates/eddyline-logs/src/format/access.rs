//! Access lines in Common and Combined Log Format, and how long a request took where a server appends it.

use super::{Fields, Level, Login, ReadOptions};
use crate::parse::{Request, Unparsed, parse_with_rest};
use std::borrow::Cow;

/// Reads an access line.
#[inline]
pub(super) fn read<'a>(line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    let (access, rest) = parse_with_rest(line)?;
    let (method, path) = match access.request {
        Request::Line { method, .. } => (method, access.request.resource()),
        Request::Malformed(raw) => (&b""[..], raw),
    };
    let agent = access.agent.filter(|agent| *agent != b"-").unwrap_or(b"");
    Ok(Fields {
        time: access.time,
        level: Level::Info,
        host: Cow::Borrowed(access.host),
        method: Cow::Borrowed(method),
        path: Cow::Borrowed(path),
        agent: Cow::Borrowed(agent),
        status: access.status,
        bytes: access.bytes,
        latency_us: if rest.is_empty() { None } else { latency(rest) },
        login: Login::of_access(method, path, access.status, &options.login_paths),
    })
}

/// How long a request took, by what servers append behind the agent: a decimal number of seconds (nginx's
/// `$request_time`), also as `rt=0.012`, or microseconds as `D=12000` (Apache's `%D` under a name).
fn latency(rest: &[u8]) -> Option<u64> {
    rest.split(|&byte| byte == b' ').find_map(|word| {
        if let Some(micros) = word.strip_prefix(b"D=") {
            return std::str::from_utf8(micros).ok()?.parse().ok();
        }
        let number = word.strip_prefix(b"rt=").unwrap_or(word);
        let number = number.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).unwrap_or(number);
        let is_decimal =
            number.contains(&b'.') && number.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
        seconds_to_micros(std::str::from_utf8(number).ok().filter(|_| is_decimal)?)
    })
}

/// Seconds in decimal digits to microseconds.
pub(super) fn seconds_to_micros(text: &str) -> Option<u64> {
    let seconds: f64 = text.parse().ok()?;
    // The conversion saturates; a number that is none is refused.
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::latency;

    #[test]
    fn latencies_are_found_behind_the_agent() {
        assert_eq!(latency(b"0.012 \"10.0.0.1\""), Some(12_000));
        assert_eq!(latency(b"rt=1.5 uct=0.0"), Some(1_500_000));
        assert_eq!(latency(b"\"-\" D=731"), Some(731));
        assert_eq!(latency(b"\"10.0.0.1\" 17"), None);
        assert_eq!(latency(b"1.2.3"), None);
    }
}
