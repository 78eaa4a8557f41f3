//! Bounded data in files, as a job and by the system's own tools: words counted, lines sorted.
//!
//! Input is generated from a seed and kept beside the program, so that a second run does not write it again.

use crate::bid::mixed;
use crate::figures::{self, Settings};
use crate::usage::Stopwatch;
use eddyline::dataset::SortBy;
use eddyline::{Collector, Environment, NodeSpec, WatermarkStrategy};
use eddyline_connectors::files::{Line, LineContent, LineOutput, TextFiles};
use eddyline_connectors::sink::FileSink;
use eddyline_core::{Batch, Error, Result};
use eddyline_runtime::{Operator, OperatorContext, Stateful};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Distinct words.
const WORDS: f64 = 100_000.0;
/// Words on a line.
const WORDS_PER_LINE: u64 = 12;
/// The length of a line that is sorted, with its end.
const LINE_BYTES: usize = 100;
/// The part of such a line that is drawn at random.
const KEY_BYTES: usize = 16;

fn failed(what: &str, error: &std::io::Error) -> Error {
    Error::storage(format!("{what}: {error}"))
}

/// The folder that holds the input.
fn folder(settings: &Settings) -> PathBuf {
    let folder = settings.word("folder");
    if folder.is_empty() { std::env::temp_dir().join("eddyline-bench") } else { PathBuf::from(folder) }
}

/// The input of that name and size, written if it is not there.
fn input(
    settings: &Settings,
    write: impl Fn(&mut BufWriter<File>, u64) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let bytes = settings.number("bytes", 1 << 20)?;
    let path = folder(settings).join(format!("{}-{bytes}.txt", settings.word("task")));
    let make = || {
        std::fs::create_dir_all(folder(settings))?;
        let unfinished = path.with_extension("unfinished");
        let mut file = BufWriter::new(File::create(&unfinished)?);
        write(&mut file, bytes)?;
        file.into_inner()?.sync_all()?;
        std::fs::rename(unfinished, &path)
    };
    if !path.exists() {
        make().map_err(|error| failed("the input cannot be written", &error))?;
    }
    Ok(path)
}

/// Words as frequent as in a language: the n-th most frequent one is drawn with a probability like 1 / n.
fn write_words(file: &mut BufWriter<File>, bytes: u64) -> std::io::Result<()> {
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        let mut line = String::new();
        for _ in 0..WORDS_PER_LINE {
            let drawn = mixed(number) as f64 / u64::MAX as f64;
            let rank = (drawn * WORDS.ln()).exp() as u64;
            line.push_str(&format!("w{rank:x} "));
            number += 1;
        }
        line.push('\n');
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    Ok(())
}

/// Lines of [`LINE_BYTES`] bytes in any order.
fn write_lines(file: &mut BufWriter<File>, bytes: u64) -> std::io::Result<()> {
    for number in 0..bytes / LINE_BYTES as u64 {
        let key = format!("{:016x}", mixed(number));
        writeln!(file, "{key}{}", "x".repeat(LINE_BYTES - KEY_BYTES - 1))?;
    }
    Ok(())
}

fn environment(settings: &Settings) -> Result<Environment> {
    let mut environment = Environment::new();
    {
        let mut options = environment.options_mut();
        let workers = settings.number("workers", 2)?;
        options.parallelism = workers as u32;
        options.runtime.memory_bytes = ((settings.number("memory_mib", 512)? / workers) << 20) as usize;
        options.tmp_dirs = vec![folder(settings)];
    }
    Ok(environment)
}

fn whole_line(line: Line<'_>, out: &mut LineOutput<'_, '_, String>) {
    if let LineContent::Whole(bytes) = line.content {
        out.emit(String::from_utf8_lossy(bytes).into_owned());
    }
}

/// Tells how many distinct words there are and how often all of them.
struct WordSink {
    words: u64,
    total: u64,
}

impl Stateful for WordSink {}

impl Operator for WordSink {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        for record in batch.take_rows::<(String, u64)>()? {
            self.words += 1;
            self.total += record.value.1;
        }
        Ok(())
    }

    fn close(&mut self) {
        figures::print("words", self.words as f64);
        figures::print("counted", self.total as f64);
    }
}

fn count_words(settings: &Settings) -> Result<()> {
    let path = input(settings, write_words)?;
    if settings.word("tool") == "awk" {
        let program = "{for (i = 1; i <= NF; i++) count[$i]++} \
                       END {for (word in count) {words++; total += count[word]}; print words, total}";
        let stopwatch = Stopwatch::start()?;
        let said = tool(Command::new("awk").arg(program).arg(&path))?;
        stopwatch.print()?;
        let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [words, total] = numbers[..] else {
            return Err(Error::internal(format!("awk said `{said}` instead of two numbers")));
        };
        figures::print("words", words);
        figures::print("counted", total);
        return Ok(());
    }
    let stopwatch = Stopwatch::start()?;
    let environment = environment(settings)?;
    let files = TextFiles::new([&path]);
    let source = move || files.parse_with(whole_line);
    let lines = environment.from_source("lines", source, WatermarkStrategy::no_watermarks()).bounded();
    let words = lines.flat_map(|line: String, out: &mut Collector<String>| {
        line.split_ascii_whitespace().for_each(|word| out.collect(word.to_owned()));
    });
    let counts = words.group_by(|word| word.clone()).count().into_stream();
    counts.add_sink_operator(NodeSpec::named("words"), || WordSink { words: 0, total: 0 });
    environment.execute("words")?;
    stopwatch.print()
}

fn sort_lines(settings: &Settings) -> Result<()> {
    let path = input(settings, write_lines)?;
    let memory_mib = settings.number("memory_mib", 512)?;
    let out = folder(settings).join(format!("sorted-{}", std::process::id()));
    std::fs::create_dir_all(&out).map_err(|error| failed("no folder for the output", &error))?;
    let stopwatch = Stopwatch::start()?;
    if settings.word("tool") == "sort" {
        let mut sort = Command::new("sort");
        sort.env("LC_ALL", "C").arg(format!("--buffer-size={memory_mib}M")).arg("--parallel=2");
        tool(sort.arg("-T").arg(folder(settings)).arg("-o").arg(out.join("sorted")).arg(&path))?;
    } else {
        let environment = environment(settings)?;
        let files = TextFiles::new([&path]);
        let source = move || files.parse_with(whole_line);
        let lines = environment.from_source("lines", source, WatermarkStrategy::no_watermarks()).bounded();
        let sorted = lines.sort_by(SortBy::comparing(String::cmp)).into_stream();
        let write = |line: &String, out: &mut Vec<u8>| {
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
        };
        let sink = FileSink::new(&out, write);
        sorted.add_sink_operator(NodeSpec::named("file"), move || sink.operator());
        environment.execute("sort")?;
    }
    stopwatch.print()?;
    let lines = check_sorted(&out).map_err(|error| failed("the output cannot be read", &error));
    std::fs::remove_dir_all(&out).map_err(|error| failed("the output cannot be removed", &error))?;
    figures::print("counted", lines? as f64);
    Ok(())
}

/// How many lines all files of a folder have, each of which must be sorted in itself.
fn check_sorted(folder: &Path) -> std::io::Result<u64> {
    let mut lines = 0;
    for entry in std::fs::read_dir(folder)? {
        let mut before = String::new();
        for line in BufReader::new(File::open(entry?.path())?).lines() {
            let line = line?;
            if line < before {
                return Err(std::io::Error::other(format!("`{line}` comes after `{before}`")));
            }
            before = line;
            lines += 1;
        }
    }
    Ok(lines)
}

/// Runs one of the system's tools and answers what it printed.
fn tool(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| failed("a tool cannot be run", &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::internal(format!("a tool failed ({})", output.status)).with_detail(said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs what `settings` say (`task=words` or `task=sort`, `tool=` for one of the system, `bytes=`, `memory_mib=`,
/// `workers=`, `folder=`) and tells `cpu_ns`, `wall_ns`, `counted`.
///
/// # Errors
/// If the job or the tool fails, or its output is not sorted.
pub fn run(settings: &Settings) -> Result<()> {
    match settings.word("task") {
        "words" => count_words(settings),
        "sort" => sort_lines(settings),
        other => Err(Error::config(format!("there is no task `{other}`"))),
    }
}
