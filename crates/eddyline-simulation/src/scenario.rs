//! What a seed stands for: a job, its input, its environment, and everything that goes wrong.

use crate::faults::{Fault, FaultKind, plan_faults};
use crate::random::Random;
use crate::world::LineConfig;
use eddyline_catalogue::{CATALOGUE, CatalogueJob};
use eddyline_protocol::CheckpointConfig;
use eddyline_runtime::deterministic::NetworkConfig;

/// A step between sources and the end of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// A stateless step behind a rebalance.
    Rebalance,
    /// Records go round a loop, each a number of times of its own.
    Loop,
    /// Records are held for a while, as asynchronous calls hold them.
    Calls,
}

/// What a branch computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// The records themselves.
    Records,
    /// Tumbling windows per key.
    Windows,
    /// The same by state and timers, and a total per key at the end.
    Timers,
    /// A total per key, times the sum of rules that were broadcast.
    Rules,
}

/// A branch of the job; all read the same sources and write to the same sink.
#[derive(Debug, Clone)]
pub struct Branch {
    /// How many of the sources it takes the union of: 1 or 2.
    pub sources: usize,
    /// What happens on the way.
    pub transforms: Vec<Transform>,
    /// What comes out.
    pub terminal: Terminal,
}

/// The input of a job.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    /// Decides the records.
    pub seed: u64,
    /// Splits of each source.
    pub splits: u32,
    /// Records in each split.
    pub records: u32,
    /// Number of different keys.
    pub keys: u64,
    /// Bound of the disorder within a split, milliseconds of event time.
    pub disorder_ms: i64,
    /// Whether some records come too late and some splits pause.
    pub unruly: bool,
    /// Records per batch at most.
    pub rows_per_poll: u32,
    /// Milliseconds between two batches of an instance.
    pub pace_ms: u64,
    /// Rules that are broadcast.
    pub rules: u32,
}

/// Event time of the first record, milliseconds since the epoch.
pub const FIRST_EVENT_MS: i64 = 1_700_000_000_000;
/// Event time from record to record of a split, milliseconds.
pub const EVENT_STEP_MS: i64 = 10;
/// Length of a window, milliseconds.
pub const WINDOW_MS: i64 = 200;
/// Key groups of every simulated job.
pub const MAX_PARALLELISM: u32 = 16;
/// Processes of an attempt, at most.
pub const PROCESSES_MAX: usize = 4;
/// Rounds that records make in a loop, at most.
pub const ROUNDS_MAX: u32 = 4;

/// Everything a run is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// Processes, of one worker each.
    pub processes: usize,
    /// The job on the DataStream API that is run instead of `branches`, if it is one of those.
    pub catalogue: Option<CatalogueJob>,
    /// The job.
    pub branches: Vec<Branch>,
    /// Its input.
    pub input: Input,
    /// The network between workers.
    pub network: NetworkConfig,
    /// The lines between workers and supervisor.
    pub line: LineConfig,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointConfig,
    /// Longest step of an upload, microseconds.
    pub upload_micros_max: u64,
    /// Longest step of virtual time, microseconds.
    pub step_micros_max: u64,
    /// Least length of a tick, microseconds.
    pub tick_micros: u64,
    /// Rows in one batch.
    pub batch_rows: usize,
    /// Entries of state written per turn.
    pub snapshot_entries: usize,
    /// Bytes in flight from one output, and from all outputs of a worker, before somebody waits.
    pub flight_bytes: (i64, i64),
    /// Ticks in flight before the leader stops opening more.
    pub ticks_in_flight: u64,
    /// Time that passes whenever somebody looks at the clock, microseconds.
    pub reading_micros: u64,
    /// Whether each record gets a tick of its own.
    pub on_event: bool,
    /// Whether every supervisor starts another number of processes than the one before.
    pub rescales: bool,
    /// What goes wrong, in order of time.
    pub faults: Vec<Fault>,
}

impl Scenario {
    /// What `seed` stands for.
    pub fn from_seed(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let processes = random.between(1, PROCESSES_MAX as u64) as usize;
        let rescales = random.chance(3);
        let readers = if rescales { PROCESSES_MAX } else { processes };
        let interval_ms = random.between(60, 160);
        let input = draw_input(random, readers, interval_ms);
        let run_ms = input_ms(&input, readers);
        let network = NetworkConfig {
            seed: random.number(),
            delays: !random.chance(4),
            partition_one_in: if random.chance(2) { 0 } else { random.between(40, 400) },
            partition_steps_max: random.between(20, 300),
        };
        let checkpoints = CheckpointConfig {
            interval_ms: Some(interval_ms),
            min_pause_ms: random.below(3) * 20,
            timeout_ms: random.between(2_000, 6_000),
            max_concurrent: random.between(1, 2) as u32,
            tolerable_failed_checkpoints: random.below(4) as u32,
            num_retained: random.between(1, 3) as u32,
        };
        let repeat_one_in = if random.chance(3) { 0 } else { random.between(3, 30) };
        let scenario = Scenario {
            seed,
            processes,
            catalogue: draw_catalogue(seed),
            branches: (0..random.between(1, 3)).map(|_| draw_branch(random)).collect(),
            input,
            network,
            line: LineConfig { delay_micros_max: random.between(100, 4_000), repeat_one_in },
            checkpoints,
            upload_micros_max: random.between(200, 20_000),
            step_micros_max: random.between(200, 900),
            tick_micros: random.between(1, 10) * 1_000,
            batch_rows: [1, 3, 16, 256][random.below(4) as usize],
            snapshot_entries: [1, 5, 1_000][random.below(3) as usize],
            flight_bytes: [(600, 1_500), (4_000, 6_000), (1 << 20, 4 << 20)][random.below(3) as usize],
            ticks_in_flight: [2, 8, 64][random.below(3) as usize],
            reading_micros: [0, 0, 1, 30][random.below(4) as usize],
            on_event: random.chance(16),
            rescales,
            faults: plan_faults(random, processes, run_ms),
        };
        scenario.for_bounded_jobs()
    }

    /// The same scenario with a job of the catalogue.
    #[must_use]
    pub fn with_catalogue(mut self, job: CatalogueJob) -> Self {
        self.catalogue = Some(job);
        self.for_bounded_jobs()
    }

    /// What collects bounded data takes no periodic checkpoints and cannot be suspended.
    fn for_bounded_jobs(mut self) -> Self {
        if self.catalogue.is_some_and(|job| job.is_bounded) {
            self.checkpoints.interval_ms = None;
            let suspends = self.faults.iter_mut().filter(|fault| fault.kind == FaultKind::Suspend);
            suspends.for_each(|fault| fault.kind = FaultKind::KillWorker);
        }
        self
    }

    /// Whether the faults of this scenario include `kind`.
    pub fn has_fault(&self, kind: FaultKind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }
}

/// Every third seed runs a job of the catalogue. Drawn apart from the rest, so that the catalogue can grow without
/// changing what else a seed stands for.
fn draw_catalogue(seed: u64) -> Option<CatalogueJob> {
    let random = &mut Random::new(seed ^ 0x4341_5441);
    let drawn = random.below(CATALOGUE.len() as u64) as usize;
    if random.chance(3) { CATALOGUE.get(drawn).copied() } else { None }
}

/// So paced that there are a dozen intervals between the first record and the last.
fn draw_input(random: &mut Random, processes: usize, interval_ms: u64) -> Input {
    let splits = random.between(1, 5) as u32;
    let records = random.between(60, 240) as u32;
    let rows_per_poll = random.between(1, 12) as u32;
    let polls = u64::from(records.div_ceil(rows_per_poll)) * u64::from(splits.div_ceil(processes as u32));
    Input {
        seed: random.number(),
        splits,
        records,
        keys: random.between(1, 24),
        disorder_ms: random.between(1, 150) as i64,
        unruly: random.chance(2),
        rows_per_poll,
        pace_ms: (interval_ms * 16).div_ceil(polls),
        rules: random.between(1, 6) as u32,
    }
}

/// How long reading the input takes without faults, milliseconds.
fn input_ms(input: &Input, processes: usize) -> u64 {
    let polls = u64::from(input.records.div_ceil(input.rows_per_poll))
        * u64::from(input.splits.div_ceil(processes as u32));
    polls * input.pace_ms
}

fn draw_branch(random: &mut Random) -> Branch {
    let transforms = (0..random.below(3)).map(|_| match random.below(4) {
        0 => Transform::Rebalance,
        1 => Transform::Calls,
        _ => Transform::Loop,
    });
    let mut transforms: Vec<Transform> = transforms.collect();
    // One loop in a branch: in a second one no record would find its rounds left to do.
    let mut loops = 0;
    transforms.retain(|transform| {
        loops += usize::from(*transform == Transform::Loop);
        *transform != Transform::Loop || loops == 1
    });
    let terminal = match random.below(5) {
        0 => Terminal::Records,
        1 | 2 => Terminal::Windows,
        3 => Terminal::Timers,
        _ => Terminal::Rules,
    };
    Branch { sources: random.between(1, 2) as usize, transforms, terminal }
}
