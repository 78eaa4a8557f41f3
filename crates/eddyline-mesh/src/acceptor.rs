//! Accepts connections and runs their handshakes, each in its own thread.
//!
//! One client can neither delay nor end another: a thread per handshake, a deadline for each, at most
//! [`PENDING_COUNT_MAX`] at a time (more are told "busy" and come again). Dropping the acceptor frees the port and
//! breaks off all handshakes in progress, at once.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eddyline_core::{Error, Result};

use crate::channel::{Terms, open_accepting, turn_away};
use crate::deadline::{Stop, Watch};
use crate::handshake::Identity;
use crate::roster::{Place, Roster};
use crate::stream::MeshStream;

/// How many handshakes may be in progress at once.
const PENDING_COUNT_MAX: usize = 128;

/// How long to wait when the system cannot accept for the moment (no more file descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(20);

/// The longest time one call of accept may take: bounds the wait for a wake-up that was lost.
const ACCEPT_TIMEOUT: Duration = Duration::from_millis(500);

/// A client that was refused or did not finish its handshake.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The client's address.
    pub address: SocketAddr,
    /// Why: what this side knows, more than the client was told.
    pub error: Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.error)
    }
}

/// Is told of each client that was refused, for logs and counters; called from several threads.
pub type RefusalObserver = Arc<dyn Fn(&Refused) + Send + Sync>;

/// A connection whose handshake has succeeded.
pub(crate) struct Established {
    pub(crate) stream: MeshStream,
    pub(crate) peer: Identity,
    pub(crate) place: Place,
}

/// What becomes of an accepted connection.
pub(crate) type Arrival = Result<Established, Refused>;

/// A listening socket at work.
pub(crate) struct Acceptor {
    local_address: SocketAddr,
    /// The listening socket again, to end a waiting accept.
    waker: TcpStream,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stop: Stop,
    roster: Arc<Roster>,
    terms: Terms,
    deliver: Box<dyn Fn(Arrival) + Send + Sync>,
}

impl Acceptor {
    /// Starts accepting; `deliver` gets each outcome, from several threads.
    pub(crate) fn start(
        listener: TcpListener,
        roster: Arc<Roster>,
        terms: Terms,
        deliver: impl Fn(Arrival) + Send + Sync + 'static,
    ) -> Result<Self> {
        let failed = |error: io::Error| Error::network("cannot listen").with_detail(error.to_string());
        listener.set_nonblocking(false).map_err(failed)?;
        let local_address = listener.local_addr().map_err(failed)?;
        // The socket options and the shutdown of a stream work on a listening socket, too; only its type lacks them.
        let waker = TcpStream::from(OwnedFd::from(listener.try_clone().map_err(failed)?));
        waker.set_read_timeout(Some(ACCEPT_TIMEOUT)).map_err(failed)?;
        let shared = Arc::new(Shared { stop: Stop::default(), roster, terms, deliver: Box::new(deliver) });
        let thread = thread::Builder::new()
            .name("eddyline-accept".into())
            .spawn({
                let shared = shared.clone();
                move || accept_all(&listener, &shared)
            })
            .map_err(failed)?;
        Ok(Acceptor { local_address, waker, shared, thread: Some(thread) })
    }

    /// The address it listens on, with the port the system chose if none was given.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.local_address
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.stop.stop();
        // It fails only if there is nothing left to end.
        let _ = self.waker.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed and concerns one client alone.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, socket: TcpStream, address: SocketAddr, watch: Watch<'_>) {
        let identity = self.roster.identity();
        let outcome = open_accepting(socket, &self.terms, &identity, |peer| self.roster.admit(peer));
        drop(watch);
        if self.stop.is_stopped() {
            return;
        }
        (self.deliver)(match outcome {
            Ok((stream, peer, place)) => Ok(Established { stream, peer, place }),
            Err(failure) => {
                Err(Refused { address, error: failure.into_error(&format!("client at {address}")) })
            }
        });
    }
}

fn accept_all(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        loop {
            let accepted = listener.accept();
            if shared.stop.is_stopped() {
                return;
            }
            match accepted {
                Ok((socket, address)) => {
                    let Some(watch) = shared.stop.watch(&socket, PENDING_COUNT_MAX) else {
                        turn_away(&socket);
                        continue;
                    };
                    // Without a thread to serve it, the client finds its connection closed and comes again.
                    let _ = thread::Builder::new()
                        .name("eddyline-handshake".into())
                        .spawn_scoped(scope, move || shared.serve(socket, address, watch));
                }
                Err(error) if is_timeout(&error) => {}
                Err(_) => {
                    shared.stop.wait(ACCEPT_RETRY);
                }
            }
        }
    });
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// Listens at `address` (`host:port`).
pub(crate) fn listen(address: &str) -> Result<TcpListener> {
    let addresses: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| {
            Error::config("cannot resolve the address to listen on")
                .with_detail(format!("{address}: {error}"))
                .with_hint("write it as host:port, with a name or address of this machine")
        })?
        .collect();
    TcpListener::bind(&addresses[..]).map_err(|error| {
        let (message, hint) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                "the address to listen on is in use",
                "another process listens there: end it, or choose another port",
            ),
            io::ErrorKind::AddrNotAvailable => (
                "the address to listen on is not one of this machine",
                "check the list of addresses and this process's place in it",
            ),
            io::ErrorKind::PermissionDenied => {
                ("not allowed to listen on the address", "choose a port above 1023")
            }
            _ => ("cannot listen on the address", "check the address"),
        };
        Error::network(message).with_detail(format!("{address}: {error}")).with_hint(hint)
    })
}
