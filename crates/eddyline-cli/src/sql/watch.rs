//! What the shell shows while a statement runs.
//!
//! A query without end has the whole screen; one that ends by itself a line that says how far it is, and then its rows.
//! Ctrl-C cancels either, and never ends the shell.

use super::page::{self, Tableau, counted, seconds};
use super::screen::Screen;
use super::terminal::{Key, KeyMode, key};
use eddyline::{Error, Result};
use eddyline_sql::{JobProgress, LiveRows, Session, Watcher};
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

/// Between two frames; a key is answered at once.
const FRAME: Duration = Duration::from_millis(100);
/// A statement that ends before this shows no progress.
const PROGRESS_AFTER: Duration = Duration::from_millis(400);
/// Rows that are written below each other; more are shown on the screen, to be scrolled.
const ROWS_WRITTEN: usize = 1_000;
/// The widest column, unless the session says otherwise.
const WIDTH_MAX: usize = 30;

/// How the rows of a query are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResultMode {
    Table,
    Changelog,
    Tableau,
}

/// Shows one statement after the other.
pub(super) struct ShellWatcher {
    mode: ResultMode,
    width_max: usize,
    keys: Option<KeyMode>,
    screen: Option<Screen>,
    tableau: Option<Tableau>,
    /// Whether the line of progress is there.
    has_progress: bool,
    next_frame: Duration,
    /// Whether anything was shown of the statements so far.
    pub(super) has_shown: bool,
}

fn unwritable(error: std::io::Error) -> Error {
    Error::output(format!("the terminal cannot be written: {error}"))
}

impl ShellWatcher {
    pub(super) fn new(session: &Session) -> Self {
        let mode = match session.option("sql-client.execution.result-mode").map(str::to_ascii_lowercase) {
            Some(mode) if mode == "changelog" => ResultMode::Changelog,
            Some(mode) if mode == "tableau" => ResultMode::Tableau,
            _ => ResultMode::Table,
        };
        let width =
            session.option("sql-client.display.max-column-width").and_then(|width| width.parse().ok());
        ShellWatcher {
            mode,
            width_max: width.unwrap_or(WIDTH_MAX).max(4),
            keys: None,
            screen: None,
            tableau: None,
            has_progress: false,
            next_frame: Duration::ZERO,
            has_shown: false,
        }
    }

    /// Leaves the terminal as it was found.
    pub(super) fn close(&mut self) {
        self.screen = None;
        self.clear_progress();
        self.keys = None;
        self.next_frame = Duration::ZERO;
    }

    /// Whether a query is written change by change.
    fn is_written(&self, rows: &LiveRows) -> bool {
        self.mode == ResultMode::Tableau || (self.mode == ResultMode::Changelog && rows.is_bounded())
    }

    fn write_changes(&mut self, rows: &LiveRows) -> Result<()> {
        let mut out = std::io::stdout();
        if self.tableau.is_none() || rows.changes_seen() > 0 {
            self.clear_progress();
        }
        let tableau = match &mut self.tableau {
            Some(tableau) => tableau,
            None => self.tableau.insert(Tableau::begin(rows, self.width_max, &mut out).map_err(unwritable)?),
        };
        tableau.go_on(rows, &mut out).map_err(unwritable)
    }

    fn clear_progress(&mut self) {
        if self.has_progress {
            print!("\r\x1b[K");
            let _ = std::io::stdout().flush();
            self.has_progress = false;
        }
    }

    /// A line that says how far a job is.
    fn show_progress(&mut self, progress: &JobProgress) -> Result<()> {
        if progress.elapsed < PROGRESS_AFTER || progress.prints {
            return Ok(());
        }
        let read = counted(progress.records_in, "row");
        let per_second = progress.records_in as f64 / progress.elapsed.as_secs_f64();
        let rate = page::grouped(per_second as u64);
        print!("\r\x1b[K{read} read, {rate}/s, {} (Ctrl-C cancels)", seconds(progress.elapsed));
        self.has_progress = true;
        std::io::stdout().flush().map_err(unwritable)
    }

    /// Takes all keys that were pressed; whether one of them ends the job, and whether there was any.
    fn take_keys(&mut self, rows: Option<&LiveRows>) -> Result<(bool, bool)> {
        let mut has_any = false;
        while let Some(pressed) = key(Duration::ZERO)? {
            has_any = true;
            let ends = match (&mut self.screen, rows) {
                (Some(screen), Some(rows)) => screen.press(pressed, rows).is_break(),
                _ => pressed == Key::Interrupt,
            };
            if ends {
                return Ok((true, true));
            }
        }
        Ok((false, has_any))
    }

    /// Writes what a query has given, when it is over.
    fn show_result(&mut self, progress: &JobProgress, rows: &LiveRows, cancelled: bool) -> Result<()> {
        let mut out = std::io::stdout();
        let time = seconds(progress.elapsed);
        if self.is_written(rows) {
            self.write_changes(rows)?;
            if let Some(tableau) = self.tableau.take() {
                tableau.end(&mut out).map_err(unwritable)?;
            }
            self.close();
            let received = counted(rows.changes_seen(), "row");
            return said(&format!("Received a total of {received} ({time}{})", cancelled_note(cancelled)));
        }
        let stays = self.screen.is_some() || rows.len() > ROWS_WRITTEN;
        if stays && !cancelled {
            self.clear_progress();
            let mut screen = match self.screen.take() {
                Some(screen) => screen,
                None => Screen::open(self.mode == ResultMode::Changelog, self.width_max)?,
            };
            screen.stay(rows, progress)?;
        }
        self.close();
        if !stays && !cancelled {
            page::table(rows, self.width_max, &mut out).map_err(unwritable)?;
            return said(&format!("{} in set ({time})", counted(rows.len() as u64, "row")));
        }
        let changes = counted(rows.changes_seen(), "change");
        said(&format!(
            "{} from {changes} ({time}{})",
            counted(rows.len() as u64, "row"),
            cancelled_note(cancelled)
        ))
    }
}

fn cancelled_note(cancelled: bool) -> &'static str {
    if cancelled { ", cancelled" } else { "" }
}

fn said(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").map_err(unwritable)
}

impl Watcher for ShellWatcher {
    fn look(&mut self, progress: &JobProgress, rows: Option<&LiveRows>) -> Result<ControlFlow<()>> {
        self.has_shown = true;
        if self.keys.is_none() {
            self.keys = Some(KeyMode::enter()?);
        }
        let is_written = rows.is_some_and(|rows| self.is_written(rows));
        if let Some(rows) = rows {
            if is_written {
                self.write_changes(rows)?;
            } else if self.screen.is_none() && !rows.is_bounded() {
                self.screen = Some(Screen::open(self.mode == ResultMode::Changelog, self.width_max)?);
            }
        }
        let (ends, has_keys) = self.take_keys(rows)?;
        if ends {
            return Ok(ControlFlow::Break(()));
        }
        if has_keys || progress.elapsed >= self.next_frame {
            self.next_frame = progress.elapsed + FRAME;
            match (&mut self.screen, rows) {
                (Some(screen), Some(rows)) => screen.draw(rows, progress, false)?,
                _ if is_written => {}
                _ => self.show_progress(progress)?,
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn ended(&mut self, progress: &JobProgress, rows: Option<&LiveRows>, cancelled: bool) -> Result<()> {
        if let Some(rows) = rows {
            return self.show_result(progress, rows, cancelled);
        }
        self.close();
        let read = counted(progress.records_in, "row");
        said(&format!("{read} read ({}{})", seconds(progress.elapsed), cancelled_note(cancelled)))
    }
}
