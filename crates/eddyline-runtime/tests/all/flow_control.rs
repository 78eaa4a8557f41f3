//! Flow control: memory stays under its limit and nothing deadlocks, whatever the shape of the job.

use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, EventTime, Record, Result, WATERMARK_MAX};
use eddyline_protocol::StopMode;
use eddyline_runtime::attempt::{self, JobOptions, JobReport};
use eddyline_runtime::graph::{Job, JobBuilder, NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::{
    Operator, OperatorContext, Progress, Source, SourceStatus, Stage, Stateful, partition,
};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A row of 104 bytes: a number and ballast.
type Row = (u64, [u64; 11]);

struct Numbers {
    next: u64,
    end: u64,
    rows: u64,
    /// Emits in one of so many polls.
    lazy: u64,
    polls: u64,
}

impl Stateful for Numbers {}
impl Source for Numbers {
    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        self.polls += 1;
        if !self.polls.is_multiple_of(self.lazy) {
            context.waker().wake_by_ref();
            return Ok(SourceStatus::Pending);
        }
        if self.next >= self.end {
            return Ok(SourceStatus::Finished);
        }
        let last = (self.next + self.rows).min(self.end);
        let rows = (self.next..last).map(|i| Record::new((i, [0; 11]), i as i64)).collect();
        self.next = last;
        context.emit_rows::<Row>(0, rows, 0)?;
        context.set_watermark(last as i64 - 1, false);
        Ok(SourceStatus::Ready)
    }
}

struct Amplify(usize);
impl Stage for Amplify {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let created = batch.created_micros;
        for record in batch.take_rows::<Row>()? {
            emit(Batch::from_rows(vec![record; self.0], created))?;
        }
        Ok(())
    }
}

/// Counts rows; sleeps per batch as a slow external system would make it do.
struct Sink {
    seen: Arc<AtomicU64>,
    pause: Duration,
}
impl Stateful for Sink {}
impl Operator for Sink {
    fn on_batch(&mut self, _input: usize, batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        if !self.pause.is_zero() {
            std::thread::sleep(self.pause);
        }
        self.seen.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Holds what comes in on input 1 until the watermark has passed it; input 0 only counts.
#[derive(Default)]
struct Join {
    held: VecDeque<Batch>,
}
impl Stateful for Join {}
impl Operator for Join {
    fn on_batch(&mut self, input: usize, batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        if input == 1 {
            context.account_bytes(batch.memory_bytes() as i64);
            self.held.push_back(batch);
        }
        Ok(())
    }
    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let passed = |batch: &Batch| batch.timestamp_bounds().is_some_and(|(_, last)| last <= watermark);
        while self.held.front().is_some_and(|batch| passed(batch) || watermark == WATERMARK_MAX) {
            if !context.has_room() {
                return Ok(Progress::More);
            }
            if let Some(batch) = self.held.pop_front() {
                context.account_bytes(-(batch.memory_bytes() as i64));
                context.emit(0, batch)?;
            }
        }
        Ok(Progress::Done)
    }
}

/// Sends what has gone round often enough out on side output 1, the rest round again, times `factor`.
struct Body {
    rounds: u64,
    factor: usize,
}
impl Stateful for Body {}
impl Operator for Body {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let (mut again, mut done) = (Vec::new(), Vec::new());
        for mut record in batch.take_rows::<Row>()? {
            record.value.1[0] += 1;
            if record.value.1[0] > self.rounds {
                done.push(record);
            } else {
                again.extend(std::iter::repeat_n(record, self.factor));
            }
        }
        context.emit_rows(0, again, batch.created_micros)?;
        context.emit_rows(1, done, batch.created_micros)
    }
}

/// Enough for what a join has to keep by its nature, far less than what the jobs produce in all.
const MEMORY: usize = 48 << 20;

struct Shape {
    builder: JobBuilder,
    seen: Arc<AtomicU64>,
}

impl Shape {
    fn new() -> Self {
        Shape { builder: JobBuilder::new("flow", 128), seen: Arc::default() }
    }

    fn source(&mut self, batches: u64, rows: u64, lazy: u64) -> NodeHandle {
        self.builder.add_source(NodeSpec::named("numbers"), move || Numbers {
            next: 0,
            end: batches * rows,
            rows,
            lazy,
            polls: 0,
        })
    }

    fn amplify(&mut self, from: NodeHandle, factor: usize, exchange: bool) -> NodeHandle {
        let stage = self.builder.add_stage(NodeSpec::named("amplify"), move || Amplify(factor));
        self.connect((from, 0), (stage, 0), exchange);
        stage
    }

    fn connect(&mut self, from: (NodeHandle, usize), to: (NodeHandle, usize), exchange: bool) {
        if exchange {
            let by_key = Some(partition::rows_by_key(|row: &Row| row.0));
            self.builder.connect(from, to, Partitioning::Hash, by_key, decode_rows::<Row>);
        } else {
            self.builder.connect(from, to, Partitioning::Forward, None, decode_rows::<Row>);
        }
    }

    fn sink(mut self, from: (NodeHandle, usize), exchange: bool, pause: Duration) -> (Job, Arc<AtomicU64>) {
        let seen = self.seen.clone();
        let sink = self.builder.add_sink(NodeSpec::named("sink"), move || Sink { seen: seen.clone(), pause });
        self.connect(from, (sink, 0), exchange);
        (self.builder.build().unwrap(), self.seen)
    }
}

fn run(job: Job, workers: u32) -> JobReport {
    let options = JobOptions { workers, memory_bytes: MEMORY, ..JobOptions::default() };
    attempt::run(job, options).unwrap()
}

/// A limit on records in flight, with what one call may overshoot it by, per worker.
fn assert_bounded(report: &JobReport) {
    for worker in &report.status.workers {
        let limit = (MEMORY / 8 + (3 << 20)) as i64;
        assert!(worker.flight_bytes_peak <= limit, "{} > {limit}", worker.flight_bytes_peak);
    }
}

#[test]
fn amplifiers_in_a_row_stay_bounded() {
    for workers in [1, 2] {
        let mut shape = Shape::new();
        let source = shape.source(20, 10, 1);
        let first = shape.amplify(source, 1000, true);
        let second = shape.amplify(first, 2, true);
        let (job, seen) = shape.sink((second, 0), true, Duration::ZERO);
        let report = run(job, workers);
        assert_eq!(seen.load(Ordering::Relaxed), 400_000 * u64::from(workers));
        assert_bounded(&report);
    }
}

#[test]
fn a_diamond_does_not_deadlock() {
    for workers in [1, 2] {
        let mut shape = Shape::new();
        let source = shape.source(20, 10, 1);
        let wide = shape.amplify(source, 1000, true);
        let join = shape.builder.add_operator(NodeSpec::named("join").with_watermarks(), Join::default);
        shape.connect((source, 0), (join, 0), true);
        shape.connect((wide, 0), (join, 1), true);
        let (job, seen) = shape.sink((join, 0), false, Duration::ZERO);
        let report = run(job, workers);
        assert_eq!(seen.load(Ordering::Relaxed), 200_000 * u64::from(workers));
        assert_bounded(&report);
    }
}

#[test]
fn a_join_with_one_side_stalled_does_not_deadlock() {
    let mut shape = Shape::new();
    let slow = shape.source(400, 1, 10);
    let fast = shape.source(40, 10, 1);
    let wide = shape.amplify(fast, 100, true);
    let join = shape.builder.add_operator(NodeSpec::named("join").with_watermarks(), Join::default);
    shape.connect((slow, 0), (join, 0), true);
    shape.connect((wide, 0), (join, 1), true);
    let (job, seen) = shape.sink((join, 0), false, Duration::ZERO);
    let report = run(job, 2);
    assert_eq!(seen.load(Ordering::Relaxed), 80_000);
    assert_bounded(&report);
}

#[test]
fn a_loop_that_amplifies_does_not_deadlock_and_ends() {
    for workers in [1, 2] {
        let mut shape = Shape::new();
        let source = shape.source(20, 10, 1);
        let head = shape.builder.add_loop_head(NodeSpec::named("loop"));
        shape.connect((source, 0), (head, 0), false);
        let spec = NodeSpec::named("body").with_outputs(2);
        let body = shape.builder.add_operator(spec, || Body { rounds: 4, factor: 4 });
        shape.connect((head, 0), (body, 0), true);
        let tail = shape.builder.add_loop_tail(head, NodeSpec::named("again"));
        shape.connect((body, 0), (tail, 0), false);
        let (job, seen) = shape.sink((body, 1), false, Duration::ZERO);
        let report = run(job, workers);
        assert_eq!(seen.load(Ordering::Relaxed), 200 * 256 * u64::from(workers));
        assert_bounded(&report);
    }
}

#[test]
fn a_slow_sink_holds_a_fast_source_back() {
    let mut shape = Shape::new();
    let source = shape.source(u64::MAX >> 20, 1000, 1);
    let (job, seen) = shape.sink((source, 0), true, Duration::from_millis(10));
    let options = JobOptions { workers: 2, memory_bytes: MEMORY, ..JobOptions::default() };
    let handle = attempt::start(job, options).unwrap();
    while seen.load(Ordering::Relaxed) < 100_000 {
        assert!(!handle.is_finished(), "the job ended early");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    handle.stop(StopMode::Drain);
    let report = handle.wait().unwrap();
    assert!(report.status.records_in > 100_000);
    assert_eq!(report.status.records_in, seen.load(Ordering::Relaxed));
    assert_bounded(&report);
}
