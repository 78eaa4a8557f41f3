//! The block that is redrawn while a job runs.

use super::style::{Tone, count, date_time, duration, hour_minute, latency, plural, size};
use super::{Style, chart, class_bars, flow, headline, path_bars, session_lines};
use crate::summary::{MINUTE_MS, PathCount, Session, StatusClasses};
use eddyline_core::{EventTime, WATERMARK_MAX, WATERMARK_MIN};
use std::collections::BTreeMap;

/// How many minutes the sparkline shows.
const MINUTES_SHOWN: i64 = 25;

/// How many paths and how many sessions are shown.
const ROWS_SHOWN: usize = 5;

/// Where a running job is.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveStatus {
    /// How long the job has been running, in milliseconds.
    pub elapsed_ms: u64,
    /// The lines read so far.
    pub lines: u64,
    /// The lines that could not be read as accesses so far.
    pub unparsed: u64,
    /// The lines that came too late so far.
    pub late: u64,
    /// The lines read per second, of late.
    pub lines_per_second: f64,
    /// The bytes of input read per second, of late.
    pub bytes_per_second: f64,
    /// The median from creation to end of processing in microseconds, if measured yet.
    pub latency_p50_us: Option<u64>,
    /// The 99th percentile of the same.
    pub latency_p99_us: Option<u64>,
    /// The watermark of the job.
    pub watermark: EventTime,
    /// The latest event time seen; [`WATERMARK_MIN`] if none.
    pub latest_event: EventTime,
    /// The share of a bounded input that has been read, 0 to 1.
    pub progress: Option<f64>,
    /// Closed minutes by their start; only the last ones are shown.
    pub minutes: BTreeMap<EventTime, StatusClasses>,
    /// The most frequent paths, most frequent first.
    pub top_paths: Vec<PathCount>,
    /// Sessions that closed of late, latest first.
    pub recent_sessions: Vec<Session>,
}

impl Default for LiveStatus {
    fn default() -> Self {
        LiveStatus {
            elapsed_ms: 0,
            lines: 0,
            unparsed: 0,
            late: 0,
            lines_per_second: 0.0,
            bytes_per_second: 0.0,
            latency_p50_us: None,
            latency_p99_us: None,
            watermark: WATERMARK_MIN,
            latest_event: WATERMARK_MIN,
            progress: None,
            minutes: BTreeMap::new(),
            top_paths: Vec::new(),
            recent_sessions: Vec::new(),
        }
    }
}

fn rate(per_second: f64) -> u64 {
    // The conversion saturates; a rate that is no number is none.
    per_second.round() as u64
}

fn latencies(status: &LiveStatus) -> String {
    match (status.latency_p50_us, status.latency_p99_us) {
        (Some(median), Some(high)) => format!("latency p50 {}, p99 {}", latency(median), latency(high)),
        _ => "latency not measured yet".to_string(),
    }
}

fn watermark(status: &LiveStatus) -> String {
    match status.watermark {
        WATERMARK_MIN => "no watermark yet".to_string(),
        WATERMARK_MAX => "watermark at the end".to_string(),
        time if status.latest_event > time => {
            let behind = duration(status.latest_event.saturating_sub(time).unsigned_abs());
            format!("watermark {} ({behind} behind)", date_time(time))
        }
        time => format!("watermark {}", date_time(time)),
    }
}

fn speeds(status: &LiveStatus) -> [String; 2] {
    [
        format!("{} lines/s", count(rate(status.lines_per_second))),
        format!("{}/s", size(rate(status.bytes_per_second))),
    ]
}

/// The status as a block of lines.
pub fn render_live(status: &LiveStatus, style: &Style) -> String {
    let mut text = format!("{} {}\n", style.paint(Tone::Title, "Eddyline logs"), duration(status.elapsed_ms));
    if let Some(progress) = status.progress {
        let thousandths = (progress.clamp(0.0, 1.0) * 1_000.0) as u64;
        let bar = chart::bar(thousandths, 1_000, style.width() / 2);
        text.push_str(&format!("  {} {} %\n", style.paint(Tone::Accent, &bar), thousandths / 10));
    }
    let totals = [
        plural(status.lines, "line"),
        format!("{} unparsed", count(status.unparsed)),
        format!("{} late", count(status.late)),
    ];
    text.push_str(&flow(&totals, style));
    let [lines, bytes] = speeds(status);
    text.push_str(&flow(&[lines, bytes, latencies(status)], style));
    text.push_str(&flow(&[watermark(status)], style));
    text.push_str(&minutes(status, style));
    if !status.top_paths.is_empty() {
        text.push_str(&headline("Top paths", style));
        let shown = status.top_paths.len().min(ROWS_SHOWN);
        text.push_str(&path_bars(&status.top_paths[..shown], style));
    }
    if !status.recent_sessions.is_empty() {
        text.push_str(&headline("Sessions just closed", style));
        let shown = status.recent_sessions.len().min(ROWS_SHOWN);
        text.push_str(&session_lines(&status.recent_sessions[..shown], style));
    }
    text
}

/// The last closed minute by class, and the minutes up to it.
fn minutes(status: &LiveStatus, style: &Style) -> String {
    let Some((&last, classes)) = status.minutes.last_key_value() else { return String::new() };
    let title = format!("Last minute, {}: {}", hour_minute(last), plural(classes.total(), "request"));
    let mut text = headline(&title, style);
    text.push_str(&class_bars(classes, style));
    let first = last.saturating_sub((MINUTES_SHOWN - 1) * MINUTE_MS);
    let shown = status.minutes.range(first..);
    let totals = shown.clone().map(|(&minute, classes)| (minute, classes.total()));
    let errors = shown.map(|(&minute, classes)| (minute, classes.server_errors()));
    let line = |points: &mut dyn Iterator<Item = (i64, u64)>| {
        let end = last.saturating_add(MINUTE_MS - 1);
        chart::sparkline(&chart::buckets(points, first, end, MINUTES_SHOWN as usize))
    };
    let all = style.paint(Tone::Accent, &line(&mut { totals }));
    let failed = style.paint(Tone::Bad, line(&mut { errors }).trim_end());
    text.push_str(&format!("  all {all} {MINUTES_SHOWN} min\n"));
    if !failed.trim().is_empty() {
        text.push_str(&format!("  5xx {failed}\n"));
    }
    text
}

/// The status in one line, for outputs that cannot be redrawn.
pub fn render_live_line(status: &LiveStatus) -> String {
    let [lines, bytes] = speeds(status);
    let totals = format!(
        "{}, {} unparsed, {} late",
        plural(status.lines, "line"),
        count(status.unparsed),
        count(status.late)
    );
    let parts = [duration(status.elapsed_ms), totals, lines, bytes, latencies(status), watermark(status)];
    format!("{}\n", parts.join("; "))
}

/// Redraws a block in place on a terminal: remembers how many lines are to be overwritten.
#[derive(Debug, Clone, Default)]
pub struct LiveBlock {
    lines_drawn: usize,
}

impl LiveBlock {
    /// What to write to the terminal so that `text` (whole lines, no wider than the terminal) replaces the block
    /// drawn before.
    pub fn redraw(&mut self, text: &str) -> String {
        let mut output = self.clear();
        output.push_str(text);
        self.lines_drawn = text.lines().count();
        output
    }

    /// What to write so that the block is gone and the cursor stands where it began.
    pub fn clear(&mut self) -> String {
        match std::mem::take(&mut self.lines_drawn) {
            0 => String::new(),
            // Up to the first line's start, then erase to the end of the screen (ECMA-48: CPL, ED).
            lines => format!("\x1b[{lines}F\x1b[J"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrawing_goes_up_by_what_was_drawn() {
        let mut block = LiveBlock::default();
        assert_eq!(block.redraw("a\nb\n"), "a\nb\n");
        assert_eq!(block.redraw("c\n"), "\x1b[2F\x1b[Jc\n");
        assert_eq!(block.clear(), "\x1b[1F\x1b[J");
        assert_eq!(block.clear(), "");
    }
}
