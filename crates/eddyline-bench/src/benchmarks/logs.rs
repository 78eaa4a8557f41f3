//! The log job against the physical limit and what an operator would use today: the same file, the same run.

use super::{Effort, measure};
use crate::logs_job;
use crate::report::{Line, Report};
use crate::usage;
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Ways to go over the log: name, settings.
const WAYS: &[(&str, &str)] = &[
    ("bare", "how=bare"),
    ("one", "how=count"),
    ("two", "how=count workers=2"),
    ("store one", "how=store"),
    ("store two", "how=store workers=2"),
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

/// Wall and processor time and memory of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall_ns: f64,
    cpu_ns: f64,
    memory_bytes: f64,
}

#[derive(Default)]
struct Found(BTreeMap<&'static str, Vec<Run>>);

impl Found {
    fn each(&self, name: &str, of: impl Fn(&Run) -> f64) -> Vec<f64> {
        self.0.get(name).map(|runs| runs.iter().map(of).collect()).unwrap_or_default()
    }

    fn speed(&self, what: &str, name: &str, lines: u64) -> Line {
        Line::new(what, "lines/ms", &self.each(name, |run| lines as f64 / (run.wall_ns / 1e6)))
    }

    /// What the speed of `fast` is of that of `slow`, in each round.
    fn ratio(&self, what: &str, slow: &str, fast: &str) -> Line {
        let (slow, fast) = (self.each(slow, |run| run.wall_ns), self.each(fast, |run| run.wall_ns));
        let ratios: Vec<f64> = slow.iter().zip(&fast).map(|(slow, fast)| slow / fast).collect();
        Line::new(what, "×", &ratios)
    }
}

pub fn run(effort: Effort) -> Result<Report> {
    let lines = effort.of(5_000_000, 200_000);
    let directory = tempfile::tempdir().map_err(|error| Error::storage(error.to_string()))?;
    let log = directory.path().join("access.log");
    let bytes = logs_job::make(&log, lines)?;
    let mut found = Found::default();
    let mut queries: (Vec<f64>, Vec<f64>) = Default::default();
    for _ in 0..effort.repeats {
        for (name, settings) in WAYS {
            let figures = measure("logs", &format!("{settings} path={}", log.display()))?;
            let counted = figures.get("lines")?;
            if counted != lines as f64 {
                return Err(Error::internal(format!("{counted} of {lines} lines were counted: {settings}")));
            }
            found.0.entry(name).or_default().push(Run {
                wall_ns: figures.get("wall_ns")?,
                cpu_ns: figures.get("cpu_ns")?,
                memory_bytes: figures.get("memory_bytes")?,
            });
        }
        let figures = measure("logs-queries", &format!("path={}", log.display()))?;
        queries.0.push(figures.get("p50_ms")?);
        queries.1.push(figures.get("p99_ms")?);
        for (name, program, arguments) in OTHERS {
            if let Some(run) = other(program, arguments, &log)? {
                found.0.entry(name).or_default().push(run);
            }
        }
    }
    let megabytes = bytes as f64 / 1e6;
    let per_second = |name: &str| {
        let runs = found.each(name, |run| megabytes / (run.wall_ns / 1e9));
        format!("{:.0} MB/s", Line::new("", "", &runs).value)
    };
    let per_line = |what: &str, name: &str| {
        Line::new(what, "ns", &found.each(name, |run| run.cpu_ns / lines as f64))
            .note(format!("processor time per line; {}", per_second(name)))
    };
    let mut report = vec![
        per_line("bare loop: read and parse", "bare"),
        per_line("counting, one worker", "one"),
        per_line("storing every line, one worker", "store one"),
        found.ratio("counting, one worker, of the bare loop", "bare", "one").at_least(0.6),
        found.ratio("storing every line, one worker, of the bare loop", "bare", "store one").at_least(0.25),
        found.ratio("counting, two workers against one", "one", "two").at_least(1.6),
        found.ratio("storing, two workers against one", "store one", "store two"),
        found.speed("counting, one worker", "one", lines),
        found.speed("storing, one worker", "store one", lines),
        Line::new("memory, counting, one worker", "MB", &found.each("one", |run| run.memory_bytes / 1e6)),
        Line::new("lines of a host in a quarter of an hour, p50", "ms", &queries.0).note("stored and merged"),
        Line::new("lines of a host in a quarter of an hour, p99", "ms", &queries.1).at_most(50.0),
        Line::new(
            "memory, storing, one worker",
            "MB",
            &found.each("store one", |run| run.memory_bytes / 1e6),
        ),
    ];
    for (name, _, _) in OTHERS {
        if found.0.contains_key(name) {
            report.push(found.speed(&format!("{name}, the same file"), name, lines));
        }
    }
    let missing: Vec<&str> =
        OTHERS.iter().map(|(name, _, _)| *name).filter(|name| !found.0.contains_key(name)).collect();
    let missing =
        if missing.is_empty() { String::new() } else { format!("; not installed: {}", missing.join(", ")) };
    let settings =
        format!("{lines} lines of {:.0} bytes, Combined Log Format{missing}", bytes as f64 / lines as f64);
    Ok(Report { name: "logs", settings: effort.settings(&settings), lines: report })
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
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let run = Run {
        wall_ns: started.elapsed().as_nanos() as f64,
        cpu_ns: (usage::processor_time()? - processor).as_nanos() as f64,
        memory_bytes: 0.0,
    };
    Ok(status.ok().filter(std::process::ExitStatus::success).map(|_| run))
}
