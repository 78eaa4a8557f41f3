//! The log job against the physical limit and what an operator would use today: the same file, the same run.
//!
//! `EDDYLINE_BENCH_LOGS_MB` says how large the file is, `EDDYLINE_BENCH_LOGS_STORED` over how many stored lines is asked.

use super::{Effort, measure};
use crate::logs_job;
use crate::report::{Line, Report};
use crate::usage;
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Ways to go over the log: name, settings, what it is.
const WAYS: &[(&str, &str, &str)] = &[
    ("bare", "how=bare", "bare loop: read and parse"),
    ("one", "how=count", "counting, one worker"),
    ("two", "how=count workers=2", "counting, two workers"),
    ("store one", "how=store", "storing every line, one worker"),
    ("store two", "how=store workers=2", "storing every line, two workers"),
];

/// Programs that count requests by status: name, program, arguments before the file.
const OTHERS: &[(&str, &str, &[&str])] = &[
    (
        "awk",
        "awk",
        &["{ count[$9]++; bytes += $10 } END { for (status in count) print status, count[status], bytes }"],
    ),
    ("GoAccess", "goaccess", &["--log-format=COMBINED", "--no-progress", "-o", "json", "-f"]),
];

/// Figures of the live job: as they are told, what they are, and the most that is allowed.
const LIVE: &[(&str, &str, Option<f64>)] = &[
    ("visible_p50_ms", "line written to line answered, p50", None),
    ("visible_p99_ms", "line written to line answered, p99", Some(1_000.0)),
    ("alert_p50_ms", "line that completes an alert to its event, p50", None),
    ("alert_max_ms", "line that completes an alert to its event, longest", Some(2_000.0)),
    ("rest_p50_ms", "lines of a host in a quarter of an hour, p50", None),
    ("rest_p99_ms", "lines of a host in a quarter of an hour, p99", Some(50.0)),
];

/// Wall and processor time and memory of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall_ns: f64,
    cpu_ns: f64,
    memory_bytes: f64,
    /// The most memory until half of the file was read.
    memory_half_bytes: f64,
}

struct Found {
    runs: BTreeMap<&'static str, Vec<Run>>,
    lines: u64,
    bytes: u64,
}

impl Found {
    fn each(&self, name: &str, of: impl Fn(&Run) -> f64) -> Vec<f64> {
        self.runs.get(name).map(|runs| runs.iter().map(of).collect()).unwrap_or_default()
    }

    /// How fast one way is; the note has the same by bytes and by processor time.
    fn speed(&self, what: &str, name: &str) -> Line {
        let (lines, megabytes) = (self.lines as f64, self.bytes as f64 / 1e6);
        let middle = |of: &dyn Fn(&Run) -> f64| Line::new("", "", &self.each(name, of)).value;
        let per_second = middle(&|run| megabytes / (run.wall_ns / 1e9));
        let per_line = middle(&|run| run.cpu_ns / lines);
        let note = format!(
            "{per_second:.0} MB/s; {per_line:.0} ns of processor time per line, {:.2} M lines per processor second",
            1e3 / per_line
        );
        Line::new(what, "lines/ms", &self.each(name, |run| lines / (run.wall_ns / 1e6))).note(note)
    }

    /// What the speed of `fast` is of that of `slow`, in each round.
    fn ratio(&self, what: &str, slow: &str, fast: &str) -> Line {
        let (slow, fast) = (self.each(slow, |run| run.wall_ns), self.each(fast, |run| run.wall_ns));
        let ratios: Vec<f64> = slow.iter().zip(&fast).map(|(slow, fast)| slow / fast).collect();
        Line::new(what, "×", &ratios)
    }

    fn memory(&self, what: &str, name: &str) -> [Line; 2] {
        let growth = self.each(name, |run| run.memory_bytes / run.memory_half_bytes);
        [
            Line::new(format!("memory, {what}"), "MB", &self.each(name, |run| run.memory_bytes / 1e6)),
            Line::new(format!("memory, {what}: whole file against half of it"), "×", &growth).at_most(1.25),
        ]
    }
}

pub fn run(effort: Effort) -> Result<Report> {
    let megabytes = from_environment("EDDYLINE_BENCH_LOGS_MB", effort.of(200, 40))?;
    let stored = from_environment("EDDYLINE_BENCH_LOGS_STORED", effort.of(1_000_000, 50_000))?;
    let directory = tempfile::tempdir().map_err(|error| Error::storage(error.to_string()))?;
    let log = directory.path().join("access.log");
    let (lines, bytes) = logs_job::make(&log, megabytes * 1_000_000)?;
    let mut found = Found { runs: BTreeMap::new(), lines, bytes };
    let mut live: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let seconds = effort.of(30, 3);
    for _ in 0..effort.repeats {
        for (name, settings, _) in WAYS {
            let figures = measure("logs", &format!("{settings} path={}", log.display()))?;
            let counted = figures.get("lines")?;
            if counted != lines as f64 {
                return Err(Error::internal(format!("{counted} of {lines} lines were counted: {settings}")));
            }
            found.runs.entry(name).or_default().push(Run {
                wall_ns: figures.get("wall_ns")?,
                cpu_ns: figures.get("cpu_ns")?,
                memory_bytes: figures.get("memory_bytes")?,
                memory_half_bytes: figures.get("memory_half_bytes")?,
            });
        }
        for (name, program, arguments) in OTHERS {
            if let Some(run) = other(program, arguments, &log)? {
                found.runs.entry(name).or_default().push(run);
            }
        }
        let figures = measure("logs-live", &format!("stored={stored} seconds={seconds}"))?;
        for (name, _, _) in LIVE {
            live.entry(name).or_default().push(figures.get(name)?);
        }
    }
    let mut report: Vec<Line> = WAYS.iter().map(|(name, _, what)| found.speed(what, name)).collect();
    report.extend([
        found.ratio("counting, one worker, of the bare loop", "bare", "one").at_least(0.6),
        found.ratio("storing every line, one worker, of the bare loop", "bare", "store one").at_least(0.25),
        found.ratio("counting, two workers against one", "one", "two").at_least(1.6),
        found.ratio("storing, two workers against one", "store one", "store two"),
    ]);
    report.extend(found.memory("counting, one worker", "one"));
    report.extend(found.memory("storing every line, one worker", "store one"));
    for (name, what, limit) in LIVE {
        let line = Line::new(*what, "ms", &live[name]);
        let line = limit.map_or_else(|| line.clone(), |limit| line.clone().at_most(limit));
        report.push(line);
    }
    report.extend(
        OTHERS
            .iter()
            .filter(|(name, _, _)| found.runs.contains_key(name))
            .map(|(name, _, _)| found.speed(&format!("{name}, the same file"), name)),
    );
    let missing = OTHERS.iter().filter(|(name, _, _)| !found.runs.contains_key(name));
    let missing: String = missing.map(|(name, _, _)| format!("; {name} is not installed")).collect();
    let settings = format!(
        "{lines} lines of {:.0} bytes, Combined Log Format; live: {stored} stored lines, {} lines/s written, 20 \
         requests/s for {seconds} s{missing}",
        bytes as f64 / lines as f64,
        crate::logs_live::LINES_PER_SECOND,
    );
    Ok(Report { name: "logs", settings: effort.settings(&settings), lines: report })
}

/// A number from the environment, if it is there.
fn from_environment(name: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(name) {
        Err(_) => Ok(otherwise),
        Ok(text) => text
            .parse()
            .map_err(|_| Error::config(format!("{name} is `{text}`")).with_hint("give a whole number")),
    }
}

/// Runs a program over the log; none if it is not installed.
fn other(program: &str, arguments: &[&str], log: &Path) -> Result<Option<Run>> {
    let processor = usage::processor_time()?;
    let started = Instant::now();
    let mut command = Command::new(program);
    let status = command
        .args(arguments)
        .arg(log)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let run = Run {
        wall_ns: started.elapsed().as_nanos() as f64,
        cpu_ns: (usage::processor_time()? - processor).as_nanos() as f64,
        memory_bytes: f64::NAN,
        memory_half_bytes: f64::NAN,
    };
    Ok(status.ok().filter(std::process::ExitStatus::success).map(|_| run))
}
