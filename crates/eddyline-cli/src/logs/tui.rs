//! `eddyline logs --tui`: the job in the whole terminal, for people without a browser.

use eddyline::{JobControl, JobHandle, JobReport, JobStatus, StopMode};
use eddyline_core::{Error, Result};
use eddyline_logs::detect::{Alert, Severity};
use eddyline_logs::job::{Dimension, Figures, LogJobWatch, WindowKind};
use eddyline_logs::summary::Summary;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Bar, BarChart, BarGroup, Block, Paragraph, Sparkline};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Between two frames; a key is answered at once.
const FRAME: Duration = Duration::from_millis(250);

/// What a frame shows.
struct Scene {
    summary: Summary,
    status: JobStatus,
    lines: u64,
    minutes: Vec<Figures>,
    paths: Vec<(String, u64)>,
    alerts: Vec<Alert>,
    address: Option<SocketAddr>,
}

/// Shows the job until it ends, `q` or Ctrl-C is pressed, at the latest after `limit`.
///
/// # Errors
/// What ended the job, or that there is no terminal.
pub fn watch(
    watch: &LogJobWatch,
    job: JobHandle,
    limit: Option<Duration>,
    address: Option<SocketAddr>,
) -> Result<JobReport> {
    let control = job.control();
    let mut terminal = ratatui::try_init().map_err(|error| {
        control.cancel();
        no_terminal(&error)
    })?;
    let started = Instant::now();
    let mut outcome = Ok(());
    while !job.is_finished() && outcome.is_ok() {
        let scene = scene(watch, &control, address);
        outcome = terminal.draw(|frame| draw(frame, &scene)).map(|_| ());
        let pressed = outcome.is_ok() && ends()?;
        if pressed || limit.is_some_and(|limit| started.elapsed() >= limit) {
            control.stop(StopMode::Drain);
        }
    }
    ratatui::restore();
    match outcome {
        Ok(()) => job.wait(),
        Err(error) => {
            control.cancel();
            Err(no_terminal(&error))
        }
    }
}

fn no_terminal(error: &std::io::Error) -> Error {
    Error::output(format!("cannot draw: {error}"))
        .with_hint("--tui needs a terminal; leave it out for plain output")
}

/// Waits for a key, a frame at most; whether it ends the job.
fn ends() -> Result<bool> {
    let failed = |error: std::io::Error| {
        ratatui::restore();
        no_terminal(&error)
    };
    if !event::poll(FRAME).map_err(failed)? {
        return Ok(false);
    }
    let Event::Key(key) = event::read().map_err(failed)? else { return Ok(false) };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(is_interrupt || key.code == KeyCode::Char('q'))
}

fn scene(watch: &LogJobWatch, control: &JobControl, address: Option<SocketAddr>) -> Scene {
    let board = &watch.board;
    Scene {
        summary: board.sums(),
        status: control.status(),
        lines: watch.progress.lines(),
        minutes: board.windows(WindowKind::Minute, i64::MIN..i64::MAX, 240),
        paths: board.top(Dimension::Path, 60, 12).into_iter().map(|top| (top.path, top.count)).collect(),
        alerts: board.alerts(),
        address,
    }
}

fn draw(frame: &mut Frame<'_>, scene: &Scene) {
    let rows = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(9),
        Constraint::Min(6),
        Constraint::Length(1),
    ]);
    let [head, plots, rest, foot] = rows.areas(frame.area());
    frame.render_widget(Paragraph::new(facts(scene)), head);
    let [throughput, statuses] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(plots);
    draw_throughput(frame, throughput, &scene.minutes);
    draw_statuses(frame, statuses, &scene.summary);
    let [alerts, paths] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(rest);
    draw_alerts(frame, alerts, &scene.alerts);
    draw_paths(frame, paths, &scene.paths);
    let page = scene.address.map_or(String::new(), |address| format!("page: http://{address}/   "));
    frame.render_widget(Line::from(format!("{page}q ends")).dim(), foot);
}

fn facts(scene: &Scene) -> Vec<Line<'static>> {
    let Summary { unparsed, late, sessions, alerts, .. } = scene.summary;
    let latency = &scene.status.latency;
    let millis = |micros: u64| format!("{:.1} ms", micros as f64 / 1e3);
    vec![
        Line::from(vec![
            Span::from("Eddyline logs  ").bold(),
            Span::from(format!(
                "{} lines  {unparsed} unreadable  {late} late  {sessions} sessions  {alerts} alerts",
                scene.lines
            )),
        ]),
        Line::from(format!(
            "latency p50 {}  p99 {}  max {}",
            millis(latency.quantile(0.5)),
            millis(latency.quantile(0.99)),
            millis(latency.max())
        )),
    ]
}

fn draw_throughput(frame: &mut Frame<'_>, area: Rect, minutes: &[Figures]) {
    let room = usize::from(area.width.saturating_sub(2));
    let shown = &minutes[minutes.len().saturating_sub(room)..];
    let values: Vec<u64> = shown.iter().map(|minute| minute.requests.max(minute.lines)).collect();
    let most = values.iter().max().copied().unwrap_or(0);
    let block = Block::bordered().title(format!("requests a minute, {most} at most"));
    frame.render_widget(
        Sparkline::default().data(values).style(Style::new().fg(Color::Cyan)).block(block),
        area,
    );
}

fn draw_statuses(frame: &mut Frame<'_>, area: Rect, summary: &Summary) {
    let colours = [Color::Gray, Color::Green, Color::Blue, Color::Yellow, Color::Red];
    let classes = summary.classes();
    let bars: Vec<Bar<'_>> = (1..5)
        .map(|class| {
            Bar::default()
                .label(format!("{}xx", class + 1))
                .value(classes.0[class])
                .style(Style::new().fg(colours[class]))
        })
        .collect();
    let chart = BarChart::default().data(BarGroup::default().bars(&bars)).bar_width(7).bar_gap(2);
    frame.render_widget(chart.block(Block::bordered().title("status codes")), area);
}

fn draw_alerts(frame: &mut Frame<'_>, area: Rect, alerts: &[Alert]) {
    let mut sorted: Vec<&Alert> = alerts.iter().collect();
    sorted.sort_by_key(|alert| (!alert.is_open(), std::cmp::Reverse(alert.opened)));
    let line = |alert: &&Alert| {
        let colour = match (alert.is_open(), alert.severity) {
            (false, _) => Color::DarkGray,
            (true, Severity::Warning) => Color::Yellow,
            (true, Severity::Critical) => Color::Red,
        };
        let state = if alert.is_open() { "open  " } else { "closed" };
        Line::from(format!("{state} {:<13} {}", alert.kind.name(), alert.message)).fg(colour)
    };
    let lines: Vec<Line<'_>> = sorted.iter().take(usize::from(area.height)).map(line).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("alerts")), area);
}

fn draw_paths(frame: &mut Frame<'_>, area: Rect, paths: &[(String, u64)]) {
    let lines: Vec<Line<'_>> =
        paths.iter().map(|(path, count)| Line::from(format!("{count:>8}  {path}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("top paths, last hour")), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn a_frame_shows_figures_alerts_and_paths() {
        let minute = Figures { requests: 40, ..Figures::default() };
        let scene = Scene {
            summary: Summary { sessions: 7, ..Summary::default() },
            status: JobStatus::default(),
            lines: 4_711,
            minutes: vec![minute; 300],
            paths: vec![("/blog".into(), 12)],
            alerts: Vec::new(),
            address: None,
        };
        for (width, height) in [(100, 30), (20, 5), (1, 1)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &scene)).unwrap();
            let text = terminal.backend().to_string();
            if width == 100 {
                assert!(
                    text.contains("4711 lines") && text.contains("7 sessions") && text.contains("/blog"),
                    "{text}"
                );
            }
        }
    }
}
