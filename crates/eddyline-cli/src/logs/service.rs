//! What runs beside the log job: the server, and the care of the store.

use eddyline::JobHandle;
use eddyline_core::{Clock, Error, Result, SystemClock};
use eddyline_logs::config::ServerConfig;
use eddyline_logs::job::LogJobWatch;
use eddyline_logs::store::Retention;
use eddyline_logs_server::{Listener, Observed, Server, ServerSettings};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the store is looked after.
const CARE: Duration = Duration::from_secs(60);
/// How often the thread that does it looks whether it is to end.
const GLANCE: Duration = Duration::from_millis(200);

/// What runs beside the job, until it is dropped.
pub struct Service {
    server: Option<Server>,
    stop: Arc<AtomicBool>,
    care: Option<JoinHandle<()>>,
}

impl Service {
    /// Listens. If the port is in use and `anywhere` will do, another one is taken.
    ///
    /// # Errors
    /// If the address makes no sense, or cannot be listened on.
    pub fn listen(config: &ServerConfig, anywhere: bool) -> Result<Listener> {
        let unknown = |why: String| {
            Error::config(format!("`{}` is no address to listen on", config.listen))
                .with_detail(why)
                .with_hint("address and port, such as 127.0.0.1:8080")
        };
        let found = config.listen.to_socket_addrs().map_err(|error| unknown(error.to_string()))?.next();
        let address = found.ok_or_else(|| unknown("it has no address".to_owned()))?;
        if !address.ip().is_loopback() && config.token.is_none() {
            eprintln!(
                "warning: everybody who can reach {address} can read the logs: set a token in [server]"
            );
        }
        let settings = |address| ServerSettings { address, token: config.token.clone() };
        match Listener::bind(settings(address)) {
            Err(_) if anywhere => Listener::bind(settings(SocketAddr::new(address.ip(), 0))),
            bound => bound,
        }
    }

    /// Serves what `watch` shows, and looks after the store.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn start(
        listener: Option<Listener>,
        keep: Option<Retention>,
        watch: &LogJobWatch,
        handle: &JobHandle,
    ) -> Result<Self> {
        let control = handle.control();
        let observed = Observed {
            board: watch.board.clone(),
            progress: watch.progress.clone(),
            store: watch.store.clone(),
            status: Arc::new(move || control.status()),
            clock: Arc::new(SystemClock::new()),
        };
        let server = listener.map(|listener| Server::start(listener, observed)).transpose()?;
        let stop = Arc::new(AtomicBool::new(false));
        let care = watch.store.clone().zip(keep).map(|(store, keep)| {
            let stopped = stop.clone();
            std::thread::Builder::new().name("store-care".into()).spawn(move || {
                let mut next = Instant::now();
                while !stopped.load(Ordering::Relaxed) {
                    if Instant::now() >= next {
                        next = Instant::now() + CARE;
                        let now_ms = SystemClock::new().wall_millis();
                        let go_on = || !stopped.load(Ordering::Relaxed);
                        let done = store.maintain(&keep, now_ms).and_then(|_| store.compact(now_ms, &go_on));
                        if let Err(error) = done {
                            eprintln!("warning: the store cannot be looked after: {error}");
                        }
                    }
                    std::thread::park_timeout(GLANCE);
                }
            })
        });
        let care =
            care.transpose().map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        Ok(Service { server, stop, care })
    }

    /// Where the server listens, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(Server::address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(care) = self.care.take() {
            care.thread().unpark();
            let _ = care.join();
        }
    }
}
