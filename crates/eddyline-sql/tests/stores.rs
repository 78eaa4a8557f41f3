//! Queries give the same rows when nearly all of their state is in stores: each access brings it in and pushes it out.

mod corpus;

use corpus::{tables_of, values_of};
use eddyline::Options;
use eddyline_runtime::StateBackendService;
use eddyline_sql::{OutputFormat, Session};
use eddyline_state::store::MemoryBackend;
use std::path::Path;
use std::sync::Arc;

/// What each state may have in memory, bytes: next to nothing.
const RESIDENT_BYTES: usize = 200;
const BATCH_ROWS: usize = 7;

/// The final rows of `query`, sorted, sums of doubles rounded: their last bits depend on the order in which rows come, which
/// nobody promises. Or its error.
fn run(query: &str, has_stores: bool) -> Result<Vec<String>, String> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flink/data");
    let script = format!("{}{query}", tables_of(query));
    let script = script.replace("${DATA}", &data.display().to_string());
    let mut options = Options::default();
    options.runtime.batch_rows = BATCH_ROWS;
    if has_stores {
        let backend = StateBackendService(Arc::new(MemoryBackend::new(RESIDENT_BYTES)));
        options.runtime.services.insert(Arc::new(backend));
    }
    let mut session = Session::with_options(options);
    session.set_option("table.local-time-zone", "UTC").expect("a time zone");
    let mut out = Vec::new();
    session.run_script(&script, OutputFormat::Json, &mut out).map_err(|error| error.report())?;
    let mut rows: Vec<String> = String::from_utf8(out).expect("UTF-8").lines().map(values_of).collect();
    rows.sort();
    Ok(rows)
}

#[test]
fn queries_give_the_same_with_next_to_nothing_in_memory() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flink/streaming");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a test");
        // Tables of their own are what other tests are about.
        if text.starts_with("-- tables: ") {
            continue;
        }
        let query = text.split_once("\n----\n").map_or(&*text, |(query, _)| query);
        let (stored, plain) = (run(query, true), run(query, false));
        if stored != plain || plain.is_err() {
            wrong.push(format!("{}: {stored:?} instead of {plain:?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
