//! One query of Nexmark as a job: as a script says it, from files into a table that forgets.

use crate::figures::{Settings, print};
use crate::nexmark::{queries, tables};
use crate::usage::{self, Stopwatch};
use eddyline_core::{Error, Result};
use eddyline_sql::{OutputFormat, Session, SqlMode};
use std::path::Path;

/// Runs the query and tells what it cost.
///
/// # Errors
/// If there is no such query, or it fails.
pub fn run(settings: &Settings) -> Result<()> {
    let name = settings.word("query");
    let query = queries::ALL
        .iter()
        .find(|query| query.name == name)
        .ok_or_else(|| Error::config(format!("Nexmark has no query `{name}` here")))?;
    let format = settings.word("format");
    let events = settings.number("events", 100_000)?;
    let per_second = settings.number("per_second", 100_000)?;
    let folder = tables::folder(Path::new(settings.word("folder")), events, per_second, format)?;
    let script = format!(
        "{}CREATE TABLE gone WITH ('connector' = 'blackhole') AS {};",
        tables::definitions(&folder, format),
        query.text
    );
    let mut session = Session::new();
    session.set_mode(SqlMode::Streaming);
    let workers = settings.number("workers", 1)?.to_string();
    session.set_option("parallelism.default", &workers)?;
    session.set_option("table.local-time-zone", "UTC")?;
    let stopwatch = Stopwatch::start()?;
    session.run_script(&script, OutputFormat::Json, &mut std::io::sink())?;
    stopwatch.print()?;
    print("events", events as f64);
    print("memory_bytes", usage::resident_bytes_peak()? as f64);
    Ok(())
}
