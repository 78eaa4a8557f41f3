//! The demo's smoke test: a log whose right answer is known, through the real binary.
//!
//! The log is generated from a fixed seed; what the summary has to say is counted on the way by the most naive
//! means there are.

use crate::{Result, cargo, native, process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const LINES: u64 = 20_000;
const VISITORS: u64 = 300;
const SESSION_GAP_SECONDS: u64 = 30 * 60;

/// Runs `eddyline logs --once --json` over a generated log and compares its summary with the right one.
pub fn run(binary: &Path) -> Result<()> {
    let folder = cargo::root().join("target").join("xtask-smoke");
    let fail =
        |error: std::io::Error| format!("cannot write the generated log in {}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(fail)?;
    }
    std::fs::create_dir_all(&folder).map_err(fail)?;
    let log = folder.join("access.log");
    let (text, expected) = generate(LINES);
    std::fs::write(&log, text).map_err(fail)?;

    let mut command = Command::new(binary);
    command.args(["logs", "--once", "--json"]).arg(&log).current_dir(&folder);
    command.stdin(Stdio::null()).envs(native::variables());
    let output = process::output(&mut command)?;
    let last = output.lines().last().unwrap_or_default();
    let summary: Value = serde_json::from_str(last).map_err(|error| {
        format!("the last line of standard output is not a JSON object ({error}): {last:?}")
    })?;
    compare(&summary, &expected)
}

fn compare(summary: &Value, expected: &Value) -> Result<()> {
    let expected = expected.as_object().expect("invariant: the expectation is an object");
    let wrong: Vec<String> = expected
        .iter()
        .filter(|(name, value)| summary[name.as_str()] != **value)
        .map(|(name, value)| format!("{name} is {}, should be {value}", summary[name.as_str()]))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(format!("the demo's summary is wrong: {}", wrong.join("; "))) }
}

/// A log of `lines` lines in order of time, and the summary it has to give.
fn generate(lines: u64) -> (String, Value) {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut text = String::new();
    let mut last_seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut status_counts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut unparsed, mut bytes, mut sessions, mut second) = (0_u64, 0_u64, 0_u64, 0_u64);
    for line in 0..lines {
        let value = next(&mut random);
        if line % 997 == 500 {
            unparsed += 1;
            writeln!(text, "this is no log line: {value:x}").expect("invariant: a String takes all text");
            continue;
        }
        second += value % 8;
        let mut visitor = (value >> 8) % VISITORS;
        // A gap of exactly the session gap is where definitions differ; the log has none.
        while last_seen.get(&visitor).is_some_and(|last| second - last == SESSION_GAP_SECONDS) {
            visitor = (visitor + 1) % VISITORS;
        }
        let previous = last_seen.insert(visitor, second);
        if previous.is_none_or(|last| second - last > SESSION_GAP_SECONDS) {
            sessions += 1;
        }
        let status = [200, 200, 200, 200, 301, 304, 404, 500][(value >> 24) as usize % 8];
        let size = (value >> 32) % 100_000;
        bytes += size;
        *status_counts.entry(status.to_string()).or_default() += 1;
        let (day, hour, minute) = (1 + second / 86_400, second / 3_600 % 24, second / 60 % 60);
        writeln!(
            text,
            "10.0.{}.{} - - [{day:02}/May/2015:{hour:02}:{minute:02}:{:02} +0000] \"GET /page/{} HTTP/1.1\" {status} \
             {size} \"-\" \"smoke/1.0\"",
            visitor / 250,
            visitor % 250 + 1,
            second % 60,
            value % 20,
        )
        .expect("invariant: a String takes all text");
    }
    let expected = json!({
        "lines": lines, "unparsed": unparsed, "late": 0, "bytes": bytes, "status": status_counts,
        "sessions": sessions,
    });
    (text, expected)
}

/// The next number of a xorshift generator.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_the_same_each_time_and_adds_up() {
        let (text, expected) = generate(3_000);
        assert_eq!((text.clone(), expected.clone()), generate(3_000));
        assert_eq!(text.lines().count(), 3_000);
        let statuses: u64 =
            expected["status"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(statuses + expected["unparsed"].as_u64().unwrap(), 3_000);
        assert!(expected["sessions"].as_u64().unwrap() > VISITORS);
    }

    #[test]
    fn a_wrong_number_is_named() {
        let expected = json!({"lines": 3, "bytes": 4});
        assert_eq!(compare(&json!({"lines": 3, "bytes": 4, "extra": 1}), &expected), Ok(()));
        let message = compare(&json!({"lines": 2, "bytes": 4}), &expected).unwrap_err();
        assert!(message.ends_with("lines is 2, should be 3"), "{message}");
    }
}
