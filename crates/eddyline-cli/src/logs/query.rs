//! `eddyline logs query`: from scripts, ask a running job, or the store of one that does not run.

use super::arguments::now_ms;
use super::http;
use clap::{Args, ValueEnum};
use eddyline_core::{Error, Result};
use eddyline_logs::store::{LineQuery, Store, StoreSettings};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Stored lines, as they stand in their files.
    Lines,
    /// Open and past alerts, one JSON object.
    Alerts,
    /// Figures of windows, one JSON object.
    Windows,
    /// Sessions that are over, one JSON object.
    Sessions,
    /// The most frequent values, one JSON object.
    Top,
    /// Sums over everything, one JSON object.
    Summary,
    /// How the job is, one JSON object.
    Status,
}

/// What `eddyline logs query` is told.
#[derive(Args)]
pub struct QueryArguments {
    /// What is asked for.
    #[arg(value_enum, default_value = "lines")]
    subject: Subject,
    /// The job's server.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    server: String,
    /// The token of the server.
    #[arg(long, env = "EDDYLINE_LOGS_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Look into a store's files instead of asking a server; for lines only.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "server")]
    store: Option<PathBuf>,
    /// Not before: 2026-01-31T10:00:00Z, milliseconds, or so long ago: -15m, -2h, -7d.
    #[arg(long, allow_hyphen_values = true)]
    from: Option<String>,
    /// Before; as --from.
    #[arg(long, allow_hyphen_values = true)]
    to: Option<String>,
    /// Of this host; `*` stands for anything.
    #[arg(long)]
    host: Option<String>,
    /// With this status: 404, 5xx, 400-499.
    #[arg(long)]
    status: Option<String>,
    /// About this path; `*` stands for anything.
    #[arg(long)]
    path: Option<String>,
    /// With this text in the line.
    #[arg(long)]
    text: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<usize>,
    /// Alerts or windows of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Top values of this dimension: path, host, agent.
    #[arg(long)]
    dimension: Option<String>,
    /// All lines that fit, from the first on, without a limit unless one is given.
    #[arg(long)]
    all: bool,
    /// Lines as JSON objects.
    #[arg(long)]
    json: bool,
}

/// Asks, and prints the answer.
///
/// # Errors
/// If there is no server, or it refuses.
pub fn run(arguments: &QueryArguments) -> Result<()> {
    match &arguments.store {
        Some(directory) => from_store(arguments, directory),
        None => from_server(arguments),
    }
}

fn from_server(arguments: &QueryArguments) -> Result<()> {
    let streams = arguments.subject == Subject::Lines && arguments.all;
    let mut body = Vec::new();
    let mut out = io::stdout().lock();
    let target = target(arguments);
    let status = http::get(&arguments.server, &target, arguments.token.as_deref(), &mut |part| {
        body.extend_from_slice(part);
        if streams {
            // Whole lines leave at once, so that any number of them passes.
            let end = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            print_lines(&body[..end], arguments.json, &mut out)?;
            body.drain(..end);
        }
        Ok(())
    })?;
    let answer: serde_json::Value = if body.is_empty() { serde_json::Value::Null } else { json(&body)? };
    if status >= 400 {
        return Err(refusal(status, &answer["error"]));
    }
    let unwritable = |error: io::Error| Error::output(format!("cannot print: {error}"));
    match (arguments.subject, &answer["lines"]) {
        (Subject::Lines, serde_json::Value::Array(lines)) => {
            // The latest are at the end, as in a file.
            for line in lines.iter().rev() {
                print_line(line, arguments.json, &mut out).map_err(unwritable)?;
            }
        }
        _ if streams => {}
        _ => writeln!(out, "{answer}").map_err(unwritable)?,
    }
    Ok(())
}

fn json(body: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(body)
        .map_err(|error| Error::network(format!("the server's answer is no JSON: {error}")))
}

fn refusal(status: u16, error: &serde_json::Value) -> Error {
    let message = error["message"].as_str().unwrap_or("the server refuses");
    let mut refused = Error::network(message.to_owned()).with_detail(format!("status {status}"));
    if let Some(hint) = error["hint"].as_str() {
        refused = refused.with_hint(hint.to_owned());
    }
    refused
}

/// The path and query that ask for it.
fn target(arguments: &QueryArguments) -> String {
    let path = match arguments.subject {
        Subject::Lines => "/v1/logs",
        Subject::Alerts => "/v1/alerts",
        Subject::Windows => "/v1/windows",
        Subject::Sessions => "/v1/sessions",
        Subject::Top => "/v1/top",
        Subject::Summary => "/v1/summary",
        Subject::Status => "/v1/status",
    };
    let limit = arguments.limit.map(|limit| limit.to_string());
    let format = (arguments.subject == Subject::Lines && arguments.all).then(|| "ndjson".to_owned());
    let parameters = [
        ("from", &arguments.from),
        ("to", &arguments.to),
        ("host", &arguments.host),
        ("status", &arguments.status),
        ("path", &arguments.path),
        ("text", &arguments.text),
        ("limit", &limit),
        ("kind", &arguments.kind),
        ("dimension", &arguments.dimension),
        ("format", &format),
    ];
    let given =
        parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
    let query: Vec<String> = given.collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~*/:".contains(&byte) {
            text.push(byte as char);
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Prints lines that came as JSON objects, one a line.
fn print_lines(lines: &[u8], as_json: bool, out: &mut impl Write) -> io::Result<()> {
    for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let line: serde_json::Value = serde_json::from_slice(line).map_err(io::Error::other)?;
        if let Some(message) = line["error"]["message"].as_str() {
            return Err(io::Error::other(message.to_owned()));
        }
        print_line(&line, as_json, out)?;
    }
    Ok(())
}

fn print_line(line: &serde_json::Value, as_json: bool, out: &mut impl Write) -> io::Result<()> {
    match line["line"].as_str().filter(|_| !as_json) {
        Some(text) => writeln!(out, "{text}"),
        None => writeln!(out, "{line}"),
    }
}

fn from_store(arguments: &QueryArguments, directory: &Path) -> Result<()> {
    if arguments.subject != Subject::Lines {
        return Err(
            Error::config("a store is asked for lines only").with_hint("ask a running job by --server")
        );
    }
    if !directory.is_dir() {
        return Err(Error::input("there is no such store")
            .with_detail(directory.display().to_string())
            .with_hint("give the directory that --store had when the job ran"));
    }
    let query = LineQuery {
        times: eddyline_logs_server::times(arguments.from.as_deref(), arguments.to.as_deref(), now_ms())?,
        host: arguments.host.clone(),
        status: arguments.status.as_deref().map(eddyline_logs_server::statuses).transpose()?,
        path: arguments.path.clone(),
        text: arguments.text.clone(),
        limit: arguments.limit.unwrap_or(100),
        ..LineQuery::default()
    };
    let store = Store::open(StoreSettings { directory: directory.to_owned(), lines: true, live: false })?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut print = |line: &eddyline_logs::store::StoredLine| {
        if arguments.json {
            serde_json::to_writer(&mut out, line).map_err(io::Error::from).and_then(|()| out.write_all(b"\n"))
        } else {
            writeln!(out, "{}", line.line)
        }
    };
    if !arguments.all {
        for line in store.lines(&query)?.lines.iter().rev() {
            print(line).map_err(|error| Error::output(format!("cannot print: {error}")))?;
        }
        return Ok(());
    }
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    store.each_line(&query, |line| {
        left = left.saturating_sub(1);
        // A reader that is gone is no error.
        if print(&line).is_err() || left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        assert_eq!(escaped("/a b*&é"), "/a%20b*%26%C3%A9");
    }
}
