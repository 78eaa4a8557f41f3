//! The log job, and what it stands beside: a bare loop that reads and parses the same lines with the same parser.

use crate::figures::{Settings, print};
use crate::usage::{self, Stopwatch};
use eddyline::Environment;
use eddyline_core::{Error, Result};
use eddyline_logs::format::{LineReader, ReadOptions};
use eddyline_logs::job::LogJob;
use eddyline_logs::store::StoreSettings;
use eddyline_logs::traffic::TrafficModel;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// Bytes that the bare loop reads at a time: as much as the source of the job.
const READ_BYTES: usize = 256 << 10;
/// Lines per second of log time: a busy site.
pub const RATE: u64 = 500;
/// When it begins.
pub const START_MS: i64 = 1_780_000_000_000;
/// How often it is looked how much memory is used.
const GLANCE: Duration = Duration::from_millis(5);

/// Writes made-up traffic of about so many bytes; answers how many lines and bytes.
///
/// # Errors
/// If it cannot be written.
pub fn make(path: &Path, bytes_wanted: u64) -> Result<(u64, u64)> {
    let unwritable =
        |error: std::io::Error| Error::storage(format!("cannot write the log to measure: {error}"));
    let mut file = BufWriter::new(File::create(path).map_err(unwritable)?);
    let (mut lines, mut bytes) = (0, 0);
    for line in TrafficModel::new(1, START_MS, RATE) {
        if bytes >= bytes_wanted {
            break;
        }
        file.write_all(&line.line).and_then(|()| file.write_all(b"\n")).map_err(unwritable)?;
        lines += 1;
        bytes += line.line.len() as u64 + 1;
    }
    file.flush().map_err(unwritable)?;
    Ok((lines, bytes))
}

/// Measures one way of going over the log at `path`.
///
/// # Errors
/// If the log cannot be read, or the job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let path = Path::new(settings.word("path"));
    let stopwatch = Stopwatch::start()?;
    let (lines, memory_half_bytes) = match settings.word("how") {
        "bare" => (bare(path)?, usage::resident_bytes_peak()?),
        how => job(path, settings, how == "store")?,
    };
    stopwatch.print()?;
    print("lines", lines as f64);
    print("memory_bytes", usage::resident_bytes_peak()? as f64);
    print("memory_half_bytes", memory_half_bytes as f64);
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

/// Runs the job; answers the lines that were counted, and the most memory until half of the log was read.
fn job(path: &Path, settings: &Settings, stores: bool) -> Result<(u64, u64)> {
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
    let running = environment.start("logs")?;
    let mut half_bytes = usage::resident_bytes()?;
    while !running.is_finished() {
        std::thread::park_timeout(GLANCE);
        if watch.progress.bytes_read() * 2 <= watch.progress.bytes_total() {
            half_bytes = usage::resident_bytes_peak()?;
        }
    }
    running.wait()?;
    Ok((watch.board.sums().lines, half_bytes))
}
