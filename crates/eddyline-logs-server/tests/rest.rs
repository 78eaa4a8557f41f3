//! What the server answers while a job runs, asked over real connections.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod support;

use eddyline_logs_server::{Listener, ROUTES, ServerSettings};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::time::Instant;
use support::{Served, access, connect, events, until_line};

/// Forty minutes of visits; one in ten fails.
fn traffic() -> Vec<String> {
    let line = |second: u32| {
        let status = if second.is_multiple_of(10) { 503 } else { 200 };
        access(&format!("10.0.0.{}", second % 7), second, &format!("GET /page/{}?q=1", second % 3), status)
    };
    (0..2_400).map(line).collect()
}

#[test]
fn what_was_written_is_answered() {
    let served = Served::start(None);
    served.write(&traffic());
    served.write(&["nonsense".to_owned()]);
    served.until("/v1/summary", |answer| answer["lines"].as_u64() >= Some(2_300));
    let status = served.until("/v1/status", |answer| {
        answer["lines_read"] == 2_401 && answer["latency"]["count"].as_u64() > Some(0)
    });
    assert_eq!((&status["state"], &status["stored"]), (&Value::from("running"), &Value::from(true)));

    let lines = served.json("/v1/logs?limit=3");
    let first = &lines["lines"][0];
    assert_eq!((first["host"].as_str(), first["path"].as_str()), (Some("10.0.0.5"), Some("/page/2")));
    assert_eq!((first["latency_us"].as_u64(), &lines["more"]), (Some(125_000), &Value::from(true)));
    let failed =
        served.json("/v1/logs?status=5xx&path=/page/*&host=10.0.0.3&from=2015-05-17T00:10:00Z&limit=10000");
    let written = traffic();
    let expected = written
        .iter()
        .enumerate()
        .filter(|(second, line)| *second >= 600 && line.starts_with("10.0.0.3 ") && line.contains(" 503 "));
    assert_eq!(failed["lines"].as_array().map(Vec::len), Some(expected.count()));

    let minutes = served.until("/v1/windows?kind=minute", |answer| {
        answer["windows"].as_array().is_some_and(|windows| windows.len() >= 39)
    });
    let minute = &minutes["windows"][3];
    assert_eq!((&minute["requests"], &minute["errors"]), (&Value::from(60), &Value::from(6)));
    assert_eq!((&minute["status"]["503"], &minute["visitors"]), (&Value::from(6), &Value::from(7)));
    assert_eq!(minute["latency_p50_us"], 125_000);
    let sliding = served.json("/v1/windows?kind=sliding&from=2015-05-17T00:20:00Z&limit=1");
    assert_eq!(sliding["windows"][0]["requests"], 300);
    let top = served.json("/v1/top?dimension=path&minutes=10");
    assert_eq!(top["top"].as_array().map(Vec::len), Some(3));
    let unreadable = served.json("/v1/unreadable");
    assert_eq!(unreadable["latest"].as_array().map(Vec::len), Some(1), "{unreadable}");
    // Of operators that were given anything: nobody has failed to log in here.
    served.until("/v1/status", |answer| {
        let operators = answer["operators"].as_array().unwrap();
        let is_told = |uid: &&str| operators.iter().any(|found| found["uid"] == **uid);
        ["dispatch", "minutes", "sliding", "days", "sessions", "values", "tops", "summary"]
            .iter()
            .all(is_told)
    });
    let (status, metrics) = served.ask("/metrics", "");
    assert_eq!(status, 200);
    let latency =
        "eddyline_operator_latency_seconds_count{operator=\"dispatch\",uid=\"dispatch\",instance=\"0\"}";
    assert!(metrics.contains(latency), "{metrics}");
    assert!(metrics.contains("eddyline_logs_read_lines_total 2401\n"), "{metrics}");
    let (status, page) = served.ask("/", "");
    assert!(status == 200 && page.contains("<title>Eddyline logs</title>"));
    assert!(
        !page.contains("src=\"http") && !page.contains("@import"),
        "the page loads nothing from elsewhere"
    );
}

#[test]
fn lines_are_found_within_a_second_and_streamed_when_committed() {
    let served = Served::start(None);
    served.write(&traffic());
    served.until("/v1/status", |answer| answer["lines_read"] == 2_400);
    let mut slowest = 0.0_f64;
    for number in 0..20 {
        let begun = Instant::now();
        served.write(&[access("10.9.9.9", 2_400 + number, &format!("GET /fresh/{number}"), 200)]);
        served.until(&format!("/v1/logs?path=/fresh/{number}"), |answer| {
            answer["lines"].as_array().is_some_and(|lines| !lines.is_empty())
        });
        slowest = slowest.max(begun.elapsed().as_secs_f64());
    }
    println!("slowest from written to answered: {slowest:.3} s");
    assert!(slowest < 1.0, "{slowest}");
    // A stream has what is in files; each line once.
    let streamed = || served.ask("/v1/logs?format=ndjson", "").1;
    let begun = Instant::now();
    while streamed().lines().count() < 2_420 {
        assert!(begun.elapsed() < support::PATIENCE);
    }
    let body = streamed();
    let offsets: std::collections::BTreeSet<u64> = body
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["offset"].as_u64().unwrap())
        .collect();
    assert_eq!((body.lines().count(), offsets.len()), (2_420, 2_420));
    assert_eq!(served.json("/v1/logs?limit=10000")["lines"].as_array().map(Vec::len), Some(2_420));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_hint() {
    let served = Served::start(None);
    for target in [
        "/v1/logs?limit=0",
        "/v1/logs?limit=1000000",
        "/v1/logs?limit=many",
        "/v1/logs?form=tomorrow",
        "/v1/logs?from=tomorrow",
        "/v1/logs?from=5&to=4",
        "/v1/logs?status=ok",
        "/v1/logs?format=xml",
        "/v1/windows?kind=century",
        "/v1/top?dimension=length",
        "/v1/alerts?state=ajar",
    ] {
        let (status, body) = served.ask(target, "");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 400, "{target}: {body}");
        assert!(
            error["error"]["message"].is_string() && error["error"]["hint"].is_string(),
            "{target}: {body}"
        );
    }
    assert_eq!(served.ask("/v1/nothing", "").0, 404);
    assert_eq!(served.ask("/v1/alerts/nobody", "").0, 404);
    let mut connection = connect(served.address());
    connection.write_all(b"GET /v1/summary HTTP/1.0\r\nhost: evil.example\r\n\r\n").unwrap();
    until_line(&mut std::io::BufReader::new(connection), "HTTP/1.0 403");
}

#[test]
fn with_a_token_only_who_shows_it_is_answered() {
    let served = Served::start(Some("secret"));
    assert_eq!(served.ask("/v1/summary", "").0, 401);
    assert_eq!(served.ask("/", "").0, 401);
    assert_eq!(served.ask("/v1/summary", "authorization: Bearer wrong\r\n").0, 401);
    assert_eq!(served.ask("/v1/summary", "authorization: Bearer secret\r\n").0, 200);
    assert_eq!(served.ask("/?access_token=secret", "").0, 200);
    assert_eq!(served.ask("/v1/logs?access_token=secret", "").0, 200);
    assert_eq!(served.ask("/healthz", "").0, 200);
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let served = Served::start(None);
    let settings = ServerSettings { address: served.address(), token: None };
    let report = Listener::bind(settings).err().expect("the port is in use").report();
    assert!(
        report.contains(&served.address().to_string()) && report.contains("another program listens there")
    );
}

#[test]
fn the_document_describes_the_routes() {
    let served = Served::start(None);
    let document = served.json("/v1/openapi.json");
    let described: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let mut routes = ROUTES.to_vec();
    routes.sort_unstable();
    let mut described: Vec<&str> = described.iter().map(|path| path.as_str()).collect();
    described.sort_unstable();
    assert_eq!(described, routes);
    // What is answered has the keys that the document promises.
    for (target, schema) in [("/v1/status", "Status"), ("/v1/summary", "Summary")] {
        let answer = served.json(target);
        let promised = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
        let keys = |object: &serde_json::Map<String, Value>| {
            let mut keys: Vec<String> = object.keys().cloned().collect();
            keys.sort();
            keys
        };
        assert_eq!(keys(answer.as_object().unwrap()), keys(promised), "{target}");
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn alerts_are_pushed_at_once_and_can_be_asked_for() {
    let served = Served::start(None);
    let mut listening = events(served.address(), "/v1/events");
    let lines: Vec<String> = (0..12).map(|second| access("6.6.6.6", second, "POST /login", 401)).collect();
    let begun = Instant::now();
    served.write(&lines);
    let id = until_line(&mut listening, "id: ");
    until_line(&mut listening, "event: alert");
    let data = until_line(&mut listening, "data: ");
    let elapsed = begun.elapsed().as_secs_f64();
    println!("from written to pushed: {elapsed:.3} s");
    assert!(elapsed < 2.0, "{elapsed}");
    let alert: Value = serde_json::from_str(&data["data: ".len()..]).unwrap();
    assert_eq!((alert["kind"].as_str(), alert["subject"].as_str()), (Some("brute-force"), Some("6.6.6.6")));
    let open = served.json("/v1/alerts?state=open");
    assert_eq!(open["alerts"][0]["id"], alert["id"]);
    let one = served.json(&format!("/v1/alerts/{}", alert["id"].as_str().unwrap()));
    assert_eq!(one["evidence"].as_array().map(|lines| lines.len() > 2), Some(true));
    // Who comes back with the last id gets what came after it.
    served.write(&[access("6.6.6.6", 20, "POST /login", 302)]);
    until_line(&mut listening, "event: alert");
    let after = format!("/v1/events?after={}", id["id: ".len()..].trim());
    let mut again = events(served.address(), &after);
    assert!(until_line(&mut again, "data: ").contains("succeeded"));
    // Lines far later close it.
    served.write(&[access("1.1.1.1", 3_000, "GET /", 200)]);
    served.until("/v1/alerts?state=closed", |answer| answer["alerts"][0]["id"] == alert["id"]);
}

#[test]
fn clients_that_are_gone_or_slow_harm_nobody() {
    let served = Served::start(None);
    for _ in 0..50 {
        drop(events(served.address(), "/v1/events"));
    }
    // These never read on.
    let slow: Vec<_> = (0..50).map(|_| events(served.address(), "/v1/events")).collect();
    let lines: Vec<String> = (0..200_u32)
        .flat_map(|host| {
            (0..12).map(move |second| access(&format!("6.6.{host}.6"), second, "POST /login", 401))
        })
        .collect();
    served.write(&lines);
    served
        .until("/v1/alerts", |answer| answer["alerts"].as_array().is_some_and(|alerts| alerts.len() == 200));
    let mut fresh = events(served.address(), "/v1/events?after=0");
    until_line(&mut fresh, "data: ");
    drop(slow);
    // A query whose client goes away before it has read the answer.
    served.write(&traffic());
    let mut leaving = connect(served.address());
    leaving.write_all(b"GET /v1/logs?format=ndjson HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
    drop(leaving);
    served.until("/v1/status", |answer| answer["lines_read"] == 4_800);
}

#[test]
fn a_month_is_streamed_without_a_limit_and_answered_with_one() {
    const LINES: i64 = 3_000;
    let served = Served::start(None);
    // A line every quarter of an hour, nearly, 30 days in all.
    let line = |number: i64| {
        let time = eddyline_logs::traffic::log_time(1_430_000_000_000 + number * 864_000);
        format!("10.0.0.{} - - [{time}] \"GET /{number} HTTP/1.1\" 200 7 \"-\" \"curl\"", number % 7)
    };
    served.write(&(0..LINES).map(line).collect::<Vec<_>>());
    // Nobody who asks for everything gets more than a little of it, unless it is streamed.
    served.until("/v1/logs?from=2015-04-01T00:00:00Z&to=2015-06-30T00:00:00Z", |answer| {
        answer["lines"].as_array().map(Vec::len) == Some(100) && answer["more"] == true
    });
    let begun = Instant::now();
    loop {
        // The server has no more than a few parts of the answer ahead of the client.
        let mut connection = connect(served.address());
        connection.write_all(b"GET /v1/logs?format=ndjson HTTP/1.0\r\nhost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::with_capacity(512, connection);
        until_line(&mut reader, "\r\n");
        let paths: Vec<String> = reader
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(&line.unwrap()).unwrap()["path"].as_str().unwrap().into()
            })
            .collect();
        if paths.len() as i64 == LINES {
            assert_eq!(paths, (0..LINES).map(|number| format!("/{number}")).collect::<Vec<_>>());
            break;
        }
        assert!(begun.elapsed() < support::PATIENCE, "{} lines", paths.len());
    }
}
