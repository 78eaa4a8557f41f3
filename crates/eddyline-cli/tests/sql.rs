//! `eddyline sql` without a terminal: scripts, statements on the command line and from a pipe.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect
#![cfg(feature = "sql")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run with these arguments and this standard input gives.
fn sql(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_eddyline"))
        .arg("sql")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has ended before it read everything is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn statements_come_from_files_the_command_line_and_pipes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(
        path.join("init.sql"),
        "CREATE VIEW v AS SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(n, s);",
    )
    .unwrap();
    std::fs::write(path.join("query.sql"), "SELECT SUM(n) AS total FROM v;").unwrap();
    let file = sql(path, &["-i", "init.sql", "-f", "query.sql", "-o", "json", "-m", "batch", "-p", "2"], "");
    assert_eq!((out(&file), told(&file)), ("{\"total\":3}\n".into(), String::new()));
    assert!(file.status.success());
    let statements = sql(path, &["-i", "init.sql", "-e", "SELECT s FROM v WHERE n = 1;", "-o", "csv"], "");
    assert_eq!(out(&statements), "s\na\n");
    let piped = sql(
        path,
        &["-i", "init.sql", "-o", "changelog"],
        "SELECT s\nFROM v\nWHERE n = 2;\nQUIT;\nSELECT 0;\n",
    );
    assert_eq!(out(&piped), "{\"op\":\"+I\",\"row\":{\"s\":\"b\"}}\n");
    let table = sql(path, &["-i", "init.sql", "-e", "SELECT * FROM v"], "");
    assert!(out(&table).contains("| 2 | b |") && out(&table).contains("2 rows in set"), "{}", out(&table));
}

#[test]
fn a_table_that_prints_does_so_while_the_script_runs() {
    let directory = tempfile::tempdir().unwrap();
    let script =
        "CREATE TABLE shown (n INT) WITH ('connector' = 'print'); INSERT INTO shown VALUES (1), (2);";
    let output = sql(directory.path(), &["-e", script], "");
    assert!(output.status.success(), "{}", told(&output));
    assert!(out(&output).contains("+I[1]\n+I[2]\n"), "{}", out(&output));
}

#[test]
fn what_is_wrong_is_shown_where_it_stands_and_fails_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(
        path.join("wrong.sql"),
        "SELECT 'first' AS a;\nSELECT\n  UPER(b) FROM (VALUES ('x')) AS t(b);\nSELECT 'never' AS c;\n",
    )
    .unwrap();
    let file = sql(path, &["-f", "wrong.sql"], "");
    assert_eq!(file.status.code(), Some(1));
    assert!(out(&file).contains("first") && !out(&file).contains("never"), "{}", out(&file));
    assert_eq!(
        told(&file),
        "error: there is no function `UPER`\n  where: wrong.sql, line 3, column 3\n    3 |   UPER(b) FROM (VALUES ('x')) AS t(b);\n      \
         |   ^^^^^^^\n  try: did you mean `UPPER`?\n"
    );
    let piped = sql(path, &[], "SELECT 1 AS a\n  FRM t;\nSELECT 'never' AS c;\n");
    assert_eq!(piped.status.code(), Some(1));
    assert!(told(&piped).contains("line 2, column 3") && !out(&piped).contains("never"), "{}", told(&piped));
    let missing = sql(path, &["-f", "gone.sql"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(told(&missing).contains("gone.sql"), "{}", told(&missing));
    let usage = sql(path, &["-f", "wrong.sql", "-e", "SELECT 1"], "");
    assert_eq!(usage.status.code(), Some(2));
    let mode = sql(path, &["-e", "SET 'sql-client.execution.result-mode' = 'tabel';"], "");
    assert!(told(&mode).contains("give `table`, `changelog` or `tableau`"), "{}", told(&mode));
}
