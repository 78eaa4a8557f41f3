//! The log job, and what it stands beside: a bare loop that reads and parses the same lines with the same parser.

use crate::figures::{Settings, print};
use crate::usage::{self, Stopwatch};
use eddyline::Environment;
use eddyline_core::{Error, Result};
use eddyline_logs::format::{LineReader, ReadOptions};
use eddyline_logs::job::LogJob;
use eddyline_logs::store::{LineQuery, StoreSettings};
use eddyline_logs::traffic::TrafficModel;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes that the bare loop reads at a time: as much as the source of the job.
const READ_BYTES: usize = 256 << 10;
/// Lines per second of log time: a busy site.
const RATE: u64 = 500;
/// How many queries are asked.
const QUERIES: usize = 300;
const QUARTER_MS: i64 = 15 * 60_000;

/// Writes `lines` lines of made-up traffic.
///
/// # Errors
/// If they cannot be written.
pub fn make(path: &Path, lines: u64) -> Result<u64> {
    let unwritable =
        |error: std::io::Error| Error::storage(format!("cannot write the log to measure: {error}"));
    let mut file = BufWriter::new(File::create(path).map_err(unwritable)?);
    let mut bytes = 0;
    for line in TrafficModel::new(1, 1_780_000_000_000, RATE).take(lines as usize) {
        file.write_all(&line.line).and_then(|()| file.write_all(b"\n")).map_err(unwritable)?;
        bytes += line.line.len() as u64 + 1;
    }
    file.flush().map_err(unwritable)?;
    Ok(bytes)
}

/// Measures one way of going over the log at `path`.
///
/// # Errors
/// If the log cannot be read, or the job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let path = Path::new(settings.word("path"));
    let stopwatch = Stopwatch::start()?;
    let lines = match settings.word("how") {
        "bare" => bare(path)?,
        how => job(path, settings, how == "store")?,
    };
    stopwatch.print()?;
    print("lines", lines as f64);
    print("memory_bytes", usage::resident_bytes_peak()? as f64);
    Ok(())
}

/// Stores the log at `path`, then asks for lines of one host within a quarter of an hour, over and over.
///
/// # Errors
/// If the log cannot be read, or the job or a query fails.
pub fn run_queries(settings: &Settings) -> Result<()> {
    let path = Path::new(settings.word("path"));
    let directory = tempfile::tempdir().map_err(|error| Error::storage(error.to_string()))?;
    let settings_of_store =
        StoreSettings { directory: directory.path().to_owned(), lines: true, live: false };
    let job = LogJob { store: Some(settings_of_store), ..LogJob::new(vec![path.to_owned()]) };
    let mut environment = Environment::new();
    environment.options_mut().runtime.checkpoints.interval_ms = Some(10_000);
    let watch = job.describe(&environment)?;
    environment.execute("logs")?;
    let store = watch.store.ok_or_else(|| Error::internal("the job has no store"))?;
    store.compact(i64::MAX, &|| true)?;
    store.compact(i64::MAX, &|| true)?;
    let sessions = store.sessions(i64::MIN..i64::MAX, None, QUERIES)?;
    let mut millis = Vec::with_capacity(sessions.len());
    for session in &sessions {
        let quarter = session.start - session.start.rem_euclid(QUARTER_MS);
        let query = LineQuery {
            times: quarter..quarter + QUARTER_MS,
            host: Some(session.host.clone()),
            ..LineQuery::default()
        };
        let started = Instant::now();
        let answer = store.lines(&query)?;
        millis.push(started.elapsed().as_secs_f64() * 1e3);
        if answer.lines.is_empty() {
            return Err(Error::internal(format!("no line of {} was found", session.host)));
        }
    }
    millis.sort_by(f64::total_cmp);
    let share = |share: f64| millis.get((millis.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    print("p50_ms", share(0.5));
    print("p99_ms", share(0.99));
    print("lines", watch.board.sums().lines as f64);
    Ok(())
}

fn bare(path: &Path) -> Result<u64> {
    let unreadable = |error: std::io::Error| Error::input(format!("cannot read the log to measure: {error}"));
    let mut reader = BufReader::with_capacity(READ_BYTES, File::open(path).map_err(unreadable)?);
    let mut parser = LineReader::new(ReadOptions::default().into());
    let (mut line, mut lines, mut sum) = (Vec::new(), 0_u64, 0_u64);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            break;
        }
        lines += 1;
        if let Ok(fields) = parser.read(&line) {
            sum = sum.wrapping_add(fields.bytes);
        }
    }
    std::hint::black_box(sum);
    Ok(lines)
}

fn job(path: &Path, settings: &Settings, stores: bool) -> Result<u64> {
    let directory = tempfile::tempdir().map_err(|error| Error::storage(error.to_string()))?;
    let store = StoreSettings { directory: directory.path().join("store"), lines: true, live: false };
    let job = LogJob {
        delay: Duration::from_secs(60),
        store: stores.then_some(store),
        ..LogJob::new(vec![path.to_owned()])
    };
    let mut environment = Environment::new();
    environment.set_parallelism(settings.number("workers", 1)? as u32);
    environment.options_mut().runtime.checkpoints.interval_ms = Some(10_000);
    let watch = job.describe(&environment)?;
    environment.execute("logs")?;
    Ok(watch.board.sums().lines)
}
