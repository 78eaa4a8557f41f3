//! The job against the reference model, over made-up traffic.

use super::LogJob;
use crate::{TrafficModel, reference};
use eddyline::Environment;
use std::time::Duration;

fn run(workers: u32, text: &[u8]) -> (crate::Summary, usize) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    std::fs::write(&log, text).unwrap();
    let job = LogJob {
        inputs: vec![log],
        follow: false,
        delay: Duration::from_secs(60),
        dead_letters: Some(directory.path().join("dead")),
    };
    let environment = Environment::new();
    environment.set_parallelism(workers);
    let watch = job.describe(&environment).unwrap();
    environment.execute("logs").unwrap();
    let letters: usize = std::fs::read_dir(directory.path().join("dead"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap().lines().count())
        .sum();
    (watch.board.view().summary, letters)
}

#[test]
fn the_summary_is_the_reference_s_with_one_and_three_workers() {
    let mut text = Vec::new();
    for line in TrafficModel::new(7, 1_700_000_000_000, 20).take(30_000) {
        text.extend_from_slice(&line.line);
        text.push(b'\n');
    }
    let (expected, _) = reference::summarise(reference::lines_of(&text));
    for workers in [1, 3] {
        let (found, letters) = run(workers, &text);
        assert_eq!(found.to_json(), expected.to_json(), "{workers} workers");
        assert_eq!(found.highlights, expected.highlights);
        assert_eq!(letters as u64, expected.unparsed);
    }
}

#[test]
fn an_empty_log_gives_an_empty_summary() {
    let (found, letters) = run(1, b"");
    assert_eq!((found.lines, found.sessions, letters), (0, 0, 0));
}
