//! The server's thread: binding, serving, ending.

use crate::router::router;
use eddyline::JobStatus;
use eddyline_connectors::files::FileProgress;
use eddyline_core::{Clock, Error, Result};
use eddyline_logs::job::Board;
use eddyline_logs::store::Store;
use std::future::IntoFuture;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

/// Queries that run at once; others wait.
const QUERIES_AT_ONCE_MAX: usize = 4;
/// Clients of the stream of alerts.
const EVENT_CLIENTS_MAX: usize = 256;

/// How the job is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// Where to listen.
    pub address: SocketAddr,
    /// What clients have to show, as `Authorization: Bearer TOKEN`.
    pub token: Option<String>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings { address: SocketAddr::from(([127, 0, 0, 1], 8_080)), token: None }
    }
}

/// What is served.
#[derive(Clone)]
pub struct Observed {
    /// The figures.
    pub board: Arc<Board>,
    /// How far the files are read.
    pub progress: Arc<FileProgress>,
    /// What is stored, if anything is.
    pub store: Option<Arc<Store>>,
    /// How the job is.
    pub status: Arc<dyn Fn() -> JobStatus + Send + Sync>,
    /// The clock of times of day.
    pub clock: Arc<dyn Clock>,
}

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) observed: Observed,
    pub(crate) settings: ServerSettings,
    pub(crate) queries: Arc<Semaphore>,
    pub(crate) event_clients: Arc<Semaphore>,
    /// The number of the next change to alerts.
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) started_ms: i64,
}

/// An address that is listened on, and not answered yet.
pub struct Listener {
    settings: ServerSettings,
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// If the address cannot be listened on: the port is in use, or not allowed.
    pub fn bind(settings: ServerSettings) -> Result<Self> {
        let listener =
            TcpListener::bind(settings.address).map_err(|error| unbound(settings.address, &error))?;
        let bound = listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let address = bound.map_err(|error| unbound(settings.address, &error))?;
        Ok(Listener { settings, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    stop: Option<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `observed`.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(listener: Listener, observed: Observed) -> Result<Self> {
        let Listener { settings, listener, address } = listener;
        let (changed, changes) = watch::channel(observed.board.next_alert_change());
        let board = Arc::downgrade(&observed.board);
        observed.board.listen(move || {
            if let Some(board) = board.upgrade() {
                changed.send_replace(board.next_alert_change());
            }
        });
        let started_ms = observed.clock.wall_millis();
        let shared = Arc::new(Shared {
            observed,
            settings,
            queries: Arc::new(Semaphore::new(QUERIES_AT_ONCE_MAX)),
            event_clients: Arc::new(Semaphore::new(EVENT_CLIENTS_MAX)),
            changes,
            started_ms,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2 * QUERIES_AT_ONCE_MAX)
            .thread_name("logs-query")
            .build()
            .map_err(|error| Error::internal(format!("cannot start the server: {error}")))?;
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("logs-server".into())
            .spawn(move || serve(runtime, listener, shared, stopped))
            .map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send_replace(true);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(runtime: Runtime, listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    runtime.block_on(async move {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        // Streams of events end with the runtime: they are not waited for.
        let serving = tokio::spawn(axum::serve(listener, router(shared)).into_future());
        let _ = stopped.wait_for(|stopped| *stopped).await;
        serving.abort();
    });
    runtime.shutdown_background();
}

fn unbound(address: SocketAddr, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or give another port by --listen"
        }
        std::io::ErrorKind::PermissionDenied => "ports below 1024 are the administrator's: give a higher one",
        _ => "give an address of this machine by --listen",
    };
    Error::network(format!("cannot listen on {address}: {error}")).with_hint(hint)
}
