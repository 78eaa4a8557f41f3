//! What is stored is found again, once, and what is not asked for is not read.

use super::*;
use crate::detect::{Alert, AlertKind, Severity};
use crate::job::{LogJob, WindowKind};
use crate::traffic::TrafficModel;
use crate::{reference, summary::MINUTE_MS};
use eddyline::{Environment, EventTime};
use std::ops::ControlFlow;
use std::path::Path;

const START: EventTime = 1_700_000_000_000;

/// Runs the job over `lines` lines of made-up traffic with a store.
fn stored(directory: &Path, lines: usize, workers: u32) -> (Arc<Store>, Vec<Vec<u8>>) {
    let traffic: Vec<Vec<u8>> = TrafficModel::new(3, START, 4).take(lines).map(|line| line.line).collect();
    let log = directory.join("access.log");
    std::fs::write(&log, traffic.join(&b'\n')).unwrap();
    let settings = StoreSettings { directory: directory.join("store"), lines: true, live: false };
    let job = LogJob { store: Some(settings), ..LogJob::new(vec![log]) };
    let environment = Environment::new();
    environment.set_parallelism(workers);
    let watch = job.describe(&environment).unwrap();
    environment.execute("stored").unwrap();
    (watch.store.unwrap(), traffic)
}

#[test]
fn every_line_is_stored_once_and_found_by_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let (store, traffic) = stored(directory.path(), 20_000, 2);
    let parsed: Vec<_> = traffic.iter().filter_map(|line| crate::parse_line(line).ok()).collect();
    let count = |query: &LineQuery| {
        let mut count = 0;
        store
            .each_line(query, |_| {
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        count
    };
    assert_eq!(count(&LineQuery::default()), parsed.len());
    let errors = LineQuery { status: Some((500, 599)), ..LineQuery::default() };
    assert_eq!(count(&errors), parsed.iter().filter(|line| line.status >= 500).count());
    let path = LineQuery { path: Some("/blog/*".into()), ..LineQuery::default() };
    assert_eq!(
        count(&path),
        parsed.iter().filter(|line| line.request.resource().starts_with(b"/blog/")).count()
    );
    let text = LineQuery { text: Some("HeronBot".into()), ..LineQuery::default() };
    let has_bot = |line: &&crate::LogLine<'_>| {
        line.agent.is_some_and(|agent| memchr::memmem::find(agent, b"HeronBot").is_some())
    };
    assert_eq!(count(&text), parsed.iter().filter(has_bot).count());
    let host = String::from_utf8(parsed[77].host.to_vec()).unwrap();
    let one = LineQuery { host: Some(host), ..LineQuery::default() };
    assert_eq!(count(&one), parsed.iter().filter(|line| line.host == parsed[77].host).count());
    let minute = START + 30 * MINUTE_MS..START + 31 * MINUTE_MS;
    let in_minute = LineQuery { times: minute.clone(), limit: 10_000, ..LineQuery::default() };
    let answer = store.lines(&in_minute).unwrap();
    assert_eq!(answer.lines.len(), parsed.iter().filter(|line| minute.contains(&line.time)).count());
    assert!(answer.lines.is_sorted_by_key(|line| std::cmp::Reverse(line.time)));
}

#[test]
fn the_latest_lines_are_found_and_more_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (store, traffic) = stored(directory.path(), 20_000, 1);
    let answer = store.lines(&LineQuery { limit: 50, ..LineQuery::default() }).unwrap();
    let latest = traffic.iter().filter_map(|line| crate::parse_line(line).ok()).map(|line| line.time).max();
    assert_eq!((answer.lines.len(), answer.more), (50, true));
    assert_eq!(answer.lines.first().map(|line| line.time), latest);
    let none = LineQuery { host: Some("no such host".into()), ..LineQuery::default() };
    let answer = store.lines(&none).unwrap();
    assert_eq!((answer.lines.len(), answer.more, answer.timed_out), (0, false, false));
}

#[test]
fn windows_and_sessions_are_those_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let (store, traffic) = stored(directory.path(), 20_000, 2);
    let (_, expected) = reference::summarise(&traffic);
    let minutes = store.windows(WindowKind::Minute, EventTime::MIN..EventTime::MAX, usize::MAX).unwrap();
    let found: Vec<_> = minutes.into_iter().map(|figures| (figures.start, figures.status)).collect();
    assert_eq!(found, expected.minutes.clone().into_iter().collect::<Vec<_>>());
    let mut sessions = store.sessions(EventTime::MIN..EventTime::MAX, None, usize::MAX).unwrap();
    sessions.sort_by(|one, other| (&one.host, one.start).cmp(&(&other.host, other.start)));
    assert_eq!(sessions, expected.sessions);
    let days = store.windows(WindowKind::Day, EventTime::MIN..EventTime::MAX, 10).unwrap();
    let requests: u64 = days.iter().map(|day| day.requests).sum();
    assert_eq!(requests, expected.minutes.values().flat_map(|minute| minute.values()).sum::<u64>());
    let sliding = store.windows(WindowKind::Sliding, EventTime::MIN..EventTime::MAX, usize::MAX).unwrap();
    let in_sliding: u64 = sliding.iter().map(|figures| figures.requests).sum();
    assert_eq!(in_sliding, 30 * requests, "each line is in 30 windows of five minutes");
}

#[test]
fn old_and_large_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (store, traffic) = stored(directory.path(), 60_000, 1);
    let times: Vec<_> =
        traffic.iter().filter_map(|line| crate::parse_line(line).ok()).map(|line| line.time).collect();
    let now = *times.iter().max().unwrap();
    assert_eq!(store.maintain(&Retention::default(), now).unwrap(), Removed::default());
    let small = Retention { bytes: Some(1), ..Retention::default() };
    assert!(store.maintain(&small, now).unwrap().partitions > 2);
    let left = store.lines(&LineQuery { limit: usize::MAX, ..LineQuery::default() }).unwrap().lines;
    let this_hour = now - now.rem_euclid(3_600_000);
    assert_eq!(left.len(), times.iter().filter(|time| **time >= this_hour).count());
    let days = Retention { days: Some(1), ..Retention::default() };
    store.maintain(&days, now + 3 * 86_400_000).unwrap();
    assert_eq!(store.lines(&LineQuery::default()).unwrap().lines, []);
}

#[test]
fn an_alert_is_found_as_it_was_last() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { directory: directory.path().to_owned(), lines: false, live: false };
    let store = Store::open(settings).unwrap();
    let mut alert = Alert::open(AlertKind::Scanner, "h", Severity::Warning, START);
    alert.add_evidence("a line".into());
    let revisions = vec![alert.revised(), alert.clone().close(START + 9)];
    let environment = Environment::new();
    let alerts = environment.from_collection_with(
        revisions.into_iter().map(|alert| (alert, START)).collect(),
        eddyline::WatermarkStrategy::for_monotonous_timestamps(),
    );
    let sink = store.sink(results::ALERTS, "dt=%Y-%m-%d", results::AlertColumns::default);
    let _ = alerts.add_sink_operator(NodeSpec::named("alerts"), move || sink.operator());
    environment.execute("alerts").unwrap();
    let found = store.alerts(EventTime::MIN..EventTime::MAX, 10).unwrap();
    assert_eq!(found, [alert.close(START + 9)]);
    assert_eq!(store.alerts(0..START, 10).unwrap(), []);
}

#[test]
fn merged_files_have_the_same_lines_whatever_is_left_of_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let settings = StoreSettings { directory: directory.path().join("store"), lines: true, live: false };
    // Eight jobs, each with a file per hour.
    let mut expected = 0;
    for part in 0..8 {
        let lines: Vec<Vec<u8>> =
            TrafficModel::new(part, START, 1).take(4_000).map(|line| line.line).collect();
        expected += lines.iter().filter(|line| crate::parse_line(line).is_ok()).count();
        std::fs::write(&log, lines.join(&b'\n')).unwrap();
        let source = directory.path().join(format!("access-{part}.log"));
        std::fs::rename(&log, &source).unwrap();
        let part_directory = directory.path().join(format!("part-{part}"));
        let job = LogJob {
            store: Some(StoreSettings { directory: part_directory.clone(), ..settings.clone() }),
            ..LogJob::new(vec![source])
        };
        let environment = Environment::new();
        job.describe(&environment).unwrap();
        environment.execute("part").unwrap();
        gather(&part_directory.join("lines"), &settings.directory.join("lines"), part);
    }
    let store = Store::open(settings).unwrap();
    let all = || {
        let mut found: Vec<_> = Vec::new();
        let visit = |line: StoredLine| {
            found.push(line.identity());
            ControlFlow::Continue(())
        };
        store.each_line(&LineQuery::default(), visit).unwrap();
        found.sort();
        found
    };
    let before = all();
    assert_eq!(before.len(), expected);
    let partition = files::partitions(&store.settings().directory.join("lines"), &(i64::MIN..i64::MAX))
        .unwrap()[0]
        .clone();
    let first = files::visible(&partition.directory).unwrap()[0].clone();
    let far = START + 400 * 86_400_000;
    assert!(store.compact(far, &|| true).unwrap() >= 8);
    // What was replaced is there still, and not read twice.
    assert!(first.exists());
    assert_eq!(all(), before);
    assert_eq!(store.compact(far, &|| true).unwrap(), 0);
    assert!(!first.exists());
    assert_eq!(all(), before);
}

/// Moves the files of all partitions, with names of their own.
fn gather(from: &Path, to: &Path, part: u64) {
    for partition in files::partitions(from, &(i64::MIN..i64::MAX)).unwrap() {
        let target = to.join(partition.directory.strip_prefix(from).unwrap());
        std::fs::create_dir_all(&target).unwrap();
        for file in files::visible(&partition.directory).unwrap() {
            let name = format!("{part}-{}", files::name_of(&file));
            std::fs::rename(&file, target.join(name)).unwrap();
        }
    }
}
