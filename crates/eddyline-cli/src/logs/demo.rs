//! The demo: a small site that writes an access log, and a day of traffic that is replayed against it.
//!
//! The traffic is made up (`IncidentTraffic`), the rest is real: requests travel over HTTP, the site answers them and
//! logs each when it is answered. Since time in the log runs a minute a second, requests say what time it is for them.

use super::http::{self, SiteRequest};
use eddyline_core::{Error, Result};
use eddyline_logs::parse::Request;
use eddyline_logs::traffic::IncidentTraffic;
use eddyline_logs::{LogLine, parse_line};
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Log time runs so much faster than the clock on the wall.
const SPEED: i64 = 60;
/// Requests per second of log time.
const RATE: u64 = 10;
/// Between two bursts of requests.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest body that is sent: whoever watches does not have to wait for pictures.
const BODY_BYTES_MAX: usize = 2_048;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// A site and its visitors.
pub struct Demo {
    directory: PathBuf,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Demo {
    /// Opens the site and lets the visitors in; it is `now_ms`.
    ///
    /// # Errors
    /// If the log cannot be written, or there is no port for the site.
    pub fn start(seed: u64, now_ms: i64) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("eddyline-demo-{}", std::process::id()));
        let unwritable = |error: std::io::Error| {
            Error::output(format!("cannot write the log of the made-up site: {error}"))
                .with_detail(directory.display().to_string())
                .with_hint("set TMPDIR to a directory that can be written")
        };
        fs::create_dir_all(&directory).map_err(unwritable)?;
        let log = File::create(directory.join("access.log")).map_err(unwritable)?;
        let unbound =
            |error: std::io::Error| Error::network(format!("cannot open the made-up site: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let stop = Arc::new(AtomicBool::new(false));
        // The log begins yesterday, so that it stays in the past for a while.
        let start_ms = now_ms - 24 * 3_600_000;
        let (site_stop, visitors_stop) = (stop.clone(), stop.clone());
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.into()).spawn(work);
            thread.map_err(|error| Error::internal(format!("cannot start a thread: {error}")))
        };
        let threads = vec![
            spawn("demo-site", Box::new(move || serve(&listener, log, &site_stop)))?,
            spawn("demo-visitors", Box::new(move || visit(address, seed, start_ms, &visitors_stop)))?,
        ];
        Ok(Demo { directory, address, stop, threads })
    }

    /// The site's log.
    pub fn log(&self) -> PathBuf {
        self.directory.join("access.log")
    }

    /// Where everything of the demo is.
    pub fn directory(&self) -> PathBuf {
        self.directory.clone()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The site may be waiting for a visitor.
        drop(TcpStream::connect(self.address));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The site: answers one visitor after the other, and logs every request when it is answered.
fn serve(listener: &TcpListener, log: File, stop: &AtomicBool) {
    let mut log = BufWriter::new(log);
    while !stop.load(Ordering::Relaxed) {
        let Ok((connection, _)) = listener.accept() else { return };
        let limited = connection.set_read_timeout(Some(PATIENCE)).and_then(|()| connection.set_nodelay(true));
        let (Ok(()), Ok(reading)) = (limited, connection.try_clone()) else { continue };
        let (mut reader, mut writer) = (BufReader::new(reading), BufWriter::new(connection));
        while let Ok(Some(request)) = http::read_request(&mut reader) {
            let answered = answer(&request, &mut writer);
            let logged = log_line(&request, &mut log);
            // What is logged can be read as soon as nobody asks for anything for a moment.
            let waits = reader.buffer().is_empty();
            let flushed = if waits { writer.flush().and_then(|()| log.flush()) } else { Ok(()) };
            if answered.and(logged).and(flushed).is_err() {
                return;
            }
        }
        if log.flush().is_err() {
            return;
        }
    }
}

fn answer(request: &SiteRequest, writer: &mut impl Write) -> std::io::Result<()> {
    let body = [b'.'; BODY_BYTES_MAX];
    let length = request.body_bytes.min(BODY_BYTES_MAX);
    write!(writer, "HTTP/1.1 {} -\r\ncontent-length: {length}\r\n\r\n", request.status)?;
    writer.write_all(&body[..length])
}

fn log_line(request: &SiteRequest, log: &mut impl Write) -> std::io::Result<()> {
    if request.is_broken {
        return writeln!(log, "{}", request.line);
    }
    let length = request.body_bytes.min(BODY_BYTES_MAX);
    let SiteRequest { client, time, line, status, referer, agent, .. } = request;
    writeln!(log, "{client} - - [{time}] \"{line}\" {status} {length} \"{referer}\" \"{agent}\"")
}

/// The visitors: a day of traffic, a minute a second.
fn visit(site: SocketAddr, seed: u64, start_ms: i64, stop: &AtomicBool) {
    let Ok(mut connection) = TcpStream::connect(site) else { return };
    let limited = connection.set_read_timeout(Some(PATIENCE)).and_then(|()| connection.set_nodelay(true));
    let (Ok(()), Ok(reading)) = (limited, connection.try_clone()) else { return };
    let mut answers = BufReader::new(reading);
    let started = Instant::now();
    let mut lines = IncidentTraffic::eventful(seed, start_ms, RATE).peekable();
    let mut requests = Vec::new();
    while !stop.load(Ordering::Relaxed) && lines.peek().is_some() {
        let until = start_ms + started.elapsed().as_millis() as i64 * SPEED;
        let mut count = 0;
        // Requests of a moment travel together; the site answers them in order.
        while let Some(line) = lines.next_if(|line| line.written <= until) {
            match parse_line(&line.line) {
                Ok(access) => write_request(&mut requests, &access, &line.line),
                Err(_) => http::write_broken(&mut requests, &line.line),
            }
            count += 1;
            if count >= 200 {
                break;
            }
        }
        if connection.write_all(&requests).is_err() {
            return;
        }
        requests.clear();
        for _ in 0..count {
            if http::skip_answer(&mut answers).is_err() {
                return;
            }
        }
        if count < 200 {
            std::thread::park_timeout(PAUSE);
        }
    }
}

fn write_request(out: &mut Vec<u8>, access: &LogLine<'_>, line: &[u8]) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Request::Line { method, path, protocol } = access.request else {
        return http::write_broken(out, line);
    };
    let bracket = line.iter().position(|&byte| byte == b'[').map_or(0, |at| at + 1);
    let request = SiteRequest {
        line: format!("{} {} {}", text(method), text(path), text(protocol)),
        client: text(access.host),
        time: text(line.get(bracket..bracket + 26).unwrap_or_default()),
        status: access.status,
        body_bytes: access.bytes as usize,
        referer: text(access.referer.unwrap_or(b"-")),
        agent: text(access.agent.unwrap_or(b"-")),
        is_broken: false,
    };
    http::write_request(out, &request);
}
