//! Made-up traffic, written to a log while somebody watches.

use eddyline_core::{Error, Result};
use eddyline_logs::TrafficModel;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Log time runs so much faster than the clock on the wall.
const SPEED: u64 = 60;
/// Lines per second of log time.
const RATE: u64 = 25;
/// Between two writes.
const PAUSE: Duration = Duration::from_millis(20);

/// A thread that writes a log.
pub struct Traffic {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Starts to write.
    ///
    /// # Errors
    /// If the log cannot be made.
    pub fn start(seed: u64) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("eddyline-demo-{}", std::process::id()));
        let unwritable = |error: std::io::Error| {
            Error::output(format!("cannot write made-up traffic: {error}"))
                .with_detail(directory.display().to_string())
                .with_hint("set TMPDIR to a directory that can be written")
        };
        fs::create_dir_all(&directory).map_err(unwritable)?;
        let file = File::create(directory.join("access.log")).map_err(unwritable)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let writer = std::thread::Builder::new()
            .name("traffic".into())
            .spawn(move || write(seed, file, &stopped))
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(Traffic { directory, stop, writer: Some(writer) })
    }

    /// The log.
    pub fn path(&self) -> PathBuf {
        self.directory.join("access.log")
    }

    /// Where the log is.
    pub fn directory(&self) -> PathBuf {
        self.directory.clone()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn write(seed: u64, file: File, stop: &AtomicBool) {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
    // The log begins yesterday, so that it stays in the past for a while.
    let start_ms = now_ms - 24 * 3_600_000;
    let started = Instant::now();
    let mut file = BufWriter::new(file);
    let mut lines = TrafficModel::new(seed, start_ms, RATE).peekable();
    while !stop.load(Ordering::Relaxed) {
        let until = start_ms + started.elapsed().as_millis() as i64 * SPEED as i64;
        while let Some(line) = lines.next_if(|line| line.written <= until) {
            if file.write_all(&line.line).and_then(|()| file.write_all(b"\n")).is_err() {
                return;
            }
        }
        if file.flush().is_err() {
            return;
        }
        std::thread::park_timeout(PAUSE);
    }
}
