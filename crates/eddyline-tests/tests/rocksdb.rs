//! State that is larger than memory, its directory lost on the way, and restores from one backend into the other.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use eddyline::{
    Collector, DataGenerator, Environment, KeyedContext, KeyedOpenContext, KeyedProcessFunction, ListState,
    RestartStrategy, Result, ValueState, WatermarkStrategy,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const KEYS: u64 = 30_000;
const ROUNDS: u64 = 3;
/// A third of what the state needs.
const MEMORY_BYTES: usize = 6 << 20;

/// Counts the records of each key, and keeps them all.
#[derive(Default)]
struct Remember {
    count: Option<ValueState<u64>>,
    seen: Option<ListState<String>>,
}

impl KeyedProcessFunction<u64, u64, (u64, u64, usize)> for Remember {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.count = Some(context.value_state("count")?);
        self.seen = Some(context.list_state("seen")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64, usize)>,
    ) -> Result<()> {
        let count = self.count.as_ref().unwrap();
        count.update(count.get().unwrap_or(0) + 1);
        let seen = self.seen.as_ref().unwrap();
        seen.add(format!("{number:0200}"));
        if number / KEYS == ROUNDS - 1 {
            let length = seen.with(|seen| seen.iter().map(String::len).sum());
            out.collect((*context.key(), count.get().unwrap_or(0), length));
        }
        Ok(())
    }
}

fn environment(backend: &str, directory: &Path) -> Environment {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        options.set("state.backend.type", backend).unwrap();
        options.set("state.backend.rocksdb.localdir", &directory.join("state").to_string_lossy()).unwrap();
        options.runtime.memory_bytes = MEMORY_BYTES;
    }
    environment
}

/// Runs the job; `on_record` sees each record before its state does.
fn run(
    environment: &Environment,
    on_record: impl Fn(u64) + Send + Sync + 'static,
) -> Result<Vec<(u64, u64, usize)>> {
    let numbers = DataGenerator::new(|index| index).with_count(KEYS * ROUNDS);
    let remembered = environment
        .from_generator(numbers, WatermarkStrategy::no_watermarks())
        .map(move |number| {
            on_record(number);
            number
        })
        .key_by(|number| number % KEYS)
        .process(Remember::default)
        .uid("remember")
        .collect();
    environment.execute("remember")?;
    let mut rows = remembered.rows();
    rows.sort_unstable();
    Ok(rows)
}

fn expected() -> Vec<(u64, u64, usize)> {
    (0..KEYS).map(|key| (key, ROUNDS, 200 * ROUNDS as usize)).collect()
}

#[test]
fn state_may_be_larger_than_memory_with_rocksdb_only() {
    let directory = tempfile::tempdir().unwrap();
    let error = run(&environment("hashmap", directory.path()), |_| {}).unwrap_err();
    assert!(error.to_string().contains("memory"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("state.backend.type=rocksdb")), "{error:?}");
    for parallelism in [1, 2] {
        let environment = environment("rocksdb", directory.path());
        environment.set_parallelism(parallelism);
        assert_eq!(run(&environment, |_| {}).unwrap(), expected());
    }
    let left: Vec<_> = std::fs::read_dir(directory.path().join("state")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_job_whose_state_directory_is_lost_goes_on_from_its_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let mut environment = environment("rocksdb", directory.path());
    {
        let mut options = environment.options_mut();
        options.runtime.checkpoint_dir = Some(directory.path().join("checkpoints"));
        options.runtime.checkpoints.interval_ms = Some(50);
        options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
        options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 5, delay_ms: 1 });
    }
    let state = directory.path().join("state");
    let lost = Arc::new(AtomicBool::new(false));
    let was_lost = lost.clone();
    let rows = run(&environment, move |number| {
        if number == KEYS && !lost.swap(true, Ordering::SeqCst) {
            for entry in std::fs::read_dir(&state).unwrap() {
                for database in std::fs::read_dir(entry.unwrap().path()).unwrap() {
                    std::fs::remove_dir_all(database.unwrap().path()).unwrap();
                }
            }
        }
    });
    assert_eq!(rows.unwrap(), expected());
    assert!(was_lost.load(Ordering::SeqCst));
}
