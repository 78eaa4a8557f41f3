//! `eddyline state ls`.

use super::progress::Progress;
use super::text::{Output, count, size, time};
use clap::Args;
use eddyline_core::Result;
use eddyline_protocol::StateKind;
use eddyline_state_tools::{Ages, Listing, Measured, StateListing, open};

/// What `eddyline state ls` is told.
#[derive(Args)]
pub struct LsArguments {
    /// A checkpoint's directory, the directory of a job (its newest checkpoint), or one with a single job in it.
    path: String,
    /// Read the states: entries, bytes of keys and values, spread over key groups, largest keys, ages.
    #[arg(long)]
    scan: bool,
    /// With --scan: how many of the largest keys are shown.
    #[arg(long, default_value_t = 5)]
    largest: usize,
    /// Print one JSON object with everything, entries and bytes of each key group included.
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &LsArguments) -> Result<()> {
    let opened = open(&arguments.path)?;
    let mut listing = Listing::of(&opened.reader)?;
    if arguments.scan {
        let mut progress = Progress::new("reading", listing.bytes);
        listing.measure(&opened.reader, arguments.largest, &mut |bytes| progress.add(bytes))?;
    }
    let mut out = Output::new();
    if arguments.json {
        out.json(&listing)?;
        return out.end();
    }
    out.line(&format!(
        "job {}, checkpoint {}, complete since {}, {} key groups, {}{}",
        listing.job,
        listing.checkpoint,
        time(listing.completed_at_ms),
        listing.max_parallelism,
        size(listing.bytes),
        if listing.finished { ", end of the input" } else { "" }
    ))?;
    let mut uid = None;
    for state in &listing.states {
        if uid != Some(&state.uid) {
            let of_operator = listing.states.iter().filter(|other| other.uid == state.uid);
            let bytes: u64 = of_operator.map(|state| state.bytes).sum();
            out.line(&format!("\n{}  {}", state.uid, size(bytes)))?;
            uid = Some(&state.uid);
        }
        show(state, &mut out)?;
    }
    out.end()
}

fn show(state: &StateListing, out: &mut Output) -> Result<()> {
    let (kind, groups) = match state.kind {
        StateKind::KeyedValue => ("keyed", "key groups"),
        StateKind::Timers => ("timers", "key groups"),
        StateKind::List => ("list", "instances"),
        StateKind::Union => ("union", "instances"),
        StateKind::Broadcast => ("broadcast", "copies read"),
    };
    let entries = match &state.measured {
        Some(measured) => format!("{} entries", count(measured.entries)),
        None => format!("at most {} entries", count(state.entries_written)),
    };
    out.line(&format!(
        "  {:24} {kind:9}  {entries}, {} in {} segments of {} {groups}",
        state.state,
        size(state.bytes),
        count(state.segments as u64),
        count(state.groups as u64)
    ))?;
    out.line(&format!("  {:24} {} → {}", "", state.key, state.value))?;
    state.measured.as_ref().map_or(Ok(()), |measured| show_measured(measured, out))
}

fn show_measured(measured: &Measured, out: &mut Output) -> Result<()> {
    if measured.entries == 0 {
        return Ok(());
    }
    let bytes = || measured.by_group.values().map(|(_, bytes)| *bytes);
    out.line(&format!(
        "  {:24} keys {}, values {}; least {}, most {} in one",
        "",
        size(measured.key_bytes),
        size(measured.value_bytes),
        size(bytes().min().unwrap_or_default()),
        size(bytes().max().unwrap_or_default())
    ))?;
    for largest in &measured.largest {
        let key = serde_json::to_string(&largest.key).unwrap_or_default();
        out.line(&format!("  {:24} {:>9}  {}", "", size(largest.bytes), shortened(&key)))?;
    }
    match &measured.ages {
        Some(ages) => show_ages(ages, out),
        None => Ok(()),
    }
}

fn show_ages(ages: &Ages, out: &mut Output) -> Result<()> {
    out.line(&format!(
        "  {:24} touched from {} to {}: {} in the last minute, {} hour, {} day, {} before{}",
        "",
        time(ages.oldest_ms),
        time(ages.newest_ms),
        count(ages.within_minute),
        count(ages.within_hour),
        count(ages.within_day),
        count(ages.older),
        if ages.unknown > 0 {
            format!(", {} at an unknown time", count(ages.unknown))
        } else {
            String::new()
        }
    ))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
