//! A job over made-up traffic with a server, and as much of a client as tests need.

#![allow(dead_code)] // each test target uses its own part

use eddyline::{Environment, JobHandle, StopMode};
use eddyline_core::SystemClock;
use eddyline_logs::job::{LogJob, LogJobWatch};
use eddyline_logs::store::StoreSettings;
use eddyline_logs_server::{Listener, Observed, Server, ServerSettings};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A job that follows a log, and its server.
pub struct Served {
    pub server: Option<Server>,
    pub watch: LogJobWatch,
    pub log: PathBuf,
    job: Option<JobHandle>,
    directory: tempfile::TempDir,
}

impl Served {
    /// Starts both; `token` is what clients have to show.
    pub fn start(token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("access.log");
        File::create(&log).unwrap();
        let store = StoreSettings { directory: directory.path().join("store"), lines: true, live: true };
        let job = LogJob {
            follow: true,
            delay: Duration::ZERO,
            store: Some(store),
            dead_letters: Some(directory.path().join("dead")),
            ..LogJob::new(vec![log.clone()])
        };
        let mut environment = Environment::new();
        environment.options_mut().runtime.checkpoints.interval_ms = Some(500);
        let watch = job.describe(&environment).unwrap();
        let job = environment.start("served").unwrap();
        let control = job.control();
        let observed = Observed {
            board: watch.board.clone(),
            progress: watch.progress.clone(),
            store: watch.store.clone(),
            status: Arc::new(move || control.status()),
            clock: Arc::new(SystemClock::new()),
        };
        let settings = ServerSettings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: token.map(str::to_owned),
        };
        let server = Server::start(Listener::bind(settings).unwrap(), observed).unwrap();
        Served { server: Some(server), watch, log, job: Some(job), directory }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().address()
    }

    /// Appends lines to the log.
    pub fn write(&self, lines: &[String]) {
        let mut text = lines.join("\n");
        text.push('\n');
        OpenOptions::new().append(true).open(&self.log).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Status and body of a request.
    pub fn ask(&self, target: &str, headers: &str) -> (u16, String) {
        let mut connection = connect(self.address());
        let request = format!("GET {target} HTTP/1.0\r\nhost: localhost\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Status and body of a query in SQL.
    pub fn sql(&self, body: &Value, kind: &str) -> (u16, Value) {
        let mut connection = connect(self.address());
        let body = body.to_string();
        let head = format!(
            "POST /v1/sql HTTP/1.0\r\nhost: localhost\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    pub fn json(&self, target: &str) -> Value {
        let (status, body) = self.ask(target, "");
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Asks until the answer is as it should be.
    pub fn until(&self, target: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.json(target);
            if is_right(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{target}: {answer}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.control().stop(StopMode::Drain);
            let _ = job.wait();
        }
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

/// Opens the stream of events, and reads its first line.
pub fn events(address: SocketAddr, target: &str) -> BufReader<TcpStream> {
    let mut connection = connect(address);
    connection.write_all(format!("GET {target} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(connection);
    until_line(&mut reader, ": welcome");
    reader
}

/// Reads up to a line that begins so.
pub fn until_line(reader: &mut impl BufRead, start: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream has ended before `{start}`");
        if line.starts_with(start) {
            return line;
        }
    }
}

/// An access line at so many seconds of 17 May 2015.
pub fn access(host: &str, second: u32, request: &str, status: u16) -> String {
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!(
        r#"{host} - - [17/May/2015:{hour:02}:{minute:02}:{second:02} +0000] "{request} HTTP/1.1" {status} 7 "-" "curl" 0.125"#
    )
}
