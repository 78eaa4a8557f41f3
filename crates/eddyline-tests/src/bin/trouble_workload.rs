//! Small jobs that are stopped, or that get into trouble of one kind. Usage:
//! `[OPTION…] -- MODE [DIRECTORY [COUNT [RATE]]]`.
//!
//! | mode | what it does |
//! |---|---|
//! | `count` | writes the numbers below COUNT, RATE per second, to files in DIRECTORY |
//! | `sums` | writes the numbers to `numbers` in DIRECTORY, and how many there were to `sums` when the stream ends |
//! | `other-job` | as `count`, under another job name |
//! | `renamed` | as `count`, with another uid for its state |
//! | `panic`, `error` | user code fails at the eighth record |
//! | `stuck` | user code does not come back |
//! | `memory` | keeps everything in its state |
//! | `lines` | reads the text file DIRECTORY |

use eddyline::window::{Count, SlicedWindows};
use eddyline::{
    Collector, DataGenerator, DataStream, Environment, Error, KeyedContext, KeyedOpenContext,
    KeyedProcessFunction, NodeSpec, Result, ValueState, WatermarkStrategy,
};
use eddyline_connectors::files::TextFiles;
use eddyline_connectors::sink::FileSink;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    eddyline_tests::log_to_stderr();
    eddyline_tests::report(run())
}

fn run() -> Result<()> {
    let environment = Environment::from_args()?;
    let arguments = environment.arguments();
    let mode = arguments.first().map_or("", String::as_str);
    let directory = arguments.get(1).map(PathBuf::from).unwrap_or_default();
    let number = |place: usize| arguments.get(place).and_then(|text| text.parse::<u64>().ok());
    let mut generator = DataGenerator::new(|index| index);
    if let Some(count) = number(2) {
        generator = generator.with_count(count);
    }
    if let Some(rate) = number(3) {
        generator = generator.with_rate_per_second(rate as f64);
    }
    let times =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|index, _| *index as i64);
    let lines = |path: PathBuf| {
        let files = TextFiles::new([path]);
        environment.from_source("lines", move || files.read_lines(), WatermarkStrategy::no_watermarks())
    };
    let name = if mode == "other-job" { "other-trouble" } else { "trouble" };
    match mode {
        "count" | "other-job" => {
            remembered(&environment.from_generator(generator, times), directory, "remember")
        }
        "renamed" => remembered(&environment.from_generator(generator, times), directory, "renamed"),
        "sums" => sums(&environment.from_generator(generator, times), directory),
        "lines" => drop(lines(directory).print()),
        _ => in_trouble(mode, &environment.from_generator(generator, times))?,
    }
    environment.execute(name).map(drop)
}

fn in_trouble(mode: &str, numbers: &DataStream<u64>) -> Result<()> {
    match mode {
        "panic" => {
            drop(numbers.map(|number| 100 / number.abs_diff(7)).name("divide").uid("divide-7").print())
        }
        "error" => {
            let refused = numbers.key_by(|number| *number).process(|| Refuse).name("refuse").uid("refuse-7");
            refused.print();
        }
        "stuck" => drop(numbers.map(wait_for_ever).name("wait").uid("wait-for-ever").print()),
        "memory" => {
            let kept = numbers.key_by(|number| *number).process(Keep::default).name("keep").uid("keep-all");
            kept.print();
        }
        other => return Err(Error::config(format!("there is no mode `{other}`"))),
    }
    Ok(())
}

/// Passes numbers on with how many there were of their last digit so far, so that lost state would be seen.
fn remembered(numbers: &DataStream<u64>, directory: PathBuf, uid: &str) {
    let numbered = numbers.key_by(|number| number % 10).process(Number::default).uid(uid);
    write(&numbered, directory);
}

fn sums(numbers: &DataStream<u64>, directory: PathBuf) {
    let windows = SlicedWindows::tumbling(1_000_000_000);
    let counted = numbers.key_by(|_| 0u64).window(windows).aggregate(Count::new()).uid("sums");
    write(&counted.map(|result| format!("{}", result.value)), directory.join("sums"));
    write(&numbers.map(|number| number.to_string()), directory.join("numbers"));
}

fn write(lines: &DataStream<String>, directory: PathBuf) {
    let uid = format!("files-{}", directory.display());
    let encode = |line: &String, bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    };
    let sink = FileSink::new(directory, encode);
    lines.add_sink_operator(NodeSpec::named("files"), move || sink.operator()).uid(&uid);
}

fn wait_for_ever(_: u64) -> u64 {
    loop {
        std::thread::park_timeout(Duration::from_secs(3_600));
    }
}

/// Numbers the records of each key.
#[derive(Default)]
struct Number {
    last: Option<ValueState<u64>>,
}

impl KeyedProcessFunction<u64, u64, String> for Number {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.last = Some(context.value_state("last")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        value: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        let Some(last) = &self.last else { return Ok(()) };
        let number = last.get().unwrap_or(0);
        last.update(number + 1);
        out.collect(format!("{value} {number}"));
        Ok(())
    }
}

/// Refuses the number 7.
struct Refuse;

impl KeyedProcessFunction<u64, u64, u64> for Refuse {
    fn process_element(
        &mut self,
        value: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        if value == 7 {
            return Err(Error::user("seven is not wanted").with_hint("leave sevens out"));
        }
        out.collect(value);
        Ok(())
    }
}

/// Keeps a kilobyte per number.
#[derive(Default)]
struct Keep {
    kept: Option<ValueState<Vec<u8>>>,
}

impl KeyedProcessFunction<u64, u64, u64> for Keep {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.kept = Some(context.value_state("kept")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u64,
        _: &mut KeyedContext<'_, u64>,
        _: &mut Collector<u64>,
    ) -> Result<()> {
        if let Some(kept) = &self.kept {
            kept.update(vec![7; 1_024]);
        }
        Ok(())
    }
}
