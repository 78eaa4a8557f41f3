//! Every figure of the job's summary, windows and sessions against the independent computation in Python
//! (`reference.py`), out-of-order lines included. Skipped with a notice where there is no `python3`.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline::Environment;
use eddyline_logs::TrafficModel;
use eddyline_logs::job::{Figures, LogJob, WindowKind};
use eddyline_logs::store::StoreSettings;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const ALL: std::ops::Range<i64> = i64::MIN..i64::MAX;

fn python(log: &Path) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    match Command::new("python3").arg(script).arg("--detail").arg(log).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(serde_json::from_slice(&output.stdout).unwrap())
        }
        Err(error) => {
            println!("skipped: cannot run python3: {error}");
            None
        }
    }
}

/// Start, requests, bytes and errors as Python has them; hosts are estimated, and compared by themselves.
fn compare(kind: &str, found: &[Figures], expected: &Value) {
    let expected = expected[kind].as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{kind}");
    for (figures, expected) in found.iter().zip(expected) {
        let exact = [figures.start, figures.requests as i64, figures.bytes as i64, figures.errors as i64];
        let wanted: Vec<i64> = (0..4).map(|column| expected[column].as_i64().unwrap()).collect();
        assert_eq!(exact.as_slice(), wanted, "{kind}");
        let hosts = expected[4].as_f64().unwrap();
        let deviation = (figures.visitors as f64 - hosts).abs() / hosts;
        assert!(deviation < 0.12, "{kind} {}: {} visitors of {hosts}", figures.start, figures.visitors);
    }
}

fn check(log: &Path, workers: u32) {
    let Some(expected) = python(log) else { return };
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { directory: directory.path().to_owned(), lines: true, live: false };
    let job = LogJob { store: Some(settings), ..LogJob::new(vec![log.to_owned()]) };
    let environment = Environment::new();
    environment.set_parallelism(workers);
    let watch = job.describe(&environment).unwrap();
    environment.execute("figures").unwrap();
    let summary: Value = serde_json::from_str(&watch.board.sums().to_json()).unwrap();
    for key in ["lines", "unparsed", "late", "bytes", "status", "sessions"] {
        assert_eq!(summary[key], expected[key], "{key}");
    }
    let store = watch.store.unwrap();
    compare("minutes", &store.windows(WindowKind::Minute, ALL, usize::MAX).unwrap(), &expected);
    compare("sliding", &store.windows(WindowKind::Sliding, ALL, usize::MAX).unwrap(), &expected);
    compare("days", &store.windows(WindowKind::Day, ALL, usize::MAX).unwrap(), &expected);
    let mut sessions = store.sessions(ALL, None, usize::MAX).unwrap();
    sessions.sort_by(|one, other| (&one.host, one.start).cmp(&(&other.host, other.start)));
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|session| {
            serde_json::json!([session.host, session.start, session.end, session.requests, session.bytes])
        })
        .collect();
    assert_eq!(Value::from(sessions), expected["visits"]);
}

#[test]
fn all_figures_of_made_up_traffic_are_python_s() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let lines: Vec<Vec<u8>> =
        TrafficModel::new(8, 1_779_990_000_000, 2).take(30_000).map(|line| line.line).collect();
    std::fs::write(&log, lines.join(&b'\n')).unwrap();
    check(&log, 1);
    check(&log, 3);
}

#[test]
fn all_figures_of_a_real_log_are_python_s() {
    let Some(folder) = std::env::var_os("EDDYLINE_TEST_DATA") else {
        println!("skipped: EDDYLINE_TEST_DATA does not name a folder with real logs");
        return;
    };
    let log = Path::new(&folder).join("elastic_apache_logs/apache_logs");
    if log.is_file() {
        check(&log, 2);
    }
}

#[test]
fn real_attacks_on_logins_are_noticed() {
    let Some(folder) = std::env::var_os("EDDYLINE_TEST_DATA") else {
        println!("skipped: EDDYLINE_TEST_DATA does not name a folder with real logs");
        return;
    };
    let log = Path::new(&folder).join("elastic_auth_log/auth.log");
    if !log.is_file() {
        return;
    }
    let environment = Environment::new();
    let mut job = LogJob::new(vec![log]);
    job.reading.reference_ms = 1_780_000_000_000;
    let watch = job.describe(&environment).unwrap();
    environment.execute("auth").unwrap();
    let summary = watch.board.sums();
    println!("{} with {} alerts", summary.to_json(), watch.board.alerts().len());
    assert_eq!((summary.lines, summary.unparsed), (7_121, 0));
    assert!(watch.board.alerts().iter().any(|alert| alert.kind.name() == "brute-force"));
}
