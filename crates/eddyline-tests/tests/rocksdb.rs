//! State that is larger than memory, its files lost or damaged on the way, restores from one backend into the other, and
//! scripts in SQL.
#![allow(clippy::unwrap_used)] // a helper of a test fails as the test does

use eddyline::{
    CollectHandle, Collector, DataGenerator, Environment, KeyedContext, KeyedOpenContext,
    KeyedProcessFunction, ListState, Options, RestartStrategy, Result, ValueState, WatermarkStrategy,
};
use eddyline_catalogue::{CATALOGUE, Input};
use eddyline_sql::{OutputFormat, Session};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

const KEYS: u64 = 40_000;
const ROUNDS: u64 = 3;
/// What is remembered of a record, bytes.
const REMEMBERED: usize = 500;
/// A third of what the state needs.
const MEMORY_BYTES: usize = 24 << 20;

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
        seen.add(format!("{number:0REMEMBERED$}"));
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

/// Lets the job take checkpoints and begin again after failures.
fn survive(environment: &mut Environment, directory: &Path) {
    let mut options = environment.options_mut();
    options.runtime.checkpoint_dir = Some(directory.join("checkpoints"));
    options.runtime.checkpoints.interval_ms = Some(50);
    options.runtime.checkpoints.tolerable_failed_checkpoints = 100;
    options.runtime.restart = Some(RestartStrategy::FixedDelay { attempts: 5, delay_ms: 1 });
}

type Row = (u64, u64, usize);

/// Describes the job; `on_record` sees each record before its state does.
fn describe(
    environment: &Environment,
    numbers: DataGenerator<u64>,
    on_record: impl Fn(u64) + Clone + Send + Sync + 'static,
) -> CollectHandle<Row> {
    environment
        .from_generator(numbers, WatermarkStrategy::no_watermarks())
        .uid("numbers")
        .map(move |number| {
            on_record(number);
            number
        })
        .key_by(|number| number % KEYS)
        .process(Remember::default)
        .uid("remember")
        .collect()
}

fn numbers() -> DataGenerator<u64> {
    DataGenerator::new(|index| index).with_count(KEYS * ROUNDS)
}

fn run(
    environment: &Environment,
    on_record: impl Fn(u64) + Clone + Send + Sync + 'static,
) -> Result<Vec<Row>> {
    let remembered = describe(environment, numbers(), on_record);
    environment.execute("remember")?;
    Ok(sorted(remembered.rows()))
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_unstable();
    rows
}

fn expected() -> Vec<Row> {
    (0..KEYS).map(|key| (key, ROUNDS, REMEMBERED * ROUNDS as usize)).collect()
}

/// Runs the job, lets `harm` do something to each worker's database when a third of the records is read, and expects
/// that nothing is lost or doubled.
fn harmed(harm: impl Fn(&Path) + Clone + Send + Sync + 'static) {
    let directory = tempfile::tempdir().unwrap();
    let mut environment = environment("rocksdb", directory.path());
    survive(&mut environment, directory.path());
    let state = directory.path().join("state");
    let is_harmed = Arc::new(AtomicBool::new(false));
    let was_harmed = is_harmed.clone();
    let rows = run(&environment, move |number| {
        if number == KEYS && !is_harmed.swap(true, Ordering::SeqCst) {
            for process in std::fs::read_dir(&state).unwrap() {
                for database in std::fs::read_dir(process.unwrap().path()).unwrap() {
                    harm(&database.unwrap().path());
                }
            }
        }
    });
    assert_eq!(rows.unwrap(), expected());
    assert!(was_harmed.load(Ordering::SeqCst));
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
    harmed(|database| std::fs::remove_dir_all(database).unwrap());
}

#[test]
fn a_job_whose_state_files_are_damaged_goes_on_from_its_checkpoint() {
    harmed(|database| {
        for file in std::fs::read_dir(database).unwrap().map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|extension| extension == "sst") {
                let length = std::fs::metadata(&file).unwrap().len() as usize;
                std::fs::write(&file, vec![0xAA; length]).unwrap();
            }
        }
    });
}

#[test]
fn savepoints_go_from_one_backend_to_the_other_at_any_parallelism() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept").to_string_lossy().into_owned();
    let (mut restore, mut rows) = (None::<String>, Vec::new());
    let starts =
        [("hashmap", 1, KEYS / 2), ("rocksdb", 3, KEYS), ("hashmap", 2, KEYS * 2), ("rocksdb", 1, 0)];
    for (number, (backend, parallelism, stop_at)) in starts.into_iter().enumerate() {
        let mut environment = environment(backend, directory.path());
        survive(&mut environment, &directory.path().join(number.to_string()));
        environment.set_parallelism(parallelism);
        {
            let mut options = environment.options_mut();
            if backend == "hashmap" {
                options.runtime.memory_bytes = 20 * MEMORY_BYTES;
            }
            if let Some(path) = &restore {
                options.set("execution.state-recovery.path", path).unwrap();
            }
        }
        let (reached, is_reached) = channel();
        let piece = describe(&environment, numbers().with_rate_per_second(30_000.0), move |number| {
            if stop_at > 0 && number >= stop_at {
                let _ = reached.send(());
            }
        });
        let handle = environment.start("remember").unwrap();
        if stop_at > 0 {
            is_reached.recv().unwrap();
            restore = Some(handle.stop_with_savepoint(&kept, false).unwrap());
        }
        handle.wait().unwrap();
        rows.extend(piece.rows());
    }
    // What the last checkpoint of one start has shown is shown again by the next.
    let mut rows = sorted(rows);
    rows.dedup();
    assert_eq!(rows, expected());
}

#[test]
fn a_job_with_rocksdb_is_rescaled_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mut environment = environment("rocksdb", directory.path());
    survive(&mut environment, directory.path());
    environment.set_parallelism(2);
    let (reached, is_reached) = channel();
    let rows = describe(&environment, numbers().with_rate_per_second(30_000.0), move |number| {
        let _ = reached.send(number);
    });
    let handle = environment.start("remember").unwrap();
    for (parallelism, reached_at) in [(5, KEYS / 2), (1, KEYS), (3, KEYS * 3 / 2)] {
        while is_reached.recv().unwrap() < reached_at {}
        handle.rescale(parallelism).unwrap();
        let databases = std::fs::read_dir(directory.path().join("state")).unwrap();
        let databases = databases.map(|process| std::fs::read_dir(process.unwrap().path()).unwrap().count());
        assert_eq!(databases.sum::<usize>(), parallelism as usize, "one for each worker, and no older ones");
    }
    handle.wait().unwrap();
    assert_eq!(sorted(rows.rows()), expected());
}

#[test]
fn every_job_of_the_catalogue_gives_the_same_with_next_to_nothing_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    for job in CATALOGUE {
        for (parallelism, batch_rows) in [(1, 4096), (3, 2)] {
            let mut options = Options::default();
            options.set("state.backend.type", "rocksdb").unwrap();
            options.set("state.backend.rocksdb.localdir", &directory.path().to_string_lossy()).unwrap();
            options.set("state.backend.rocksdb.memory.resident", "1 kb").unwrap();
            options.parallelism = parallelism;
            options.runtime.batch_rows = batch_rows;
            let seed = 90 + batch_rows as u64;
            let input = Input {
                seed,
                splits: 3,
                records: 60,
                keys: 5,
                disorder_ms: 40,
                rows_per_poll: 7,
                pace_ms: 0,
            };
            let environment = Environment::with_options(options);
            let lines = (job.describe)(&environment, &input).collect();
            environment.execute(job.name).unwrap_or_else(|error| panic!("{}: {error:?}", job.name));
            job.judge(&input, &lines.rows()).unwrap();
        }
    }
}

/// Aggregates that change, a join of them, the best of each group, sums of the past, a join by time, and sessions.
const QUERIES: [&str; 6] = [
    "SELECT c, COUNT(*) AS n FROM (SELECT k, COUNT(*) AS c, MAX(v) AS m FROM t GROUP BY k) GROUP BY c",
    "SELECT a.k, a.s, b.n FROM (SELECT k, SUM(v) AS s FROM t GROUP BY k) AS a \
     LEFT JOIN (SELECT k, COUNT(*) AS n FROM t WHERE v > 400 GROUP BY k) AS b ON a.k = b.k",
    "SELECT k, v FROM (SELECT k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, ts) AS r FROM t) WHERE r <= 2",
    "SELECT k, ts, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS s FROM t",
    "SELECT a.k, a.v, b.v AS w FROM t AS a, t AS b WHERE a.k = b.k AND a.v < b.v \
     AND a.ts BETWEEN b.ts - INTERVAL '200' SECOND AND b.ts",
    "SELECT k, window_start, COUNT(*) AS n FROM \
     TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '300' SECOND)) GROUP BY k, window_start, window_end",
];

/// What the query shows, sorted.
fn queried(backend: &str, directory: &Path, query: &str) -> Result<Vec<String>> {
    let script = format!(
        "SET 'state.backend.type' = '{backend}';
         SET 'state.backend.rocksdb.localdir' = '{}';
         SET 'state.backend.rocksdb.memory.resident' = '2 kb';
         SET 'table.local-time-zone' = 'UTC';
         CREATE TABLE t (k INT, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
             WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         {query};",
        directory.join("state").display(),
        directory.join("t.csv").display(),
    );
    let mut shown = Vec::new();
    Session::new().run_script(&script, OutputFormat::Json, &mut shown)?;
    let mut rows: Vec<String> = String::from_utf8(shown).unwrap().lines().map(str::to_owned).collect();
    rows.sort_unstable();
    Ok(rows)
}

#[test]
fn scripts_in_sql_give_the_same_rows_with_rocksdb() {
    let directory = tempfile::tempdir().unwrap();
    let line = |number: u64| {
        let (key, value) = (number * number % 401, number * 104_729 % 997);
        let (hour, minute, second) = (number / 3_600, number / 60 % 60, number % 60);
        format!("{key},{value},2024-03-01 {hour:02}:{minute:02}:{second:02}\n")
    };
    std::fs::write(directory.path().join("t.csv"), (0..5_000).map(line).collect::<String>()).unwrap();
    for query in QUERIES {
        let expected = queried("hashmap", directory.path(), query).unwrap();
        assert!(!expected.is_empty(), "{query}");
        assert_eq!(queried("rocksdb", directory.path(), query).unwrap(), expected, "{query}");
    }
    // Where no database can be made, only one of the two goes on.
    std::fs::remove_dir_all(directory.path().join("state")).unwrap();
    std::fs::write(directory.path().join("state"), "in the way").unwrap();
    assert!(queried("hashmap", directory.path(), QUERIES[0]).is_ok());
    let refused = queried("rocksdb", directory.path(), QUERIES[0]).unwrap_err();
    assert!(refused.to_string().contains("state"), "{refused}");
}
