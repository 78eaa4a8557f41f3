//! `eddyline state` on a checkpoint: what it prints, writes and answers.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

use std::path::Path;
use std::process::{Command, Output};

/// A checkpoint with every kind of state.
const FORMATS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../eddyline-state/tests/formats/1");

fn eddyline(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eddyline")).arg("state").args(arguments).output().unwrap()
}

/// What a command that succeeds prints.
fn printed(arguments: &[&str]) -> String {
    let output = eddyline(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that fails says.
fn refused(arguments: &[&str], code: i32) -> String {
    let output = eddyline(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn states_are_listed_and_measured() {
    let listed = printed(&["ls", FORMATS]);
    for part in ["job formats, checkpoint 2", "\noperator  ", "accounts", "text → bool", "4 key groups"] {
        assert!(listed.contains(part), "{part} is missing in\n{listed}");
    }
    let scanned = printed(&["ls", FORMATS, "--scan", "--largest", "2"]);
    for part in ["40 entries", "touched from 1970-01-01T00:00:01.000Z", "least"] {
        assert!(scanned.contains(part), "{part} is missing in\n{scanned}");
    }
    let json: serde_json::Value = serde_json::from_str(&printed(&["ls", FORMATS, "--json"])).unwrap();
    assert_eq!((&json["checkpoint"], json["states"].as_array().unwrap().len()), (&2.into(), 7));
    let missing = refused(&["ls", "/does/not/exist"], 1);
    assert!(
        missing.contains("no such checkpoint") && missing.contains("try: give the directory"),
        "{missing}"
    );
}

#[test]
fn keys_and_values_are_shown() {
    let of = |state: &'static str| ["read", FORMATS, "--uid", "operator", "--state", state];
    let all = printed(&of("accounts"));
    assert_eq!(all.lines().count(), 40);
    let limited = printed(&[&of("accounts")[..], &["--limit", "3"]].concat());
    assert_eq!(limited.lines().collect::<Vec<_>>(), all.lines().take(3).collect::<Vec<_>>());
    let one: serde_json::Value =
        serde_json::from_str(&printed(&[&of("accounts")[..], &["--key", "3"]].concat())).unwrap();
    assert_eq!(one["value"]["owner"], "owner 4", "the change of the second checkpoint counts");
    let timed = printed(&[&of("timed")[..], &["--key", "key 7"]].concat());
    assert!(timed.contains("\"value\":7,\"touched_ms\":1007"), "{timed}");
    let windows = printed(&[&of("windows")[..], &["--key", "9"]].concat());
    assert!(windows.contains("\"window\":240000,\"key\":9,\"value\":[9,0.25]"), "{windows}");
    let csv = printed(&[&of("positions")[..], &["--format", "csv"]].concat());
    assert!(csv.starts_with("uid,state,") && csv.contains("\"[\"\"a.log\"\",7]\""), "{csv}");
    let unknown = refused(&of("account"), 1);
    assert!(unknown.contains("no state `account`") && unknown.contains("`accounts`"), "{unknown}");
}

#[test]
fn exported_compared_changed_and_verified() {
    let place = tempfile::tempdir().unwrap();
    let (export, new) = (place.path().join("export"), place.path().join("new"));
    let said = printed(&["export", FORMATS, "--to", text(&export)]);
    assert!(said.contains("operator.accounts.jsonl: 40 entries"), "{said}");
    assert_eq!(std::fs::read_dir(&export).unwrap().count(), 7);
    let again = refused(&["export", FORMATS, "--to", text(&export)], 1);
    assert!(again.contains("cannot write the export") && again.contains("accounts"), "{again}");

    // One account gets another owner.
    let lines = export.join("operator.accounts.jsonl");
    let changed = std::fs::read_to_string(&lines).unwrap().replace("\"owner 7\"", "\"Ada\"");
    std::fs::write(&lines, changed).unwrap();
    let entries = format!("operator/accounts={}", text(&lines));
    let said = printed(&["bootstrap", FORMATS, "--to", text(&new), "--entries", &entries]);
    assert!(said.contains("40 entries written") && said.contains("-Dexecution.checkpointing.dir="), "{said}");
    let whole = printed(&["verify", text(&new)]);
    assert!(whole.contains("checkpoint 1 of job formats is whole: 7 states"), "{whole}");
    let twice = refused(&["bootstrap", FORMATS, "--to", text(&new), "--entries", &entries], 1);
    assert!(twice.contains("checkpoints there already"), "{twice}");

    let same = printed(&["diff", FORMATS, FORMATS]);
    assert_eq!(same, "no difference\n");
    let different = eddyline(&["diff", FORMATS, text(&new)]);
    let shown = String::from_utf8(different.stdout).unwrap();
    assert_eq!(different.status.code(), Some(1), "{shown}");
    assert!(shown.contains("operator accounts: 0 added, 0 removed, 1 changed, 39 the same"), "{shown}");
    assert!(shown.contains("- {") && shown.contains("\"owner\":\"Ada\""), "{shown}");
    assert!(refused(&["diff", FORMATS, "/does/not/exist"], 2).contains("no such checkpoint"));

    // A byte is another one.
    let part = std::fs::read_dir(new.join("formats/checkpoint-0000000001")).unwrap();
    let part = part.map(|entry| entry.unwrap().path()).find(|path| !path.ends_with("COMPLETE")).unwrap();
    let mut bytes = std::fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    let damaged = refused(&["verify", text(&new)], 1);
    assert!(damaged.contains("checksum") && damaged.contains("part-"), "{damaged}");
}
