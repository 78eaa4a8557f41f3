//! `eddyline state read`.

use super::text::Output;
use clap::{Args, ValueEnum};
use eddyline_core::Result;
use eddyline_state_tools::{CsvRows, JsonRows, RowWriter, Selection, open};

/// What `eddyline state read` is told.
#[derive(Args)]
pub struct ReadArguments {
    /// A checkpoint's directory, the directory of a job (its newest checkpoint, also while the job runs), or one with a
    /// single job in it.
    path: String,
    /// The operator's uid.
    #[arg(long)]
    uid: String,
    /// The state's name.
    #[arg(long)]
    state: String,
    /// Only this key, as JSON (text may be given as it is).
    #[arg(long)]
    key: Option<String>,
    /// At most so many entries.
    #[arg(long)]
    limit: Option<usize>,
    /// Show values of state with a time to live as they are kept, with the times at which they were touched.
    #[arg(long)]
    raw: bool,
    /// How entries are written.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

pub fn run(arguments: &ReadArguments) -> Result<()> {
    let opened = open(&arguments.path)?;
    let mut selection =
        Selection::all(opened.reader.state(&arguments.uid, &arguments.state)?)?.raw(arguments.raw);
    if let Some(key) = &arguments.key {
        selection = selection.with_key(key)?;
    }
    let mut writer: Box<dyn RowWriter> = match arguments.format {
        Format::Json => Box::new(JsonRows::new(Output::new())),
        Format::Csv => Box::new(CsvRows::new(Output::new())),
    };
    for row in selection.rows()?.take(arguments.limit.unwrap_or(usize::MAX)) {
        writer.write(&row?)?;
    }
    writer.finish()
}
