//! One run: a scenario from the first attempt to the last row, in one thread.

use crate::faults::{Fault, FaultKind, Moment};
use crate::jobs::{JOB, build_job};
use crate::model;
use crate::random::Random;
use crate::scenario::{MAX_PARALLELISM, PROCESSES_MAX, Scenario};
use crate::trace::Trace;
use crate::world::{Conditions, Counts, Disk, Post, SimulatedAttempt, SimulatedShell, World};
use eddyline_core::{ManualClock, Result};
use eddyline_protocol::{AttemptConfig, DropState, FailureKind, RestartStrategy, RestoreRequest, StopMode};
use eddyline_runtime::supervisor::{JobOutcome, Supervisor, SupervisorConfig};
use eddyline_state::CheckpointStore;
use eddyline_state::storage::{CrashOutcome, FaultPlan};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Steps after which a run counts as one that never ends.
const STEPS_MAX: u64 = 600_000;
/// Steps that what is left of old attempts gets after the job is done.
const STEPS_AFTER: u64 = 3_000;
/// Wall time at which every run starts, microseconds since the epoch.
const START_MICROS: u64 = 1_800_000_000_000_000;
/// Longest time until another supervisor is there, microseconds.
const SUPERVISOR_DOWN_MICROS: u64 = 60_000;
/// Longest time that processes live on without their supervisor, microseconds.
const ORPHAN_MICROS_MAX: u64 = 200_000;
/// Cuts and faults that a run must have to prove anything.
const CUTS_MIN: u64 = 5;
const FAULTS_MIN: u64 = 3;

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// The seed.
    pub seed: u64,
    /// Why the run failed, if it did.
    pub failure: Option<String>,
    /// Differs if anything that was stored, said or sent differs.
    pub digest: u64,
    /// Turns taken.
    pub steps: u64,
    /// What happened.
    pub counts: Counts,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Links cut by the network itself.
    pub partitions: u64,
    /// Rows that were visible in the end.
    pub rows: usize,
}

enum SupervisorLife {
    Down(u64),
    Up(Box<Supervisor>, Box<SimulatedShell>),
    /// The job is done.
    Over,
}

struct Run {
    world: World,
    attempts: Rc<RefCell<Vec<SimulatedAttempt>>>,
    post: Rc<RefCell<Post>>,
    supervisor: SupervisorLife,
    random: Random,
    waiting: Vec<Fault>,
    struck: BTreeMap<FaultKind, u64>,
    plan: FaultPlan,
    disk_full_until: Option<u64>,
    slow_until: Option<u64>,
    /// The machine stops at that time, and what decides what is left of its disk.
    crash_at: Option<(u64, u64)>,
    /// The supervisor was asked to suspend the job.
    suspending: bool,
    /// Network digests and cuts of attempts that are over.
    past: (u64, u64),
    busy_until_step: u64,
    step: u64,
}

/// Runs what `seed` stands for, in this thread.
pub fn run_seed(seed: u64, print: bool) -> RunReport {
    run_scenario(Scenario::from_seed(seed), print)
}

/// Runs `scenario`, in this thread.
pub fn run_scenario(scenario: Scenario, print: bool) -> RunReport {
    let seed = scenario.seed;
    let trace = Trace::new(print);
    if print {
        println!("{scenario:#?}");
    }
    let failed = |failure: String| RunReport {
        seed,
        failure: Some(failure),
        digest: 0,
        steps: 0,
        counts: Counts::default(),
        faults: BTreeMap::new(),
        partitions: 0,
        rows: 0,
    };
    match Run::new(scenario, trace) {
        Ok(mut run) => run.run(),
        Err(error) => failed(error.report()),
    }
}

impl Run {
    fn new(scenario: Scenario, trace: Trace) -> Result<Self> {
        let disk = Disk::new(trace.clone());
        let (job, services) = build_job(&scenario, &disk)?;
        let mut random = Random::new(scenario.seed ^ 0x5249_4E47);
        let clock = ManualClock::new(START_MICROS);
        let store = CheckpointStore::new(Arc::new(disk.clone()), "/checkpoints", JOB)?;
        let conditions = Conditions { upload_micros_max: scenario.upload_micros_max };
        let post = Rc::new(RefCell::new(Post::new(scenario.line)));
        let waiting = scenario.faults.clone();
        let world = World {
            scenario: Arc::new(scenario),
            job: Arc::new(job),
            services,
            clock,
            disk,
            store,
            trace,
            conditions: Rc::new(RefCell::new(conditions)),
            counts: Rc::default(),
            random: Rc::new(RefCell::new(random.fork())),
        };
        Ok(Run {
            world,
            attempts: Rc::default(),
            post,
            supervisor: SupervisorLife::Down(0),
            random,
            waiting,
            struck: BTreeMap::new(),
            plan: FaultPlan::default(),
            disk_full_until: None,
            slow_until: None,
            crash_at: None,
            suspending: false,
            past: (0, 0),
            busy_until_step: 0,
            step: 0,
        })
    }

    fn run(&mut self) -> RunReport {
        let mut failure = None;
        let mut over_at = None;
        loop {
            self.step += 1;
            if let Err(reason) = self.one_step() {
                failure = Some(reason);
                break;
            }
            if matches!(self.supervisor, SupervisorLife::Over) {
                let since = *over_at.get_or_insert(self.step);
                let is_over = self.attempts.borrow().is_empty();
                if is_over || self.step > since + STEPS_AFTER {
                    break;
                }
            }
            if self.step > STEPS_MAX {
                failure = Some(format!("no end after {STEPS_MAX} steps: {}", self.describe()));
                break;
            }
        }
        self.report(failure)
    }

    fn report(&mut self, failure: Option<String>) -> RunReport {
        let (rows, judgement) = model::judge(&self.world.scenario, &self.world.disk);
        let counts = *self.world.counts.borrow();
        let faults: u64 = self.struck.values().sum();
        let failure = failure.or_else(|| judgement.err());
        // What collects bounded data has the final cut only.
        let is_bounded = self.world.scenario.catalogue.is_some_and(|job| job.is_bounded);
        let cuts_min = if is_bounded { 1 } else { CUTS_MIN };
        let failure = failure.or_else(|| {
            (counts.cuts < cuts_min || faults < FAULTS_MIN)
                .then(|| format!("proves too little: {} cuts, {faults} faults", counts.cuts))
        });
        self.world.trace.note(&format!("end: {failure:?}, {rows} rows"));
        let (network, partitions) = self.past;
        RunReport {
            seed: self.world.scenario.seed,
            failure,
            digest: self.world.trace.digest() ^ network,
            steps: self.step,
            counts: Counts { repeated: counts.repeated + self.post.borrow().repeated(), ..counts },
            faults: self.struck.clone(),
            partitions,
            rows,
        }
    }

    fn describe(&mut self) -> String {
        let supervisor = match &self.supervisor {
            SupervisorLife::Down(_) => "supervisor down".to_owned(),
            SupervisorLife::Up(supervisor, _) => format!("attempt {:?}", supervisor.attempt()),
            SupervisorLife::Over => "over".to_owned(),
        };
        let attempts = &mut *self.attempts.borrow_mut();
        let attempts = attempts.iter_mut().map(|attempt| {
            let description = attempt.describe();
            format!("[{}: {description}]", attempt.number)
        });
        format!("{supervisor} {}", attempts.collect::<String>())
    }

    fn one_step(&mut self) -> std::result::Result<(), String> {
        let longest = if self.step < self.busy_until_step { 40 } else { self.world.scenario.step_micros_max };
        self.world.clock.advance(self.random.below(longest + 1));
        let now = self.world.now();
        self.world.trace.set_time(now);
        self.strike(now);
        self.recover(now);
        let actors: usize = self.attempts.borrow().iter().map(SimulatedAttempt::processes).sum();
        let mut actor = self.random.below(actors as u64 + 1) as usize;
        if actor == actors {
            self.supervise(now)?;
        } else {
            for attempt in self.attempts.borrow_mut().iter_mut() {
                if actor < attempt.processes() {
                    attempt.step_network();
                    if attempt.step(actor) {
                        self.busy_until_step = self.step + 2 * actors as u64 + 2;
                    }
                    break;
                }
                actor -= attempt.processes();
            }
        }
        self.bury();
        Ok(())
    }

    /// Attempts of which no process is left.
    fn bury(&mut self) {
        let (past, counts) = (&mut self.past, &self.world.counts);
        self.attempts.borrow_mut().retain(|attempt| {
            if attempt.is_over() {
                past.0 = past.0.rotate_left(5) ^ attempt.network_digest();
                past.1 += attempt.partitions();
                counts.borrow_mut().repeated += attempt.repeated();
            }
            !attempt.is_over()
        });
    }

    fn supervise(&mut self, now: u64) -> std::result::Result<(), String> {
        let at = self.world.moment();
        match &mut self.supervisor {
            SupervisorLife::Over => {}
            SupervisorLife::Down(until) if now < *until => {}
            SupervisorLife::Down(_) => {
                let processes = match self.world.scenario.rescales {
                    true => self.random.between(1, PROCESSES_MAX as u64) as usize,
                    false => self.world.scenario.processes,
                };
                let (attempts, post) = (self.attempts.clone(), self.post.clone());
                let mut shell = Box::new(SimulatedShell::new(&self.world, processes, attempts, post));
                let config = self.supervisor_config(processes);
                let mut supervisor = Box::new(Supervisor::new(config).map_err(|error| error.report())?);
                self.world.trace.note(&format!("a supervisor starts, for {processes} processes"));
                self.suspending = false;
                supervisor.start(at, shell.as_mut());
                self.supervisor = SupervisorLife::Up(supervisor, shell);
            }
            SupervisorLife::Up(supervisor, shell) => {
                if let Some((checkpoint, outcome)) = shell.step_storage() {
                    supervisor.on_complete_outcome(at, checkpoint, outcome, shell.as_mut());
                }
                let end = self.post.borrow_mut().next_end(now);
                if let Some(end) = end {
                    supervisor.on_exit(at, (end.attempt, end.process), &end.exit, shell.as_mut());
                }
                let message = self.post.borrow_mut().receive(now);
                if let Some(envelope) = message {
                    supervisor.on_message(at, &envelope, shell.as_mut());
                    self.busy_until_step = self.step + 1;
                }
                supervisor.on_time(at, shell.as_mut());
            }
        }
        self.look_at_outcome(now)
    }

    fn look_at_outcome(&mut self, now: u64) -> std::result::Result<(), String> {
        let SupervisorLife::Up(supervisor, _) = &self.supervisor else { return Ok(()) };
        match supervisor.outcome() {
            None => Ok(()),
            Some(JobOutcome::Finished) if self.suspending && !self.has_finished() => {
                self.world.trace.note("the job is suspended");
                self.end_supervisor(now);
                Ok(())
            }
            Some(JobOutcome::Finished) => {
                self.world.trace.note("the job is done");
                self.supervisor = SupervisorLife::Over;
                Ok(())
            }
            Some(JobOutcome::Failed(report)) if report.kind == FailureKind::Storage => {
                // A supervisor that cannot store anything gives up; whoever started it starts another one.
                self.world.trace.note(&format!("the supervisor gives up: {}", report.message));
                self.end_supervisor(now);
                Ok(())
            }
            Some(JobOutcome::Failed(report)) => {
                Err(format!("the job failed: {}", report.to_error().report()))
            }
        }
    }

    /// Whether the newest checkpoint says that nothing is left to do.
    fn has_finished(&self) -> bool {
        let store = &self.world.store;
        let newest = store.complete_checkpoints().ok().and_then(|ids| ids.last().copied());
        newest.and_then(|newest| store.read_manifest(newest).ok()).is_some_and(|manifest| manifest.finished)
    }

    fn supervisor_config(&self, processes: usize) -> SupervisorConfig {
        let scenario = &self.world.scenario;
        let attempts = AttemptConfig {
            heartbeat_timeout_ms: 1_500,
            start_timeout_ms: 5_000,
            end_timeout_ms: 1_000,
            ..AttemptConfig::for_processes(processes as u32)
        };
        SupervisorConfig {
            snapshot: None,
            checkpoints: scenario.checkpoints.clone(),
            attempts,
            restart: RestartStrategy::FixedDelay { attempts: 10_000, delay_ms: 10 + scenario.seed % 40 },
            restore: RestoreRequest {
                job: JOB.to_owned(),
                max_parallelism: MAX_PARALLELISM,
                uids: self.world.job.graph.nodes.iter().map(|node| node.uid.clone()).collect(),
                allow_non_restored_state: false,
                allow_fresh_start: false,
                drop_state: DropState::default(),
            },
            workers_per_process: 1,
        }
    }

    fn end_supervisor(&mut self, now: u64) {
        if matches!(self.supervisor, SupervisorLife::Over) {
            return;
        }
        self.supervisor = SupervisorLife::Down(now + self.random.below(SUPERVISOR_DOWN_MICROS));
        for attempt in self.attempts.borrow_mut().iter_mut() {
            attempt.kill_all(ORPHAN_MICROS_MAX);
        }
    }

    /// Lets faults strike whose moment has come.
    fn strike(&mut self, now: u64) {
        let counts = *self.world.counts.borrow();
        let has_come = |moment: Moment| match moment {
            Moment::Time(at) => now >= at,
            Moment::Part(count) => counts.parts >= count,
            Moment::Complete(count) => counts.completed >= count,
            Moment::Start(count) => counts.starts >= count,
            Moment::InputEnd(count) => counts.input_ends >= count,
        };
        while let Some(index) = self.waiting.iter().position(|fault| has_come(fault.moment)) {
            let fault = self.waiting.remove(index);
            if !matches!(self.supervisor, SupervisorLife::Over) && self.apply(fault, now) {
                *self.struck.entry(fault.kind).or_default() += 1;
                self.world.trace.note(&format!("FAULT {} ({} µs)", fault.kind.name(), fault.micros));
            } else if let Moment::Time(_) = fault.moment
                && !matches!(self.supervisor, SupervisorLife::Over)
            {
                // Nobody there to be hit: a little later.
                self.waiting.push(Fault { moment: Moment::Time(now + 5_000), ..fault });
            }
        }
    }

    fn apply(&mut self, fault: Fault, now: u64) -> bool {
        let mut attempts = self.attempts.borrow_mut();
        let processes = attempts.last().map_or(1, SimulatedAttempt::processes);
        let victim = (fault.choice % processes as u64) as usize;
        match (fault.kind, attempts.last_mut()) {
            (FaultKind::KillWorker, Some(attempt)) => attempt.kill(victim),
            (FaultKind::Stall, Some(attempt)) => attempt.stall(victim, fault.micros),
            (FaultKind::Partition, Some(attempt)) => {
                attempt.cut(victim, (victim + 1) % processes, fault.micros / 400);
            }
            (FaultKind::KillWorker | FaultKind::Stall | FaultKind::Partition, None) => return false,
            (FaultKind::KillSupervisor, _) => {
                drop(attempts);
                self.end_supervisor(now);
            }
            (FaultKind::CrashMachine, _) => {
                if self.crash_at.is_none() {
                    self.plan.stop_after = Some(self.world.disk.files.operations() + fault.choice % 8);
                    self.crash_at = Some((now + self.random.below(4_000), fault.choice));
                    self.world.disk.files.set_faults(self.plan);
                }
            }
            (FaultKind::Suspend, _) => {
                drop(attempts);
                let at = self.world.moment();
                let SupervisorLife::Up(supervisor, shell) = &mut self.supervisor else { return false };
                self.suspending = true;
                supervisor.stop(at, StopMode::Suspend, shell.as_mut());
            }
            (FaultKind::FullDisk, _) => {
                let room = fault.choice % 4_096;
                self.plan.capacity_bytes = Some(self.world.disk.files.used_bytes() + room);
                self.disk_full_until = Some(now + fault.micros);
                self.world.disk.files.set_faults(self.plan);
            }
            (FaultKind::SlowUpload, _) => {
                let usual = self.world.scenario.upload_micros_max;
                self.world.conditions.borrow_mut().upload_micros_max = usual * 20;
                self.slow_until = Some(now + fault.micros);
            }
            (FaultKind::ClockJump, _) => {
                let micros = fault.micros as i64;
                self.world.clock.jump(if fault.choice.is_multiple_of(2) { micros } else { -micros });
            }
        }
        true
    }

    /// Ends faults that have lasted long enough; a machine that was stopped starts again.
    fn recover(&mut self, now: u64) {
        if self.disk_full_until.is_some_and(|until| until <= now) {
            self.disk_full_until = None;
            self.plan.capacity_bytes = None;
            self.world.disk.files.set_faults(self.plan);
            self.world.trace.note("the disk has room again");
        }
        if self.slow_until.is_some_and(|until| until <= now) {
            self.slow_until = None;
            self.world.conditions.borrow_mut().upload_micros_max = self.world.scenario.upload_micros_max;
        }
        if let Some((_, choice)) = self.crash_at.filter(|(at, _)| *at <= now) {
            self.crash_at = None;
            self.plan.stop_after = None;
            self.world.disk.files.set_faults(self.plan);
            self.world.disk.files.crash(CrashOutcome::Seeded(choice));
            self.world.trace.note("the machine starts again");
            self.attempts.borrow_mut().iter_mut().for_each(SimulatedAttempt::vanish);
            *self.post.borrow_mut() = Post::new(self.world.scenario.line);
            if !matches!(self.supervisor, SupervisorLife::Over) {
                self.supervisor = SupervisorLife::Down(now + self.random.below(SUPERVISOR_DOWN_MICROS));
            }
        }
    }
}
