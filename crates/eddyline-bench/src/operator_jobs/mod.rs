//! Jobs of one operator each, and beside each the same computation as a loop without an engine.
//!
//! Source and sink are the same for all of them, so what a job costs more than the job without an operator is the
//! operator, with the exchange that it needs. Every job and every loop tells a sum over all its results: figures of
//! a wrong result are refused.

mod bare;
mod data_sets;
mod events;
mod functions;
mod joins;
mod streams;
mod windows;

use crate::figures::{self, Settings};
use crate::usage::Stopwatch;
use eddyline::Environment;
use eddyline_core::{Error, Result};
pub use events::Events;

/// An operator that is measured.
pub struct Operator {
    /// What it is called.
    pub name: &'static str,
    /// It gets this part of the records only, because it costs so much more than others.
    pub share: u64,
    job: fn(&Environment, Events),
    bare: fn(Events) -> u64,
}

impl Operator {
    /// The same with another share of the records.
    pub const fn with_share(self, share: u64) -> Self {
        Operator { share, ..self }
    }
}

const fn cheap(name: &'static str, job: fn(&Environment, Events), bare: fn(Events) -> u64) -> Operator {
    Operator { name, share: 1, job, bare }
}

/// The share of operators that cost much more than others.
pub const DEAR: u64 = 4;

const fn dear(name: &'static str, job: fn(&Environment, Events), bare: fn(Events) -> u64) -> Operator {
    Operator { name, share: DEAR, job, bare }
}

/// The job without an operator, whose cost is part of all others.
pub const NOTHING: Operator = cheap("source and sink alone", streams::nothing, bare::values);

/// All operators, by kind.
pub const OPERATORS: &[(&str, &[Operator])] = &[
    ("steps", streams::OPERATORS),
    ("functions", functions::OPERATORS),
    ("joins", joins::OPERATORS),
    ("windows", windows::OPERATORS),
    ("data sets", data_sets::OPERATORS),
];

fn find(name: &str) -> Result<&'static Operator> {
    let all = OPERATORS.iter().flat_map(|(_, operators)| operators.iter()).chain(std::iter::once(&NOTHING));
    let is_meant = |operator: &&Operator| operator.name.replace(' ', "-") == name;
    all.into_iter()
        .find(is_meant)
        .ok_or_else(|| Error::config(format!("there is no operator `{name}` to measure")))
}

/// Runs what `settings` say (`operator=`, `engine=0` for the bare loop, `workers=`, `records=`) and tells `cpu_ns`,
/// `wall_ns`, and `sum`, over all results.
///
/// # Errors
/// If the job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let operator = find(settings.word("operator"))?;
    let events =
        Events { count: settings.number("records", 1_000_000)?, keys: settings.number("keys", 1_000)? };
    let stopwatch = Stopwatch::start()?;
    if settings.number("engine", 1)? == 0 {
        figures::print("sum", (operator.bare)(events) as f64);
        return stopwatch.print();
    }
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.parallelism = settings.number("workers", 1)? as u32;
        options.runtime.memory_bytes = (settings.number("memory_mib", 2_048)? as usize) << 20;
    }
    (operator.job)(&environment, events);
    environment.execute("operator")?;
    stopwatch.print()
}
