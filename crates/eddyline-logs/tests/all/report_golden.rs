//! Reports as they look, compared with files in `golden/`.
//!
//! After a wanted change run with `EDDYLINE_BLESS=1` and look at the difference.

use eddyline_logs::{
    LiveStatus, RunFacts, Style, Summary, TrafficModel, reference, render_final, render_live,
    render_live_line,
};
use std::path::Path;

const START: i64 = 1_780_000_000_000;

#[track_caller]
fn check(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("EDDYLINE_BLESS").is_some() {
        std::fs::write(&path, found).expect("a writable golden file");
    }
    let expected = std::fs::read_to_string(&path).expect("a golden file");
    assert_eq!(found, expected, "{name} differs:\n{found}");
}

/// A day of a small site.
fn summary() -> Summary {
    let lines = TrafficModel::new(11, START, 1).take(60_000).map(|line| line.line);
    reference::summarise(lines).0
}

fn facts() -> RunFacts {
    RunFacts {
        elapsed_ms: 412,
        input_bytes: 12_345_678,
        latency_p50_us: Some(850),
        latency_p99_us: Some(4_230),
        dead_letters: Some("out/unparsed.jsonl".to_string()),
    }
}

fn live() -> LiveStatus {
    let lines = TrafficModel::new(11, START, 20).take(40_000).map(|line| line.line);
    let (summary, windows) = reference::summarise(lines);
    let latest_event = START + 1_234_000;
    LiveStatus {
        elapsed_ms: 12_345,
        lines: summary.lines,
        unparsed: summary.unparsed,
        late: 2,
        lines_per_second: 12_345.6,
        bytes_per_second: 2_345_678.0,
        latency_p50_us: Some(420),
        latency_p99_us: Some(3_100),
        watermark: latest_event - 5_000,
        latest_event,
        progress: Some(0.42),
        minutes: summary.highlights.minutes,
        top_paths: summary.highlights.top_paths,
        recent_sessions: windows.sessions.into_iter().rev().collect(),
    }
}

/// No line is wider than it may be, but for colour codes.
#[track_caller]
fn check_width(text: &str, width: usize) {
    let without_codes = |line: &str| {
        let parts = line.split('\x1b');
        parts
            .map(|part| {
                part.split_once('m')
                    .filter(|_| part.starts_with('['))
                    .map_or(part, |(_, rest)| rest)
                    .chars()
                    .count()
            })
            .sum::<usize>()
    };
    for line in text.lines() {
        assert!(without_codes(line) <= width, "wider than {width}: {line:?}");
    }
}

#[test]
fn final_report() {
    let (summary, facts) = (summary(), facts());
    check("final_plain_80.txt", &render_final(&summary, &facts, &Style::plain(80)));
    check("final_plain_44.txt", &render_final(&summary, &facts, &Style::plain(44)));
    check("final_colour_100.txt", &render_final(&summary, &facts, &Style::for_output(true, Some(100), None)));
    check("final_empty.txt", &render_final(&Summary::default(), &RunFacts::default(), &Style::plain(80)));
}

#[test]
fn live_status() {
    let status = live();
    check("live_plain_80.txt", &render_live(&status, &Style::plain(80)));
    check("live_colour_100.txt", &render_live(&status, &Style::for_output(true, Some(100), None)));
    check("live_line.txt", &render_live_line(&status));
    check("live_start.txt", &render_live(&LiveStatus::default(), &Style::plain(80)));
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let (summary, facts, status) = (summary(), facts(), live());
    for width in 40..=120 {
        for style in [Style::plain(width), Style::for_output(true, Some(width), None)] {
            check_width(&render_final(&summary, &facts, &style), width);
            check_width(&render_live(&status, &style), width);
        }
    }
}

#[test]
fn what_strangers_sent_cannot_reach_the_terminal() {
    let line = b"a - - [01/Jan/2020:00:00:00 +0000] \"GET /\x1b[2J\x07\xc2\x9b HTTP/1.1\" 200 5";
    let (summary, windows) = reference::summarise([line]);
    let status = LiveStatus {
        top_paths: summary.highlights.top_paths.clone(),
        recent_sessions: windows.sessions,
        ..LiveStatus::default()
    };
    for text in [render_final(&summary, &facts(), &Style::plain(80)), render_live(&status, &Style::plain(80))]
    {
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
    }
}
