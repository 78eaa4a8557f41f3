//! The log product in SQL: its figures are those of the programmed one.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect
#![cfg(feature = "sql")]

use eddyline_logs::{TrafficModel, reference};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Some hours of traffic, and lines that nobody can read.
fn log() -> Vec<u8> {
    let mut log = Vec::new();
    for (number, line) in TrafficModel::new(5, 1_780_000_000_000, 1).take(8_000).enumerate() {
        log.extend_from_slice(&line.line);
        log.push(b'\n');
        if number % 1_000 == 7 {
            log.extend_from_slice(b"this is no access\n");
        }
    }
    log
}

fn eddyline(directory: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_eddyline")).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All rows below `results/TABLE`.
fn rows(directory: &Path, table: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(directory.join("results").join(table)).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        rows.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    rows
}

/// `2026-05-28 20:26:00`, with a `Z` or a fraction or neither, as milliseconds since the epoch.
fn millis(value: &Value) -> i64 {
    let text = value.as_str().unwrap().trim_end_matches('Z').replace(' ', "T");
    eddyline_logs::format::parse_rfc3339(&format!("{text}Z")).unwrap_or_else(|| panic!("{value}"))
}

fn check(mode: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let log = log();
    std::fs::write(path.join("access.log"), &log).unwrap();
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/access-log/pipeline.sql");
    let pipeline = pipeline.to_str().unwrap();
    let zone = "-Dtable.local-time-zone=UTC";
    let shown = eddyline(path, &["sql", zone, "-f", pipeline, "--mode", mode, "--output", "json"]);
    let summary: Value = serde_json::from_str(shown.trim()).unwrap();
    let programmed = eddyline(path, &["logs", "--once", "--json", "access.log"]);
    let programmed: Value = serde_json::from_str(programmed.lines().last().unwrap()).unwrap();
    assert_eq!(programmed["late"], 0);
    for figure in ["lines", "unparsed", "bytes", "sessions"] {
        assert_eq!(summary[figure], programmed[figure], "{figure}");
    }

    let (_, windows) = reference::summarise(reference::lines_of(&log));
    let mut minutes: BTreeMap<i64, BTreeMap<u16, u64>> = BTreeMap::new();
    let mut status: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows(path, "minutes") {
        let (code, count) = (row["status"].as_u64().unwrap(), row["requests"].as_u64().unwrap());
        *minutes.entry(millis(&row["window_start"])).or_default().entry(code as u16).or_default() += count;
        *status.entry(code.to_string()).or_default() += count;
    }
    assert_eq!(minutes, windows.minutes);
    assert_eq!(serde_json::to_value(status).unwrap(), programmed["status"]);

    let mut sessions: Vec<eddyline_logs::Session> = rows(path, "sessions")
        .iter()
        .map(|row| eddyline_logs::Session {
            host: row["host"].as_str().unwrap().to_owned(),
            start: millis(&row["session_start"]),
            end: millis(&row["session_end"]),
            requests: row["requests"].as_u64().unwrap(),
            bytes: row["bytes"].as_u64().unwrap(),
        })
        .collect();
    sessions.sort_by(|one, other| one.host.cmp(&other.host).then(one.start.cmp(&other.start)));
    assert_eq!(sessions, windows.sessions);

    let mut paths: BTreeMap<i64, Vec<(String, u64)>> = BTreeMap::new();
    let mut ranked = rows(path, "paths");
    ranked.sort_by_key(|row| row["place"].as_u64());
    for row in ranked {
        let count = row["requests"].as_u64().unwrap();
        let path = row["page"].as_str().unwrap().to_owned();
        paths.entry(millis(&row["window_start"])).or_default().push((path, count));
    }
    assert_eq!(paths, top_of_hours(&log));
}

/// The ten most frequent paths of each hour.
fn top_of_hours(log: &[u8]) -> BTreeMap<i64, Vec<(String, u64)>> {
    let mut hours: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
    for line in reference::lines_of(log) {
        let Ok(line) = eddyline_logs::parse::parse_line(line) else { continue };
        let event = eddyline_logs::LogEvent::from(&line);
        *hours.entry(event.time.div_euclid(3_600_000)).or_default().entry(event.path).or_default() += 1;
    }
    let top = |counts: BTreeMap<String, u64>| {
        let top = eddyline_logs::summary::top_paths(counts, 10);
        top.into_iter().map(|found| (found.path, found.count)).collect()
    };
    hours.into_iter().map(|(hour, counts)| (hour * 3_600_000, top(counts))).collect()
}

#[test]
fn the_pipeline_in_sql_gives_the_figures_of_the_programmed_one() {
    check("streaming");
    check("batch");
}
