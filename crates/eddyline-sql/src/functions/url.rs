//! Parts of URLs, and texts as parts of URLs; addresses of hosts.

use super::signature::{Takes, int_or, nullable, strict, text, text_or_null};
use super::{Argument, CallInfo, Function, Resolved};
use crate::row::Value;
use crate::types::TypeKind;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::strict("PARSE_URL", resolve_parse_url, parse_url),
    Function::strict("URL_ENCODE", resolve_encode, |args, _| Ok(Value::Text(encoded(text(args, 0))))),
    Function::strict("URL_DECODE", resolve_decode, |args, _| Ok(text_or_null(decoded(text(args, 0))))),
    Function::strict("INET_ATON", resolve_aton, |args, _| {
        Ok(aton(text(args, 0)).map_or(Value::Null, Value::Int))
    }),
    Function::strict("INET_NTOA", resolve_ntoa, |args, _| Ok(text_or_null(ntoa(int_or(args, 0, 0))))),
];

/// The schemes that Java knows by itself: others have no parts.
const SCHEMES: [&str; 6] = ["http", "https", "ftp", "file", "jar", "mailto"];

/// A URL, what is wanted of it, and the name of a parameter.
fn resolve_parse_url(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text, Takes::Text, Takes::Text], 1, TypeKind::STRING)
}

fn parse_url(args: &[Value], _: &CallInfo) -> Result<Value, String> {
    let part = text(args, 1);
    let Some(url) = Url::parse(text(args, 0)) else { return Ok(Value::Null) };
    let found = match args.get(2).and_then(Value::as_text) {
        Some(_) if part != "QUERY" => None,
        Some(key) => url.query.and_then(|query| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
        }),
        None => url.part(part),
    };
    Ok(text_or_null(found))
}

struct Url<'a> {
    scheme: &'a str,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Url<'a>> {
        let (scheme, rest) = text.trim().split_once(':')?;
        if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return None;
        }
        let cut = |text: &'a str, mark: char| match text.split_once(mark) {
            Some((before, behind)) => (before, Some(behind)),
            None => (text, None),
        };
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let url = Url { scheme, authority, path, query, fragment };
        // A port is a number.
        let port = url.host_and_port().and_then(|(_, port)| port);
        let is_port = port.is_none_or(|port| port.is_empty() || port.parse::<u32>().is_ok());
        is_port.then_some(url)
    }

    fn host_and_port(&self) -> Option<(&'a str, Option<&'a str>)> {
        let authority = self.authority?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if let Some(end) = host.find(']').filter(|_| host.starts_with('[')) {
            return Some((&host[..=end], host[end + 1..].strip_prefix(':')));
        }
        Some(match host.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        })
    }

    fn part(&self, part: &str) -> Option<String> {
        let owned = |text: &str| Some(text.to_owned());
        match part {
            "HOST" => owned(self.host_and_port().map_or("", |(host, _)| host)),
            "PATH" => owned(self.path),
            "QUERY" => self.query.and_then(owned),
            "REF" => self.fragment.and_then(owned),
            "PROTOCOL" => Some(self.scheme.to_ascii_lowercase()),
            "FILE" => Some(match self.query {
                Some(query) => format!("{}?{query}", self.path),
                None => self.path.to_owned(),
            }),
            "AUTHORITY" => self.authority.and_then(owned),
            "USERINFO" => self.authority.and_then(|authority| owned(authority.rsplit_once('@')?.0)),
            _ => None,
        }
    }
}

fn resolve_encode(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text], 0, TypeKind::STRING)
}

/// As HTML forms have it: a blank is `+`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn resolve_decode(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text], 0, TypeKind::STRING)
}

/// None if a `%` is not followed by two digits.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                bytes.push((digit()? << 4 | digit()?) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn resolve_aton(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Text], 0, TypeKind::BigInt)
}

/// The number of an address; of fewer than four parts the last one stands for all that are missing.
fn aton(address: &str) -> Option<i64> {
    let parts: Vec<i64> =
        address.split('.').map(|part| part.parse::<u32>().ok().map(i64::from)).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) || *last >= 1 << (8 * (4 - leading.len()))
    {
        return None;
    }
    let high = leading.iter().enumerate().map(|(place, part)| part << (24 - 8 * place)).sum::<i64>();
    Some(high | last)
}

fn resolve_ntoa(arguments: &[Argument]) -> Result<Resolved, String> {
    nullable(arguments, &[Takes::Integer], 0, TypeKind::STRING)
}

fn ntoa(number: i64) -> Option<String> {
    let address = u32::try_from(number).ok()?;
    Some(std::net::Ipv4Addr::from_bits(address).to_string())
}
