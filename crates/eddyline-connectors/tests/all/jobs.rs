//! Whole jobs from text files to files: every line exactly once, through restarts and rotations.

use eddyline::{Environment, NodeSpec, RestartStrategy, StopMode, WatermarkStrategy};
use eddyline_connectors::files::{Line, LineContent, LineOutput, TextFiles};
use eddyline_connectors::sink::{DeadLetter, FileSink, SUCCESS_MARKER, dead_letter_sink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn number_sink(directory: &Path) -> FileSink<u64> {
    FileSink::new(directory, |number: &u64, out| out.extend_from_slice(format!("{number}\n").as_bytes()))
        .roll_bytes(64 << 10)
}

/// The numbers in the visible files of a directory, sorted.
fn numbers_in(directory: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let visible = entries.map(|entry| entry.unwrap().path());
    let visible = visible.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'));
    let mut numbers: Vec<u64> = visible
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

fn hidden_files(directory: &Path) -> usize {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().starts_with('.')).count()
}

fn parse_number(line: Line<'_>, out: &mut LineOutput<'_, '_, u64>) {
    if let LineContent::Whole(bytes) = line.content {
        out.emit(std::str::from_utf8(bytes).unwrap().parse().unwrap());
    }
}

#[test]
fn a_bounded_job_copies_every_line_once_at_any_parallelism() {
    let place = tempfile::tempdir().unwrap();
    let count = 400_000u64;
    let text: String = (0..count).map(|number| format!("{number}\n")).collect();
    assert!(text.len() > 2 << 20, "several pieces");
    let path = place.below("in.log");
    std::fs::write(&path, &text).unwrap();
    for parallelism in 1..4 {
        let out = place.below(&format!("out-{parallelism}"));
        let files = TextFiles::new([&path]);
        let progress = files.progress();
        let environment = Environment::new();
        environment.set_parallelism(parallelism);
        let sink = number_sink(&out).success_marker();
        let marker = out.join(SUCCESS_MARKER);
        let seen = marker.clone();
        environment
            .from_source(
                "numbers",
                move || files.parse_with(parse_number),
                WatermarkStrategy::no_watermarks(),
            )
            .inspect(move |_| assert!(!seen.exists(), "the output is not complete yet"))
            .add_sink_operator(NodeSpec::named("out"), move || sink.operator());
        environment.execute("copy").unwrap();
        assert!(marker.exists(), "{parallelism} workers");
        assert!(numbers_in(&out).into_iter().eq(0..count), "{parallelism} workers");
        assert_eq!(hidden_files(&out), 0);
        assert_eq!((progress.lines(), progress.bytes_read()), (count, text.len() as u64));
        assert_eq!(progress.bytes_total(), text.len() as u64);
    }
}

/// Waits until the output holds `count` numbers.
fn wait_for(directory: &Path, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while (numbers_in(directory).len() as u64) < count {
        assert!(Instant::now() < deadline, "{} of {count} numbers", numbers_in(directory).len());
        std::thread::yield_now();
    }
}

#[test]
fn a_followed_log_survives_failures_and_rotations_of_both() {
    let place = tempfile::tempdir().unwrap();
    let (log, out) = (place.below("a.log"), place.below("out"));
    let append = |range: std::ops::Range<u64>| {
        use std::io::Write;
        let text: String = range.map(|number| format!("{number}\n")).collect();
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).open(&log).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append(0..1_000);
    let failed = Arc::new(AtomicBool::new(false));
    let files = TextFiles::new([&log]).follow().poll_interval(Duration::from_millis(5));
    let mut environment = Environment::new();
    environment.set_parallelism(2);
    environment.options_mut().runtime.checkpoint_dir = Some(place.below("checkpoints"));
    environment.options_mut().runtime.checkpoints.interval_ms = Some(20);
    environment.options_mut().runtime.restart =
        Some(RestartStrategy::FixedDelay { attempts: 3, delay_ms: 0 });
    let (sink, fails) = (number_sink(&out), failed.clone());
    environment
        .from_source(
            "numbers",
            move || {
                let failed = fails.clone();
                files.parse_with(move |line: Line<'_>, output: &mut LineOutput<'_, '_, u64>| {
                    let planned = matches!(line.content, LineContent::Whole(b"1500"));
                    assert!(!planned || failed.swap(true, Ordering::Relaxed), "a planned failure");
                    parse_number(line, output);
                })
            },
            WatermarkStrategy::no_watermarks(),
        )
        .add_sink_operator(NodeSpec::named("out"), move || sink.operator());
    let job = environment.start("follow").unwrap();
    wait_for(&out, 1_000);
    append(1_000..2_000);
    wait_for(&out, 2_000);
    assert!(failed.load(Ordering::Relaxed));
    append(2_000..2_500);
    std::fs::rename(&log, place.below("a.log.1")).unwrap();
    append(2_500..3_000);
    wait_for(&out, 3_000);
    job.control().stop(StopMode::Drain);
    job.wait().unwrap();
    assert!(numbers_in(&out).into_iter().eq(0..3_000));
    assert_eq!(hidden_files(&out), 0);
}

#[test]
fn what_cannot_be_parsed_is_kept_with_file_offset_and_reason() {
    let place = tempfile::tempdir().unwrap();
    let path = place.below("in.log");
    std::fs::write(&path, [&b"fine\n\xff\x00bad\n"[..], &[b'x'; 5_000], b"\nfine\n"].concat()).unwrap();
    let out = place.below("dead");
    let (files, sink) = (TextFiles::new([&path]).line_bytes_max(1_000), dead_letter_sink(&out));
    let environment = Environment::new();
    let parse = |line: Line<'_>, out: &mut LineOutput<'_, '_, DeadLetter>| {
        let (reason, bytes) = match line.content {
            LineContent::Whole(b"fine") => return,
            LineContent::Whole(bytes) => ("not fine".to_string(), bytes),
            LineContent::TooLong { length, start } => (format!("line too long: {length} bytes"), &start[..3]),
        };
        let letter =
            DeadLetter { file: line.file.to_string(), offset: line.offset, reason, line: bytes.to_vec() };
        out.emit(letter);
    };
    environment
        .from_source("lines", move || files.parse_with(parse), WatermarkStrategy::no_watermarks())
        .add_sink_operator(NodeSpec::named("dead letters"), move || sink.operator());
    environment.execute("dead letters").unwrap();
    let written = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let file = path.to_str().unwrap();
    let expected =
        format!("{file}\t5\tnot fine\t\\xff\\x00bad\n{file}\t11\tline too long: 5000 bytes\txxx\n");
    assert_eq!(std::fs::read_to_string(written).unwrap(), expected);
}

#[test]
fn a_missing_file_ends_the_job_with_what_where_and_what_to_do() {
    let environment = Environment::new();
    let files = TextFiles::new(["/no/such/file.log"]);
    environment
        .from_source("lines", move || files.read_lines(), WatermarkStrategy::no_watermarks())
        .collect();
    let error = environment.execute("missing").err().unwrap();
    assert!(error.report().contains("/no/such/file.log"), "{}", error.report());
}

/// Paths below a temporary directory.
trait Place {
    fn below(&self, name: &str) -> std::path::PathBuf;
}

impl Place for tempfile::TempDir {
    fn below(&self, name: &str) -> std::path::PathBuf {
        tempfile::TempDir::path(self).join(name)
    }
}
