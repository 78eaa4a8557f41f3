//! A job of SQL is killed again and again, each time after another checkpoint, and loses and doubles nothing.
//!
//! The job joins, aggregates and ranks a changelog and ranks within windows, and writes to files exactly once. It runs in
//! a process of its own: this program, started again for the one test `the_job_that_is_killed`.

use eddyline::Options;
use eddyline_sql::{OutputFormat, Session, SqlMode};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Kills in each run, if the job is not done before.
const KILLS: usize = 25;
const KILLS_MIN: usize = 20;
const CHANGES: u32 = 30_000;
const KEYS: u32 = 400;
const PLACE: &str = "EDDYLINE_KILL_PLACE";
const BACKEND: &str = "EDDYLINE_KILL_BACKEND";
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(2);

fn tables(place: &Path) -> String {
    let path = |name: &str| place.join(name).display().to_string();
    format!(
        "CREATE TABLE changes (id INT, k INT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH ('connector' = \
         'filesystem', 'path' = '{}', 'format' = 'debezium-json');
         CREATE TABLE names (k INT, name STRING) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         CREATE TABLE events (k INT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '2' SECOND) WITH \
         ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         CREATE TABLE best (name STRING, k INT, total BIGINT, place BIGINT) WITH ('connector' = 'filesystem', 'path' = \
         '{}', 'format' = 'debezium-json');
         CREATE TABLE windows (start_at TIMESTAMP(3), k INT, total BIGINT, place BIGINT) WITH ('connector' = \
         'filesystem', 'path' = '{}', 'format' = 'csv');",
        path("changes.json"),
        path("names.csv"),
        path("events.csv"),
        path("best"),
        path("windows"),
    )
}

const BEST: &str = "SELECT name, k, total, place FROM (SELECT n.name, c.k, c.total, ROW_NUMBER() OVER (PARTITION BY \
    n.name ORDER BY c.total DESC, c.k) AS place FROM (SELECT k, SUM(v) AS total FROM changes GROUP BY k) c JOIN names n ON \
    c.k = n.k) WHERE place <= 3";
const WINDOWS: &str = "SELECT window_start AS start_at, k, total, place FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY \
    window_start, window_end ORDER BY total DESC, k) AS place FROM (SELECT window_start, window_end, k, SUM(v) AS total \
    FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, \
    window_end, k)) WHERE place <= 2";

/// The number after `state`, in no order that anybody sees.
fn scramble(state: u32) -> u32 {
    state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

fn write_input(place: &Path) {
    let (mut changes, mut events) = (String::new(), String::new());
    let mut rows: Vec<Option<(u32, u32)>> = vec![None; KEYS as usize];
    let json = |id: u32, row: Option<(u32, u32)>| match row {
        Some((k, v)) => format!("{{\"id\":{id},\"k\":{k},\"v\":{v}}}"),
        None => "null".to_owned(),
    };
    let mut state = 1;
    for number in 0..CHANGES {
        state = scramble(state);
        let (id, drawn) = ((state >> 8) % KEYS, state >> 17);
        let before = rows[id as usize];
        let after = (before.is_none() || drawn % 5 > 0).then_some((drawn % 50, drawn % 1_000));
        let op = match (before, after) {
            (None, _) => "c",
            (_, None) => "d",
            _ => "u",
        };
        rows[id as usize] = after;
        let (old, new) = (json(id, before), json(id, after));
        writeln!(changes, "{{\"before\":{old},\"after\":{new},\"op\":\"{op}\"}}").expect("a line");
        let second = number / 10;
        let time = format!("2024-01-01 {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
        writeln!(events, "{},{},{time}", drawn % 20, drawn % 100).expect("a line");
    }
    let names: String = (0..50).map(|k| format!("{k},name {}\n", k % 7)).collect();
    for (name, text) in [("changes.json", changes), ("events.csv", events), ("names.csv", names)] {
        std::fs::write(place.join(name), text).expect("a file");
    }
}

fn run(script: &str, mode: SqlMode, options: Options) -> eddyline::Result<Vec<String>> {
    let mut session = Session::with_options(options);
    session.set_mode(mode);
    session.set_option("table.local-time-zone", "UTC")?;
    let mut out = Vec::new();
    session.run_script(script, OutputFormat::Json, &mut out)?;
    let mut rows: Vec<String> = String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect();
    rows.sort();
    Ok(rows)
}

#[test]
#[ignore = "started by the other tests, in processes that they kill"]
fn the_job_that_is_killed() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let mut options = Options::default();
    options.runtime.batch_rows = 16;
    let text = |name: &str| place.join(name).display().to_string();
    for (key, value) in [
        ("parallelism.default", "2".to_owned()),
        ("execution.checkpointing.dir", text("checkpoints")),
        ("execution.checkpointing.interval", "10 ms".to_owned()),
        ("execution.checkpointing.num-retained", "2".to_owned()),
        ("state.backend.type", std::env::var(BACKEND).expect("a backend")),
        ("state.backend.rocksdb.localdir", text("state")),
        ("state.backend.rocksdb.memory.resident", "2 kb".to_owned()),
    ] {
        options.set(key, &value).expect("an option");
    }
    let script = format!(
        "{}SET 'pipeline.name' = 'killed'; EXECUTE STATEMENT SET BEGIN INSERT INTO best {BEST}; INSERT INTO windows \
         {WINDOWS}; END;",
        tables(&place)
    );
    if let Err(error) = run(&script, SqlMode::Streaming, options) {
        panic!("{}", error.report());
    }
}

fn start(place: &Path, backend: &str) -> Child {
    let program = std::env::current_exe().expect("this program");
    let log = std::fs::File::options().create(true).append(true).open(place.join("log")).expect("a log");
    Command::new(program)
        .args(["--exact", "the_job_that_is_killed", "--ignored", "--nocapture"])
        .env(PLACE, place)
        .env(BACKEND, backend)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("a process")
}

/// The number of the newest complete checkpoint.
fn newest(place: &Path) -> Option<String> {
    let entries = std::fs::read_dir(place.join("checkpoints/killed")).into_iter().flatten().flatten();
    let complete = entries.map(|entry| entry.path()).filter(|path| path.join("COMPLETE").exists());
    complete.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).max()
}

/// Waits for a newer complete checkpoint than `before`; false if the job has ended instead.
fn goes_on(child: &mut Child, place: &Path, before: &Option<String>) -> bool {
    let until = Instant::now() + PATIENCE;
    while newest(place) <= *before {
        if child.try_wait().expect("a child").is_some() {
            return false;
        }
        assert!(Instant::now() < until, "no checkpoint: {}", said(place));
        std::thread::park_timeout(LOOK_AGAIN);
    }
    true
}

fn said(place: &Path) -> String {
    std::fs::read_to_string(place.join("log")).unwrap_or_default()
}

fn survives_kills(backend: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    write_input(place);
    let tables = tables(place);
    let final_rows = |query: &str| {
        run(&format!("{tables}{query};"), SqlMode::Batch, Options::default()).map_err(|error| error.report())
    };
    let mut kills = 0;
    let mut child = start(place, backend);
    while kills < KILLS {
        let before = newest(place);
        if !goes_on(&mut child, place, &before) {
            break;
        }
        child.kill().expect("a process to kill");
        child.wait().expect("its end");
        kills += 1;
        child = start(place, backend);
    }
    assert!(child.wait().expect("the end of the job").success(), "{}", said(place));
    assert!(kills >= KILLS_MIN, "the job was done after {kills} kills");
    assert_eq!(final_rows("SELECT * FROM best"), final_rows(BEST));
    assert_eq!(final_rows("SELECT * FROM windows"), final_rows(WINDOWS));
    assert!(final_rows("SELECT * FROM windows").is_ok_and(|rows| rows.len() > 100));
}

#[test]
#[ignore = "kills processes; cargo xtask test runs it"]
fn a_job_of_sql_survives_kills() {
    survives_kills("hashmap");
}

#[test]
#[ignore = "kills processes; cargo xtask test runs it"]
fn a_job_of_sql_with_state_on_disk_survives_kills() {
    // Only where it is built in.
    let mut options = Options::default();
    options.set("state.backend.type", "rocksdb").expect("an option");
    if options.job_options().is_ok() {
        survives_kills("rocksdb");
    }
}
