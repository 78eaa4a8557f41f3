//! Connects to a peer that may not have started yet.
//!
//! Tries again, ever less often, until the deadline, as long as what fails may heal by itself: nobody listens yet, the
//! name is not known yet, the connection broke, the peer still belongs to the attempt before. Everything else ends the
//! tries at once.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use eddyline_core::{Error, Result};

use crate::channel::{Terms, open_connecting};
use crate::deadline::{Deadline, Stop};
use crate::handshake::{Failure, Identity, Objection};
use crate::stream::MeshStream;
use crate::wire::Refusal;

/// The first pause between two tries; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long one address may take to answer before the next one is tried.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Why one try failed.
enum Failed {
    /// Another try may succeed.
    Transient(Error),
    /// No other try will.
    Fatal(Error),
}

/// One side of the connections a process makes.
pub(crate) struct Connector<'a> {
    pub(crate) terms: &'a Terms,
    pub(crate) identity: &'a Identity,
    pub(crate) deadline: &'a Deadline,
    pub(crate) stop: &'a Stop,
}

impl Connector<'_> {
    /// Connects to `address`; `accept` judges who is there, `report` gets the error of each try that is repeated.
    ///
    /// Returns `None` if stopped or out of time: the last error reported says why.
    pub(crate) fn connect(
        &self,
        address: &str,
        accept: impl Fn(&Identity) -> Result<(), Objection>,
        mut report: impl FnMut(Error),
    ) -> Result<Option<(MeshStream, Identity)>> {
        check_form(address)?;
        let mut pause = PAUSE_MIN;
        let mut has_broken = false;
        while let Some(remaining) = self.deadline.remaining() {
            if self.stop.is_stopped() {
                break;
            }
            match self.try_once(address, remaining, &accept, &mut has_broken) {
                Ok(connection) => return Ok(Some(connection)),
                Err(Failed::Fatal(error)) => return Err(error),
                Err(Failed::Transient(error)) => report(error),
            }
            let remaining = self.deadline.remaining().unwrap_or_default();
            self.stop.wait(pause.min(remaining));
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(None)
    }

    fn try_once(
        &self,
        address: &str,
        remaining: Duration,
        accept: &impl Fn(&Identity) -> Result<(), Objection>,
        has_broken: &mut bool,
    ) -> Result<(MeshStream, Identity), Failed> {
        let socket = reach(address, remaining).map_err(Failed::Transient)?;
        // A try that outlived the rest could take this process's place at the peer, for nothing.
        let Some(_watch) = self.stop.watch(&socket, usize::MAX) else {
            return Err(Failed::Transient(Error::cancelled("the attempt to connect was given up")));
        };
        open_connecting(socket, self.terms, self.identity, accept).map_err(|failure: Failure| {
            // After a try that broke, the peer may hold this process's place until it has noticed, too.
            let is_own_place = *has_broken && matches!(failure, Failure::Refused(Refusal::Duplicate));
            let is_transient = failure.is_transient() || is_own_place;
            *has_broken |= matches!(failure, Failure::Io(_));
            let error = failure.into_error(&format!("peer at {address}"));
            if is_transient { Failed::Transient(error) } else { Failed::Fatal(error) }
        })
    }
}

/// An address without a port will not get one by waiting.
fn check_form(address: &str) -> Result<()> {
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 => Ok(()),
        _ => Err(Error::config("an address is not of the form host:port")
            .with_detail(format!("{address:?}"))
            .with_hint("for example 10.0.0.7:2101 or worker-3:2101")),
    }
}

/// A TCP connection to one of the addresses that `address` stands for.
fn reach(address: &str, remaining: Duration) -> Result<TcpStream> {
    let unresolved = |cause: String| {
        Error::network("cannot resolve an address")
            .with_detail(format!("{address}: {cause}"))
            .with_hint("check the name, or give a numeric address")
    };
    let candidates: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| unresolved(error.to_string()))?.collect();
    let mut last = unresolved("the name has no address".into());
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, remaining.min(ANSWER_TIMEOUT)).and_then(not_to_oneself) {
            Ok(socket) => return Ok(socket),
            Err(error) => {
                last = Error::network("cannot connect to a peer")
                    .with_detail(format!("{address}: {error}"))
                    .with_hint(
                        "check that the process there has started and that the network lets it through",
                    );
            }
        }
    }
    Err(last)
}

/// With nobody listening on a local port, the system may pick that very port for this end: TCP then connects to
/// itself, and the port would be taken when its owner starts.
fn not_to_oneself(socket: TcpStream) -> io::Result<TcpStream> {
    if socket.local_addr()? == socket.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(socket)
}
