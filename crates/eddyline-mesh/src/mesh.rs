//! One connection between every two processes of a job attempt.
//!
//! Process `p` connects to all below it and accepts from all above it, so that each pair has one connection. The
//! processes may start in any order, within the time-out. All or nothing: either every connection stands, proven on
//! both sides, or there is one error, and nothing stays open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use eddyline_core::{Error, Result};

use crate::acceptor::{Acceptor, Arrival, RefusalObserver, Refused, listen};
use crate::channel::Terms;
use crate::connector::Connector;
use crate::deadline::{Deadline, Stop};
use crate::handshake::{Identity, Objection, Role};
use crate::roster::{Place, Roster};
use crate::secret::Secret;
use crate::stream::MeshStream;
use crate::tls::TlsMode;
use crate::wire::Refusal;

/// How long to wait for the others to start, unless told otherwise.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The most processes a mesh may have: it takes a thread per peer while it connects.
pub const PROCESS_COUNT_MAX: usize = 1024;

/// How many refused clients the error of a time-out tells of.
const REFUSED_TOLD_MAX: usize = 4;

/// What one process needs to know to join the mesh.
pub struct MeshConfig {
    /// The id of the job, 1 to 256 bytes.
    pub job: String,
    /// The number of the attempt.
    pub attempt: u64,
    /// The index of this process in `addresses`.
    pub process: usize,
    /// Where each process listens, as `host:port`; the same list in all processes.
    pub addresses: Vec<String>,
    /// A socket that listens already, for this mesh alone (it stops listening, and so do its clones, when the mesh
    /// stands or has failed); without one this process binds its own address.
    pub listener: Option<TcpListener>,
    /// The secret all processes share.
    pub secret: Secret,
    /// Whether connections are encrypted; the same in all processes.
    pub tls: TlsMode,
    /// How long to wait until all connections stand.
    pub connect_timeout: Duration,
    /// Is told of clients that were refused.
    pub observer: Option<RefusalObserver>,
}

impl MeshConfig {
    /// A configuration with automatic TLS and the default time-out.
    pub fn new(
        job: impl Into<String>,
        attempt: u64,
        process: usize,
        addresses: Vec<String>,
        secret: Secret,
    ) -> Self {
        MeshConfig {
            job: job.into(),
            attempt,
            process,
            addresses,
            listener: None,
            secret,
            tls: TlsMode::default(),
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            observer: None,
        }
    }
}

/// Builds the connections of one job attempt.
pub struct Mesh;

enum Event {
    Arrived(Arrival),
    Connected(usize, Result<MeshStream>),
}

impl Mesh {
    /// Connects this process to all others: element `q` is the connection to process `q`, `None` for this process.
    ///
    /// # Examples
    /// ```
    /// use std::io::{Read, Write};
    /// use std::net::TcpListener;
    /// use eddyline_mesh::{Mesh, MeshConfig, Secret};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let addresses = vec![listener.local_addr()?.to_string(), "127.0.0.1:2102".to_owned()];
    /// let secret = Secret::random()?;
    /// let mut first = MeshConfig::new("word-count", 1, 0, addresses.clone(), secret.clone());
    /// first.listener = Some(listener);
    /// let first = std::thread::spawn(|| Mesh::connect(first));
    /// let mut second = Mesh::connect(MeshConfig::new("word-count", 1, 1, addresses, secret))?;
    /// let mut first = first.join().expect("no panic")?;
    ///
    /// first[1].as_mut().expect("connected").write_all(b"hello")?;
    /// let mut text = [0; 5];
    /// second[0].as_mut().expect("connected").read_exact(&mut text)?;
    /// assert_eq!(&text, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `Config` if the configuration cannot work; `Network` if the port is in use, a peer refuses or is refused for a
    /// reason that waiting does not mend, or not all connections stand in time (the error names who is missing and the
    /// last that were refused); `Cancelled` if a peer belongs to a newer attempt.
    pub fn connect(config: MeshConfig) -> Result<Vec<Option<MeshStream>>> {
        let processes = config.addresses.len();
        let plan = Plan::new(&config)?;
        let mut streams: Vec<Option<MeshStream>> = (0..processes).map(|_| None).collect();
        if processes == 1 {
            return Ok(streams);
        }
        let (sender, events) = channel();
        let _acceptor = start_acceptor(config.process, config.listener, &plan, &sender)?;
        let effort = Arc::new(Effort::default());
        let _ending = StopOnDrop(effort.clone());
        for peer in 0..config.process {
            start_connector(peer, &plan, &effort, sender.clone())?;
        }
        Gathering {
            process: config.process,
            missing: (0..processes).filter(|peer| *peer != config.process).collect(),
            places: Vec::new(),
            refused: VecDeque::new(),
            observer: config.observer,
        }
        .run(&plan, &effort, &events, &mut streams)?;
        Ok(streams)
    }
}

/// What the threads of one process need to know.
#[derive(Clone)]
struct Plan {
    identity: Identity,
    addresses: Vec<String>,
    deadline: Deadline,
    terms: Terms,
}

impl Plan {
    fn new(config: &MeshConfig) -> Result<Self> {
        let processes = config.addresses.len();
        let process = u32::try_from(config.process).unwrap_or(u32::MAX);
        if processes > PROCESS_COUNT_MAX {
            return Err(Error::config(format!("a job can have at most {PROCESS_COUNT_MAX} processes"))
                .with_detail(format!("{processes} addresses")));
        }
        let identity = Identity {
            job: config.job.clone(),
            attempt: config.attempt,
            role: Role::Mesh,
            process,
            processes: processes as u32,
        };
        identity.check()?;
        Ok(Plan {
            identity,
            addresses: config.addresses.clone(),
            deadline: Deadline::after(config.connect_timeout),
            terms: Terms::new(config.secret.clone(), config.tls, config.connect_timeout)?,
        })
    }
}

/// What all connecting threads share.
#[derive(Default)]
struct Effort {
    stop: Stop,
    last_errors: Mutex<BTreeMap<usize, Error>>,
}

/// Ends the connecting threads; one that waits for a name service ends by itself when that answers.
struct StopOnDrop(Arc<Effort>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop.stop();
    }
}

/// Accepts those above; the last process accepts nobody and does not listen.
fn start_acceptor(
    process: usize,
    listener: Option<TcpListener>,
    plan: &Plan,
    sender: &Sender<Event>,
) -> Result<Option<Acceptor>> {
    let processes = plan.identity.processes;
    if plan.identity.process + 1 == processes {
        return Ok(None);
    }
    let listener = match listener {
        Some(listener) => listener,
        None => listen(&plan.addresses[process])?,
    };
    let roster = Roster::new(plan.identity.clone(), Role::Mesh, plan.identity.process + 1..processes);
    let sender = sender.clone();
    // Nobody receives once the mesh stands or has failed; then nobody needs it.
    let deliver = move |arrival| drop(sender.send(Event::Arrived(arrival)));
    Acceptor::start(listener, roster, plan.terms.clone(), deliver).map(Some)
}

fn start_connector(peer: usize, plan: &Plan, effort: &Arc<Effort>, sender: Sender<Event>) -> Result<()> {
    let (plan, effort) = (plan.clone(), effort.clone());
    let work = move || {
        let accept = |found: &Identity| {
            plan.identity.compare(found)?;
            if found.role != Role::Mesh {
                return Err(Objection::new(Refusal::WrongRole, "it is a control connection"));
            }
            if found.process as usize != peer {
                let detail = format!("it is process {}, expected is process {peer}", found.process);
                return Err(Objection::new(Refusal::WrongProcess, detail));
            }
            Ok(())
        };
        let report = |error| {
            effort.last_errors.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, error);
        };
        let connector = Connector {
            terms: &plan.terms,
            identity: &plan.identity,
            deadline: &plan.deadline,
            stop: &effort.stop,
        };
        let outcome = match connector.connect(&plan.addresses[peer], accept, report) {
            Ok(Some((stream, _))) => Ok(stream),
            // Whoever gathers has the same deadline and tells what was reported.
            Ok(None) => return,
            Err(error) => Err(error),
        };
        // Nobody receives once the mesh has failed.
        let _ = sender.send(Event::Connected(peer, outcome));
    };
    thread::Builder::new()
        .name(format!("eddyline-connect-{peer}"))
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::network("cannot start a thread").with_detail(error.to_string()))
}

/// Collects connections until none is missing.
struct Gathering {
    process: usize,
    missing: BTreeSet<usize>,
    /// Places stay taken until the mesh stands, so that a second process of the same index is refused.
    places: Vec<Place>,
    refused: VecDeque<Refused>,
    observer: Option<RefusalObserver>,
}

impl Gathering {
    fn run(
        &mut self,
        plan: &Plan,
        effort: &Effort,
        events: &Receiver<Event>,
        streams: &mut [Option<MeshStream>],
    ) -> Result<()> {
        while !self.missing.is_empty() {
            let remaining = plan.deadline.remaining().unwrap_or_default();
            let (peer, stream) = match events.recv_timeout(remaining) {
                Ok(Event::Arrived(Ok(established))) => {
                    self.places.push(established.place);
                    (established.peer.process as usize, established.stream)
                }
                Ok(Event::Arrived(Err(refused))) => {
                    self.note(refused);
                    continue;
                }
                Ok(Event::Connected(peer, outcome)) => (peer, outcome?),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(self.timed_out(plan, effort));
                }
            };
            let removed = self.missing.remove(&peer);
            debug_assert!(removed, "the roster admits each process once");
            streams[peer] = Some(stream);
        }
        Ok(())
    }

    fn note(&mut self, refused: Refused) {
        if let Some(observer) = &self.observer {
            observer(&refused);
        }
        if self.refused.len() == REFUSED_TOLD_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back(refused);
    }

    /// Names who is missing and what is known about it.
    fn timed_out(&self, plan: &Plan, effort: &Effort) -> Error {
        let errors = effort.last_errors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut error = Error::network("not all processes of the job could be connected in time")
            .with_hint("start all processes of the job, with the same addresses and the same secret");
        for peer in &self.missing {
            let address = &plan.addresses[*peer];
            error = error.with_detail(match errors.get(peer) {
                Some(cause) => format!("process {peer} at {address}: {cause}"),
                None if *peer > self.process => format!("process {peer} at {address} has not connected"),
                None => format!("process {peer} at {address} did not answer"),
            });
        }
        for refused in &self.refused {
            error = error.with_detail(refused.to_string());
        }
        error
    }
}
