//! Every job of the catalogue is killed a few times on the way, workers and supervisor in turn, and loses and doubles
//! nothing. Where RocksDB is built in, each new supervisor has the other state backend.
use eddyline_catalogue::{CATALOGUE, CatalogueJob};
use eddyline_tests::harness::{
    Deadline, Place, Signal, Started, processes_with, rounds, seed_offset, signal, tell,
};
use eddyline_tests::workload::catalogue_input;
use std::cell::Cell;

const PROGRAM: &str = env!("CARGO_BIN_EXE_catalogue-workload");
/// Kills of each job and round.
const KILLS: usize = 4;
/// What keeps state, each supervisor the next one.
const BACKENDS: &[&str] = if cfg!(feature = "rocksdb") { &["rocksdb", "hashmap"] } else { &["hashmap"] };
/// Next to nothing stays in memory beside RocksDB, so that nearly every access goes there.
const RESIDENT: &str = "-Dstate.backend.rocksdb.memory.resident=2 kb";

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
    /// Counts supervisors; says which backend comes next.
    started: Cell<usize>,
}

impl Run {
    fn start(&self) -> Started {
        let (checkpoints, out, seed) =
            (self.place.text("checkpoints"), self.place.text("out"), self.seed.to_string());
        let backend = BACKENDS[self.started.get() % BACKENDS.len()];
        self.started.set(self.started.get() + 1);
        let backend = format!("-Dstate.backend.type={backend}");
        let directory = format!("-Dstate.backend.rocksdb.localdir={}", self.place.text("state"));
        let arguments =
            ["--processes", "2", "-p", "2", "--checkpoint-dir", &checkpoints, &backend, &directory, RESIDENT];
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

#[test]
#[ignore = "takes a minute; cargo xtask test runs it"]
fn every_job_of_the_catalogue_survives_kills() {
    for round in 0..rounds() {
        let mut all = 0;
        for (number, job) in (0usize..).zip(CATALOGUE) {
            let place = Place::new(PROGRAM).unwrap();
            let seed = 500 + (round * CATALOGUE.len() + number) as u64 + seed_offset();
            let run = Run { job: *job, place, seed, started: Cell::new(number + round) };
            let kills = kill(&run);
            tell(&format!("{}: {kills} kills", job.name));
            assert!(kills >= 2, "{}: only {kills} kills", job.name);
            all += kills;
        }
        tell(&format!("{all} kills in round {round}, with state in {BACKENDS:?}"));
        assert!(all >= CATALOGUE.len() * 3, "only {all} kills");
    }
}
