//! Bounded data against the system's own tools, in the same run and with the same memory.

use super::{Effort, measure};
use crate::report::{Line, Report};
use eddyline_core::{Error, Result};

/// Reads a number of gigabytes from the environment: a machine may have room for more or for less.
fn gigabytes(variable: &str, default: f64) -> f64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

struct Found {
    wall: Vec<f64>,
    processor: Vec<f64>,
}

/// Measures a task by several tools; all must count the same.
fn compare(task: &str, settings: &str, tools: &[&str], repeats: usize) -> Result<Vec<Found>> {
    let mut counted = None;
    let mut found: Vec<Found> =
        tools.iter().map(|_| Found { wall: Vec::new(), processor: Vec::new() }).collect();
    for _ in 0..repeats {
        for (tool, found) in tools.iter().zip(&mut found) {
            let figures = measure("batch", &format!("task={task} tool={tool} {settings}"))?;
            let own = figures.get("counted")?;
            let wanted = *counted.get_or_insert(own);
            if own != wanted {
                return Err(Error::internal(format!("{task}: {tool} counted {own} instead of {wanted}")));
            }
            found.wall.push(figures.get("wall_ns")? / 1e9);
            found.processor.push(figures.get("cpu_ns")? / 1e9);
        }
    }
    Ok(found)
}

fn lines(task: &str, tool: &str, found: &[Found], lines: &mut Vec<Line>) {
    for (name, one) in ["Eddyline, two workers", tool].iter().zip(found) {
        lines.push(Line::new(format!("{task}: {name}, wall"), "s", &one.wall));
        lines.push(Line::new(format!("{task}: {name}, processor"), "s", &one.processor));
    }
    let ratio: Vec<f64> = found[0].wall.iter().zip(&found[1].wall).map(|(own, other)| own / other).collect();
    lines.push(Line::new(format!("{task}: Eddyline against {tool}, wall"), "×", &ratio));
}

pub fn run(effort: Effort) -> Result<Report> {
    let bytes =
        |variable, default| if effort.quick { 4 << 20 } else { (gigabytes(variable, default) * 1e9) as u64 };
    let words = bytes("EDDYLINE_BENCH_WORDS_GB", 1.0);
    let sorted = bytes("EDDYLINE_BENCH_SORT_GB", 10.0);
    let memory_mib = if effort.quick { 64 } else { 512 };
    let mut all = Vec::new();
    let settings = format!("bytes={words} memory_mib=2048");
    lines("word count", "awk", &compare("words", &settings, &["", "awk"], effort.repeats)?, &mut all);
    let settings = format!("bytes={sorted} memory_mib={memory_mib}");
    lines(
        "sort",
        "sort(1), two threads",
        &compare("sort", &settings, &["", "sort"], effort.repeats)?,
        &mut all,
    );
    let settings = format!(
        "{:.2} GB of words, 100,000 distinct ones; {:.2} GB of lines of 100 bytes sorted in {memory_mib} MiB",
        words as f64 / 1e9,
        sorted as f64 / 1e9
    );
    Ok(Report { name: "batch", settings: effort.settings(&settings), lines: all })
}
