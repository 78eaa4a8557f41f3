//! Writing to a socket.

use super::pause_after;
use crate::environment::Waiting;
use crate::lane::{Handler, Lane};
use eddyline::stream::DataStreamSink;
use eddyline::{DataStream, NodeSpec};
use eddyline_core::{Batch, Data, Error, Result};
use eddyline_formats::Encoder;
use eddyline_protocol::CheckpointId;
use eddyline_runtime::{Operator, OperatorContext, Progress, Stateful};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that wait for the network above which no more records are taken.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long a server may take to read what it was sent, before the connection counts as broken.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A sink that writes records to a server.
pub struct SocketSink<T> {
    address: String,
    encoder: Arc<dyn Encoder<T>>,
    retries_max: u32,
    retry_interval: Duration,
}

impl<T> Clone for SocketSink<T> {
    fn clone(&self) -> Self {
        SocketSink { address: self.address.clone(), encoder: self.encoder.clone(), ..*self }
    }
}

impl<T: Data> SocketSink<T> {
    /// Writes records to the server at `address` (`host:port`), as `encoder` encodes them.
    pub fn new(address: impl Into<String>, encoder: impl Encoder<T>) -> Self {
        SocketSink {
            address: address.into(),
            encoder: Arc::new(encoder),
            retries_max: 5,
            retry_interval: Duration::from_millis(500),
        }
    }

    /// How often in a row connecting or writing is tried again before the attempt ends (default 5).
    #[must_use]
    pub fn retries_max(mut self, retries: u32) -> Self {
        self.retries_max = retries;
        self
    }

    /// The first pause between two attempts (default 500 ms).
    #[must_use]
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.retry_interval = interval;
        self
    }

    /// An instance of the sink, for `DataStream::add_sink_operator`.
    pub fn operator(&self) -> SocketSinkOperator<T> {
        SocketSinkOperator { sink: self.clone(), lane: None, waiting_bytes: 0, cuts: BTreeMap::new() }
    }
}

/// Ends a stream in a socket.
pub trait WriteToSocket<T: Data> {
    /// Writes all records to the server at `address` (`host:port`), at least once.
    fn write_to_socket(&self, address: &str, encoder: impl Encoder<T>) -> DataStreamSink;
}

impl<T: Data> WriteToSocket<T> for DataStream<T> {
    fn write_to_socket(&self, address: &str, encoder: impl Encoder<T>) -> DataStreamSink {
        let sink = SocketSink::new(address, encoder);
        self.add_sink_operator(NodeSpec::named("write to socket"), move || sink.operator())
    }
}

enum Command {
    Write(Vec<u8>),
    /// Answer when all before is written.
    Reach(CheckpointId),
}

enum Event {
    Written(usize),
    Reached(CheckpointId),
    Failed(Error),
}

/// The connection.
struct Connection {
    address: String,
    stream: Option<TcpStream>,
    retries_max: u32,
    retry_interval: Duration,
}

impl Connection {
    fn write_once(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            empty => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
                empty.insert(stream)
            }
        };
        stream.write_all(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut failures = 0;
        while let Err(error) = self.write_once(bytes) {
            self.stream = None;
            if failures >= self.retries_max {
                return Err(Error::network(format!("cannot write to a socket: {error}"))
                    .with_detail(self.address.clone())
                    .with_hint(
                        "start the server, check host and port, or allow more retries (`retries_max`)",
                    ));
            }
            failures += 1;
            std::thread::sleep(pause_after(failures, self.retry_interval));
        }
        Ok(())
    }
}

impl Handler for Connection {
    type Command = Command;
    type Event = Event;

    fn handle(&mut self, command: Command, answer: &mut dyn FnMut(Event)) {
        match command {
            Command::Write(bytes) => match self.write(&bytes) {
                Ok(()) => answer(Event::Written(bytes.len())),
                Err(error) => answer(Event::Failed(error)),
            },
            Command::Reach(checkpoint) => answer(Event::Reached(checkpoint)),
        }
    }
}

/// One instance of a [`SocketSink`].
pub struct SocketSinkOperator<T> {
    sink: SocketSink<T>,
    lane: Option<Lane<Connection>>,
    waiting_bytes: usize,
    /// Cuts, and whether everything before them is written.
    cuts: BTreeMap<CheckpointId, bool>,
}

impl<T> SocketSinkOperator<T> {
    fn send(&mut self, command: Command) {
        if let Some(lane) = &mut self.lane {
            lane.send(command);
        }
    }

    fn collect(&mut self) -> Result<()> {
        while let Some(event) = self.lane.as_mut().map_or(Ok(None), Lane::poll)? {
            match event {
                Event::Written(bytes) => self.waiting_bytes -= bytes,
                Event::Reached(checkpoint) => _ = self.cuts.insert(checkpoint, true),
                Event::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<T: Data> Stateful for SocketSinkOperator<T> {}

impl<T: Data> Operator for SocketSinkOperator<T> {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let connection = Connection {
            address: self.sink.address.clone(),
            stream: None,
            retries_max: self.sink.retries_max,
            retry_interval: self.sink.retry_interval,
        };
        // A network cannot be waited for in the worker's call, whatever is done about files.
        self.lane =
            Some(Lane::start(connection, Waiting::OwnThread, "socket-sink", context.waker().clone())?);
        Ok(())
    }

    fn on_batch(&mut self, _: usize, mut batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        for record in batch.take_rows::<T>()? {
            self.sink.encoder.encode(&record.value, &mut bytes)?;
        }
        if !bytes.is_empty() {
            self.waiting_bytes += bytes.len();
            self.send(Command::Write(bytes));
        }
        self.collect()
    }

    fn on_wake(&mut self, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.collect()?;
        Ok(Progress::Done)
    }

    fn accepts_input(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES_MAX
    }

    fn before_snapshot(&mut self, checkpoint: CheckpointId, _: &mut OperatorContext<'_>) -> Result<()> {
        self.cuts.insert(checkpoint, false);
        self.send(Command::Reach(checkpoint));
        Ok(())
    }

    fn poll_prepared(&mut self, checkpoint: CheckpointId) -> Result<Progress> {
        self.collect()?;
        match self.cuts.get(&checkpoint) {
            Some(false) => Ok(Progress::Waiting),
            _ => {
                self.cuts.remove(&checkpoint);
                Ok(Progress::Done)
            }
        }
    }

    fn close(&mut self) {
        // What is still to be written belongs to no checkpoint, or the job has written everything.
        self.lane = None;
    }
}
