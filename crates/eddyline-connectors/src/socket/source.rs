//! Reading from a socket.

use super::pause_after;
use eddyline::source::{SourceContext, SplitOutput, SplitSource};
use eddyline_core::{Data, Error, Result};
use eddyline_formats::{Decoder, RawRecord};
use eddyline_runtime::SourceStatus;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::Waker;
use std::time::Duration;

/// Runs of records that are read ahead.
const RUNS_MAX: usize = 4;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// How soon a thread that waits for bytes notices that the job has stopped.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// A stream of records from a server.
///
/// # Examples
/// ```
/// use eddyline::{Environment, WatermarkStrategy};
/// use eddyline_connectors::socket::SocketSource;
/// use eddyline_formats::Text;
/// use std::io::Write;
///
/// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?.to_string();
/// let serving = std::thread::spawn(move || server.accept()?.0.write_all(b"one\ntwo\n"));
///
/// let environment = Environment::new();
/// let source = SocketSource::new(address);
/// let lines = environment
///     .from_source("lines", move || source.decode(Text.decoder()), WatermarkStrategy::no_watermarks())
///     .collect();
/// environment.execute("lines")?;
/// assert_eq!(lines.rows(), ["one", "two"]);
/// serving.join().expect("a server that ends")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SocketSource {
    address: String,
    delimiter: u8,
    record_bytes_max: usize,
    retries_max: u32,
    retry_interval: Duration,
}

impl SocketSource {
    /// Records from the server at `address` (`host:port`).
    pub fn new(address: impl Into<String>) -> Self {
        SocketSource {
            address: address.into(),
            delimiter: b'\n',
            record_bytes_max: 1 << 20,
            retries_max: 0,
            retry_interval: Duration::from_millis(500),
        }
    }

    /// The byte that ends a record (default: a line feed, of which a carriage return before it is a part).
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// The longest record, in bytes (default 1 MiB); a longer one ends the attempt.
    #[must_use]
    pub fn record_bytes_max(mut self, bytes: usize) -> Self {
        self.record_bytes_max = bytes.max(1);
        self
    }

    /// How often in a row connecting is tried again, when it failed or the server closed the connection (default 0:
    /// the stream ends when the server closes it); `u32::MAX` for ever.
    #[must_use]
    pub fn retries_max(mut self, retries: u32) -> Self {
        self.retries_max = retries;
        self
    }

    /// The first pause between two attempts to connect (default 500 ms).
    #[must_use]
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.retry_interval = interval;
        self
    }

    /// An instance that decodes records by `decoder`; a record that it refuses ends the attempt.
    pub fn decode<T: Data, D: Decoder<T>>(&self, decoder: D) -> SocketReader<T, D> {
        SocketReader {
            socket: self.clone(),
            decoder,
            incoming: None,
            run: None,
            row: std::marker::PhantomData,
        }
    }
}

/// What the thread has read.
enum Event {
    /// Whole records with their delimiters, and the offset of the first in the connection.
    Run(Vec<u8>, u64),
    Failed(Error),
}

struct Incoming {
    events: Receiver<Event>,
    stopped: Arc<AtomicBool>,
}

/// Records that are not handed over yet.
struct Run {
    bytes: Vec<u8>,
    offset: u64,
    taken: usize,
}

/// One instance of a [`SocketSource`].
pub struct SocketReader<T, D> {
    socket: SocketSource,
    decoder: D,
    incoming: Option<Incoming>,
    run: Option<Run>,
    row: std::marker::PhantomData<fn() -> T>,
}

impl<T: Data, D: Decoder<T>> SocketReader<T, D> {
    fn hand_over(&mut self, run: &mut Run, out: &mut SplitOutput<'_, T>) -> Result<()> {
        while run.taken < run.bytes.len() && !out.is_full() {
            let rest = &run.bytes[run.taken..];
            let end = memchr::memchr(self.socket.delimiter, rest).unwrap_or(rest.len());
            let offset = run.offset + run.taken as u64;
            let bare = &rest[..end];
            let is_line = self.socket.delimiter == b'\n';
            let bare = if is_line { bare.strip_suffix(b"\r").unwrap_or(bare) } else { bare };
            let decoded = self.decoder.decode(RawRecord::new(bare, offset)).map_err(|reason| {
                Error::input("a record from a socket cannot be read")
                    .with_detail(format!(
                        "{}, byte {offset} of the connection: {reason}",
                        self.socket.address
                    ))
                    .with_hint("correct what the server sends, or the format")
            })?;
            if let Some(value) = decoded {
                out.push(0, value);
            }
            run.taken = (run.taken + end + 1).min(run.bytes.len());
        }
        Ok(())
    }
}

impl<T: Data, D: Decoder<T>> SplitSource<T> for SocketReader<T, D> {
    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        if context.instance() != 0 {
            return Ok(());
        }
        let (outgoing, events) = sync_channel(RUNS_MAX);
        let stopped = Arc::new(AtomicBool::new(false));
        let reading = Reading {
            socket: self.socket.clone(),
            outgoing,
            stopped: stopped.clone(),
            waker: context.waker().clone(),
        };
        std::thread::Builder::new().name("socket-source".into()).spawn(move || reading.run()).map_err(
            |error| {
                Error::config(format!("cannot start a thread for a socket: {error}"))
                    .with_hint("raise the limit on threads (ulimit -u)")
            },
        )?;
        self.incoming = Some(Incoming { events, stopped });
        Ok(())
    }

    fn poll(&mut self, out: &mut SplitOutput<'_, T>, _: &mut SourceContext<'_, '_>) -> Result<SourceStatus> {
        loop {
            if let Some(mut run) = self.run.take() {
                self.hand_over(&mut run, out)?;
                if run.taken < run.bytes.len() {
                    self.run = Some(run);
                    return Ok(SourceStatus::Ready);
                }
            }
            let Some(incoming) = &self.incoming else { return Ok(SourceStatus::Finished) };
            match incoming.events.try_recv() {
                Ok(Event::Run(bytes, offset)) => self.run = Some(Run { bytes, offset, taken: 0 }),
                Ok(Event::Failed(error)) => return Err(error),
                Err(TryRecvError::Empty) => return Ok(SourceStatus::Pending),
                Err(TryRecvError::Disconnected) => self.incoming = None,
            }
        }
    }

    fn close(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            incoming.stopped.store(true, Ordering::Relaxed);
        }
    }
}

/// The thread that waits for the server. It ends when the stream does, or nobody takes what it reads.
struct Reading {
    socket: SocketSource,
    outgoing: SyncSender<Event>,
    stopped: Arc<AtomicBool>,
    waker: Waker,
}

impl Reading {
    fn run(self) {
        if let Err(error) = self.connect_and_read() {
            let _ = self.outgoing.send(Event::Failed(error));
        }
        // The end shows in the channel: nobody else sends.
        let Reading { outgoing, waker, .. } = self;
        drop(outgoing);
        waker.wake();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn connect_and_read(&self) -> Result<()> {
        let mut failures = 0u32;
        loop {
            let failure = match TcpStream::connect(&self.socket.address) {
                Ok(stream) => match self.read(stream, &mut failures)? {
                    None => return Ok(()),
                    Some(failure) => failure,
                },
                Err(error) => Some(error),
            };
            if failures >= self.socket.retries_max {
                return match failure {
                    None => Ok(()),
                    Some(error) => Err(self.failed(&error)),
                };
            }
            failures = failures.saturating_add(1);
            let mut left = pause_after(failures, self.socket.retry_interval);
            tracing::warn!(address = self.socket.address, ?left, "a socket is not connected: trying again");
            while !left.is_zero() && !self.is_stopped() {
                let step = left.min(STOP_CHECK);
                std::thread::sleep(step);
                left -= step;
            }
            if self.is_stopped() {
                return Ok(());
            }
        }
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::network(format!("cannot read from a socket: {error}"))
            .with_detail(self.socket.address.clone())
            .with_hint("start the server first, check host and port, or allow retries (`retries_max`)")
    }

    /// Reads until the connection ends: `None` if nobody listens any more, else the failure, if it was one.
    fn read(&self, mut stream: TcpStream, failures: &mut u32) -> Result<Option<Option<std::io::Error>>> {
        if let Err(error) = stream.set_read_timeout(Some(STOP_CHECK)) {
            return Ok(Some(Some(error)));
        }
        let (mut buffer, mut held, mut offset) = (Vec::new(), 0usize, 0u64);
        loop {
            buffer.resize(held + CHUNK_BYTES, 0);
            let ended = match stream.read(&mut buffer[held..]) {
                Ok(0) => None,
                Ok(count) => {
                    *failures = 0;
                    let end = held + count;
                    let whole =
                        memchr::memrchr(self.socket.delimiter, &buffer[held..end]).map(|at| held + at + 1);
                    let rest = buffer[whole.unwrap_or(0)..end].to_vec();
                    if let Some(whole) = whole {
                        buffer.truncate(whole);
                        if !self.hand_on(std::mem::take(&mut buffer), offset) {
                            return Ok(None);
                        }
                        offset += whole as u64;
                    }
                    (buffer, held) = (rest.clone(), rest.len());
                    if held > self.socket.record_bytes_max {
                        return Err(self.too_long(offset));
                    }
                    continue;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.is_stopped() {
                        return Ok(None);
                    }
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Some(error),
            };
            // The last record counts without its delimiter if the server ended the stream, not if it broke.
            buffer.truncate(held);
            if ended.is_none() && held > 0 && !self.hand_on(buffer, offset) {
                return Ok(None);
            }
            return Ok(Some(ended));
        }
    }

    fn too_long(&self, offset: u64) -> Error {
        Error::input("a record from a socket is too long")
            .with_detail(format!(
                "{}, byte {offset} of the connection: more than {} bytes without a delimiter",
                self.socket.address, self.socket.record_bytes_max
            ))
            .with_hint("check the delimiter, or raise `record_bytes_max`")
    }

    /// Hands records on, as soon as there is room; answers whether anybody takes them.
    fn hand_on(&self, bytes: Vec<u8>, offset: u64) -> bool {
        let sent = self.outgoing.send(Event::Run(bytes, offset)).is_ok();
        self.waker.wake_by_ref();
        sent
    }
}
