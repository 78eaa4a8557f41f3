//! `eddyline sql`: scripts, and statements as they are typed.

use clap::{Args, ValueEnum};
use eddyline::{Error, Options, Result};
use eddyline_sql::{OutputFormat, Session, SqlMode};
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// The arguments of `eddyline sql`.
#[derive(Args)]
pub(crate) struct SqlArguments {
    /// Run the statements of this file and exit; without it, statements are read from standard input.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// How the rows of queries are shown; of all but `table`, the last query's only.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Whether queries give changes as they come, or final results of bounded data.
    #[arg(short, long, value_enum, default_value_t = Mode::Streaming)]
    mode: Mode,
    /// Workers.
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    parallelism: u32,
    /// Options, as SET takes them.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    define: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// A table for people.
    Table,
    /// CSV with a line of names.
    Csv,
    /// The final rows, a JSON object a line.
    Json,
    /// Changes as they come, a JSON object a line.
    Changelog,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// Changes as they come.
    Streaming,
    /// Final results only.
    Batch,
}

pub(crate) fn run(arguments: &SqlArguments) -> Result<()> {
    let mut engine = Options::default();
    engine.set("parallelism.default", &arguments.parallelism.to_string())?;
    let mut session = Session::with_options(engine);
    session.set_mode(match arguments.mode {
        Mode::Streaming => SqlMode::Streaming,
        Mode::Batch => SqlMode::Batch,
    });
    for definition in &arguments.define {
        let Some((key, value)) = definition.split_once('=') else {
            return Err(Error::config(format!("`-D{definition}` has no `=`")).with_hint("write -Dkey=value"));
        };
        session.set_option(key, value)?;
    }
    let format = match arguments.output {
        Output::Table => OutputFormat::Table,
        Output::Csv => OutputFormat::Csv,
        Output::Json => OutputFormat::Json,
        Output::Changelog => OutputFormat::Changelog,
    };
    match &arguments.file {
        Some(file) => {
            let script = std::fs::read_to_string(file).map_err(|error| {
                Error::input(format!("the script cannot be read: {error}"))
                    .with_detail(file.display().to_string())
            })?;
            let mut out = std::io::stdout().lock();
            session.run_script(&script, format, &mut out)
        }
        None => interactive(&mut session, format),
    }
}

/// Runs statements as they are typed, each when its semicolon has come.
fn interactive(session: &mut Session, format: OutputFormat) -> Result<()> {
    let input = std::io::stdin();
    let prompts = input.is_terminal();
    let prompt = |text: &str| {
        if prompts {
            eprint!("{text}");
            let _ = std::io::stderr().flush();
        }
    };
    let mut statement = String::new();
    let mut failed = None;
    prompt("Eddyline SQL> ");
    for line in input.lock().lines() {
        let line = line.map_err(|error| Error::input(format!("standard input cannot be read: {error}")))?;
        let word = line.trim().trim_end_matches(';').to_ascii_lowercase();
        if statement.is_empty() && (word == "quit" || word == "exit") {
            return Ok(());
        }
        statement.push_str(&line);
        statement.push('\n');
        if statement.trim().is_empty() || !Session::is_complete(&statement) {
            prompt(if statement.trim().is_empty() { "Eddyline SQL> " } else { "> " });
            continue;
        }
        let outcome = session.run_script(&statement, format, &mut std::io::stdout().lock());
        if let Err(error) = outcome {
            if !prompts {
                return Err(error);
            }
            eprintln!("{}", error.report());
            failed = Some(error);
        }
        statement.clear();
        prompt("Eddyline SQL> ");
    }
    if !statement.trim().is_empty() {
        session.run_script(&statement, format, &mut std::io::stdout().lock())?;
    }
    let _ = failed;
    Ok(())
}
