//! Savepoints and rescaling of whole jobs: nothing is lost or doubled, whatever a job is started from and with how many
//! workers it goes on.

use crate::support::sorted;
use eddyline::{
    CollectHandle, Collector, DataGenerator, Environment, JobHandle, JobState, KeyedContext,
    KeyedOpenContext, KeyedProcessFunction, Result, TimeDomain, ValueState, WatermarkStrategy,
};
use eddyline_state::storage::FaultPlan;
use eddyline_state::{FileSystem, MemoryFileSystem};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const KEYS: u64 = 23;
/// What tells a total from a numbered record.
const TOTAL: u64 = 1_000_000_000;

/// Numbers the records of each key; its timer at the end of time tells how many there were.
#[derive(Default)]
struct Number {
    count: Option<ValueState<u64>>,
}

impl KeyedProcessFunction<u64, u64, (u64, u64)> for Number {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        let add = |count: &mut u64| {
            *count += 1;
            *count
        };
        let count = self.count.as_ref().unwrap().with_mut(|| 0, add);
        out.collect((*context.key(), count));
        context.register_event_time_timer(i64::MAX);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        out.collect((*context.key(), TOTAL + self.count.as_ref().unwrap().get().unwrap()));
        Ok(())
    }
}

/// A disk, and jobs that count on it.
struct Counting {
    files: MemoryFileSystem,
    records: u64,
    rate: f64,
}

impl Counting {
    fn new(records: u64, rate: f64) -> Self {
        Counting { files: MemoryFileSystem::new(), records, rate }
    }

    fn environment(&self, directory: &str, parallelism: u32, restore: Option<&str>) -> Environment {
        let mut environment = Environment::new();
        let mut options = environment.options_mut();
        options.parallelism = parallelism;
        options.runtime.checkpoint_dir = Some(directory.into());
        options.runtime.file_system = Arc::new(self.files.clone());
        options.runtime.checkpoints.interval_ms = Some(20);
        options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
        if let Some(path) = restore {
            options.set("execution.state-recovery.path", path).unwrap();
        }
        drop(options);
        environment
    }

    fn describe(&self, environment: &Environment, uid: &str) -> CollectHandle<(u64, u64)> {
        let numbers =
            DataGenerator::new(|index| index).with_count(self.records).with_rate_per_second(self.rate);
        let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks());
        numbers.uid("numbers").key_by(|number| number % KEYS).process(Number::default).uid(uid).collect()
    }

    /// Starts the job in the checkpoint directory `directory`.
    fn start(
        &self,
        directory: &str,
        parallelism: u32,
        restore: Option<&str>,
    ) -> (JobHandle, CollectHandle<(u64, u64)>) {
        let environment = self.environment(directory, parallelism, restore);
        let rows = self.describe(&environment, "number");
        (environment.start("counting").unwrap(), rows)
    }

    /// All rows that a run without any interruption gives.
    fn expected(&self) -> Vec<(u64, u64)> {
        let count = |key: u64| (self.records - key).div_ceil(KEYS);
        let of_key = |key: u64| (1..=count(key)).map(move |n| (key, n)).chain([(key, TOTAL + count(key))]);
        (0..KEYS).flat_map(of_key).collect()
    }

    fn totals(&self) -> Vec<(u64, u64)> {
        self.expected().into_iter().filter(|(_, value)| *value > TOTAL).collect()
    }
}

fn wait_for(rows: &CollectHandle<(u64, u64)>, count: usize) {
    assert!(rows.wait_for(count, Duration::from_secs(60)), "the job gives no rows");
}

/// The rows of a job that was started several times. What the last checkpoint of one start has shown is shown again by
/// the next, which cannot know whether it was seen; nothing else is there twice.
fn all(pieces: &[&CollectHandle<(u64, u64)>]) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    for piece in pieces {
        let rows = sorted(piece.rows());
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "a row is there twice");
        all.extend(rows);
    }
    let mut all = sorted(all);
    all.dedup();
    all
}

#[test]
fn a_job_that_was_suspended_with_a_savepoint_goes_on_elsewhere_with_other_parallelism() {
    let job = Counting::new(20_000, 20_000.0);
    let (mut restore, mut pieces) = (None, Vec::new());
    for (number, parallelism) in [2u32, 5, 1].into_iter().enumerate() {
        let (handle, rows) = job.start(&format!("/run-{number}"), parallelism, restore.as_deref());
        wait_for(&rows, 300);
        restore = Some(handle.stop_with_savepoint("/kept", false).unwrap());
        handle.wait().unwrap();
        assert!(rows.rows().iter().all(|(_, value)| *value < TOTAL), "nothing fires early");
        pieces.push(rows);
    }
    let (handle, rows) = job.start("/last", 3, restore.as_deref());
    handle.wait().unwrap();
    pieces.push(rows);
    assert_eq!(all(&pieces.iter().collect::<Vec<_>>()), job.expected());
}

#[test]
fn a_running_job_is_rescaled_again_and_again_with_identical_results() {
    let job = Counting::new(20_000, 10_000.0);
    let (handle, rows) = job.start("/checkpoints", 2, None);
    wait_for(&rows, 300);
    for parallelism in [5, 1, 3] {
        handle.rescale(parallelism).unwrap();
        assert_eq!(handle.state(), JobState::Running);
        let seen = rows.rows().len();
        wait_for(&rows, seen + 100);
        assert_eq!(handle.status().parallelism, parallelism);
    }
    handle.wait().unwrap();
    assert_eq!(all(&[&rows]), job.expected());
}

#[test]
fn a_rescale_that_cannot_be_is_refused_and_disturbs_nothing() {
    let job = Counting::new(3_000, 3_000.0);
    let environment = job.environment("/checkpoints", 2, None);
    let rows = job.describe(&environment, "number");
    let handle = environment.start("counting").unwrap();
    wait_for(&rows, 10);
    for (parallelism, words) in [(0, "divided over"), (129, "128 key groups")] {
        let error = handle.rescale(parallelism).unwrap_err();
        assert!(error.message().contains(words), "{}", error.report());
    }
    handle.wait().unwrap();
    assert_eq!(all(&[&rows]), job.expected());

    let environment = Environment::new();
    let numbers = DataGenerator::new(|index| index).with_rate_per_second(100.0);
    environment.from_generator(numbers, WatermarkStrategy::no_watermarks()).collect_now();
    let handle = environment.start("without").unwrap();
    assert!(handle.rescale(2).unwrap_err().message().contains("keeps no checkpoints"));
    assert!(handle.trigger_savepoint("/kept").unwrap_err().message().contains("keeps no checkpoints"));
    handle.cancel();
    let _ = handle.wait();
}

#[test]
fn a_savepoint_of_a_running_job_outlives_it_and_all_its_checkpoints() {
    let job = Counting::new(6_000, 6_000.0);
    let (handle, rows) = job.start("/checkpoints", 2, None);
    wait_for(&rows, 500);
    let path = handle.trigger_savepoint("/kept").unwrap();
    let second = handle.trigger_savepoint("/kept").unwrap();
    assert!(path.starts_with("/kept/savepoint-counting-") && second != path, "{path} {second}");
    handle.wait().unwrap();
    assert_eq!(all(&[&rows]), job.expected(), "the job does not notice");
    // Nothing of the job is left but the savepoint, and that is somewhere else.
    let moved = Counting::new(6_000, 50_000.0);
    moved.files.create_dir_all(Path::new("/moved/here")).unwrap();
    for entry in job.files.list(Path::new(&path)).unwrap() {
        let bytes = job.files.read(&Path::new(&path).join(&entry.name)).unwrap();
        let mut file = moved.files.create_new(&Path::new("/moved/here").join(&entry.name)).unwrap().unwrap();
        file.write(&bytes).unwrap();
    }
    let (handle, rows) = moved.start("/checkpoints", 3, Some("/moved/here"));
    handle.wait().unwrap();
    let again = rows.rows();
    let totals = sorted(again.iter().copied().filter(|(_, value)| *value > TOTAL).collect());
    assert_eq!(totals, job.totals());
    assert!(again.len() < job.expected().len(), "it did not begin at the beginning");
}

#[test]
fn draining_fires_what_is_open_and_is_the_end() {
    let job = Counting::new(1_000_000, 3_000.0);
    let (handle, rows) = job.start("/checkpoints", 2, None);
    wait_for(&rows, 100);
    let path = handle.stop_with_savepoint("/kept", true).unwrap();
    handle.wait().unwrap();
    let drained = rows.rows();
    let numbered = drained.iter().filter(|(_, value)| *value < TOTAL).count() as u64;
    let totals: Vec<_> = drained.iter().filter(|(_, value)| *value > TOTAL).collect();
    assert_eq!(totals.len() as u64, KEYS.min(numbered));
    assert_eq!(totals.iter().map(|(_, value)| value - TOTAL).sum::<u64>(), numbered);
    let (handle, rows) = job.start("/again", 1, Some(&path));
    handle.wait().unwrap();
    assert!(rows.rows().iter().all(|row| drained.contains(row)), "there is nothing to go on with");
}

#[test]
fn a_claimed_savepoint_goes_when_the_job_has_a_checkpoint_and_any_other_stays() {
    for claims in [false, true] {
        let job = Counting::new(4_000, 8_000.0);
        let (handle, first) = job.start("/first", 2, None);
        wait_for(&first, 300);
        let path = handle.stop_with_savepoint("/kept", false).unwrap();
        handle.wait().unwrap();
        let mut environment = job.environment("/second", 3, Some(&path));
        let mode = if claims { "CLAIM" } else { "NO_CLAIM" };
        environment.options_mut().set("execution.state-recovery.claim-mode", mode).unwrap();
        let second = job.describe(&environment, "number");
        environment.start("counting").unwrap().wait().unwrap();
        assert_eq!(all(&[&first, &second]), job.expected());
        assert_eq!(job.files.exists(Path::new(&path)).unwrap(), !claims);
    }
}

#[test]
fn started_again_with_the_same_words_a_job_goes_on_from_its_own_checkpoints() {
    let job = Counting::new(12_000, 12_000.0);
    let (handle, first) = job.start("/first", 2, None);
    wait_for(&first, 300);
    let path = handle.stop_with_savepoint("/kept", false).unwrap();
    handle.wait().unwrap();
    let mut pieces = vec![first];
    for _ in 0..2 {
        let (handle, rows) = job.start("/second", 2, Some(&path));
        wait_for(&rows, 300);
        handle.stop(eddyline::StopMode::Suspend);
        handle.wait().unwrap();
        pieces.push(rows);
    }
    let (handle, rows) = job.start("/second", 2, Some(&path));
    handle.wait().unwrap();
    pieces.push(rows);
    assert_eq!(all(&pieces.iter().collect::<Vec<_>>()), job.expected());
}

#[test]
fn what_cannot_be_restored_says_so_before_anything_runs() {
    let job = Counting::new(50_000, 5_000.0);
    let (handle, rows) = job.start("/first", 1, None);
    wait_for(&rows, 300);
    let path = handle.stop_with_savepoint("/kept", false).unwrap();
    handle.wait().unwrap();
    let part = Path::new(&path).join("part-0");
    let complete = Path::new(&path).join("COMPLETE");
    let failure = |restore: &str, uid: &str, directory: &str| {
        let environment = job.environment(directory, 1, Some(restore));
        let rows = job.describe(&environment, uid);
        let error = environment.start("counting").unwrap().wait().unwrap_err();
        assert_eq!(rows.rows(), []);
        error.report()
    };
    let said = failure("/kept/nothing", "number", "/a");
    assert!(said.contains("nothing is kept there") && said.contains("/kept/nothing"), "{said}");
    let said = failure(&path, "other", "/b");
    assert!(said.contains("no operator takes the state of uid"), "{said}");
    job.files.damage(&complete, 20).unwrap();
    let said = failure(&path, "number", "/c");
    assert!(said.contains("checksum"), "{said}");
    job.files.damage(&complete, 20).unwrap();
    let length = job.files.length(&part).unwrap();
    let bytes = job.files.read(&part).unwrap();
    job.files.truncate(&part, length - 1).unwrap();
    let said = failure(&path, "number", "/d");
    assert!(said.contains("too short") && said.contains("part-0"), "{said}");
    job.files.remove(&part).unwrap();
    let said = failure(&path, "number", "/e");
    assert!(said.contains("part-0"), "{said}");
    let mut file = job.files.create_new(&part).unwrap().unwrap();
    file.write(&bytes).unwrap();
    // Whole again, it can be used.
    let (handle, rows) = job.start("/f", 2, Some(&path));
    wait_for(&rows, 10);
    handle.cancel();
    let _ = handle.wait();
}

#[test]
fn a_job_is_not_stopped_for_a_savepoint_that_cannot_be_written() {
    let job = Counting::new(3_000, 3_000.0);
    let (handle, rows) = job.start("/checkpoints", 2, None);
    wait_for(&rows, 100);
    let error = handle.stop_with_savepoint("gopher://kept", false).unwrap_err();
    assert!(error.message().contains("gopher"), "{}", error.report());
    let error = handle.trigger_savepoint("memory://").unwrap_err();
    assert!(error.message().contains("not complete"), "{}", error.report());
    assert_eq!(handle.state(), JobState::Running);
    handle.wait().unwrap();
    assert_eq!(all(&[&rows]), job.expected());
}

#[test]
fn a_disk_that_is_full_or_fails_costs_the_savepoint_and_not_the_job() {
    let job = Counting::new(6_000, 3_000.0);
    let (handle, rows) = job.start("/checkpoints", 2, None);
    wait_for(&rows, 200);
    let capacity_bytes = Some(1);
    for faults in [
        FaultPlan { capacity_bytes, ..FaultPlan::default() },
        FaultPlan { fail_every: Some(3), ..FaultPlan::default() },
    ] {
        job.files.set_faults(faults);
        let error = handle.trigger_savepoint("/kept").unwrap_err();
        assert!(error.hint().is_some(), "{}", error.report());
        job.files.set_faults(FaultPlan::default());
    }
    let path = handle.trigger_savepoint("/kept").unwrap();
    assert!(job.files.exists(&Path::new(&path).join("COMPLETE")).unwrap());
    handle.wait().unwrap();
    assert_eq!(all(&[&rows]), job.expected());
}
