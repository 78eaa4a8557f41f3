//! Runs the example programs and holds what they print against plain loops over the same data.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use eddyline_examples::advertising::{ATTRIBUTED_MS, advertising};
use eddyline_examples::clicks::{GAP_MS, clicks};
use eddyline_examples::payments::{LARGE_CENTS, TINY_CENTS, WITHIN_MS, payments};
use eddyline_examples::rides::{LONG_MS, ride_events};
use eddyline_examples::sensors::{readings, thresholds};
use eddyline_examples::trades::trades;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// The example programs lie in a folder beside that of the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().with_file_name("examples").join(name)
}

/// What the program prints at a parallelism, sorted.
fn lines_at(name: &str, parallelism: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program(name)).args(["-p", parallelism]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    // Several instances say who prints.
    let text = |line: &str| line.split_once("> ").map_or(line, |(_, text)| text).to_owned();
    let mut lines: Vec<String> = printed.lines().map(text).collect();
    lines.sort();
    lines
}

/// The same at several parallelisms: results must not depend on it.
fn lines(name: &str, arguments: &[&str]) -> Vec<String> {
    let one = lines_at(name, "1", arguments);
    assert_same(&lines_at(name, "3", arguments), &one);
    assert!(!one.is_empty(), "{name} prints nothing");
    one
}

/// The same lines, in any order; names the first that is not in both.
fn assert_same(found: &[String], expected: &[String]) {
    let (mut found, mut expected) = (found.to_vec(), expected.to_vec());
    found.sort();
    expected.sort();
    let first = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert!(first.is_none(), "{first:?} of {} lines found and {} expected", found.len(), expected.len());
    assert_eq!(found.len(), expected.len());
}

#[test]
fn word_count() {
    let file = std::env::temp_dir().join(format!("eddyline-words-{}", std::process::id()));
    std::fs::write(&file, "to be or not\nto be\n").unwrap();
    let counted = lines("word_count", &["--", &file.display().to_string()]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(counted, ["       1 not", "       1 or", "       2 be", "       2 to"]);
}

#[test]
fn fraud_detection() {
    let mut last = BTreeMap::new();
    let mut alerts = Vec::new();
    for payment in payments(7, 10_000) {
        let before: Option<(u64, i64)> = last.insert(payment.account, (payment.cents, payment.at));
        if before.is_some_and(|(cents, at)| cents < TINY_CENTS && payment.at - at <= WITHIN_MS)
            && payment.cents > LARGE_CENTS
        {
            alerts.push(format!("account {} paid {} cents", payment.account, payment.cents));
        }
    }
    assert_same(&lines("fraud_detection", &[]), &alerts);
}

#[test]
fn long_rides() {
    let mut rides: BTreeMap<u64, (i64, Option<i64>)> = BTreeMap::new();
    for event in ride_events(11, 2_000) {
        let ride = rides.entry(event.ride).or_default();
        if event.is_start {
            ride.0 = event.at;
        } else {
            ride.1 = Some(event.at);
        }
    }
    let long = rides.into_iter().filter(|(_, (start, end))| end.is_none_or(|end| end - start > LONG_MS));
    let expected: Vec<_> = long.map(|(ride, _)| format!("ride {ride} takes too long")).collect();
    assert_same(&lines("long_rides", &[]), &expected);
}

#[test]
fn sessions() {
    let mut by_visitor: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for click in clicks(3, 6_000) {
        by_visitor.entry(click.visitor).or_default().push(click.at);
    }
    let mut expected = Vec::new();
    for (visitor, mut times) in by_visitor {
        times.sort();
        for session in times.chunk_by(|before, after| after - before <= GAP_MS) {
            let seconds = (session[session.len() - 1] - session[0]) / 1_000;
            expected.push(format!("visitor {visitor}: {} pages in {seconds} s", session.len()));
        }
    }
    assert_same(&lines("sessions", &[]), &expected);
}

#[test]
fn stock_quotes() {
    const MINUTE_MS: i64 = 60_000;
    let mut windows: BTreeMap<(i64, String, &str), (i64, i64)> = BTreeMap::new();
    for trade in trades(5, 20_000) {
        let minute = trade.at.div_euclid(MINUTE_MS) * MINUTE_MS + MINUTE_MS;
        let mut add = |end: i64, kind| {
            let sums = windows.entry((end, trade.symbol.clone(), kind)).or_default();
            *sums = (sums.0 + trade.cents * trade.quantity, sums.1 + trade.quantity);
        };
        add(minute, "minute");
        (0..5).for_each(|later| add(minute + later * MINUTE_MS, "moving"));
    }
    let line = |((end, symbol, kind), (value, volume)): ((i64, String, &str), (i64, i64))| {
        format!("{end} {symbol} {kind} {}", value * 100 / volume)
    };
    assert_same(&lines("stock_quotes", &[]), &windows.into_iter().map(line).collect::<Vec<_>>());
}

#[test]
fn sensor_alarms() {
    let limits = thresholds(4_000);
    let limit_at = |kind: &str, at: i64| {
        let valid = limits.iter().filter(|limit| limit.kind == kind && limit.since <= at);
        valid.max_by_key(|limit| limit.since).map(|limit| limit.limit)
    };
    let alarms = readings(13, 4_000)
        .into_iter()
        .filter(|reading| limit_at(&reading.kind, reading.at).is_some_and(|limit| reading.value > limit))
        .map(|reading| format!("sensor {}: {} {}", reading.sensor, reading.kind, reading.value));
    assert_same(&lines("sensor_alarms", &[]), &alarms.collect::<Vec<_>>());
}

#[test]
fn ad_attribution() {
    const HOUR_MS: i64 = 3_600_000;
    let (impressions, clicks) = advertising(17, 8_000);
    let mut counts: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    for click in &clicks {
        let led_to_it = impressions.iter().filter(|shown| {
            (shown.user, shown.campaign) == (click.user, click.campaign)
                && (click.at - ATTRIBUTED_MS..=click.at).contains(&shown.at)
        });
        // A pair has the time of its click, the later one.
        let hour = click.at.div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS;
        *counts.entry((hour, click.campaign)).or_default() += led_to_it.count() as u64;
    }
    let counted = counts.into_iter().filter(|(_, count)| *count > 0);
    let lines_of = counted.map(|((hour, campaign), count)| format!("{hour} campaign {campaign}: {count}"));
    assert_same(&lines("ad_attribution", &[]), &lines_of.collect::<Vec<_>>());
}

#[test]
fn page_rank() {
    let links = [(1, 2), (1, 3), (2, 3), (3, 1), (4, 3), (5, 4), (5, 1)];
    let mut ranks = BTreeMap::from([(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0)]);
    for _ in 0..100 {
        let mut next: BTreeMap<u64, f64> = ranks.keys().map(|page| (*page, 0.15)).collect();
        for (from, to) in links {
            let out = links.iter().filter(|link| link.0 == from).count() as f64;
            *next.entry(to).or_default() += 0.85 * ranks[&from] / out;
        }
        ranks = next;
    }
    let printed = lines("page_rank", &[]);
    assert_eq!(printed.len(), ranks.len());
    for line in printed {
        let (rank, page) = line.trim().split_once(' ').unwrap();
        let (rank, page): (f64, u64) = (rank.parse().unwrap(), page.parse().unwrap());
        assert!((rank - ranks[&page]).abs() < 1e-3, "page {page} has {rank}, not {}", ranks[&page]);
    }
}

#[test]
fn connected_components() {
    let file = std::env::temp_dir().join(format!("eddyline-edges-{}", std::process::id()));
    std::fs::write(&file, "1 2\n2 3\n7 8\n9 9\n3 5\n8 12\n").unwrap();
    let found = lines("connected_components", &["--", &file.display().to_string()]);
    std::fs::remove_file(&file).unwrap();
    let expected = ["1 1", "2 1", "3 1", "5 1", "7 7", "8 7", "12 7", "9 9"].map(str::to_owned);
    assert_same(&found, &expected);
}

#[test]
fn custom_connector() {
    // It checks its own ledger and fails if a row is missing or there twice. How many transactions it takes is a
    // matter of time.
    let printed = lines_at("custom_connector", "1", &[]);
    assert!(
        printed[0].starts_with("4000 rows in the ledger") && printed[0].ends_with("lost on the way"),
        "{printed:?}"
    );
}
