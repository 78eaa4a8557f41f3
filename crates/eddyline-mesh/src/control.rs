//! Messages between the supervisor and its workers.
//!
//! A [`ControlListener`] belongs to the supervisor, a [`ControlLink::connect`] to a worker process. A message is its
//! length (4 bytes, big endian) and that many bytes of JSON, at most [`MESSAGE_LENGTH_MAX`]. A link splits into a
//! sender and a receiver for two threads; either can [`close`](ControlSender::close) the link, which also ends the
//! other's wait. When the peer has closed the link, `recv` gives `Ok(None)`; when it broke, an error that names the
//! peer. A worker index is taken as long as its link lives.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eddyline_core::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::acceptor::{Acceptor, Established, RefusalObserver, listen};
use crate::channel::Terms;
use crate::connector::Connector;
use crate::deadline::{Deadline, Stop};
use crate::handshake::{Identity, Objection, Role};
use crate::mesh::CONNECT_TIMEOUT_DEFAULT;
use crate::roster::{Place, Roster};
use crate::secret::Secret;
use crate::stream::MeshStream;
use crate::tls::TlsMode;
use crate::wire::Refusal;

/// The longest message, in bytes of JSON.
pub const MESSAGE_LENGTH_MAX: usize = 64 << 20;

/// How long a message may wait for a peer that does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// How many proven links wait for `accept` at most; more wait in their handshake's thread.
const WAITING_COUNT_MAX: usize = 1024;

/// What one end of control connections needs to know.
#[derive(Clone)]
pub struct ControlConfig {
    /// The id of the job, 1 to 256 bytes.
    pub job: String,
    /// The number of the attempt.
    pub attempt: u64,
    /// The index of the worker process; of no meaning for the supervisor.
    pub process: usize,
    /// How many worker processes the attempt has.
    pub processes: usize,
    /// The secret all processes share.
    pub secret: Secret,
    /// Whether connections are encrypted; the same in all processes.
    pub tls: TlsMode,
    /// How long a worker tries to connect.
    pub connect_timeout: Duration,
    /// Is told of clients that were refused (supervisor only).
    pub observer: Option<RefusalObserver>,
}

impl ControlConfig {
    /// A configuration with automatic TLS and the default time-out.
    pub fn new(
        job: impl Into<String>,
        attempt: u64,
        process: usize,
        processes: usize,
        secret: Secret,
    ) -> Self {
        ControlConfig {
            job: job.into(),
            attempt,
            process,
            processes,
            secret,
            tls: TlsMode::default(),
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            observer: None,
        }
    }

    fn identity(&self, role: Role) -> Result<Identity> {
        let identity = Identity {
            job: self.job.clone(),
            attempt: self.attempt,
            role,
            process: if role == Role::Supervisor { 0 } else { narrow(self.process) },
            processes: narrow(self.processes),
        };
        identity.check()?;
        Ok(identity)
    }
}

/// Counts beyond `u32` fail the checks that follow.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The supervisor's end: accepts the workers of the current attempt.
pub struct ControlListener {
    // Before the acceptor: its threads may wait for room here, and end when the receiver is gone.
    links: Mutex<Receiver<Established>>,
    roster: Arc<Roster>,
    acceptor: Acceptor,
}

impl ControlListener {
    /// Listens at `address` (`host:port`; port 0 lets the system choose).
    ///
    /// # Errors
    /// `Config` if the configuration or the address cannot work, `Network` if the port is in use.
    pub fn bind(address: &str, config: &ControlConfig) -> Result<Self> {
        Self::from_listener(listen(address)?, config)
    }

    /// As [`bind`](Self::bind), with a socket that listens already.
    ///
    /// # Errors
    /// `Config` if the configuration cannot work.
    pub fn from_listener(listener: TcpListener, config: &ControlConfig) -> Result<Self> {
        let identity = config.identity(Role::Supervisor)?;
        let workers = 0..identity.processes;
        let roster = Roster::new(identity, Role::Worker, workers);
        let terms = Terms::new(config.secret.clone(), config.tls, config.connect_timeout)?;
        let (sender, links) = sync_channel(WAITING_COUNT_MAX);
        let observer = config.observer.clone();
        let acceptor = Acceptor::start(listener, roster.clone(), terms, move |arrival| match arrival {
            // Nobody receives once the listener is dropped.
            Ok(established) => drop(sender.send(established)),
            Err(refused) => {
                if let Some(observer) = &observer {
                    observer(&refused);
                }
            }
        })?;
        Ok(ControlListener { links: Mutex::new(links), roster, acceptor })
    }

    /// The address it listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.acceptor.local_address()
    }

    /// Goes on to another attempt: from now on workers of any other one are refused. Links that stand are not touched.
    ///
    /// # Errors
    /// `Config` if there are no processes.
    pub fn set_attempt(&self, attempt: u64, processes: usize) -> Result<()> {
        self.roster.set_attempt(attempt, narrow(processes))
    }

    /// The next worker of the current attempt; `None` if there is none within `timeout`.
    ///
    /// # Errors
    /// `Internal` if accepting has ended.
    pub fn accept(&self, timeout: Duration) -> Result<Option<ControlLink>> {
        let deadline = Deadline::after(timeout);
        loop {
            let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            match links.recv_timeout(deadline.remaining().unwrap_or_default()) {
                Ok(Established { stream, peer, place }) => {
                    if peer.attempt == self.roster.identity().attempt {
                        return ControlLink::new(stream, peer, Some(place)).map(Some);
                    }
                    // It was proven just before the attempt changed: dropping it ends that worker.
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("the control listener has ended"));
                }
            }
        }
    }
}

/// A control connection.
pub struct ControlLink {
    sender: ControlSender,
    receiver: ControlReceiver,
}

/// What both halves share.
struct Shared {
    peer: Identity,
    is_closed: AtomicBool,
    _place: Option<Place>,
}

impl ControlLink {
    /// Connects a worker to the supervisor at `address`, which may start later, within the time-out.
    ///
    /// # Errors
    /// `Config` if the configuration cannot work; `Network` if there is no supervisor in time or one side refuses the
    /// other; `Cancelled` if the supervisor is at a newer attempt.
    pub fn connect(address: &str, config: &ControlConfig) -> Result<Self> {
        let identity = config.identity(Role::Worker)?;
        let terms = Terms::new(config.secret.clone(), config.tls, config.connect_timeout)?;
        let connector = Connector {
            terms: &terms,
            identity: &identity,
            deadline: &Deadline::after(config.connect_timeout),
            stop: &Stop::default(),
        };
        let accept = |found: &Identity| {
            identity.compare(found)?;
            match found.role {
                Role::Supervisor => Ok(()),
                _ => Err(Objection::new(Refusal::WrongRole, "it is not a supervisor")),
            }
        };
        let mut last = None;
        match connector.connect(address, accept, |error| last = Some(error))? {
            Some((stream, peer)) => Self::new(stream, peer, None),
            None => {
                let cause = last.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
                Err(Error::network("cannot connect to the supervisor in time")
                    .with_detail(format!("{address}: {cause}"))
                    .with_hint("check that the supervisor runs and that its address is right"))
            }
        }
    }

    fn new(stream: MeshStream, peer: Identity, place: Option<Place>) -> Result<Self> {
        let failed = |error| broken("cannot set up the control connection", &peer, &error);
        stream.set_write_timeout(Some(SEND_TIMEOUT)).map_err(failed)?;
        let reading = stream.try_clone().map_err(failed)?;
        let shared = Arc::new(Shared { peer, is_closed: AtomicBool::new(false), _place: place });
        Ok(ControlLink {
            sender: ControlSender { stream, shared: shared.clone() },
            receiver: ControlReceiver { stream: reading, shared },
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Identity {
        &self.sender.shared.peer
    }

    /// Sends a message; see [`ControlSender::send`].
    ///
    /// # Errors
    /// Those of [`ControlSender::send`].
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<()> {
        self.sender.send(message)
    }

    /// Receives a message; see [`ControlReceiver::recv`].
    ///
    /// # Errors
    /// Those of [`ControlReceiver::recv`].
    pub fn recv<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        self.receiver.recv()
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (ControlSender, ControlReceiver) {
        (self.sender, self.receiver)
    }
}

/// The sending half of a control connection.
pub struct ControlSender {
    stream: MeshStream,
    shared: Arc<Shared>,
}

impl ControlSender {
    /// Who is at the other end.
    pub fn peer(&self) -> &Identity {
        &self.shared.peer
    }

    /// Sends a message; returns when the system has taken it, not when the peer has read it.
    ///
    /// # Errors
    /// `Internal` if the message cannot be encoded or is too long (the link stays usable); `Network` if the link broke
    /// or the peer has not read for 20 seconds (the link is then closed).
    pub fn send<T: Serialize>(&mut self, message: &T) -> Result<()> {
        let unsendable = |detail: String| {
            Error::internal("cannot send a control message")
                .with_detail(format!("{}: {detail}", self.shared.peer))
        };
        let mut frame = vec![0; 4];
        serde_json::to_writer(&mut frame, message).map_err(|error| unsendable(error.to_string()))?;
        let length = frame.len() - 4;
        if length > MESSAGE_LENGTH_MAX {
            return Err(unsendable(format!("{length} bytes, at most {MESSAGE_LENGTH_MAX} are allowed")));
        }
        frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
        self.stream.write_all(&frame).and_then(|()| self.stream.flush()).map_err(|error| {
            // Part of the message may be out: nothing can follow it.
            self.close();
            broken("the control connection broke while sending", &self.shared.peer, &error)
        })
    }

    /// Ends the link; the receiving half of this side then gets `Ok(None)`, and so does the peer.
    pub fn close(&self) {
        close(&self.stream, &self.shared);
    }
}

/// The receiving half of a control connection.
pub struct ControlReceiver {
    stream: MeshStream,
    shared: Arc<Shared>,
}

impl ControlReceiver {
    /// Who is at the other end.
    pub fn peer(&self) -> &Identity {
        &self.shared.peer
    }

    /// Waits for the next message; `None` if either side has closed the link.
    ///
    /// # Errors
    /// `Network` if the link broke, or the peer sent something that is not a message of type `T`.
    pub fn recv<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let frame = match self.read_frame() {
            // What was cut off by closing it here is no failure.
            Err(_) if self.shared.is_closed.load(Ordering::Acquire) => return Ok(None),
            Err(error) => {
                return Err(broken(
                    "the control connection broke while receiving",
                    &self.shared.peer,
                    &error,
                ));
            }
            Ok(None) => return Ok(None),
            Ok(Some(frame)) => frame,
        };
        serde_json::from_slice(&frame).map(Some).map_err(|error| {
            Error::network("a control message cannot be understood")
                .with_detail(format!("{}: {error}", self.shared.peer))
                .with_hint("run the same version of Eddyline everywhere")
        })
    }

    /// Ends the link; what the sending half of this side sends then fails, and the peer gets `Ok(None)`.
    pub fn close(&self) {
        close(&self.stream, &self.shared);
    }

    fn read_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut header = [0; 4];
        let mut filled = 0;
        while filled < header.len() {
            match self.stream.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = u32::from_be_bytes(header) as usize;
        if length > MESSAGE_LENGTH_MAX {
            let text = format!(
                "a message of {length} bytes was announced, at most {MESSAGE_LENGTH_MAX} are allowed"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        // Grows with what arrives, not with what was announced.
        let mut frame = Vec::new();
        (&mut self.stream).take(length as u64).read_to_end(&mut frame)?;
        if frame.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(frame))
    }
}

fn close(stream: &MeshStream, shared: &Shared) {
    shared.is_closed.store(true, Ordering::Release);
    // It fails only if the connection is gone already.
    let _ = stream.shutdown(Shutdown::Both);
}

fn broken(message: &str, peer: &Identity, error: &io::Error) -> Error {
    Error::network(message).with_detail(format!("{peer}: {error}"))
}
