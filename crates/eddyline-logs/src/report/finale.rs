//! The report at the end of a job.

use super::style::{Tone, count, date, duration, fit, fit_left, hour_minute, latency, plural, share, size};
use super::{CLASS_TONES, Style, bar_columns, chart, flow, headline, path_bars, session_lines};
use crate::summary::{Highlights, Summary};

/// How many statuses are shown.
const STATUSES_SHOWN: usize = 8;

/// The columns of the longest name of a status.
const NAME_COLUMNS: usize = 21;

/// How many sessions are shown.
const SESSIONS_SHOWN: usize = 5;

/// How the run went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// How long the job ran, in milliseconds.
    pub elapsed_ms: u64,
    /// The input read, in bytes.
    pub input_bytes: u64,
    /// The median from creation to end of processing in microseconds, if measured.
    pub latency_p50_us: Option<u64>,
    /// The 99th percentile of the same.
    pub latency_p99_us: Option<u64>,
    /// Where the unparsed lines went, if anywhere.
    pub dead_letters: Option<String>,
}

/// The whole report.
pub fn render_final(summary: &Summary, facts: &RunFacts, style: &Style) -> String {
    let highlights = &summary.highlights;
    let title = format!("{} in {}", plural(summary.lines, "line"), duration(facts.elapsed_ms));
    let rule: String = std::iter::repeat_n('─', style.width()).collect();
    let mut text = format!("{}\n{}\n", style.paint(Tone::Title, &title), style.paint(Tone::Faint, &rule));
    text.push_str(&overview(summary, style));
    if summary.parsed() > 0 {
        text.push_str(&answers(summary, style));
    }
    text.push_str(&through_time(highlights, style));
    if !highlights.top_paths.is_empty() {
        text.push_str(&headline("Most asked for", style));
        text.push_str(&path_bars(&highlights.top_paths, style));
    }
    if !highlights.busiest_sessions.is_empty() {
        text.push_str(&headline("Busiest sessions", style));
        let shown = highlights.busiest_sessions.len().min(SESSIONS_SHOWN);
        text.push_str(&session_lines(&highlights.busiest_sessions[..shown], style));
    }
    text.push_str(&headline("Speed", style));
    text.push_str(&speed(summary, facts, style));
    if summary.unparsed > 0 {
        text.push_str(&headline("Not understood", style));
        let lines = plural(summary.unparsed, "line");
        let place = match &facts.dead_letters {
            Some(place) => format!("{lines}: see {place}"),
            None => format!("{lines}, not kept"),
        };
        text.push_str(&format!("  {}\n", style.paint(Tone::Warning, &fit(&place, style.width() - 2))));
    }
    text
}

fn overview(summary: &Summary, style: &Style) -> String {
    let highlights = &summary.highlights;
    let mut text = flow(
        &[
            plural(summary.parsed(), "request"),
            format!("{} sent", size(summary.bytes)),
            format!("{} unparsed", count(summary.unparsed)),
            format!("{} late", count(summary.late)),
        ],
        style,
    );
    let mut people = vec![plural(highlights.visitors, "visitor"), plural(summary.sessions, "session")];
    if let Some(average) = highlights.session_time_ms.checked_div(summary.sessions) {
        people.push(format!("{} per session on average", duration(average)));
    }
    text.push_str(&flow(&people, style));
    text
}

/// The most frequent statuses, in the order of their numbers.
fn answers(summary: &Summary, style: &Style) -> String {
    let total = summary.parsed();
    let rate = format!("Answers ({:.2} % server errors)", summary.error_rate() * 100.0);
    let mut text = headline(&rate, style);
    let mut statuses: Vec<(u16, u64)> =
        summary.status.iter().map(|(&status, &number)| (status, number)).collect();
    statuses.sort_by_key(|&(status, number)| (std::cmp::Reverse(number), status));
    let others: u64 = statuses.iter().skip(STATUSES_SHOWN).map(|(_, number)| number).sum();
    statuses.truncate(STATUSES_SHOWN);
    statuses.sort_unstable();
    let label_columns = if style.width() >= 72 { 3 + 1 + NAME_COLUMNS } else { 3 };
    let columns = bar_columns(style, label_columns);
    for (status, number) in statuses {
        let tone = CLASS_TONES[usize::from(status / 100).clamp(1, 5) - 1];
        let label = match label_columns {
            3 => status.to_string(),
            _ => fit_left(&format!("{status} {}", status_name(status)), label_columns),
        };
        let bar = style.paint(tone, &chart::bar(number, total, columns));
        text.push_str(&format!("  {label} {bar} {:>11} {:>7}\n", count(number), share(number, total)));
    }
    if others > 0 {
        let label = fit_left("others", label_columns + 1 + columns);
        text.push_str(&format!("  {label} {:>11} {:>7}\n", count(others), share(others, total)));
    }
    text
}

/// What a status means, in the words of RFC 9110 where it knows it.
fn status_name(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        499 => "Client Closed Request",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

/// The whole log as one sparkline, with its peak and its worst minute.
fn through_time(highlights: &Highlights, style: &Style) -> String {
    let minutes = &highlights.minutes;
    let (Some((&first, _)), Some((&last, _))) = (minutes.first_key_value(), minutes.last_key_value()) else {
        return String::new();
    };
    let columns = style.width() - 2;
    let end = last.saturating_add(crate::summary::MINUTE_MS - 1);
    let points = minutes.iter().map(|(&minute, classes)| (minute, classes.total()));
    let line = chart::sparkline(&chart::buckets(points, first, end, columns));
    let mut text = headline("Through time (UTC)", style);
    text.push_str(&format!("  {}\n", style.paint(Tone::Accent, &line)));
    let (from, to) = (stamp(first), stamp(last));
    let gap = columns.saturating_sub(from.len() + to.len());
    text.push_str(&format!("  {}\n", style.paint(Tone::Faint, &format!("{from}{:gap$}{to}", ""))));
    if let Some((minute, classes)) = highlights.peak_minute() {
        let line = format!("peak   {}: {}", stamp(minute), plural(classes.total(), "request"));
        text.push_str(&format!("  {}\n", fit(&line, columns)));
    }
    if let Some((minute, classes)) = highlights.worst_minute() {
        let errors = plural(classes.server_errors(), "server error");
        let line = format!("worst  {}: {errors} of {}", stamp(minute), count(classes.total()));
        text.push_str(&format!("  {}\n", style.paint(Tone::Bad, &fit(&line, columns))));
    }
    text
}

fn stamp(minute: i64) -> String {
    format!("{} {}", date(minute), hour_minute(minute))
}

fn speed(summary: &Summary, facts: &RunFacts, style: &Style) -> String {
    let per_second = |amount: u64| {
        let scaled = u128::from(amount) * 1_000 / u128::from(facts.elapsed_ms.max(1));
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let mut parts = vec![
        format!("{} lines/s", count(per_second(summary.lines))),
        format!("{}/s", size(per_second(facts.input_bytes))),
    ];
    if let (Some(median), Some(high)) = (facts.latency_p50_us, facts.latency_p99_us) {
        parts.push(format!("latency p50 {}, p99 {}", latency(median), latency(high)));
    }
    flow(&parts, style)
}
