//! What queries give does not depend on how they are run.
//!
//! Queries are generated over generated tables without late rows: a changelog, rows with NULLs, and rows in time. Each
//! gives in streaming mode, at the end of input, what it gives in batch mode, at any parallelism and batch size; and what
//! it writes is the same if it fails on the way and goes on from a checkpoint.

mod faults;
mod generate;

use eddyline::Options;
use eddyline_sql::{OutputFormat, Session, SqlMode};
use faults::FailsOnce;
use generate::{Data, relation};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const CASES: u32 = 40;
/// Each waits for many writes to the disk.
const CASES_WITH_FAULTS: u32 = 12;

fn config(cases: u32) -> Config {
    // The same cases in every run; other ones are had by another seed.
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(20_240_301), ..Config::default() }
}

fn session(mode: SqlMode, options: Options, parallelism: u32) -> Session {
    let mut session = Session::with_options(options);
    session.set_mode(mode);
    session.set_option("parallelism.default", &parallelism.to_string()).expect("a parallelism");
    session.set_option("table.local-time-zone", "UTC").expect("a time zone");
    session
}

/// The last query's final rows, sorted.
fn rows(session: &mut Session, script: &str) -> Vec<String> {
    let mut out = Vec::new();
    if let Err(error) = session.run_script(script, OutputFormat::Json, &mut out) {
        panic!("{}\n{script}", error.report());
    }
    let mut rows: Vec<String> = String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

fn with_batches(batch_rows: usize) -> Options {
    let mut options = Options::default();
    options.runtime.batch_rows = batch_rows;
    options
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn streaming_ends_with_what_batch_gives(
        data in Data::any(),
        query in relation(),
        batch_rows in prop_oneof![Just(1_usize), Just(3), Just(1024)],
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let script = format!("{}{query};", data.tables(folder.path()));
        let batch = rows(&mut session(SqlMode::Batch, Options::default(), 1), &script);
        for parallelism in 1..=3 {
            let found = rows(&mut session(SqlMode::Streaming, with_batches(batch_rows), parallelism), &script);
            prop_assert_eq!(&found, &batch, "streaming, {} workers, {} rows a batch: {}", parallelism, batch_rows, query);
        }
        let found = rows(&mut session(SqlMode::Batch, with_batches(batch_rows), 2), &script);
        prop_assert_eq!(&found, &batch, "batch, 2 workers: {}", query);
    }
}

/// Attempts that went on from a checkpoint, of all cases.
static RESTORED: AtomicU64 = AtomicU64::new(0);

fn goes_on_after_a_failure(
    data: &Data,
    query: &str,
    accesses: u64,
    parallelism: u32,
) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let tables = data.tables(folder.path());
    let expected =
        rows(&mut session(SqlMode::Streaming, Options::default(), 1), &format!("{tables}{query};"));
    let checkpoints = folder.path().join("checkpoints");
    let mut options = with_batches(2);
    for (key, value) in [
        ("execution.checkpointing.dir", checkpoints.display().to_string()),
        ("execution.checkpointing.interval", "5 ms".to_owned()),
        ("restart-strategy.type", "fixed-delay".to_owned()),
        ("restart-strategy.fixed-delay.attempts", "3".to_owned()),
        ("restart-strategy.fixed-delay.delay", "0 ms".to_owned()),
    ] {
        options.set(key, &value).expect("an option");
    }
    let backend = Arc::new(FailsOnce::after(accesses, &checkpoints));
    options.runtime.services.insert(Arc::new(eddyline_runtime::StateBackendService(backend.clone())));
    let written = folder.path().join("written").display().to_string();
    let sink = format!(
        "CREATE TABLE written (k INT, v BIGINT) WITH ('connector' = 'filesystem', 'format' = 'debezium-json', \
         'path' = '{written}');"
    );
    rows(
        &mut session(SqlMode::Streaming, options, parallelism),
        &format!("{tables}{sink}INSERT INTO written {query};"),
    );
    RESTORED.fetch_add(u64::from(backend.restored()), Ordering::Relaxed);
    let found =
        rows(&mut session(SqlMode::Batch, Options::default(), 1), &format!("{sink}SELECT * FROM written;"));
    prop_assert_eq!(found, expected, "{} workers, {} accesses: {}", parallelism, accesses, query);
    Ok(())
}

#[test]
fn a_job_that_fails_on_the_way_writes_the_same() {
    let mut runner = proptest::test_runner::TestRunner::new(config(CASES_WITH_FAULTS));
    let cases = (Data::any(), relation(), 1..400_u64, 1..=2_u32);
    let outcome = runner.run(&cases, |(data, query, accesses, parallelism)| {
        goes_on_after_a_failure(&data, &query, accesses, parallelism)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let restored = RESTORED.load(Ordering::Relaxed);
    assert!(restored >= 1, "only {restored} jobs went on from a checkpoint");
}
