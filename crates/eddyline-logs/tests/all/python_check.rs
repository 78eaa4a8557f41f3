//! The reference model against the independent computation in Python (`reference.py`).
//!
//! Skipped with a notice where there is no `python3`. The real log is used where `EDDYLINE_TEST_DATA` names a
//! folder that holds one.

use crate::support::{Dice, mutate};
use eddyline_logs::{Summary, TrafficModel, reference};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Python says about a file; none where there is no Python.
fn python(file: &Path) -> Option<Summary> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    let output = match Command::new("python3").arg(script).arg(file).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: cannot run python3: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("six figures as JSON"))
}

#[track_caller]
fn check(log: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(log).expect("writing it");
    let (summary, _) = reference::summarise(reference::lines_of(log));
    if let Some(expected) = python(file.path()) {
        assert_eq!(summary.to_json(), expected.to_json());
    }
}

/// The real log, if there is one.
fn real_log() -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("EDDYLINE_TEST_DATA").map(PathBuf::from) else {
        println!("skipped: EDDYLINE_TEST_DATA does not name a folder with real logs");
        return None;
    };
    let candidates = ["apache_logs", "elastic_apache_logs/apache_logs"];
    let found = candidates.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    match found {
        Some(path) => Some(std::fs::read(path).expect("a readable log")),
        None => {
            println!("skipped: no apache_logs in the folder EDDYLINE_TEST_DATA names");
            None
        }
    }
}

#[test]
fn python_agrees_on_made_up_traffic() {
    let log: Vec<u8> = TrafficModel::new(5, 1_780_000_000_000, 2)
        .take(30_000)
        .flat_map(|line| [line.line, b"\n".to_vec()].concat())
        .collect();
    check(&log);
}

#[test]
fn python_agrees_on_edited_lines() {
    let mut dice = Dice::new(99);
    let mut log = Vec::new();
    for line in TrafficModel::new(6, 1_780_000_000_000, 10).take(30_000) {
        let mut line = line.line;
        mutate(&mut line, &mut dice);
        log.extend_from_slice(&line);
        log.push(b'\n');
    }
    check(&log);
    check(b"");
    check(b"\n\nno line end");
}

#[test]
fn python_agrees_on_a_real_log() {
    let Some(log) = real_log() else { return };
    check(&log);
    let (summary, _) = reference::summarise(reference::lines_of(&log));
    // Facts about the public sample of 10,000 lines: one is cut off within its agent.
    assert_eq!((summary.lines, summary.unparsed, summary.highlights.visitors), (10_000, 1, 1_753));
}
