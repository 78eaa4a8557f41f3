//! `eddyline state bootstrap`.

use super::progress::Progress;
use super::text::{Output, count, size};
use clap::Args;
use eddyline_core::{Clock, Error, Result, SystemClock};
use eddyline_state_tools::{Edit, edit, open, writable_store};
use std::fs::File;
use std::io::BufReader;

/// What `eddyline state bootstrap` is told.
#[derive(Args)]
pub struct BootstrapArguments {
    /// The checkpoint to start from: its directory, that of a job (its newest checkpoint), or one with a single job in it.
    from: String,
    /// The directory for the new checkpoint: to be given to the job as execution.checkpointing.dir.
    #[arg(long, value_name = "DIRECTORY")]
    to: String,
    /// The name of the job that is to start from it (default: that of the checkpoint).
    #[arg(long)]
    job: Option<String>,
    /// Replace a state by the lines of a file, which are as `eddyline state read` shows them; may be repeated.
    #[arg(long = "entries", value_name = "UID/STATE=FILE")]
    entries: Vec<String>,
    /// Leave out all state of this operator; may be repeated.
    #[arg(long = "drop", value_name = "UID")]
    dropped: Vec<String>,
}

pub fn run(arguments: &BootstrapArguments) -> Result<()> {
    let opened = open(&arguments.from)?;
    let mut edits = Vec::with_capacity(arguments.entries.len());
    for entries in &arguments.entries {
        edits.push(parse(entries)?);
    }
    let manifest = opened.reader.manifest();
    let job = arguments.job.as_ref().unwrap_or(&manifest.job);
    let store = writable_store(&arguments.to, job)?;
    let mut progress = Progress::new("copied", 0);
    let mut copied = 0;
    let now_ms = SystemClock::new().wall_millis();
    let written = edit(&opened.reader, &store, edits, &arguments.dropped, now_ms, &mut |done| {
        progress.add(done.copied_bytes - copied);
        copied = done.copied_bytes;
    })?;
    drop(progress);
    let mut out = Output::new();
    out.line(&format!(
        "{}: {} entries written, {} copied",
        arguments.to,
        count(written.entries),
        size(written.copied_bytes)
    ))?;
    out.line(&format!("start job {job} with -Dexecution.checkpointing.dir={}", arguments.to))?;
    out.end()
}

fn parse(entries: &str) -> Result<Edit<BufReader<File>>> {
    // Uids may have slashes, names of states are rarely given any.
    let parts = entries.split_once('=').and_then(|(state, file)| Some((state.rsplit_once('/')?, file)));
    let Some(((uid, state), file)) = parts else {
        return Err(Error::config(format!("`--entries {entries}` names no state and file"))
            .with_hint("write --entries UID/STATE=FILE"));
    };
    let lines = File::open(file).map_err(|error| {
        Error::input(format!("cannot read the entries: {error}"))
            .with_detail(file)
            .with_hint("check the path")
    })?;
    Ok(Edit {
        uid: uid.to_owned(),
        state: state.to_owned(),
        lines: BufReader::new(lines),
        name: file.to_owned(),
    })
}
