//! Every job of the catalogue is killed a few times on the way, workers and supervisor in turn, and loses and doubles
//! nothing.
use eddyline_catalogue::{CATALOGUE, CatalogueJob};
use eddyline_tests::harness::{Deadline, Place, Signal, Started, processes_with, seed_offset, signal, tell};
use eddyline_tests::workload::catalogue_input;
use std::cell::Cell;

const PROGRAM: &str = env!("CARGO_BIN_EXE_catalogue-workload");
/// Kills of each job.
const KILLS: usize = 4;

const INTERVAL: &str = "-Dexecution.checkpointing.interval=40 ms";
const OPTIONS: [&str; 7] = [
    "-Dexecution.checkpointing.num-retained=2",
    "-Dexecution.checkpointing.tolerable-failed-checkpoints=1000",
    "-Drestart-strategy.type=fixed-delay",
    "-Drestart-strategy.fixed-delay.attempts=10000",
    "-Drestart-strategy.fixed-delay.delay=0 ms",
    "-Dheartbeat.interval=100 ms",
    "-Dheartbeat.timeout=1 s",
];

struct Run {
    job: CatalogueJob,
    place: Place,
    seed: u64,
    /// What keeps state, each supervisor the next one.
    backends: Vec<&'static str>,
    started: Cell<usize>,
}

impl Run {
    fn start(&self) -> Started {
        let (checkpoints, out, seed) =
            (self.place.text("checkpoints"), self.place.text("out"), self.seed.to_string());
        let backend = self.backends[self.started.get() % self.backends.len()];
        self.started.set(self.started.get() + 1);
        let backend = format!("-Dstate.backend.type={backend}");
        let directory = format!("-Dstate.backend.rocksdb.localdir={}", self.place.text("state"));
        let arguments =
            ["--processes", "2", "-p", "2", "--checkpoint-dir", &checkpoints, &backend, &directory];
        let periodic = (!self.job.is_bounded).then_some(INTERVAL);
        let arguments = arguments.into_iter().chain(periodic).chain(OPTIONS);
        let arguments = arguments.chain(["--", &out, self.job.name, &seed]);
        self.place.start(&arguments.collect::<Vec<_>>()).unwrap()
    }

    fn newest_checkpoint(&self) -> Option<std::path::PathBuf> {
        self.place.complete_checkpoints(self.job.name).pop()
    }

    /// Waits until a checkpoint after `before` is complete; none if the job ends instead.
    fn next_checkpoint(
        &self,
        started: &mut Started,
        before: &Option<std::path::PathBuf>,
    ) -> Option<std::path::PathBuf> {
        let waited = started.wait_for("another complete checkpoint", || self.newest_checkpoint() > *before);
        waited.ok().and_then(|()| self.newest_checkpoint())
    }

    fn worker(&self, number: u32) -> Option<rustix::process::Pid> {
        let workers = processes_with(&self.place.text("out"));
        workers.into_iter().find(|(_, worker)| *worker == Some(number)).map(|(pid, _)| pid)
    }
}

/// Kills the job again and again, each time after another checkpoint; answers how often.
fn kill(run: &Run) -> usize {
    let (mut started, mut newest, mut kills) = (run.start(), None, 0);
    let mut killed = None;
    while kills < KILLS {
        // A job without periodic checkpoints is killed as soon as its workers are there.
        if !run.job.is_bounded {
            let Some(checkpoint) = run.next_checkpoint(&mut started, &newest) else { break };
            newest = Some(checkpoint);
        }
        if kills % 3 == 2 {
            started.signal(Signal::KILL);
            started.end().unwrap();
            started = run.start();
        } else {
            let victim = (kills as u64 + run.seed) as u32 % 2;
            let mut pid = None;
            let found = started.wait_for("a worker to kill", || {
                pid = run.worker(victim);
                pid.is_some() && pid != killed
            });
            // A job that has ended instead has escaped the rest.
            let (Ok(()), Some(pid)) = (found, pid) else { break };
            signal(pid, Signal::KILL);
            killed = Some(pid);
        }
        kills += 1;
    }
    let ended = started.end().unwrap();
    assert!(ended.status.success(), "{}: {}", run.job.name, ended.said);
    let out = run.place.text("out");
    Deadline::minute("the end of all processes")
        .wait_for(|| processes_with(&out).is_empty().then_some(()))
        .unwrap();
    run.job.judge(&catalogue_input(run.seed), &run.place.lines("out")).unwrap();
    kills
}

fn kill_all(seed: u64, backends: &[&'static str]) {
    let mut all = 0;
    for (number, job) in (0u64..).zip(CATALOGUE) {
        let (place, seed) = (Place::new(PROGRAM).unwrap(), seed + number + seed_offset());
        let run = Run { job: *job, place, seed, backends: backends.to_vec(), started: Cell::new(0) };
        let kills = kill(&run);
        tell(&format!("{}: {kills} kills", job.name));
        assert!(kills >= 2, "{}: only {kills} kills", job.name);
        all += kills;
    }
    assert!(all >= CATALOGUE.len() * 3, "only {all} kills");
}

#[test]
#[ignore = "takes a minute; cargo xtask test runs it"]
fn every_job_of_the_catalogue_survives_kills() {
    kill_all(500, &["hashmap"]);
}

#[test]
#[ignore = "takes a minute; cargo xtask test runs it"]
fn every_job_of_the_catalogue_survives_kills_and_changes_between_backends() {
    kill_all(700, &["rocksdb", "hashmap"]);
}
