//! What a person sees of the log job: a block that is redrawn on a terminal, a line now and then elsewhere.

use eddyline::{JobHandle, JobReport, JobStatus, StopMode};
use eddyline_core::Result;
use eddyline_logs::job::LogJobWatch;
use eddyline_logs::{
    LiveBlock, LiveStatus, RunFacts, Style, render_alerts, render_final, render_live, render_live_line,
};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two redraws on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(1);

/// The display of a log job.
pub struct Display {
    json: bool,
    follow: bool,
    dead_letters: PathBuf,
    terminal: bool,
    style: Style,
    block: LiveBlock,
    started: Instant,
    /// Time, lines and bytes at the redraw before.
    before: (Instant, u64, u64),
    rates: (f64, f64),
}

impl Display {
    /// A display on standard error; the summary goes to standard output.
    pub fn new(json: bool, follow: bool, dead_letters: PathBuf) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let columns =
            rustix::termios::tcgetwinsize(std::io::stderr()).ok().map(|size| usize::from(size.ws_col));
        let no_color = std::env::var("NO_COLOR").ok();
        let started = Instant::now();
        Display {
            json,
            follow,
            dead_letters,
            terminal,
            style: Style::for_output(terminal, columns.filter(|columns| *columns > 0), no_color.as_deref()),
            block: LiveBlock::default(),
            started,
            before: (started, 0, 0),
            rates: (0.0, 0.0),
        }
    }

    /// Says something once.
    pub fn say(&self, text: &str) {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Shows the job until it ends, at the latest after `limit`.
    ///
    /// # Errors
    /// What ended the job.
    pub fn watch(
        &mut self,
        watch: &LogJobWatch,
        job: JobHandle,
        limit: Option<Duration>,
    ) -> Result<JobReport> {
        let control = job.control();
        let every = if self.terminal { REDRAW } else { LINE };
        let mut shown = Instant::now();
        while !job.is_finished() {
            std::thread::park_timeout(Duration::from_millis(20));
            if limit.is_some_and(|limit| self.started.elapsed() >= limit) {
                control.stop(StopMode::Drain);
            }
            if shown.elapsed() >= every {
                shown = Instant::now();
                self.show(watch, &control.status());
            }
        }
        let cleared = self.block.clear();
        self.say(&cleared);
        job.wait()
    }

    fn show(&mut self, watch: &LogJobWatch, status: &JobStatus) {
        let live = self.live(watch, status);
        let text = if self.terminal {
            let drawn = render_live(&live, &self.style);
            self.block.redraw(&drawn)
        } else {
            render_live_line(&live)
        };
        self.say(&text);
    }

    fn live(&mut self, watch: &LogJobWatch, status: &JobStatus) -> LiveStatus {
        let view = watch.board.view();
        let (lines, bytes) = (watch.progress.lines(), watch.progress.bytes_read());
        let now = Instant::now();
        let seconds = now.duration_since(self.before.0).as_secs_f64();
        if seconds > 0.1 {
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
            self.rates = (rate(lines, self.before.1), rate(bytes, self.before.2));
            self.before = (now, lines, bytes);
        }
        let measured = status.latency.count() > 0;
        let total = watch.progress.bytes_total();
        LiveStatus {
            elapsed_ms: self.started.elapsed().as_millis() as u64,
            lines,
            unparsed: view.summary.unparsed,
            late: view.summary.late,
            lines_per_second: self.rates.0,
            bytes_per_second: self.rates.1,
            latency_p50_us: measured.then(|| status.latency.quantile(0.5)),
            latency_p99_us: measured.then(|| status.latency.quantile(0.99)),
            watermark: status.watermark,
            latest_event: view.latest,
            progress: (!self.follow && total > 0).then(|| bytes as f64 / total as f64),
            minutes: view.summary.highlights.minutes,
            top_paths: view.summary.highlights.top_paths,
            recent_sessions: view.recent_sessions,
        }
    }

    /// Prints the summary.
    pub fn finish(&self, watch: &LogJobWatch, report: &JobReport) {
        let view = watch.board.view();
        let mut summary = view.summary;
        summary.suspended = !watch.board.has_ended();
        if summary.suspended {
            self.say(
                "the job is suspended: minutes and sessions that are open are in its checkpoint, and counted when it \
                 is started again\n",
            );
        }
        if self.json {
            print(&format!("{}\n", summary.to_json()));
            return;
        }
        let latency = &report.status.latency;
        let measured = latency.count() > 0;
        let facts = RunFacts {
            elapsed_ms: self.started.elapsed().as_millis() as u64,
            input_bytes: watch.progress.bytes_read(),
            latency_p50_us: measured.then(|| latency.quantile(0.5)),
            latency_p99_us: measured.then(|| latency.quantile(0.99)),
            dead_letters: (summary.unparsed > 0).then(|| self.dead_letters.display().to_string()),
        };
        let terminal = std::io::stdout().is_terminal();
        let style = if terminal { self.style } else { Style::plain(80) };
        print(&render_final(&summary, &facts, &style));
        print(&render_alerts(&view.alerts, &style));
    }
}

/// Writes to standard output; a reader that is gone is no error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
