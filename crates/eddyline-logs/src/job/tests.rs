//! The job against the reference model, over made-up traffic.

use super::LogJob;
use crate::{TrafficModel, reference};
use eddyline::{Environment, StopMode};
use std::path::PathBuf;
use std::time::Duration;

fn run_files(workers: u32, files: &[(&str, &[u8])]) -> (crate::Summary, String) {
    let directory = tempfile::tempdir().unwrap();
    let inputs: Vec<PathBuf> = files.iter().map(|(name, _)| directory.path().join(name)).collect();
    for (path, (_, text)) in inputs.iter().zip(files) {
        std::fs::write(path, text).unwrap();
    }
    let job = LogJob { dead_letters: Some(directory.path().join("dead")), ..LogJob::new(inputs) };
    let environment = Environment::new();
    environment.set_parallelism(workers);
    let watch = job.describe(&environment).unwrap();
    environment.execute("logs").unwrap();
    let letters: String = std::fs::read_dir(directory.path().join("dead"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
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
        let (mut found, letters) = run_files(workers, &[("access.log", &text)]);
        found.alerts = 0;
        assert_eq!(found.to_json(), expected.to_json(), "{workers} workers");
        assert_eq!(found.highlights, expected.highlights);
        assert_eq!(letters.lines().count() as u64, expected.unparsed);
    }
}

#[test]
fn a_suspended_job_goes_on_at_any_parallelism_and_counts_everything_once() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let mut text = Vec::new();
    for line in TrafficModel::new(9, 1_700_000_000_000, 50).take(60_000) {
        text.extend_from_slice(&line.line);
        text.push(b'\n');
    }
    std::fs::write(&log, &text).unwrap();
    // Runs until so many lines were read, or to the end.
    let run = |workers: u32, until: u64| {
        let mut environment = Environment::new();
        environment.set_parallelism(workers);
        environment.options_mut().runtime.checkpoint_dir = Some(directory.path().join("checkpoints"));
        let watch = LogJob::new(vec![log.clone()]).describe(&environment).unwrap();
        let job = environment.start("logs").unwrap();
        while watch.progress.lines() < until && !job.is_finished() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if until < u64::MAX {
            job.control().stop(StopMode::Suspend);
        }
        job.wait().unwrap();
        watch
    };
    let first = run(1, 10_000);
    let second = run(3, 10_000);
    assert!(!first.board.has_ended() && second.board.sums().lines > first.board.sums().lines);
    let last = run(2, u64::MAX);
    assert!(last.board.has_ended());
    let mut found = last.board.view().summary;
    found.alerts = 0;
    let (expected, _) = reference::summarise(reference::lines_of(&text));
    assert_eq!(found.to_json(), expected.to_json());
    assert_eq!(found.highlights, expected.highlights);
}

#[test]
fn an_empty_log_gives_an_empty_summary() {
    let (found, letters) = run_files(1, &[("access.log", b"")]);
    assert_eq!((found.lines, found.sessions, letters.as_str()), (0, 0, ""));
}

#[test]
fn files_of_different_formats_are_read_together() {
    let access = br#"1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5
"#;
    let json = br#"{"time":"2015-05-17T10:05:04Z","remote_addr":"2.2.2.2","path":"/b","status":503,"bytes":7}
{"status":200}
"#;
    let error =
        b"2015/05/17 10:05:05 [error] 1#1: *1 it broke, client: 3.3.3.3, request: \"GET /c HTTP/1.1\"\n";
    let (found, letters) = run_files(2, &[("a.log", access), ("b.log", json), ("c.log", error)]);
    assert_eq!((found.lines, found.unparsed, found.bytes, found.sessions), (4, 1, 12, 2));
    assert_eq!(found.status.into_iter().collect::<Vec<_>>(), [(200, 1), (503, 1)]);
    assert!(letters.contains("b.log\t91\ta JSON object without a time"), "{letters}");
}

#[test]
fn what_cannot_be_read_harms_nothing_else() {
    let good = br#"1.1.1.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5"#;
    let mut text = good.to_vec();
    text.push(b'\n');
    // Binary garbage, bad UTF-8 where it may be, a line of 10 MB, and times far away.
    text.extend_from_slice(&[0, 1, 2, 0xfe, 0xff, b'\n']);
    text.extend_from_slice(b"1.1.1.1 - - [17/May/2015:10:05:04 +0000] \"GET /\xff\xfe HTTP/1.1\" 200 5\n");
    text.extend_from_slice(&vec![b'x'; 10 << 20]);
    text.push(b'\n');
    text.extend_from_slice(b"1.1.1.1 - - [17/May/9999:10:05:04 +0000] \"GET /future HTTP/1.1\" 200 5\n");
    text.extend_from_slice(b"1.1.1.1 - - [17/May/0001:10:05:04 +0000] \"GET /past HTTP/1.1\" 200 5\n");
    text.extend_from_slice(good);
    let (found, letters) = run_files(1, &[("access.log", &text)]);
    assert_eq!((found.lines, found.unparsed, found.bytes), (7, 2, 25));
    assert!(
        letters.contains("binary garbage at byte 1") && letters.contains("line too long: 10485760 bytes")
    );
    assert_eq!(letters.lines().count(), 2);
}

#[test]
fn a_packed_file_that_is_cut_off_gives_its_lines_and_says_so() {
    let line = b"1.1.1.1 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 200 5\n";
    let mut packer = eddyline_formats::Compressor::new(eddyline_formats::Compression::Gzip).unwrap();
    for number in 0..20_000_u32 {
        let mut line = line.to_vec();
        line.splice(0..1, (number.wrapping_mul(2_654_435_761) % 200).to_string().into_bytes());
        packer.write(&line).unwrap();
    }
    let mut packed = packer.finish().unwrap();
    packed.truncate(packed.len() / 2);
    let (found, letters) = run_files(1, &[("access.log.gz", &packed)]);
    assert!((1_000..20_000).contains(&found.lines), "{}", found.lines);
    assert_eq!(found.unparsed, 1);
    assert!(letters.contains("damaged or cut off"), "{letters}");
}
