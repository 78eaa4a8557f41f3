//! What goes wrong in a run, and when.

use crate::random::Random;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A worker process is killed.
    KillWorker,
    /// The supervisor is killed, and another one starts after a while.
    KillSupervisor,
    /// The machine stops, loses or tears what was not synced, and starts again.
    CrashMachine,
    /// A process stops for a while and goes on.
    Stall,
    /// Two processes cannot reach each other for a while.
    Partition,
    /// The disk is full for a while.
    FullDisk,
    /// Uploads take a hundred times as long for a while.
    SlowUpload,
    /// Wall time jumps, forward or back.
    ClockJump,
    /// Not a fault, but as good: the job is suspended, and resumed after a while.
    Suspend,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 9] = [
        FaultKind::KillWorker,
        FaultKind::KillSupervisor,
        FaultKind::CrashMachine,
        FaultKind::Stall,
        FaultKind::Partition,
        FaultKind::FullDisk,
        FaultKind::SlowUpload,
        FaultKind::ClockJump,
        FaultKind::Suspend,
    ];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::KillWorker => "worker killed",
            FaultKind::KillSupervisor => "supervisor killed",
            FaultKind::CrashMachine => "machine crashed",
            FaultKind::Stall => "process stalled",
            FaultKind::Partition => "link cut",
            FaultKind::FullDisk => "disk full",
            FaultKind::SlowUpload => "slow uploads",
            FaultKind::ClockJump => "clock jump",
            FaultKind::Suspend => "suspended",
        }
    }
}

/// What has to happen before a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing: virtual time alone, microseconds.
    Time(u64),
    /// So many parts were reported: a checkpoint is about to complete.
    Part(u64),
    /// So many checkpoints were made complete, which the workers do not know yet.
    Complete(u64),
    /// So many processes were started: they restore.
    Start(u64),
    /// The input has ended so many times.
    InputEnd(u64),
}

/// A fault of a run.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// When.
    pub moment: Moment,
    /// How long it lasts, microseconds, or how far the clock jumps.
    pub micros: u64,
    /// Decides the victim.
    pub choice: u64,
}

/// Draws the faults of a run that takes about `run_ms` without them: three to six that certainly strike, and maybe
/// some that wait for a moment.
pub fn plan_faults(random: &mut Random, processes: usize, run_ms: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for _ in 0..random.between(3, 6) {
        let mut kind = FaultKind::ALL[random.below(FaultKind::ALL.len() as u64) as usize];
        if kind == FaultKind::Partition && processes == 1 {
            kind = FaultKind::KillWorker;
        }
        let moment = Moment::Time(random.between(run_ms / 10, run_ms * 7 / 10) * 1_000);
        faults.push(draw(random, kind, moment));
    }
    for _ in 0..random.below(3) {
        let kind = FaultKind::ALL[random.below(4) as usize];
        let moment = match random.below(4) {
            0 => Moment::Part(random.between(1, 20)),
            1 => Moment::Complete(random.between(1, 8)),
            2 => Moment::Start(random.between(2, 6)),
            _ => Moment::InputEnd(random.between(1, 2)),
        };
        faults.push(draw(random, kind, moment));
    }
    faults
}

fn draw(random: &mut Random, kind: FaultKind, moment: Moment) -> Fault {
    let micros = match kind {
        FaultKind::ClockJump => random.between(1_000, 2_000_000),
        FaultKind::Stall => random.between(1_000, 400_000),
        _ => random.between(1_000, 150_000),
    };
    Fault { kind, moment, micros, choice: random.number() }
}
