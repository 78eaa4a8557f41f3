//! What the pages about SQL show is what happens: snippets that are marked ` ```sql run ` are run, in order, in one session per
//! page, and give what the ` ```json ` behind them says, or fail as the ` ```error ` behind them says.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect
#![cfg(feature = "sql")]

use eddyline_sql::{OutputFormat, Session, SqlMode, report};
use std::path::Path;

/// A part of a page between fences.
struct Fence {
    language: String,
    line: usize,
    text: String,
}

fn fences(page: &str) -> Vec<Fence> {
    let mut found: Vec<Fence> = Vec::new();
    let mut is_open = false;
    for (number, line) in page.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                let language = language.trim().to_owned();
                found.push(Fence { language, line: number + 1, text: String::new() });
            }
        } else if let Some(fence) = found.last_mut().filter(|_| is_open) {
            fence.text.push_str(line);
            fence.text.push('\n');
        }
    }
    found
}

/// The rows of a result, sorted if their order means nothing.
fn rows(shown: &str, is_ordered: bool) -> Vec<&str> {
    let mut rows: Vec<&str> = shown.lines().collect();
    if !is_ordered {
        rows.sort_unstable();
    }
    rows
}

/// Runs the snippets of a page; answers how many there were.
fn run(name: &str, page: &str) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().display().to_string();
    let mut session = Session::new();
    session.set_option("table.local-time-zone", "UTC").unwrap();
    let fences = fences(page);
    let mut count = 0;
    for (number, fence) in fences.iter().enumerate() {
        let mut words = fence.language.split_whitespace();
        if (words.next(), words.next()) != (Some("sql"), Some("run")) {
            continue;
        }
        count += 1;
        let is_batch = words.next() == Some("batch");
        let is_ordered = is_batch && fence.text.contains("ORDER BY");
        session.set_mode(if is_batch { SqlMode::Batch } else { SqlMode::Streaming });
        // Files of the snippets lie in a directory of their own.
        let script = fence.text.replace("'path' = '", &format!("'path' = '{place}/"));
        let mut shown = Vec::new();
        let outcome = session.run_script(&script, OutputFormat::Json, &mut shown);
        let shown = String::from_utf8(shown).unwrap();
        let expected =
            fences.get(number + 1).filter(|next| next.line == fence.line + fence.text.lines().count() + 2);
        let what = format!("{name}, line {}", fence.line);
        match (expected.map(|next| (next.language.as_str(), &next.text)), outcome) {
            (Some(("error", text)), Err(error)) => {
                assert_eq!(report(&error, &script, None), text.trim_end(), "{what}")
            }
            (_, Err(error)) => panic!("{what}: {}", report(&error, &script, None)),
            (Some(("error", _)), Ok(())) => panic!("{what}: does not fail"),
            (Some(("json", text)), Ok(())) => {
                assert_eq!(rows(&shown, is_ordered), rows(text, is_ordered), "{what}")
            }
            (_, Ok(())) => {}
        }
    }
    count
}

#[test]
fn snippets_give_what_the_pages_say() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sql");
    let mut count = 0;
    let mut paths: Vec<_> = std::fs::read_dir(pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let page = std::fs::read_to_string(path).unwrap();
        count += run(&path.file_name().unwrap().to_string_lossy(), &page);
    }
    assert!(count >= 18, "{count} snippets were run");
}
