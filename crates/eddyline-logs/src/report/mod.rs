//! Draws results for people: a block that is redrawn while a job runs, and a report at its end.
//!
//! # Contract
//! - Rendering is a function of its arguments: nothing here prints, measures time or asks the environment.
//! - No line is wider than [`Style::width`], but for colour codes; without colours the text is plain.
//! - Text from the log is cut to its place and stripped of control characters: logs hold what strangers sent.
//! - Times are event times in UTC.

mod alerts;
mod chart;
mod finale;
mod live;
mod style;

pub use alerts::render_alerts;
pub use finale::{RunFacts, render_final};
pub use live::{LiveBlock, LiveStatus, render_live, render_live_line};
pub use style::Style;

use crate::summary::{PathCount, Session, StatusClasses};
use style::{Tone, count, duration, fit, fit_left, plural, share, short_stamp, size};

/// The tones of the status classes 1xx to 5xx.
const CLASS_TONES: [Tone; 5] = [Tone::Faint, Tone::Good, Tone::Neutral, Tone::Warning, Tone::Bad];

/// The columns of a bar that stands between `label` columns and the count and share behind it.
fn bar_columns(style: &Style, label: usize) -> usize {
    style.width().saturating_sub(2 + label + 1 + 1 + 11 + 1 + 7).clamp(5, 40)
}

/// Joins parts that may be many: as many as fit on a line, separated by dots, the rest on further lines.
fn flow(parts: &[String], style: &Style) -> String {
    let mut text = String::new();
    let mut used = 0;
    for part in parts {
        let part = fit(part, style.width() - 2);
        let columns = part.chars().count();
        if used == 0 || used + 3 + columns > style.width() {
            text.push_str(if used == 0 { "  " } else { "\n  " });
            used = 2;
        } else {
            text.push_str(&style.paint(Tone::Faint, " · "));
            used += 3;
        }
        text.push_str(&part);
        used += columns;
    }
    text.push('\n');
    text
}

/// A headline above a part.
fn headline(text: &str, style: &Style) -> String {
    format!("\n{}\n", style.paint(Tone::Title, text))
}

/// One line for each class of status that occurred, with bars relative to all.
fn class_bars(classes: &StatusClasses, style: &Style) -> String {
    let total = classes.total();
    let mut text = String::new();
    for (index, &number) in classes.0.iter().enumerate().filter(|&(_, &number)| number > 0) {
        let bar = style.paint(CLASS_TONES[index], &chart::bar(number, total, bar_columns(style, 3)));
        text.push_str(&format!(
            "  {}xx {bar} {:>11} {:>7}\n",
            index + 1,
            count(number),
            share(number, total)
        ));
    }
    text
}

/// One line for each path, with bars relative to the first.
fn path_bars(paths: &[PathCount], style: &Style) -> String {
    let most = paths.first().map_or(0, |path| path.count);
    let bar_columns = style.width() / 8;
    let path_columns = style.width().saturating_sub(2 + 11 + 1 + bar_columns + 1);
    let mut text = String::new();
    for path in paths {
        let bar = style.paint(Tone::Accent, &chart::bar(path.count, most, bar_columns));
        text.push_str(&format!("  {:>11} {bar} {}\n", count(path.count), fit(&path.path, path_columns)));
    }
    text
}

/// One line for each session; narrow outputs leave out the size and the start.
fn session_lines(sessions: &[Session], style: &Style) -> String {
    const HOST_COLUMNS_MAX: usize = 40;
    let is_wide = style.width() >= 72;
    let facts_columns = if is_wide { 13 + 12 + 10 + 15 } else { 13 + 11 };
    let host_columns = (style.width() - 2 - facts_columns).min(HOST_COLUMNS_MAX);
    let mut text = String::new();
    for session in sessions {
        let host = fit_left(&session.host, host_columns);
        let requests = fit(&plural(session.requests, "request"), 13);
        let lasted = duration(session.duration_ms().unsigned_abs());
        if is_wide {
            let start = style.paint(Tone::Faint, &format!("{:>15}", short_stamp(session.start)));
            text.push_str(&format!("  {host}{requests:>13}{lasted:>12}{:>10}{start}\n", size(session.bytes)));
        } else {
            text.push_str(&format!("  {host}{requests:>13}{lasted:>11}\n"));
        }
    }
    text
}
