//! A result on the whole screen, redrawn as it changes.

use super::page::{cell, counted, seconds};
use super::terminal::{Key, key};
use eddyline::{Error, Result};
use eddyline_sql::{JobProgress, LiveRows};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Row, Table};
use ratatui::{Frame, Terminal};
use std::io::Stdout;
use std::ops::ControlFlow;
use std::time::Duration;

/// Between two looks for a key when nothing changes any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// Which part of a result is shown, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// Changes instead of the rows that they leave.
    pub(super) changelog: bool,
    /// The first row, or the number of the first change.
    from: u64,
    /// Whether the end is shown whatever comes.
    follows: bool,
    /// The first column.
    column: usize,
    /// Rows that fit.
    height: usize,
    width_max: usize,
}

impl View {
    pub(super) fn new(changelog: bool, width_max: usize) -> Self {
        View { changelog, from: 0, follows: changelog, column: 0, height: 20, width_max }
    }

    /// The first and the last place that there is to show.
    fn places(&self, rows: &LiveRows) -> (u64, u64) {
        let (first, end) =
            if self.changelog { (rows.changes_begin(), rows.changes_seen()) } else { (0, rows.len() as u64) };
        (first, end.saturating_sub(self.height as u64).max(first))
    }

    /// Does what a key says.
    pub(super) fn press(&mut self, pressed: Key, rows: &LiveRows) -> ControlFlow<()> {
        let page = self.height.max(1) as u64;
        let (first, last) = self.places(rows);
        let from = if self.follows { last } else { self.from };
        match pressed {
            Key::Interrupt | Key::Leave => return ControlFlow::Break(()),
            Key::Changelog => {
                *self = View { height: self.height, ..View::new(!self.changelog, self.width_max) }
            }
            Key::Up => self.go(from.saturating_sub(1)),
            Key::PageUp => self.go(from.saturating_sub(page)),
            Key::Down => self.go(from + 1),
            Key::PageDown => self.go(from + page),
            Key::Home => self.go(first),
            Key::End => self.follows = true,
            Key::Left => self.column = self.column.saturating_sub(1),
            Key::Right => self.column = (self.column + 1).min(rows.columns().len().saturating_sub(1)),
            Key::Other => {}
        }
        ControlFlow::Continue(())
    }

    fn go(&mut self, from: u64) {
        (self.from, self.follows) = (from, false);
    }
}

/// The screen; it is as it was before when this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    view: View,
}

fn no_terminal(error: std::io::Error) -> Error {
    Error::output(format!("cannot draw: {error}"))
        .with_hint("SET 'sql-client.execution.result-mode' = 'tableau' needs no screen")
}

impl Screen {
    pub(super) fn open(changelog: bool, width_max: usize) -> Result<Self> {
        let mut out = std::io::stdout();
        // Not by the terminal's own `clear`: that asks where the cursor is, which not every terminal answers.
        execute!(out, EnterAlternateScreen, Clear(ClearType::All)).map_err(no_terminal)?;
        let terminal = Terminal::new(CrosstermBackend::new(out)).map_err(no_terminal)?;
        Ok(Screen { terminal, view: View::new(changelog, width_max) })
    }

    /// Does what a key says; `Break` leaves the screen.
    pub(super) fn press(&mut self, pressed: Key, rows: &LiveRows) -> ControlFlow<()> {
        self.view.press(pressed, rows)
    }

    pub(super) fn draw(&mut self, rows: &LiveRows, progress: &JobProgress, is_over: bool) -> Result<()> {
        let view = &mut self.view;
        self.terminal
            .draw(|frame| draw(frame, view, rows, progress, is_over))
            .map(|_| ())
            .map_err(no_terminal)
    }

    /// Shows a result that does not change any more until it is left.
    pub(super) fn stay(&mut self, rows: &LiveRows, progress: &JobProgress) -> Result<()> {
        loop {
            self.draw(rows, progress, true)?;
            if let Some(pressed) = key(PATIENCE)?
                && self.press(pressed, rows).is_break()
            {
                return Ok(());
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(std::io::stdout(), LeaveAlternateScreen);
        let _ = self.terminal.show_cursor();
    }
}

/// Draws a frame; the view learns how much fits.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    view: &mut View,
    rows: &LiveRows,
    progress: &JobProgress,
    is_over: bool,
) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    view.height = usize::from(body.height.saturating_sub(1));
    let (first, last) = view.places(rows);
    view.from = if view.follows { last } else { view.from.clamp(first, last) };
    let what = if view.changelog { "changelog" } else { "table" };
    let state = if is_over { "finished" } else { "running" };
    let facts = format!(
        "{what}  {}  {}  {} read  {state} {}",
        counted(rows.len() as u64, "row"),
        counted(rows.changes_seen(), "change"),
        counted(progress.records_in, "record"),
        seconds(progress.elapsed)
    );
    frame.render_widget(Line::from(facts).bold(), head);
    frame.render_widget(table(view, rows), body);
    let shown = if view.changelog { "the table" } else { "the changelog" };
    let keys = format!("q, Ctrl-C: back   c: {shown}   arrows, PgUp, PgDn, Home, End: scroll");
    frame.render_widget(Line::from(keys).dim(), foot);
}

/// The part of the result that the view shows.
fn table<'a>(view: &View, rows: &LiveRows) -> Table<'a> {
    let (mut names, mut lines): (Vec<String>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    if view.changelog {
        names.push("op".to_owned());
        for change in rows.changes(view.from, view.height) {
            let shown = change.cells.into_iter().skip(view.column);
            lines.push(std::iter::once(change.op.to_owned()).chain(shown).collect());
        }
    } else {
        let page = rows.page(usize::try_from(view.from).unwrap_or(usize::MAX), view.height);
        lines.extend(page.into_iter().map(|row| row.into_iter().skip(view.column).collect::<Vec<String>>()));
    }
    let mut is_number: Vec<bool> = names.iter().map(|_| false).collect();
    for column in rows.columns().iter().skip(view.column) {
        names.push(column.name.clone());
        is_number.push(column.is_numeric);
    }
    let mut widths: Vec<usize> = names.iter().map(|name| name.chars().count()).collect();
    let mut shown = Vec::new();
    for line in lines {
        let colour = match line.first().map(String::as_str).filter(|_| view.changelog) {
            Some("+I" | "+U") => Color::Green,
            Some("-U" | "-D") => Color::Red,
            _ => Color::Reset,
        };
        let cells: Vec<Cell<'a>> = line
            .iter()
            .enumerate()
            .map(|(place, text)| {
                let text = cell(text, view.width_max);
                widths[place] = widths[place].max(text.chars().count());
                let text = Text::from(text);
                Cell::from(if is_number[place] { text.right_aligned() } else { text })
            })
            .collect();
        shown.push(Row::new(cells).style(Style::new().fg(colour)));
    }
    let widths = widths.into_iter().map(|width| Constraint::Length(width.min(usize::from(u16::MAX)) as u16));
    let head = Row::new(names.into_iter().map(Cell::from).collect::<Vec<_>>());
    Table::new(shown, widths).header(head.style(Style::new().bold().underlined())).column_spacing(2)
}
