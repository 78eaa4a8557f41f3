//! `eddyline state diff`.

use super::Filter;
use super::text::{Output, count};
use clap::Args;
use eddyline_core::Result;
use eddyline_state_tools::{Change, StateDifference, compare, open};
use std::process::ExitCode;

/// The exit code of two checkpoints that differ.
const DIFFERENT: u8 = 1;
/// The exit code of two checkpoints that cannot be compared.
const TROUBLE: u8 = 2;

/// What `eddyline state diff` is told.
#[derive(Args)]
pub struct DiffArguments {
    /// The first checkpoint: its directory, that of a job (its newest checkpoint), or one with a single job in it.
    before: String,
    /// The second.
    after: String,
    #[command(flatten)]
    filter: Filter,
    /// Show at most so many of the entries that differ.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Print JSON: an object for each entry that differs, and a last one with the counts.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &DiffArguments) -> ExitCode {
    match differ(arguments) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(DIFFERENT),
        Err(error) => {
            eprintln!("{}", error.report());
            ExitCode::from(TROUBLE)
        }
    }
}

fn differ(arguments: &DiffArguments) -> Result<bool> {
    let (before, after) = (open(&arguments.before)?, open(&arguments.after)?);
    let mut out = Output::new();
    let mut shown = 0;
    let difference = compare(
        &before.reader,
        &after.reader,
        |uid, state| arguments.filter.wants(uid, state),
        &mut |change| {
            shown += 1;
            match shown {
                _ if shown > arguments.limit => Ok(()),
                _ if arguments.json => out.json(change),
                _ => show(change, &mut out),
            }
        },
    )?;
    if arguments.json {
        out.json(&difference)?;
    } else {
        if shown > arguments.limit {
            out.line(&format!("… {} more", count((shown - arguments.limit) as u64)))?;
        }
        for state in difference.states.iter().filter(|state| state.differs()) {
            summarise(state, &mut out)?;
        }
        if !difference.differs() {
            out.line("no difference")?;
        }
    }
    out.end()?;
    Ok(difference.differs())
}

fn show(change: &Change, out: &mut Output) -> Result<()> {
    let line = |sign: char, row: &eddyline_state_tools::Row| {
        format!("{sign} {}", serde_json::to_string(row).unwrap_or_default())
    };
    match change {
        Change::Added { row } => out.line(&line('+', row)),
        Change::Removed { row } => out.line(&line('-', row)),
        Change::Changed { before, after } => {
            out.line(&line('-', before))?;
            out.line(&line('+', after))
        }
    }
}

fn summarise(state: &StateDifference, out: &mut Output) -> Result<()> {
    out.line(&format!(
        "{} {}: {} added, {} removed, {} changed, {} the same",
        state.uid,
        state.state,
        count(state.added),
        count(state.removed),
        count(state.changed),
        count(state.same)
    ))?;
    match &state.schema {
        Some((before, after)) => out.line(&format!("  schema was {before}\n  schema is  {after}")),
        None => Ok(()),
    }
}
