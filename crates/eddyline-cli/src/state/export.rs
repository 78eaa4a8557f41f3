//! `eddyline state export`.

use super::Filter;
use super::progress::Progress;
use super::text::{Output, count};
use clap::{Args, ValueEnum};
use eddyline_core::{Error, Result};
use eddyline_state::SavepointReader;
use eddyline_state::savepoint::SavedState;
use eddyline_state_tools::{CsvRows, JsonRows, RowWriter, Selection, open};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// What `eddyline state export` is told.
#[derive(Args)]
pub struct ExportArguments {
    /// A checkpoint's directory, the directory of a job (its newest checkpoint), or one with a single job in it.
    path: String,
    #[command(flatten)]
    filter: Filter,
    /// Where a file for each state is written; the directory is made, files that are there are an error.
    #[arg(long, value_name = "DIRECTORY")]
    to: PathBuf,
    /// How entries are written.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Write values of state with a time to live as they are kept, with the times at which they were touched.
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

pub fn run(arguments: &ExportArguments) -> Result<()> {
    let opened = open(&arguments.path)?;
    let states = wanted(&opened.reader, &arguments.filter)?;
    std::fs::create_dir_all(&arguments.to).map_err(|error| failed(&arguments.to, &error))?;
    let mut progress = Progress::new("exported", states.iter().map(SavedState::bytes).sum());
    let mut out = Output::new();
    for state in states {
        let path = arguments.to.join(file_name(&state, arguments.format));
        let bytes = state.bytes();
        let file = File::create_new(&path).map_err(|error| failed(&path, &error))?;
        let selection = Selection::all(state)?.raw(arguments.raw);
        let mut writer: Box<dyn RowWriter> = match arguments.format {
            Format::Json => Box::new(JsonRows::new(BufWriter::new(file))),
            Format::Csv => Box::new(CsvRows::new(file)),
        };
        let entries = export(&selection, writer.as_mut())?;
        progress.add(bytes);
        out.line(&format!("{}: {} entries", path.display(), count(entries)))?;
    }
    drop(progress);
    out.end()
}

fn export(selection: &Selection, writer: &mut dyn RowWriter) -> Result<u64> {
    let mut entries = 0;
    for row in selection.rows()? {
        writer.write(&row?)?;
        entries += 1;
    }
    writer.finish()?;
    Ok(entries)
}

fn wanted(reader: &SavepointReader, filter: &Filter) -> Result<Vec<SavedState>> {
    let mut states = reader.states()?;
    states.retain(|state| filter.wants(state.uid(), &state.descriptor().name));
    if states.is_empty() {
        let known = reader.uids().join(", ");
        return Err(Error::config("the checkpoint holds no such state")
            .with_hint(format!("`eddyline state ls` lists what it holds; the uids are: {known}")));
    }
    Ok(states)
}

/// A name for the file of a state; uids may have what names of files may not.
fn file_name(state: &SavedState, format: Format) -> String {
    let plain = |text: &str| -> String {
        let replaced = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        text.chars().map(replaced).collect()
    };
    let suffix = match format {
        Format::Json => "jsonl",
        Format::Csv => "csv",
    };
    format!("{}.{}.{suffix}", plain(state.uid()), plain(&state.descriptor().name))
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::output(format!("cannot write the export: {error}"))
        .with_detail(path.display().to_string())
        .with_hint("choose a directory that is empty or not there yet")
}
