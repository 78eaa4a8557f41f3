//! `GET /metrics`, in the text format of Prometheus.

use crate::operators;
use crate::server::Shared;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use eddyline::{JobStatus, WATERMARK_MAX, WATERMARK_MIN};
use eddyline_logs::detect::AlertKind;
use std::fmt::Write;
use std::sync::Arc;

/// A text of metrics.
#[derive(Default)]
struct Text(String);

impl Text {
    /// What a metric is about; its samples follow.
    fn about(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// How old lines are when each operator is done with them.
    fn operators(&mut self, status: &JobStatus) {
        let name = "eddyline_operator_latency_seconds";
        self.about(
            name,
            "summary",
            "From the reading of a line to the end of its processing by an operator.",
        );
        for found in operators::latencies(status) {
            let (operator, uid) = (escaped(found.operator), escaped(found.uid));
            let labels = format!("operator=\"{operator}\",uid=\"{uid}\",instance=\"{}\"", found.instance);
            for (share, micros) in [("0.5", found.median_us), ("0.99", found.p99_us), ("1", found.max_us)] {
                self.sample(name, &format!("{{{labels},quantile=\"{share}\"}}"), micros as f64 / 1e6);
            }
            let sum = found.mean_us * found.count as f64 / 1e6;
            self.sample(&format!("{name}_sum"), &format!("{{{labels}}}"), sum);
            self.sample(&format!("{name}_count"), &format!("{{{labels}}}"), found.count);
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.about(name, "counter", help);
        self.sample(name, "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.about(name, "gauge", help);
        self.sample(name, "", value);
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let observed = &shared.observed;
    let (summary, status) = (observed.board.sums(), (observed.status)());
    let mut text = Text::default();
    text.counter("eddyline_logs_lines_total", "Lines that were counted.", summary.lines);
    text.counter("eddyline_logs_unparsed_total", "Lines that could not be read.", summary.unparsed);
    text.counter("eddyline_logs_late_total", "Lines that came too late for their minute.", summary.late);
    text.counter("eddyline_logs_body_bytes_total", "Bytes of bodies sent.", summary.bytes);
    text.counter("eddyline_logs_sessions_total", "Sessions that are over.", summary.sessions);
    text.counter("eddyline_logs_alerts_total", "Alerts that were opened.", summary.alerts);
    text.counter(
        "eddyline_logs_read_lines_total",
        "Lines that were read from files.",
        observed.progress.lines(),
    );
    text.counter(
        "eddyline_logs_read_bytes_total",
        "Bytes that were read from files.",
        observed.progress.bytes_read(),
    );
    text.about("eddyline_logs_responses_total", "counter", "Accesses by status.");
    for (code, count) in &summary.status {
        text.sample("eddyline_logs_responses_total", &format!("{{status=\"{code}\"}}"), count);
    }
    let alerts = observed.board.alerts();
    text.about("eddyline_logs_alerts_open", "gauge", "Alerts that are open.");
    for kind in [AlertKind::ErrorSpike, AlertKind::BruteForce, AlertKind::Scanner, AlertKind::SilentSource] {
        let open = alerts.iter().filter(|alert| alert.kind == kind && alert.is_open()).count();
        text.sample("eddyline_logs_alerts_open", &format!("{{kind=\"{}\"}}", kind.name()), open);
    }
    if status.watermark != WATERMARK_MIN && status.watermark != WATERMARK_MAX {
        let seconds = status.watermark as f64 / 1e3;
        text.gauge(
            "eddyline_logs_watermark_seconds",
            "The job's watermark, seconds since the epoch.",
            seconds,
        );
    }
    text.counter("eddyline_job_checkpoints_total", "Checkpoints completed.", status.checkpoints);
    text.counter(
        "eddyline_job_restarts_total",
        "How often the job was started again.",
        u64::from(status.restarts),
    );
    let latency = &status.latency;
    let name = "eddyline_job_latency_seconds";
    text.about(name, "summary", "From the reading of a line to the end of its processing.");
    for share in [0.5, 0.99, 1.0] {
        let micros = if share == 1.0 { latency.max() } else { latency.quantile(share) };
        text.sample(name, &format!("{{quantile=\"{share}\"}}"), micros as f64 / 1e6);
    }
    text.sample(&format!("{name}_count"), "", latency.count());
    text.operators(&status);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}
