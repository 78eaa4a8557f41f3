//! One JSON object a line, with the names that web servers and loggers use.

use super::clock::{Scan, rfc3339};
use super::{Fields, Level, Login, ReadOptions};
use crate::parse::{Reason, Request, Unparsed, parse_timestamp};
use eddyline_core::EventTime;
use serde_json::{Map, Value};
use std::borrow::Cow;

const TIME: &[&str] =
    &["time", "timestamp", "@timestamp", "ts", "datetime", "date", "time_iso8601", "time_local", "msec"];
const HOST: &[&str] = &[
    "remote_addr",
    "client_ip",
    "clientip",
    "remote_ip",
    "client",
    "ip",
    "remoteAddr",
    "remote_host",
    "host",
];
const METHOD: &[&str] = &["method", "request_method", "verb"];
const PATH: &[&str] = &["path", "uri", "request_uri", "url", "target"];
const STATUS: &[&str] = &["status", "status_code", "response", "code"];
const BYTES: &[&str] = &["bytes", "body_bytes_sent", "bytes_sent", "size", "response_size"];
const AGENT: &[&str] = &["agent", "user_agent", "http_user_agent", "userAgent"];
const LEVEL: &[&str] = &["level", "severity", "lvl"];
const MESSAGE: &[&str] = &["message", "msg"];
/// Names of durations and what a microsecond is in their unit.
const LATENCY: &[(&str, f64)] = &[
    ("request_time", 1e6),
    ("duration", 1e6),
    ("response_time", 1e6),
    ("latency", 1e6),
    ("duration_ms", 1e3),
    ("latency_ms", 1e3),
    ("duration_us", 1.0),
    ("latency_us", 1.0),
];

pub(super) fn read<'a>(line: &'a [u8], options: &ReadOptions) -> Result<Fields<'a>, Unparsed> {
    if line.first() != Some(&b'{') {
        return Err(Unparsed::new(Reason::NotJson, 0));
    }
    let object: Map<String, Value> = serde_json::from_slice(line)
        .map_err(|error| Unparsed::new(Reason::NotJson, error.column().min(line.len())))?;
    let time = find(&object, TIME).and_then(|value| time_of(value, options));
    let Some(time) = time else { return Err(Unparsed::new(Reason::JsonWithoutTime, 0)) };
    let level = text(&object, LEVEL).and_then(|name| Level::of_name(name.as_bytes())).unwrap_or(Level::Info);
    let mut fields = Fields::message(time, level);
    // Caddy and some loggers have an object of the request, others its first line.
    let (request, request_line) = match object.get("request") {
        Some(Value::Object(request)) => (request, None),
        Some(Value::String(line)) => (&object, Some(line.as_str())),
        _ => (&object, None),
    };
    let word = |names: &[&str]| text(request, names).or_else(|| text(&object, names)).unwrap_or_default();
    fields.host = owned(word(HOST));
    let (method, target) = match request_line.and_then(|line| line.split_once(' ')) {
        Some((method, rest)) => (method.to_owned(), rest.split(' ').next().unwrap_or(rest).to_owned()),
        None => (word(METHOD), word(PATH)),
    };
    let whole = Request::Line { method: b"", path: target.as_bytes(), protocol: b"" };
    fields.path = Cow::Owned(whole.resource().to_vec());
    fields.method = owned(method);
    fields.agent = owned(word(AGENT));
    fields.status = number(&object, STATUS)
        .map_or(0, |status| if (100.0..600.0).contains(&status) { status as u16 } else { 0 });
    fields.bytes = number(&object, BYTES).map_or(0, |bytes| bytes.max(0.0) as u64);
    fields.latency_us = LATENCY.iter().find_map(|(name, scale)| {
        let value = number(&object, &[name])?;
        (value.is_finite() && value >= 0.0).then(|| (value * scale).round() as u64)
    });
    fields.login = Login::of_access(&fields.method, &fields.path, fields.status, &options.login_paths);
    if fields.status == 0
        && let Some((login, host)) =
            text(&object, MESSAGE).as_ref().and_then(|text| Login::of_message(text.as_bytes()))
    {
        fields.login = Some(login);
        fields.host = Cow::Owned(host.to_vec());
    }
    Ok(fields)
}

fn find<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| object.get(*name))
}

fn text(object: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| object.get(*name).and_then(Value::as_str)).map(str::to_owned)
}

fn owned(text: String) -> Cow<'static, [u8]> {
    Cow::Owned(text.into_bytes())
}

/// A number, or a text that is one: nginx writes all variables as texts.
fn number(object: &Map<String, Value>, names: &[&str]) -> Option<f64> {
    match find(object, names)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A time as RFC 3339 or the access logs write it, or a number of seconds, milliseconds, micro- or nanoseconds, told
/// apart by their size.
fn time_of(value: &Value, options: &ReadOptions) -> Option<EventTime> {
    let number = match value {
        Value::String(text) => {
            let mut scan = Scan::new(text.as_bytes());
            if let Some(time) = rfc3339(&mut scan, &options.zone) {
                return Some(time);
            }
            if let Some(time) = text.as_bytes().try_into().ok().and_then(|text| parse_timestamp(text).ok()) {
                return Some(time);
            }
            text.parse().ok()?
        }
        Value::Number(number) => number.as_f64()?,
        _ => return None,
    };
    let milliseconds = match number.abs() {
        size if size < 1e11 => number * 1e3,
        size if size < 1e14 => number,
        size if size < 1e17 => number / 1e3,
        _ => number / 1e6,
    };
    milliseconds.is_finite().then_some(milliseconds as EventTime)
}
