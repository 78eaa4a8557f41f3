//! The log job as it is used: it follows a log that is written, over a store that has many lines, while it is asked.
//!
//! Three things are timed at once: from a line's writing until an answer over REST has it, from the writing of the line
//! that completes an alert until its event is there, and queries for the lines of one host in a quarter of an hour, 20
//! a second, from when each was due.

use crate::figures::{Settings, print};
use crate::logs_job::{self, RATE, START_MS};
use eddyline::{Environment, StopMode};
use eddyline_core::{Error, EventTime, Result, SystemClock};
use eddyline_logs::job::LogJob;
use eddyline_logs::store::StoreSettings;
use eddyline_logs::traffic::TrafficModel;
use eddyline_logs_server::{Listener, Observed, Server, ServerSettings};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Lines that are written while the job is asked.
pub const LINES_PER_SECOND: u64 = 2_000;
/// Queries are due so far apart, over all who ask.
const REQUEST_EVERY: Duration = Duration::from_millis(50);
/// How many ask: each of them waits for its answer, and is late for its next query if that takes long.
const ASKING: u32 = 4;
/// Lines are written in bursts.
const BURST: Duration = Duration::from_millis(20);
/// Between two lines whose answer is waited for.
const MARK_EVERY: Duration = Duration::from_millis(250);
/// Between two alerts.
const ALERT_EVERY: Duration = Duration::from_millis(500);
/// Failed logins that make an alert.
const FAILURES: usize = 10;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
const QUARTER_MS: i64 = 15 * 60_000;
/// Sessions whose hosts are asked for.
const SESSIONS: usize = 300;

/// Lines that were written, and milliseconds: until lines were answered, until alerts came, until queries were answered.
type Measured = (u64, Vec<f64>, Vec<f64>, Vec<f64>);

/// What everybody knows.
struct Scene {
    log: PathBuf,
    address: SocketAddr,
    /// The time of the latest line.
    now_ms: AtomicI64,
    stop: AtomicBool,
}

/// Measures the live job.
///
/// # Errors
/// If it fails, or answers what it should not.
pub fn run(settings: &Settings) -> Result<()> {
    let (stored, seconds) = (settings.number("stored", 1_000_000)?, settings.number("seconds", 30)?);
    let directory = tempfile::tempdir().map_err(|error| Error::storage(error.to_string()))?;
    let store = StoreSettings { directory: directory.path().join("store"), lines: true, live: true };
    let (queries, end_ms) = fill(directory.path(), &store, stored)?;
    let log = directory.path().join("live.log");
    File::create(&log).map_err(|error| Error::storage(error.to_string()))?;
    let job = LogJob {
        follow: true,
        delay: Duration::from_secs(10),
        store: Some(store),
        ..LogJob::new(vec![log.clone()])
    };
    let mut environment = Environment::new();
    environment.options_mut().runtime.checkpoints.interval_ms = Some(10_000);
    let watch = job.describe(&environment)?;
    let running = environment.start("logs")?;
    let control = running.control();
    let observed = Observed {
        board: watch.board.clone(),
        progress: watch.progress.clone(),
        store: watch.store.clone(),
        status: Arc::new(move || control.status()),
        clock: Arc::new(SystemClock::new()),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(Listener::bind(ServerSettings { address, token: None })?, observed)?;
    let scene = Scene {
        log,
        address: server.address(),
        now_ms: AtomicI64::new(end_ms),
        stop: AtomicBool::new(false),
    };
    let outcome: Result<Measured> = std::thread::scope(|scope| {
        let scene = &scene;
        let writing = scope.spawn(move || write_traffic(scene, end_ms));
        let marking = scope.spawn(move || mark(scene));
        let alarming = scope.spawn(move || alarm(scene));
        let queries = &queries;
        let asking: Vec<_> =
            (0..ASKING).map(|number| scope.spawn(move || ask_often(scene, queries, number))).collect();
        std::thread::park_timeout(Duration::from_secs(seconds));
        scene.stop.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for thread in asking {
            answers.extend(joined(thread)?);
        }
        Ok((joined(writing)?, joined(marking)?, joined(alarming)?, answers))
    });
    drop(server);
    running.control().stop(StopMode::Drain);
    running.wait()?;
    let (written, marks, alerts, answers) = outcome?;
    print("written", written as f64);
    for (name, millis) in [("visible", marks), ("alert", alerts), ("rest", answers)] {
        tell(name, millis);
    }
    Ok(())
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| Error::internal("a thread of the measurement panicked"))?
}

fn tell(name: &str, mut millis: Vec<f64>) {
    millis.sort_by(f64::total_cmp);
    let share = |share: f64| millis.get((millis.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    print(&format!("{name}_p50_ms"), share(0.5));
    print(&format!("{name}_p99_ms"), share(0.99));
    print(&format!("{name}_max_ms"), millis.last().copied().unwrap_or(f64::NAN));
    print(&format!("{name}_count"), millis.len() as f64);
}

/// Fills the store; answers what is asked for, and the time of the last line.
fn fill(directory: &Path, store: &StoreSettings, lines: u64) -> Result<(Vec<String>, EventTime)> {
    let log = directory.join("past.log");
    // A line has about 200 bytes; what counts is that they are about as many as wanted.
    logs_job::make(&log, lines * 200)?;
    let job = LogJob {
        store: Some(StoreSettings { live: false, ..store.clone() }),
        ..LogJob::new(vec![log.clone()])
    };
    let mut environment = Environment::new();
    environment.options_mut().runtime.checkpoints.interval_ms = Some(10_000);
    let watch = job.describe(&environment)?;
    environment.execute("past")?;
    let stored = watch.store.ok_or_else(|| Error::internal("the job has no store"))?;
    // What the first call has replaced is removed by the second.
    stored.compact(i64::MAX, &|| true)?;
    stored.compact(i64::MAX, &|| true)?;
    print("stored", watch.board.sums().lines as f64);
    let sessions = stored.sessions(i64::MIN..i64::MAX, None, SESSIONS)?;
    let query = |session: &eddyline_logs::Session| {
        let from = session.start - session.start.rem_euclid(QUARTER_MS);
        format!("/v1/logs?host={}&from={from}&to={}", session.host, from + QUARTER_MS)
    };
    let end_ms = sessions.iter().map(|session| session.end).max().unwrap_or(START_MS);
    std::fs::remove_file(&log).map_err(|error| Error::storage(error.to_string()))?;
    Ok((sessions.iter().map(query).collect(), end_ms))
}

/// Appends to the log.
struct Appender(File);

impl Appender {
    fn open(log: &Path) -> Result<Self> {
        let opened = OpenOptions::new().append(true).open(log);
        opened.map(Appender).map_err(|error| Error::storage(format!("cannot write the log: {error}")))
    }

    /// Whole lines in one write, so that lines of others do not come between.
    fn write(&mut self, lines: &[u8]) -> Result<()> {
        self.0.write_all(lines).map_err(|error| Error::storage(format!("cannot write the log: {error}")))
    }
}

/// Writes made-up traffic from `start_ms` on until it is stopped; answers how many lines.
fn write_traffic(scene: &Scene, start_ms: EventTime) -> Result<u64> {
    let mut log = Appender::open(&scene.log)?;
    let mut traffic = TrafficModel::new(2, start_ms, RATE);
    let (began, mut written) = (Instant::now(), 0);
    while !scene.stop.load(Ordering::Relaxed) {
        let due = began.elapsed().as_millis() as u64 * LINES_PER_SECOND / 1_000;
        let mut burst = Vec::new();
        for line in traffic.by_ref().take((due - written) as usize) {
            burst.extend_from_slice(&line.line);
            burst.push(b'\n');
            scene.now_ms.fetch_max(line.written, Ordering::Relaxed);
        }
        written = due;
        log.write(&burst)?;
        std::thread::park_timeout(BURST);
    }
    Ok(written)
}

/// An access at the time of the latest line.
fn access(scene: &Scene, host: &str, request: &str, status: u16) -> Vec<u8> {
    let now_ms = scene.now_ms.load(Ordering::Relaxed);
    let time = eddyline_logs::traffic::log_time(now_ms);
    format!("{host} - - [{time}] \"{request} HTTP/1.1\" {status} 5 \"-\" \"bench\"\n").into_bytes()
}

/// Writes a line now and then, and asks for it until it is answered.
fn mark(scene: &Scene) -> Result<Vec<f64>> {
    let mut log = Appender::open(&scene.log)?;
    let mut millis = Vec::new();
    for number in 0.. {
        if scene.stop.load(Ordering::Relaxed) {
            break;
        }
        let path = format!("/fresh/{number}");
        let line = access(scene, "10.9.9.9", &format!("GET {path}"), 200);
        let from = scene.now_ms.load(Ordering::Relaxed) - 60_000;
        let began = Instant::now();
        log.write(&line)?;
        let query = format!("/v1/logs?path={path}&from={from}&limit=1");
        while !ask(scene.address, &query)?.contains(&format!("\"{path}\"")) {
            within_patience(began, &query)?;
        }
        millis.push(began.elapsed().as_secs_f64() * 1e3);
        std::thread::park_timeout(MARK_EVERY);
    }
    Ok(millis)
}

/// Completes an alert now and then, and waits for its event.
fn alarm(scene: &Scene) -> Result<Vec<f64>> {
    let mut log = Appender::open(&scene.log)?;
    let mut connection = connect(scene.address)?;
    send(&mut connection, "/v1/events")?;
    let mut events = BufReader::new(connection);
    until(&mut events, |line| line.starts_with(": welcome"))?;
    let mut millis = Vec::new();
    for number in 0.. {
        if scene.stop.load(Ordering::Relaxed) {
            break;
        }
        let host = format!("10.8.{}.{}", number / 250, number % 250);
        let failure = access(scene, &host, "POST /login", 401);
        log.write(&failure.repeat(FAILURES - 1))?;
        std::thread::park_timeout(ALERT_EVERY);
        let began = Instant::now();
        log.write(&failure)?;
        until(&mut events, |line| line.starts_with("data: ") && line.contains(&format!("\"{host}\"")))?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(millis)
}

/// Asks query after query, each when it is due.
fn ask_often(scene: &Scene, queries: &[String], number: u32) -> Result<Vec<f64>> {
    let began = Instant::now();
    let mut millis = Vec::new();
    for round in (number..).step_by(ASKING as usize) {
        let due = began + REQUEST_EVERY * round;
        while let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(wait);
        }
        if scene.stop.load(Ordering::Relaxed) {
            break;
        }
        let query = &queries[round as usize * 7_919 % queries.len()];
        if !ask(scene.address, query)?.contains("\"host\":") {
            return Err(Error::internal(format!("no line was found by {query}")));
        }
        millis.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(millis)
}

fn within_patience(began: Instant, what: &str) -> Result<()> {
    if began.elapsed() < PATIENCE {
        return Ok(());
    }
    Err(Error::internal(format!("no answer within {} s: {what}", PATIENCE.as_secs())))
}

fn network(error: &std::io::Error) -> Error {
    Error::network(format!("the server of the measured job does not answer: {error}"))
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let connection = TcpStream::connect(address).map_err(|error| network(&error))?;
    connection.set_read_timeout(Some(PATIENCE)).map_err(|error| network(&error))?;
    Ok(connection)
}

fn send(connection: &mut TcpStream, target: &str) -> Result<()> {
    let request = format!("GET {target} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).map_err(|error| network(&error))
}

/// The answer to a request, which has to be a good one.
fn ask(address: SocketAddr, target: &str) -> Result<String> {
    let mut connection = connect(address)?;
    send(&mut connection, target)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).map_err(|error| network(&error))?;
    if answer.split(' ').nth(1) == Some("200") {
        return Ok(answer);
    }
    Err(Error::internal(format!("{target} is answered by {}", answer.lines().next().unwrap_or("nothing"))))
}

/// Reads lines of a stream of events up to one.
fn until(events: &mut impl BufRead, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if events.read_line(&mut line).map_err(|error| network(&error))? == 0 {
            return Err(Error::internal("the stream of events has ended"));
        }
        if is_wanted(&line) {
            return Ok(());
        }
    }
}
