//! The job itself.

use super::delay::Delay;
use super::functions::{Alarms, Buckets, GateSink};
use super::gate::Gate;
use super::records::{DISORDER_MS, Event, LATE_KEYS, loop_rounds, mix};
use super::source::Splits;
use eddyline::async_call::{AsyncOptions, AsyncOrder, RetryStrategy};
use eddyline::window::{Aggregator, SlicedWindows, WindowResult};
use eddyline::{
    DataStream, Environment, Error, NodeSpec, OutputTag, ProcessingTimersAtEnd, Result, WatermarkStrategy,
};
use eddyline_connectors::sink::FileSink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The outputs: each has a directory of that name.
pub const OUTPUTS: [&str; 8] =
    ["windows", "late", "sessions", "buckets", "alarms", "loop", "answers", "answer-windows"];

/// Size of the tumbling windows, milliseconds.
pub(super) const WINDOW_MS: i64 = 400;
/// Gap of the sessions, milliseconds.
pub(super) const GAP_MS: i64 = 60;
/// One record in so many has an alarm.
pub(super) const ALARM_EVERY: u64 = 4;

/// What the program is told after `--`: directory of the outputs, seed, records per split, records per second.
#[derive(Debug, Clone)]
pub struct WorkloadArguments {
    /// Directory of the outputs.
    pub out: PathBuf,
    /// What the records follow from.
    pub seed: u64,
    /// Records of each split.
    pub records_per_split: u64,
    /// Records of all splits together.
    pub records_per_second: u64,
}

impl WorkloadArguments {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Of kind `Config` if they are not these four.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let usage = || Error::config("usage: [OPTION…] -- OUT SEED RECORDS-PER-SPLIT RECORDS-PER-SECOND");
        let [out, seed, records, rate] = arguments else { return Err(usage()) };
        let number = |text: &String| text.parse().map_err(|_| usage());
        let (seed, records_per_split, records_per_second) = (number(seed)?, number(records)?, number(rate)?);
        Ok(WorkloadArguments { out: out.into(), seed, records_per_split, records_per_second })
    }

    /// The arguments as they are written.
    pub fn to_strings(&self) -> [String; 4] {
        [
            self.out.display().to_string(),
            self.seed.to_string(),
            self.records_per_split.to_string(),
            self.records_per_second.to_string(),
        ]
    }
}

/// Number and sum of the ids.
#[derive(Clone)]
struct CountAndSum;

impl Aggregator for CountAndSum {
    type Input = Event;
    type State = (u64, u64);
    type Output = (u64, u64);

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, state: &mut (u64, u64), event: Event) {
        *state = (state.0 + 1, state.1 + event.id);
    }

    fn merge(&self, state: &mut (u64, u64), other: &(u64, u64)) {
        *state = (state.0 + other.0, state.1 + other.1);
    }

    fn result(&self, state: &(u64, u64)) -> (u64, u64) {
        *state
    }
}

/// Describes the job on `environment`.
pub fn describe(environment: &Environment, arguments: &WorkloadArguments, gate: &Gate) {
    let (seed, records, rate) = (arguments.seed, arguments.records_per_split, arguments.records_per_second);
    let (source_gate, sink_gate) = (gate.clone(), gate.clone());
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(DISORDER_MS as u64));
    let make = move || Splits::new(seed, records, rate, source_gate.clone());
    let events = environment.from_source("events", make, strategy).uid("events");
    // The first sink of every instance: nothing is committed before it lets go.
    events.add_sink("gate", move || GateSink::new(sink_gate.clone())).uid("gate");
    windows(&events, &arguments.out);
    functions(&events, &arguments.out);
    round_and_outside(&events, &arguments.out);
}

fn windows(events: &DataStream<Event>, out: &Path) {
    let late: OutputTag<Event> = OutputTag::new("late");
    let by_key = events.key_by(|event| event.key);
    let counted = by_key
        .window(SlicedWindows::tumbling(WINDOW_MS))
        .side_output_late_data(&late)
        .aggregate(CountAndSum)
        .uid("windows");
    write(&counted.side_output(&late).map(|event| event.id.to_string()), out, "late");
    write(&counted.map(window_line), out, "windows");
    let sessions = events
        .filter(|event| !event.is_late())
        .key_by(|event| event.key)
        .session_window(Duration::from_millis(GAP_MS as u64))
        .aggregate(CountAndSum)
        .uid("sessions");
    let line = |session: WindowResult<u64, (u64, u64)>| {
        let (window, (count, sum)) = (session.window, session.value);
        format!("{} {} {} {count} {sum}", session.key, window.start, window.end)
    };
    write(&sessions.map(line), out, "sessions");
}

fn window_line(result: WindowResult<u64, (u64, u64)>) -> String {
    format!("{} {} {} {}", result.key, result.window.start, result.value.0, result.value.1)
}

fn functions(events: &DataStream<Event>, out: &Path) {
    let on_time = events.filter(|event| event.key < LATE_KEYS);
    write(&on_time.key_by(|event| event.key).process(Buckets::default).uid("buckets"), out, "buckets");
    let some = events.filter(|event| event.id % ALARM_EVERY == 0);
    let alarms = some
        .key_by(|event| event.id)
        .process_with(ProcessingTimersAtEnd::Fire, Alarms::default)
        .uid("alarms");
    write(&alarms, out, "alarms");
}

fn round_and_outside(events: &DataStream<Event>, out: &Path) {
    let rounds = events.map(|event| (event.id, 0u64)).iterate(|going| {
        let again = going.filter(|(id, round)| *round < loop_rounds(*id)).map(|(id, round)| (id, round + 1));
        // Going round means going elsewhere: the next round is another worker's.
        let again = again.key_by(|(id, round)| id + round).process(Forward::default).uid("forward");
        (again, going.filter(|(id, round)| *round >= loop_rounds(*id)))
    });
    write(&rounds.map(|(id, rounds)| format!("{id} {rounds}")), out, "loop");

    let mut options = AsyncOptions::new(AsyncOrder::Unordered);
    options.capacity = 64;
    options.retry = RetryStrategy::fixed(20, 2);
    let answers = events.async_call(options, |event: Event| async move {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        Delay::micros(mix(event.id) % 20_000).await;
        if CALLS.fetch_add(1, Ordering::Relaxed) % 13 == 5 {
            return Err(Error::network("the service is not there"));
        }
        Ok(vec![event])
    });
    let answers = answers.uid("answers");
    write(&answers.map(|event| event.id.to_string()), out, "answers");
    let counted = answers
        .filter(|event| !event.is_late())
        .key_by(|event| event.key)
        .window(SlicedWindows::tumbling(WINDOW_MS))
        .aggregate(CountAndSum)
        .uid("answer-windows");
    write(&counted.map(window_line), out, "answer-windows");
}

/// Passes records on; it is there so that records change workers.
#[derive(Default)]
struct Forward;

impl eddyline::KeyedProcessFunction<u64, (u64, u64), (u64, u64)> for Forward {
    fn process_element(
        &mut self,
        value: (u64, u64),
        _: &mut eddyline::KeyedContext<'_, u64>,
        out: &mut eddyline::Collector<(u64, u64)>,
    ) -> Result<()> {
        out.collect(value);
        Ok(())
    }
}

fn write(lines: &DataStream<String>, out: &Path, name: &'static str) {
    let encode = |line: &String, bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    };
    let sink = FileSink::new(out.join(name), encode).suffix(".txt");
    lines.add_sink_operator(NodeSpec::named(name), move || sink.operator()).uid(&format!("file-{name}"));
}
