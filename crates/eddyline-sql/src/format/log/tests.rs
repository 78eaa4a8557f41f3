//! Lines of logs by pattern.

use super::grok::expand;
use crate::format::testing::{decode, options, show};
use crate::types::TypeKind;

#[test]
fn web_server_logs_have_named_fields() {
    let columns = [
        ("host", TypeKind::STRING),
        ("user", TypeKind::STRING),
        ("time", TypeKind::TimestampLtz(0)),
        ("method", TypeKind::STRING),
        ("path", TypeKind::STRING),
        ("status", TypeKind::Int),
        ("bytes", TypeKind::BigInt),
        ("agent", TypeKind::STRING),
    ];
    let format = options(&[("format", "log"), ("log.format", "combined")], &columns).unwrap();
    let line = |rest: &str| format!("10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] {rest}");
    for (rest, expected) in [
        (
            r#""GET /a b HTTP/1.0" 200 2326 "-" "Mozilla/5.0 \"x\"""#,
            r#"10.0.0.1|NULL|2000-10-10 20:55:36|GET|/a b|200|2326|Mozilla/5.0 \"x\""#,
        ),
        (r#""-" 400 -"#, "10.0.0.1|NULL|2000-10-10 20:55:36|NULL|NULL|400|NULL|NULL"),
    ] {
        let rows = decode(&format, &columns, &line(rest)).unwrap();
        assert_eq!(show(&rows, &columns), [expected]);
    }
    assert!(decode(&format, &columns, "garbage").unwrap_err().contains("does not match"));
}

#[test]
fn patterns_of_ones_own_name_the_columns() {
    let columns = [("level", TypeKind::STRING), ("took", TypeKind::Double), ("at", TypeKind::Timestamp(3))];
    let grok = "%{TIMESTAMP_ISO8601:at} %{LOGLEVEL:level} took %{NUMBER:took}ms%{GREEDYDATA}";
    let format =
        options(&[("format", "log"), ("log.format", "grok"), ("log.pattern", grok)], &columns).unwrap();
    let rows = decode(&format, &columns, "2020-01-02T03:04:05.678 WARN took 1.5ms or so").unwrap();
    assert_eq!(show(&rows, &columns), ["WARN|1.5|2020-01-02 03:04:05.678"]);
    let regex = r"(?P<level>\w+) (?P<took>\S+) (?P<at>.*)";
    let with = [("format", "log"), ("log.format", "regex"), ("log.pattern", regex)];
    let format = options(&with, &columns).unwrap();
    let reason = decode(&format, &columns, "x y 2020-01-02 00:00:00").unwrap_err();
    assert_eq!(reason, "field `took`: `y` is no DOUBLE");
    let lenient = options(&[&with[..], &[("log.ignore-parse-errors", "true")]].concat(), &columns).unwrap();
    let rows = decode(&lenient, &columns, "x y 2020-01-02 00:00:00").unwrap();
    assert_eq!(show(&rows, &columns), ["x|NULL|2020-01-02 00:00:00.000"]);
}

#[test]
fn patterns_that_make_no_sense_are_refused() {
    assert!(expand("%{NUMBR:a}").unwrap_err().contains("did you mean %{NUMBER}"));
    assert!(expand("%{NUMBER:a").unwrap_err().contains("not closed"));
    assert!(expand("%{NUMBER:a-b}").unwrap_err().contains("no name"));
    let columns = [("hsot", TypeKind::STRING)];
    let error = options(&[("format", "log"), ("log.format", "common")], &columns).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `host`?"));
    let error = options(&[("format", "log")], &columns).unwrap_err();
    assert!(error.message.contains("log.format"));
}

/// Every pattern that there is can be compiled.
#[test]
fn all_patterns_compile() {
    for (name, _) in super::grok::PATTERNS {
        regex::Regex::new(&expand(&format!("%{{{name}}}")).unwrap()).unwrap();
    }
    let columns = [("pid", TypeKind::Int), ("program", TypeKind::STRING), ("rest", TypeKind::STRING)];
    let pattern = "%{SYSLOGBASE} %{GREEDYDATA:rest}";
    let with = [("format", "log"), ("log.format", "grok"), ("log.pattern", pattern)];
    let format = options(&with, &columns).unwrap();
    let rows = decode(&format, &columns, "Oct  5 01:02:03 web-1 sshd[77]: hello").unwrap();
    assert_eq!(show(&rows, &columns), ["77|sshd|hello"]);
}
