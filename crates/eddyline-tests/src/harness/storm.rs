//! A job that is killed again and again, each time at a moment that is known.

use super::run::Run;
use super::watch::signal;
use crate::workload::gate::Moment;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fmt;

/// Between which two steps of its life a job is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A checkpoint has been cut, and is not complete.
    BeforeComplete,
    /// A checkpoint is complete, and an instance has not committed it.
    BeforeCommit,
    /// States have been read again, nothing runs yet.
    DuringRestore,
    /// All sources have been read to their ends; calls, loops and timers are not done.
    InputRead,
    /// The final checkpoint has been cut, and is not complete.
    BeforeFinalComplete,
    /// The final checkpoint is complete, and an instance has not committed it. Must come last: after it, nothing is
    /// left to be killed.
    BeforeFinalCommit,
}

impl Phase {
    /// The one of the four phases of the proof that this belongs to.
    pub fn group(self) -> &'static str {
        match self {
            Phase::BeforeComplete => "before COMPLETE",
            Phase::BeforeCommit => "between COMPLETE and commit",
            Phase::DuringRestore => "during restore",
            Phase::InputRead | Phase::BeforeFinalComplete | Phase::BeforeFinalCommit => "at end of input",
        }
    }

    fn moment(self) -> Option<Moment> {
        match self {
            Phase::BeforeComplete => Some(Moment::PreCommit),
            Phase::BeforeCommit => Some(Moment::Commit),
            Phase::DuringRestore => Some(Moment::Restore),
            Phase::InputRead => None,
            Phase::BeforeFinalComplete => Some(Moment::FinalPreCommit),
            Phase::BeforeFinalCommit => Some(Moment::FinalCommit),
        }
    }
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// The process of a worker.
    Worker(u32),
    /// The supervisor; the program is started again.
    Supervisor,
}

/// A kill.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    /// When.
    pub phase: Phase,
    /// Whom.
    pub victim: Victim,
    /// How: `KILL`, or `STOP`. A worker that was stopped does not answer and is replaced; a supervisor that was
    /// stopped goes on when another has taken its place.
    pub signal: Signal,
}

/// Kills by phase and signal.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(&'static str, &'static str), usize>);

impl Tally {
    fn add(&mut self, kill: &Kill) {
        let how = if kill.signal == Signal::STOP { "SIGSTOP" } else { "SIGKILL" };
        *self.0.entry((kill.phase.group(), how)).or_default() += 1;
    }

    /// Takes in what another has counted.
    pub fn merge(&mut self, other: &Tally) {
        other.0.iter().for_each(|(what, count)| *self.0.entry(*what).or_default() += count);
    }

    /// Kills in a group of phases, whatever the signal.
    pub fn of(&self, group: &str) -> usize {
        self.0.iter().filter(|((one, _), _)| *one == group).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((phase, how), count) in &self.0 {
            writeln!(formatter, "  {count:>4} × {how} {phase}")?;
        }
        Ok(())
    }
}

/// Starts the job, kills it as `plan` says, and judges it at its end. Answers the kills that were made: a job that
/// is done before its plan is has escaped the rest.
///
/// # Errors
/// What is wrong with the outcome.
pub fn storm(run: &mut Run, plan: &[Kill]) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let hold = |run: &Run, place: usize| {
        if let Some(moment) = plan.get(place).and_then(|kill| kill.phase.moment()) {
            run.gate().hold(moment);
        }
    };
    hold(run, 0);
    run.start().map_err(|error| error.to_string())?;
    let (mut attempt, mut supervisor, mut stopped) = (0, 0, Vec::new());
    for (place, kill) in plan.iter().enumerate() {
        let Some(held) = reached(run, kill, attempt).map_err(|problem| with_log(run, problem))? else {
            break;
        };
        attempt = held;
        let next_moment = plan.get(place + 1).and_then(|kill| kill.phase.moment());
        // Before the kill: what comes after it may be quick.
        hold(run, place + 1);
        match kill.victim {
            Victim::Worker(number) => {
                let Some(pid) = run.worker(number) else {
                    return Err(with_log(run, format!("worker {number} is not there at {:?}", kill.phase)));
                };
                signal(pid, kill.signal);
            }
            Victim::Supervisor => {
                if let Some(pid) = run.supervisor() {
                    signal(pid, kill.signal);
                }
            }
        }
        tally.add(kill);
        if let Some(moment) = kill.phase.moment().filter(|moment| Some(*moment) != next_moment) {
            run.gate().release(moment);
        }
        if kill.victim == Victim::Supervisor {
            run.start().map_err(|error| error.to_string())?;
            if kill.signal == Signal::STOP {
                // Only once it has been replaced it may go on, and has to find out.
                attempt = run.wait_attempt(attempt).map_err(|problem| with_log(run, problem))? - 1;
                stopped.push(supervisor);
                run.continue_supervisor(supervisor);
            }
            supervisor += 1;
        }
    }
    let released = plan.iter().filter_map(|kill| kill.phase.moment());
    released.for_each(|moment| run.gate().release(moment));
    run.finish(!stopped.is_empty())?;
    for number in stopped {
        run.wait_supervisor(number).map_err(|problem| with_log(run, problem))?;
    }
    Ok(tally)
}

fn with_log(run: &Run, problem: String) -> String {
    format!("{problem}\n{}", run.log())
}

/// Waits until an attempt after `attempt` is in the phase; answers that attempt, or none if the job has ended.
fn reached(run: &mut Run, kill: &Kill, attempt: u64) -> Result<Option<u64>, String> {
    let Some(moment) = kill.phase.moment() else { return run.wait_finished(attempt) };
    let Some((held, detail)) = run.wait_held(moment, attempt)? else { return Ok(None) };
    let checkpoint = detail.split_once('-').and_then(|(_, checkpoint)| checkpoint.parse().ok());
    if let Some(checkpoint) = checkpoint {
        // What belonged to a checkpoint that was given up is committed with a later one.
        let complete = matches!(moment, Moment::Commit | Moment::FinalCommit);
        let newest: u64 = run.newest_complete();
        if (newest >= checkpoint) != complete {
            return Err(format!(
                "at {moment:?} of checkpoint {checkpoint}, {newest} is the newest complete one"
            ));
        }
    }
    Ok(Some(held))
}
