//! Queries with the results that Flink 2.3 gave for them, late rows and changelogs included.
//!
//! `flink/streaming` and `flink/batch` hold a script per file, a line `----`, and Flink's final rows of its last query as
//! JSON arrays, in any order. There are the tables of `flink/tables.sql`, or of `flink/NAME.sql` if the first line is
//! `-- tables: NAME`; a script may define its own over `${DATA}`, and write into `${OUT}`.

mod corpus;

use corpus::{tables_of, values_of};
use eddyline_sql::{OutputFormat, Session, SqlMode};
use std::path::Path;

/// Files with rows that may be late; each has a sorted twin.
const WITH_LATE_ROWS: [(&str, &str); 4] =
    [("orders", ".csv"), ("trades", ".csv"), ("clicks", ".json"), ("rates", ".csv")];

/// Which input a query gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    AsItIs,
    /// Tables with late rows replaced by their sorted twins.
    Sorted,
    /// Those, and watermarks a day behind: no row is late, whatever it takes its time from.
    Patient,
}

/// `script` with each watermark a day behind.
fn with_patience(script: &str) -> String {
    let mut patient = String::new();
    let mut rest = script;
    while let Some(place) = rest.find("WATERMARK FOR") {
        let begin = place + rest[place..].find(" AS ").expect("an expression") + 4;
        let (mut depth, mut end) = (0, begin);
        for (offset, letter) in rest[begin..].char_indices() {
            match letter {
                '(' => depth += 1,
                ')' | ',' | ';' if depth == 0 => {
                    end = begin + offset;
                    break;
                }
                ')' => depth -= 1,
                _ => {}
            }
        }
        patient.push_str(&format!("{}({}) - INTERVAL '1' DAY", &rest[..begin], &rest[begin..end]));
        rest = &rest[end..];
    }
    patient + rest
}

fn run(query: &str, mode: SqlMode, parallelism: &str, input: Input) -> Result<Vec<String>, String> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flink/data");
    let out = tempfile::tempdir().expect("a folder");
    let script = format!("{}{query}", tables_of(query));
    let mut script = script.replace("${DATA}", &data.display().to_string());
    script = script.replace("${OUT}", &out.path().display().to_string());
    if input == Input::Patient {
        script = with_patience(&script);
    }
    if input != Input::AsItIs {
        for (name, ending) in WITH_LATE_ROWS {
            script = script.replace(&format!("/{name}{ending}"), &format!("/{name}_sorted{ending}"));
        }
    }
    let mut session = Session::new();
    session.set_mode(mode);
    session.set_option("parallelism.default", parallelism).expect("a parallelism");
    session.set_option("table.local-time-zone", "UTC").expect("a time zone");
    let mut out = Vec::new();
    session.run_script(&script, OutputFormat::Json, &mut out).map_err(|error| error.report())?;
    let text = String::from_utf8(out).expect("UTF-8");
    let mut rows: Vec<String> = text.lines().map(values_of).collect();
    rows.sort();
    Ok(rows)
}

/// Of the programs that were made by chance, `name` ends with a number: a fourth of them is enough at two workers.
fn is_left_out(name: &str) -> bool {
    let generated = name.starts_with("program_") || name.starts_with("windows_");
    let number: String = name.chars().filter(char::is_ascii_digit).collect();
    generated && number.parse::<usize>().is_ok_and(|number| !number.is_multiple_of(4))
}

/// Compares with what Flink gave. At two workers whether a row is late depends on how far the other worker's watermark has
/// come. There one worker with sorted input is the reference; and where even then rows are late, which patience shows, both
/// are patient.
fn check(folder: &str, mode: SqlMode, parallelism: &str, skipped: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flink").join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        if skipped.contains(&name.as_str()) || (parallelism != "1" && is_left_out(&name)) {
            continue;
        }
        let text = std::fs::read_to_string(file).expect("a test");
        // Which rows of a second input are late, and which of equal rows is the first one, is certain at one worker only.
        if parallelism != "1" && text.starts_with("-- tables: ") {
            continue;
        }
        let (query, rows) = text.split_once("\n----\n").expect("a query and rows");
        let mut expected: Vec<String> = rows.lines().map(values_of).collect();
        expected.sort();
        let mut input = Input::AsItIs;
        if parallelism != "1" {
            let references = run(query, mode, "1", Input::Sorted)
                .and_then(|sorted| Ok((sorted, run(query, mode, "1", Input::Patient)?)));
            match references {
                Ok((sorted, patient)) if sorted == patient => (expected, input) = (sorted, Input::Sorted),
                Ok((_, patient)) => (expected, input) = (patient, Input::Patient),
                Err(error) => {
                    wrong.push(format!("{name}, one worker: {error}"));
                    continue;
                }
            }
        }
        match run(query, mode, parallelism, input) {
            Ok(found) if found == expected => {}
            Ok(found) => {
                let missing: Vec<&String> =
                    expected.iter().filter(|row| !found.contains(row)).take(3).collect();
                let more: Vec<&String> = found.iter().filter(|row| !expected.contains(row)).take(3).collect();
                wrong.push(format!(
                    "{name}: missing {missing:?}, more {more:?} ({} of {})",
                    found.len(),
                    expected.len()
                ));
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

#[test]
fn streaming_results_are_flinks() {
    check("streaming", SqlMode::Streaming, "1", &[]);
}

#[test]
fn batch_results_are_flinks() {
    check("batch", SqlMode::Batch, "1", &[]);
}

/// What depends on the order in which rows come at one instance is left out.
#[test]
fn two_workers_give_the_same_results() {
    check(
        "streaming",
        SqlMode::Streaming,
        "2",
        &["list_agg", "first_and_last_value", "list_agg_separator", "first_value", "nexmark_q9"],
    );
    check("batch", SqlMode::Batch, "2", &[]);
}
