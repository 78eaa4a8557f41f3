//! The shell: reads a statement, runs it, shows what it gives, until it is told to end.

use super::history;
use super::line::Line;
use super::watch::ShellWatcher;
use eddyline::{Error, Result};
use eddyline_core::ErrorKind;
use eddyline_sql::{Session, report};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::io::Write;

const PROMPT: &str = "Eddyline SQL> ";

const HELP: &str = "\
Statements end with a semicolon; they may have several lines. Tab completes, arrows go through earlier statements,
Ctrl-R searches them, Ctrl-C gives up a statement or cancels a running query, Ctrl-D ends the shell.

  HELP                this text
  CLEAR               clears the screen
  QUIT, EXIT          ends the shell

  SHOW TABLES;  DESCRIBE t;  SHOW FUNCTIONS;  EXPLAIN SELECT …;
  SET;                the options that are set; SET 'key' = 'value'; RESET 'key';
  SET 'execution.runtime-mode' = 'streaming' | 'batch';
                      changes as they come, or final results of bounded data
  SET 'sql-client.execution.result-mode' = 'table' | 'changelog' | 'tableau';
                      the rows that there are, every change on the screen, or every change line by line
  SET 'sql-client.execution.max-table-result.rows' = '1000000';
  SET 'sql-client.display.max-column-width' = '30';

While a query without end is on the screen: q or Ctrl-C cancels it, c changes between table and changelog, arrows,
PgUp, PgDn, Home and End scroll.";

/// Words that the shell itself understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Help,
    Clear,
}

impl Command {
    /// The command that `text` is, if it is one.
    pub(super) fn of(text: &str) -> Option<Self> {
        match text.trim().trim_end_matches(';').trim_end().to_ascii_lowercase().as_str() {
            "quit" | "exit" => Some(Command::Quit),
            "help" => Some(Command::Help),
            "clear" => Some(Command::Clear),
            _ => None,
        }
    }
}

fn unusable(error: ReadlineError) -> Error {
    Error::input(format!("the terminal cannot be read: {error}")).with_hint("run a script with -f FILE")
}

/// Runs statements until the user ends the shell.
pub(super) fn run(session: &mut Session) -> Result<()> {
    let config = Config::builder()
        .max_history_size(history::STATEMENTS_MAX)
        .map_err(unusable)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let history = FileHistory::with_config(&config);
    let mut editor: Editor<Line, FileHistory> = Editor::with_history(config, history).map_err(unusable)?;
    editor.set_helper(Some(Line::default()));
    let file = history::file();
    if let Some(file) = file.as_ref().filter(|file| file.exists())
        && let Err(error) = editor.load_history(file)
    {
        eprintln!("earlier statements cannot be read from {}: {error}", file.display());
    }
    println!("Eddyline SQL {}: HELP tells what there is, QUIT ends.", env!("CARGO_PKG_VERSION"));
    loop {
        if let Some(helper) = editor.helper_mut() {
            helper.known = session.vocabulary();
        }
        let text = match editor.readline(PROMPT) {
            Ok(text) => text,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(unusable(error)),
        };
        if text.trim().is_empty() {
            continue;
        }
        if editor.add_history_entry(text.trim_end()).unwrap_or(false)
            && let Some(file) = &file
            && let Err(error) = editor.append_history(file)
        {
            eprintln!("the statement cannot be kept in {}: {error}", file.display());
        }
        match Command::of(&text) {
            Some(Command::Quit) => return Ok(()),
            Some(Command::Help) => println!("{HELP}"),
            Some(Command::Clear) => editor.clear_screen().map_err(unusable)?,
            None => execute(session, &text),
        }
    }
}

/// Standard output, and whether anything was written.
struct Counted {
    wrote: bool,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.wrote = true;
        std::io::stdout().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}

/// Runs statements, and tells what goes wrong.
fn execute(session: &mut Session, text: &str) {
    let mut watcher = ShellWatcher::new(session);
    let mut out = Counted { wrote: false };
    let outcome = session.run_watched(text, &mut out, &mut watcher);
    watcher.close();
    match outcome {
        Ok(()) if !out.wrote && !watcher.has_shown => println!("OK"),
        Ok(()) => {}
        // It was told when it was cancelled.
        Err(error) if error.kind() == ErrorKind::Cancelled => {}
        Err(error) => eprintln!("{}", report(&error, text, None)),
    }
}
