//! `eddyline logs` as a user meets it: what goes wrong is told, what goes right can be asked for.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn eddyline(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).output().unwrap()
}

/// What a run says that must fail.
fn report(directory: &Path, arguments: &[&str]) -> String {
    let output = eddyline(directory, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn log(directory: &Path) {
    let line = |second: u32| {
        let status = if second.is_multiple_of(10) { 503 } else { 200 };
        format!(
            r#"10.0.0.{} - - [17/May/2015:10:00:{second:02} +0000] "GET /{second} HTTP/1.1" {status} 7"#,
            second % 3
        )
    };
    let lines: Vec<String> = (0..60).map(line).collect();
    std::fs::write(directory.join("access.log"), lines.join("\n")).unwrap();
}

#[test]
fn what_goes_wrong_says_what_where_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    log(path);
    let missing = report(path, &["logs", "--once", "missing.log"]);
    assert!(missing.contains("missing.log") && missing.contains("try:"), "{missing}");
    assert!(report(path, &["logs", "--once"]).contains("eddyline logs --once access.log"));
    std::fs::write(path.join("bad.toml"), "follow = true\ninput = ['a']\n").unwrap();
    let config = report(path, &["logs", "--config", "bad.toml"]);
    assert!(config.contains("bad.toml, line 2") && config.contains("unknown field `input`"), "{config}");
    let gone = report(path, &["logs", "--config", "gone.toml"]);
    assert!(gone.contains("gone.toml"), "{gone}");
    let format = report(path, &["logs", "--once", "--format", "xml", "access.log"]);
    assert!(format.contains("there is no log format `xml`") && format.contains("nginx-error"), "{format}");
    let zone = report(path, &["logs", "--once", "--time-zone", "Nowhere/None", "access.log"]);
    assert!(zone.contains("there is no time zone"), "{zone}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let port = report(path, &["logs", "--follow", "--listen", &taken, "access.log"]);
    assert!(port.contains(&taken) && port.contains("another program listens there"), "{port}");
    let nowhere = report(path, &["logs", "query", "--server", "127.0.0.1:1"]);
    assert!(nowhere.contains("cannot ask the server"), "{nowhere}");
    let store = report(path, &["logs", "query", "--store", "nowhere"]);
    assert!(store.contains("there is no such store"), "{store}");
    let file = report(path, &["logs", "--once", "--store", "access.log", "access.log"]);
    assert!(file.contains("the store's directory"), "{file}");
}

#[test]
fn what_was_stored_can_be_asked_for_from_scripts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    log(path);
    let output = eddyline(path, &["logs", "--once", "--json", "--store", "store", "access.log"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["lines"], &summary["status"]["503"]), (&60.into(), &6.into()));
    let query = |arguments: &[&str]| {
        let output = eddyline(path, &[&["logs", "query", "--store", "store"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let failed = query(&["--status", "5xx"]);
    assert_eq!(failed.lines().count(), 6);
    assert!(failed.lines().is_sorted() || failed.lines().all(|line| line.contains(" 503 ")), "{failed}");
    let last = query(&["--limit", "1"]);
    assert!(last.contains("GET /59 "), "{last}");
    assert_eq!(query(&["--all"]).lines().count(), 60);
    let json = query(&["--path", "/17", "--json"]);
    let line: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!((&line["host"], &line["status"]), (&"10.0.0.2".into(), &200.into()));
}
