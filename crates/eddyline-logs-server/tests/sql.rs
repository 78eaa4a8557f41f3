//! SQL over what the job knows, asked over real connections.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod support;

use serde_json::{Value, json};
use support::{Served, access};

const JSON: &str = "application/json";

/// Forty minutes of visits; one in ten fails. Then somebody tries to log in.
fn traffic() -> Vec<String> {
    let line = |second: u32| {
        let status = if second.is_multiple_of(10) { 503 } else { 200 };
        access(&format!("10.0.0.{}", second % 7), second, &format!("GET /page/{}?q=1", second % 3), status)
    };
    let attack = (0..12).map(|second| access("6.6.6.6", 2_400 + second, "POST /login", 401));
    (0..2_400).map(line).chain(attack).chain([access("1.1.1.1", 7_200, "GET /late", 200)]).collect()
}

fn served() -> Served {
    let served = Served::start(None);
    served.write(&traffic());
    served.until("/v1/status", |answer| answer["lines_read"] == 2_413);
    served.until("/v1/alerts?state=closed", |answer| !answer["alerts"].as_array().unwrap().is_empty());
    served
}

/// The rows of a query.
fn rows(served: &Served, query: &str) -> Value {
    let (status, answer) = served.sql(&json!({ "query": query }), JSON);
    assert_eq!(status, 200, "{query}: {answer}");
    answer["rows"].clone()
}

#[test]
fn what_the_job_knows_can_be_asked_for_in_sql() {
    let served = served();
    let statuses =
        "SELECT status, COUNT(*) AS requests, SUM(bytes) AS bytes FROM lines GROUP BY status ORDER BY status";
    let expected = json!([
        {"status": 200, "requests": 2_161, "bytes": 15_127},
        {"status": 401, "requests": 12, "bytes": 84},
        {"status": 503, "requests": 240, "bytes": 1_680},
    ]);
    // Each line once, wherever it is: read just now, or in files.
    assert_eq!(rows(&served, statuses), expected);
    let begun = std::time::Instant::now();
    while served.ask("/v1/logs?format=ndjson", "").1.lines().count() < 2_413 {
        assert!(begun.elapsed() < support::PATIENCE, "the lines never came into files");
    }
    assert_eq!(rows(&served, statuses), expected);
    let first = rows(
        &served,
        "SELECT event_time, host, `method`, path, latency_us FROM lines ORDER BY event_time LIMIT 1",
    );
    assert_eq!(
        first,
        json!([{"event_time": "2015-05-17 00:00:00Z", "host": "10.0.0.0", "method": "GET", "path": "/page/0", "latency_us": 125_000}])
    );
    let minutes = "SELECT requests, errors, visitors FROM windows WHERE kind = 'minute' ORDER BY window_start OFFSET 3 ROWS FETCH NEXT 1 ROWS ONLY";
    assert_eq!(rows(&served, minutes), json!([{"requests": 60, "errors": 6, "visitors": 7}]));
    let failures =
        "SELECT SUM(s.requests) AS failures FROM statuses s WHERE s.kind = 'minute' AND s.status >= 500";
    assert_eq!(rows(&served, failures), json!([{"failures": 240}]));
    let sessions =
        "SELECT host, requests FROM sessions WHERE host LIKE '10.%' ORDER BY requests DESC, host LIMIT 2";
    assert_eq!(
        rows(&served, sessions),
        json!([{"host": "10.0.0.0", "requests": 343}, {"host": "10.0.0.1", "requests": 343}])
    );
    let alerts = "SELECT kind, subject, closed IS NULL AS is_open FROM alerts";
    assert_eq!(
        rows(&served, alerts),
        json!([{"kind": "brute-force", "subject": "6.6.6.6", "is_open": false}])
    );
    // Joined: who of the attackers had a session.
    let joined = "SELECT a.subject, s.requests FROM alerts a JOIN sessions s ON s.host = a.subject";
    assert_eq!(rows(&served, joined), json!([{"subject": "6.6.6.6", "requests": 12}]));
    // Only rows of the time asked for are read.
    let asked = json!({"query": "SELECT COUNT(*) AS n FROM lines", "from": "2015-05-17T00:10:00Z", "to": "2015-05-17T00:11:00Z"});
    assert_eq!(served.sql(&asked, JSON).1["rows"], json!([{"n": 60}]));
    // No more rows than wanted, and it is told.
    let (_, answer) = served.sql(&json!({"query": "SELECT host FROM lines", "limit": 5}), JSON);
    assert_eq!((answer["rows"].as_array().map(Vec::len), &answer["more"]), (Some(5), &json!(true)));
    let latest = json!({"query": "SELECT event_time FROM lines ORDER BY event_time DESC", "limit": 2});
    let (_, answer) = served.sql(&latest, JSON);
    assert_eq!(
        (&answer["rows"], &answer["more"]),
        (
            &json!([{"event_time": "2015-05-17 02:00:00Z"}, {"event_time": "2015-05-17 00:40:11Z"}]),
            &json!(true)
        )
    );
    let (_, answer) = served.sql(&json!({"query": "SELECT 1 AS one", "limit": 1}), JSON);
    assert_eq!(
        (&answer["columns"], &answer["more"]),
        (&json!([{"name": "one", "type": "INT"}]), &json!(false))
    );
}

#[test]
fn nothing_but_one_query_is_run() {
    let served = Served::start(None);
    let secret = served.log.display().to_string();
    for (query, told) in [
        ("INSERT INTO lines SELECT * FROM lines", "only queries are possible here"),
        ("CREATE VIEW v AS SELECT 1", "only queries are possible here"),
        ("SET 'a' = 'b'", "only queries are possible here"),
        ("SELECT 1; SELECT 2", "only one query is possible at a time"),
        ("  ;", "there is no query"),
        ("SELECT hots FROM lines", "there is no column"),
        ("SELECT * FROM nothing", "there is no table"),
        ("SELEC 1", "does not begin a statement"),
        (
            &format!(
                "SELECT * FROM lines /*+ OPTIONS('connector'='filesystem','format'='raw','path'='{secret}') */"
            ),
            "has no option",
        ),
        ("SELECT 1 / 0", "division by zero"),
    ] {
        let (status, answer) = served.sql(&json!({ "query": query }), JSON);
        let error = &answer["error"];
        let message = error["message"].as_str().unwrap_or_default().to_lowercase();
        assert!(status >= 400 && message.contains(told), "{query}: {status} {answer}");
    }
    let (_, answer) = served.sql(&json!({ "query": "SELECT host,\n hots FROM lines" }), JSON);
    assert_eq!(answer["error"]["detail"], "line 2, column 2: `hots`");
    assert_eq!(answer["error"]["hint"], "did you mean `host`?");
    // What is no request is refused before anything runs.
    for (body, kind, status) in [
        (json!({"query": "SELECT 1"}), "text/plain", 415),
        (json!({"qery": "SELECT 1"}), JSON, 400),
        (json!({"query": "SELECT 1", "limit": 0}), JSON, 400),
        (json!({"query": "SELECT 1", "from": "tomorrow"}), JSON, 400),
        (json!({"query": "x".repeat(70_000)}), JSON, 400),
    ] {
        assert_eq!(served.sql(&body, kind).0, status, "{kind}");
    }
    assert_eq!(served.ask("/v1/sql", "").0, 405);
}

#[test]
fn a_query_that_takes_too_long_is_ended() {
    let served = served();
    let endless =
        "SELECT COUNT(*) FROM lines a, lines b, lines c WHERE a.host <> b.host AND b.path <> c.path";
    let (status, answer) = served.sql(&json!({ "query": endless }), JSON);
    assert_eq!(status, 408, "{answer}");
    assert!(answer["error"]["hint"].as_str().unwrap().contains("`from` and `to`"), "{answer}");
    // Others are answered as before.
    assert_eq!(rows(&served, "SELECT COUNT(*) AS n FROM alerts"), json!([{"n": 1}]));
}
