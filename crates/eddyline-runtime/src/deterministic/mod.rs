//! Many simulated processes in one thread, repeatable bit for bit.
//!
//! A [`Cluster`] is what an attempt's processes and their network are in production: workers of one worker thread
//! each, on Timely's real TCP allocator. Its sockets carry nothing; every chunk of bytes goes through a [`Network`]
//! that the simulation steps, delays and cuts. Nothing here reads a clock: whoever calls [`WorkerRun::turn`] decides
//! whose turn it is, and a seed decides the rest.
//!
//! Only a simulation compiles this module (feature `simulation`).

mod fabric;
mod network;
pub(crate) mod planted;

pub use network::{Network, NetworkConfig};
pub use planted::{Bug, plant};

use crate::snapshots::PartIo;
use crate::watchdog::Watchdog;
use crate::worker::{ControlPort, WorkerConfig, WorkerRun};
use eddyline_core::Result;
use eddyline_protocol::FailureReport;
use fabric::Fabric;
use std::sync::Arc;
use std::time::Instant;
use timely::WorkerConfig as TimelyConfig;
use timely::communication::allocator::Allocator;
use timely::worker::Worker;

/// The processes of one attempt, one worker each, and the network between them.
///
/// Workers are dropped before the network's threads are joined, whatever happens. In a thread that panics nothing is
/// dropped at all: Timely's threads would panic too, and the process would abort before anybody reads why.
pub struct Cluster {
    runs: Vec<Option<WorkerRun>>,
    unbuilt: Vec<Option<Allocator>>,
    network: Network,
    fabric: Option<Fabric>,
    tells_rest: bool,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget((
                std::mem::take(&mut self.runs),
                std::mem::take(&mut self.unbuilt),
                self.fabric.take(),
            ));
        }
    }
}

impl Cluster {
    /// The network between `processes` processes, none of which has been built yet.
    ///
    /// # Errors
    /// If the operating system refuses the threads that wait at the sockets.
    pub fn new(processes: usize, config: NetworkConfig) -> Result<Self> {
        let network = Network::new(processes, config);
        let (allocators, fabric) = fabric::weave(processes, &network)?;
        Ok(Cluster {
            runs: (0..processes).map(|_| None).collect(),
            unbuilt: allocators.into_iter().map(Some).collect(),
            network,
            fabric: Some(fabric),
            tells_rest: false,
        })
    }

    /// Lets workers tell whether they have run out of work ([`WorkerRun::is_out_of_work`]). Timely wants an instant
    /// for that; it does not read the clock unless delays are asked for, and nobody does.
    #[must_use]
    pub fn telling_rest(mut self) -> Self {
        self.tells_rest = true;
        self
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Builds the dataflow of `process` and restores its state. A process can be built once.
    ///
    /// # Errors
    /// If an operator cannot be opened or its state not be restored; or if the process was built or ended before.
    pub fn build(
        &mut self,
        process: usize,
        config: &WorkerConfig,
        watchdog: Arc<Watchdog>,
        control: Box<dyn ControlPort>,
        io: Box<dyn PartIo>,
    ) -> Result<(), FailureReport> {
        let allocator = self.unbuilt.get_mut(process).and_then(Option::take).ok_or_else(|| {
            FailureReport::from(&eddyline_core::Error::internal(format!(
                "process {process} cannot be built twice"
            )))
        })?;
        let start = if self.tells_rest { Some(Instant::now()) } else { None };
        let mut timely = Worker::new(TimelyConfig::default(), allocator, start);
        self.runs[process] = Some(WorkerRun::build(&mut timely, config, watchdog, control, io)?);
        Ok(())
    }

    /// The worker of `process`, if it is built and has not ended.
    pub fn worker(&mut self, process: usize) -> Option<&mut WorkerRun> {
        self.runs.get_mut(process).and_then(Option::as_mut)
    }

    /// Ends `process` at once, as a kill would: what it has sent may still arrive, what comes for it is lost.
    pub fn end(&mut self, process: usize) {
        if let Some(slot) = self.runs.get_mut(process) {
            *slot = None;
        }
        if let Some(slot) = self.unbuilt.get_mut(process) {
            *slot = None;
        }
        self.network.close(process);
    }
}
