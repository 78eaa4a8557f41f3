//! `eddyline sql`: scripts, statements on the command line or from a pipe, and the shell.
//!
//! The exit code is 0 only if every statement has succeeded. On a terminal without a script it is a shell; everywhere
//! else statements run as they come and the first that fails ends the run.

mod complete;
mod history;
mod line;
mod page;
mod screen;
mod shell;
mod terminal;
#[cfg(test)]
mod tests;
mod watch;

use clap::{Args, ValueEnum};
use eddyline::{Error, Options, Result};
use eddyline_sql::{OutputFormat, Session, SqlMode, report};
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The arguments of `eddyline sql`.
#[derive(Args)]
pub(crate) struct SqlArguments {
    /// Run the statements of this file and exit.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Run these statements and exit; may be given several times.
    #[arg(short, long, value_name = "STATEMENTS", conflicts_with = "file")]
    execute: Vec<String>,
    /// Run the statements of this file first, whatever comes then; may be given several times.
    #[arg(short, long, value_name = "FILE")]
    init: Vec<PathBuf>,
    /// How the rows of queries are shown; of all but `table`, the last query's only. The shell has SET
    /// 'sql-client.execution.result-mode' instead.
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

pub(crate) fn run(arguments: &SqlArguments) -> Result<ExitCode> {
    let mut session = session(arguments)?;
    let format = match arguments.output {
        Output::Table => OutputFormat::Table,
        Output::Csv => OutputFormat::Csv,
        Output::Json => OutputFormat::Json,
        Output::Changelog => OutputFormat::Changelog,
    };
    for file in &arguments.init {
        if !script(&mut session, &read(file)?, Some(file), format) {
            return Ok(ExitCode::FAILURE);
        }
    }
    if let Some(file) = &arguments.file {
        return Ok(code(script(&mut session, &read(file)?, Some(file), format)));
    }
    if !arguments.execute.is_empty() {
        let all = arguments.execute.iter().all(|text| script(&mut session, text, None, format));
        return Ok(code(all));
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return shell::run(&mut session).map(|()| ExitCode::SUCCESS);
    }
    piped(&mut session, format).map(code)
}

fn session(arguments: &SqlArguments) -> Result<Session> {
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
    Ok(session)
}

fn code(succeeded: bool) -> ExitCode {
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::input(format!("the script cannot be read: {error}")).with_detail(file.display().to_string())
    })
}

/// Runs statements; whether all have succeeded. What went wrong is told.
fn script(session: &mut Session, text: &str, file: Option<&Path>, format: OutputFormat) -> bool {
    // Not locked: a table may print from threads of its own.
    let outcome = session.run_script(text, format, &mut std::io::stdout());
    let Err(error) = outcome else { return true };
    let name = file.map(|file| file.display().to_string());
    eprintln!("{}", report(&error, text, name.as_deref()));
    false
}

/// Runs statements as they are read, each when its semicolon has come; whether all have succeeded.
fn piped(session: &mut Session, format: OutputFormat) -> Result<bool> {
    let mut statement = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Error::input(format!("standard input cannot be read: {error}")))?;
        let word = line.trim().trim_end_matches(';').to_ascii_lowercase();
        if statement.is_empty() && (word == "quit" || word == "exit") {
            return Ok(true);
        }
        statement.push_str(&line);
        statement.push('\n');
        if statement.trim().is_empty() || !Session::is_complete(&statement) {
            continue;
        }
        if !script(session, &statement, None, format) {
            return Ok(false);
        }
        statement.clear();
    }
    Ok(statement.trim().is_empty() || script(session, &statement, None, format))
}
