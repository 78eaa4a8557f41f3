//! What is known of a running job, for displays, metrics and heartbeats.

use crate::accumulators::AccumulatorResults;
use crate::latency::LatencyHistogram;
use crate::watchdog::Watchdog;
use crate::worker::WorkerStatus;
use eddyline_core::{Clock, EventTime};
use eddyline_protocol::{AccumulatorPart, MetricReport, MetricValue, ProgressReport, WorkerActivity};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the workers of a process say how they are.
pub(crate) struct StatusBoard {
    first_worker: u32,
    workers: Vec<Mutex<(WorkerStatus, String)>>,
    watchdogs: Vec<Arc<Watchdog>>,
    clock: Arc<dyn Clock>,
}

impl StatusBoard {
    pub(crate) fn new(first_worker: u32, workers: usize, clock: Arc<dyn Clock>) -> Self {
        StatusBoard {
            first_worker,
            workers: (0..workers).map(|_| Mutex::default()).collect(),
            watchdogs: (0..workers).map(|_| Arc::default()).collect(),
            clock,
        }
    }

    pub(crate) fn watchdog(&self, local: usize) -> Arc<Watchdog> {
        self.watchdogs[local].clone()
    }

    /// A worker says how it is, and what it waits for.
    pub(crate) fn publish(&self, local: usize, status: WorkerStatus, stall: String) {
        *self.workers[local].lock().unwrap_or_else(PoisonError::into_inner) = (status, stall);
    }

    /// All workers, as they said last.
    pub(crate) fn workers(&self) -> Vec<WorkerStatus> {
        self.workers
            .iter()
            .map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).0.clone())
            .collect()
    }

    /// What the process tells the supervisor with every heartbeat.
    pub(crate) fn report(&self) -> ProgressReport {
        let now = self.clock.monotonic_micros();
        let statuses = self.workers();
        let activities = self.watchdogs.iter().enumerate().map(|(local, watchdog)| {
            let current = watchdog.current(now);
            WorkerActivity {
                worker: self.first_worker + local as u32,
                operator: current.as_ref().map(|(name, _, _)| name.to_string()),
                uid: current.as_ref().map(|(_, uid, _)| uid.to_string()),
                since_micros: current.map_or(0, |(_, _, since)| since),
            }
        });
        let stalls: Vec<String> = self
            .workers
            .iter()
            .map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).1.clone())
            .filter(|stall| !stall.is_empty())
            .collect();
        ProgressReport {
            tick: statuses.iter().map(|status| status.tick).max().unwrap_or_default(),
            watermark: statuses.iter().map(|status| status.watermark).min().unwrap_or(EventTime::MIN),
            records_in: statuses.iter().map(|status| status.records_in).sum(),
            records_out: statuses.iter().map(|status| status.records_out).sum(),
            workers: activities.collect(),
            held_by: stalls.into_iter().next(),
            metrics: statuses.iter().flat_map(|status| status.metrics.iter().cloned()).collect(),
            accumulators: statuses
                .iter()
                .flat_map(|status| status.accumulators.iter().map(|part| AccumulatorPart::clone(part)))
                .collect(),
        }
    }
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobState {
    /// It has been started, but does not process anything yet.
    #[default]
    Created,
    /// It runs.
    Running,
    /// It has failed and is about to be started again.
    Restarting,
    /// Its input has come to an end, or it was stopped, and everything is committed.
    Finished,
    /// It has failed for good.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl JobState {
    /// Whether the job has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Finished | JobState::Failed | JobState::Cancelled)
    }
}

/// What is known of a job.
#[derive(Debug, Clone, Default)]
pub struct JobStatus {
    /// Where the job is in its life.
    pub state: JobState,
    /// The newest attempt.
    pub attempt: u64,
    /// How often the job was started again.
    pub restarts: u32,
    /// Checkpoints completed by this supervisor.
    pub checkpoints: u64,
    /// The newest of them.
    pub last_checkpoint: Option<u64>,
    /// Workers of the newest attempt, over all processes.
    pub parallelism: u32,
    /// Records read by sources in this attempt.
    pub records_in: u64,
    /// Records given to sinks in this attempt.
    pub records_out: u64,
    /// The least watermark, milliseconds since the epoch.
    pub watermark: EventTime,
    /// From creation to the end of processing; of workers in this process only.
    pub latency: LatencyHistogram,
    /// Workers in this process, one by one.
    pub workers: Vec<WorkerStatus>,
    /// What the job waits for, if it does.
    pub held_by: Option<String>,
    /// The metrics that functions keep, of all instances.
    pub metrics: Vec<MetricReport>,
    /// What functions have added up; exact, whatever failed on the way.
    pub accumulators: AccumulatorResults,
}

impl JobStatus {
    pub(crate) fn of_workers(mut workers: Vec<WorkerStatus>) -> Self {
        let mut latency = LatencyHistogram::default();
        let (mut metrics, mut accumulators) = (Vec::new(), Vec::new());
        for worker in &mut workers {
            latency.merge(&worker.latency);
            metrics.append(&mut worker.metrics);
            accumulators.append(&mut worker.accumulators);
        }
        JobStatus {
            records_in: workers.iter().map(|worker| worker.records_in).sum(),
            records_out: workers.iter().map(|worker| worker.records_out).sum(),
            watermark: workers.iter().map(|worker| worker.watermark).min().unwrap_or(EventTime::MIN),
            latency,
            workers,
            metrics,
            accumulators: AccumulatorResults::new(accumulators),
            ..JobStatus::default()
        }
    }

    /// A counter or meter that functions keep, summed up over all instances of the operators that have one of that
    /// name.
    pub fn counter(&self, name: &str) -> u64 {
        let counts =
            self.metrics.iter().filter(|metric| metric.name == name).map(|metric| match metric.value {
                MetricValue::Counter(count) | MetricValue::Meter { count, .. } => count,
                MetricValue::Gauge(_) | MetricValue::Histogram { .. } => 0,
            });
        counts.sum()
    }

    /// Late records over all operators.
    pub fn late(&self) -> u64 {
        self.workers.iter().flat_map(|worker| &worker.late).map(|(_, late)| late).sum()
    }
}
