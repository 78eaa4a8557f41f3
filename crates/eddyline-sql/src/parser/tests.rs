//! Forms that are understood, and errors that point at their place.

use super::ast::Statement;
use super::{is_complete, parse_script};

fn parses(text: &str) {
    if let Err(error) = parse_script(text) {
        panic!("{text}\n{}", error.into_error(text).report());
    }
}

#[test]
fn flinks_forms_are_understood() {
    include_str!("parse_cases.txt").lines().for_each(parses);
    for refused in
        ["SELECT \"a\" FROM t", "SELECT 1 2", "CREATE TABLE t (a INT, PRIMARY KEY (a))", "SELECT FROM"]
    {
        assert!(parse_script(refused).is_err(), "{refused}");
    }
}

#[test]
fn errors_point_at_their_place() {
    let text = "SELECT a,\n  FROM t";
    let error = parse_script(text).unwrap_err().into_error(text);
    assert_eq!(error.message(), "expected an expression, but found `FROM`");
    assert_eq!(error.detail(), Some("line 2, column 3: `FROM`"));
}

#[test]
fn nesting_is_limited_and_long_chains_are_not() {
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(parse_script(&deep).unwrap_err().message.contains("nested too deeply"));
    let long = format!("SELECT {}", vec!["1"; 5_000].join(" + "));
    parses(&long);
}

#[test]
fn a_script_is_cut_at_semicolons() {
    let text = "SET 'a' = 'b'; SELECT ';' FROM t; -- the end;\n";
    let statements = parse_script(text).unwrap();
    assert_eq!(statements.len(), 2);
    assert!(matches!(statements[1].statement, Statement::Query(_)));
    assert!(is_complete(text) && !is_complete("SELECT 1") && !is_complete("SELECT ';"));
}
