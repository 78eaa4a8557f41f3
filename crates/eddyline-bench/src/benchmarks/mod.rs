//! The benchmarks: which jobs are measured, what their figures mean, what is promised.

mod batch;
mod checkpoints;
mod keys;
mod latency;
mod logs;
mod nexmark;
mod operators;
mod recovery;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod state;
mod window;

use crate::figures::{self, Figures};
use crate::report::Report;
use crate::usage;
use eddyline_core::{Error, Result};

/// How thoroughly is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Small inputs: whether everything works, not how fast.
    pub quick: bool,
    /// How often; the median counts.
    pub repeats: usize,
}

impl Effort {
    /// One number or a smaller one.
    fn of(self, thorough: u64, quick: u64) -> u64 {
        if self.quick { quick } else { thorough }
    }

    /// What is always told with figures: how they came about and what else the machine was doing.
    fn settings(self, own: &str) -> String {
        let threads = std::thread::available_parallelism().map_or(0, usize::from);
        let build =
            if cfg!(debug_assertions) { "DEBUG BUILD, figures mean nothing" } else { "release build" };
        format!(
            "{own}; median of {}; {threads} processors, load {:.1}; {build}, mimalloc, {} {}",
            self.repeats,
            usage::load(),
            std::env::consts::OS,
            std::env::consts::ARCH,
        )
    }
}

/// A benchmark.
pub struct Benchmark {
    /// What it is called.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Runs it.
    pub run: fn(Effort) -> Result<Report>,
}

/// All benchmarks.
pub const ALL: &[Benchmark] = &[
    Benchmark { name: "window", about: "processor and wall time per record", run: window::run },
    Benchmark { name: "keys", about: "ten million keys against a bare hash map", run: keys::run },
    Benchmark { name: "sliding", about: "sliding against tumbling windows", run: keys::run_sliding },
    Benchmark { name: "operators", about: "every operator against a bare loop", run: operators::run },
    Benchmark { name: "batch", about: "bounded data against the system's tools", run: batch::run },
    Benchmark { name: "latency", about: "latency, start, idling", run: latency::run },
    Benchmark { name: "checkpoints", about: "what checkpoints cost", run: checkpoints::run },
    Benchmark { name: "logs", about: "the log job against a bare loop, awk and GoAccess", run: logs::run },
    Benchmark { name: "nexmark", about: "Nexmark's queries in SQL", run: nexmark::run },
    Benchmark { name: "recovery", about: "from a kill to new output", run: recovery::run },
    Benchmark { name: "state", about: "state by size: recovery, increments, savepoints", run: state::run },
    #[cfg(feature = "rocksdb")]
    Benchmark {
        name: "rocksdb",
        about: "state five times its memory against bare RocksDB",
        run: rocksdb::run,
    },
];

/// Runs a measurement whose settings are in one line of text.
fn measure(name: &str, settings: &str) -> Result<Figures> {
    let words: Vec<String> = settings.split_whitespace().map(str::to_owned).collect();
    figures::measure(name, &words)
        .map_err(|error| error.with_hint(format!("`eddyline-bench case {name} {settings}` runs it alone")))
}

/// Times of a windowed job, nanoseconds per record.
#[derive(Debug, Clone, Copy)]
struct PerRecord {
    processor: f64,
    wall: f64,
}

/// Measures the windowed job; refuses to tell how fast a wrong result was.
fn measure_window(settings: &str, records: u64) -> Result<PerRecord> {
    let figures = measure("window", &format!("{settings} records={records}"))?;
    let counted = figures.get("counted")?;
    if counted != records as f64 {
        return Err(Error::internal(format!("{counted} of {records} records were counted: {settings}")));
    }
    let per_record = |name: &str| figures.get(name).map(|nanos| nanos / records as f64);
    Ok(PerRecord { processor: per_record("cpu_ns")?, wall: per_record("wall_ns")? })
}
