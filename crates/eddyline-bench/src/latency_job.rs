//! Latency without windows: a thread makes records at a fixed rate, as a socket would hand them over, and a sink
//! takes them. Also how long a job takes to start, and what one costs that has nothing to do.

use crate::bid::{Bid, Bids};
use crate::figures::{self, Settings};
use crate::source::TallySink;
use crate::usage::{processor_time, resident_bytes};
use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Clock, Record, Result, SystemClock};
use eddyline_protocol::StopMode;
use eddyline_runtime::attempt::{self, JobOptions};
use eddyline_runtime::graph::{Job, JobBuilder, NodeSpec, Partitioning};
use eddyline_runtime::{Operator, OperatorContext, Source, SourceStatus, Stage, Stateful, partition};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two handfuls of records.
const HANDFUL_INTERVAL: Duration = Duration::from_micros(200);
/// Handfuls that wait at most; then the thread that makes them does.
const HANDFULS_MAX: usize = 1 << 16;
const BIDS: Bids = Bids { keys: 10_000, per_second: 100_000 };

/// Records and when the oldest of them was due, microseconds since the epoch.
type Handful = (u64, Vec<Record<Bid>>);

/// Gives what a thread makes at a fixed rate.
struct PacedSource {
    per_second: u64,
    seconds: u64,
    handfuls: Option<Receiver<Handful>>,
    waiting: Arc<AtomicBool>,
}

impl Stateful for PacedSource {}

impl Source for PacedSource {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let (sender, receiver) = sync_channel(HANDFULS_MAX);
        self.handfuls = Some(receiver);
        let info = context.info();
        let (instance, step) = (u64::from(info.instance), u64::from(info.parallelism));
        let (rate, seconds) = (self.per_second / step, self.seconds);
        let (waker, waiting) = (context.waker().clone(), self.waiting.clone());
        std::thread::spawn(move || {
            let clock = SystemClock::new();
            let (began, began_wall) = (Instant::now(), clock.wall_micros());
            let mut made = 0;
            while made < rate * seconds {
                std::thread::sleep(HANDFUL_INTERVAL);
                let due = (began.elapsed().as_micros() as u64 * rate / 1_000_000).min(rate * seconds);
                if due == made {
                    continue;
                }
                let rows = BIDS.rows(instance + made * step, step, (due - made) as usize);
                let created = began_wall + made * 1_000_000 / rate;
                made = due;
                if sender.send((created, rows)).is_err() {
                    return;
                }
                if waiting.swap(false, Ordering::AcqRel) {
                    waker.wake_by_ref();
                }
            }
            drop(sender);
            waker.wake_by_ref();
        });
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let Some(handfuls) = &self.handfuls else { return Ok(SourceStatus::Finished) };
        // First the word that it waits, then the look: nothing that comes in between is missed.
        self.waiting.store(true, Ordering::Release);
        match handfuls.try_recv() {
            Ok((created, rows)) => {
                self.waiting.store(false, Ordering::Release);
                context.emit_rows(0, rows, created)?;
                Ok(SourceStatus::Ready)
            }
            Err(TryRecvError::Empty) => Ok(SourceStatus::Pending),
            Err(TryRecvError::Disconnected) => Ok(SourceStatus::Finished),
        }
    }
}

/// A step that does next to nothing.
struct AddFee;

impl Stage for AddFee {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        for record in batch.rows_mut::<Bid>()? {
            record.value.price += 1;
        }
        emit(batch)
    }
}

/// Tells when the first record came in.
struct FirstOutput {
    told: Arc<Mutex<bool>>,
    began: Instant,
}

impl Stateful for FirstOutput {}

impl Operator for FirstOutput {
    fn on_batch(&mut self, _input: usize, _: Batch, context: &mut OperatorContext<'_>) -> Result<()> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut told, true) {
            figures::print("job_start_ns", self.began.elapsed().as_nanos() as f64);
            figures::print("first_output_micros", SystemClock::new().wall_micros() as f64);
            context.request_stop();
        }
        Ok(())
    }
}

fn job(settings: &Settings, sink: Sink) -> Result<Job> {
    let mut builder = JobBuilder::new("latency", 128);
    let (per_second, seconds) = (settings.number("rate", 100_000)?, settings.number("seconds", 10)?);
    let source = builder.add_source(NodeSpec::named("paced"), move || PacedSource {
        per_second,
        seconds,
        handfuls: None,
        waiting: Arc::default(),
    });
    let fee = builder.add_stage(NodeSpec::named("add fee"), || AddFee);
    builder.connect((source, 0), (fee, 0), Partitioning::Forward, None, decode_rows::<Bid>);
    let sink = match sink {
        Sink::Tally => {
            builder.add_sink(NodeSpec::named("tally"), || TallySink::new(|batch| Ok(batch.len() as u64)))
        }
        Sink::First => {
            let (told, began) = (Arc::default(), Instant::now());
            builder.add_sink(NodeSpec::named("first"), move || FirstOutput { told: Arc::clone(&told), began })
        }
    };
    if settings.word("edge") == "exchange" {
        let by_key = Some(partition::rows_by_key(|bid: &Bid| bid.auction));
        builder.connect((fee, 0), (sink, 0), Partitioning::Hash, by_key, decode_rows::<Bid>);
    } else {
        builder.connect((fee, 0), (sink, 0), Partitioning::Forward, None, decode_rows::<Bid>);
    }
    builder.build()
}

enum Sink {
    Tally,
    First,
}

fn options(settings: &Settings) -> Result<JobOptions> {
    Ok(JobOptions {
        workers: settings.number("workers", 1)? as u32,
        processes: settings.number("processes", 1)? as u32,
        ..JobOptions::default()
    })
}

/// Runs at a fixed rate; tells `p50_us`, `p99_us`, `max_us`, `counted`.
///
/// # Errors
/// If the job fails.
pub fn run_paced(settings: &Settings) -> Result<()> {
    let before = processor_time()?;
    let report = attempt::run(job(settings, Sink::Tally)?, options(settings)?)?;
    let latency = &report.status.latency;
    figures::print("p50_us", latency.quantile(0.5) as f64);
    figures::print("p99_us", latency.quantile(0.99) as f64);
    figures::print("max_us", latency.max() as f64);
    figures::print("cpu_ns", (processor_time()? - before).as_nanos() as f64);
    Ok(())
}

/// Starts and stops at the first output; tells `job_start_ns` (from the call that starts the job) and
/// `first_output_micros` (since the epoch).
///
/// # Errors
/// If the job fails.
pub fn run_start(settings: &Settings) -> Result<()> {
    attempt::run(job(settings, Sink::First)?, options(settings)?).map(drop)
}

/// Never has anything to give.
struct SilentSource;

impl Stateful for SilentSource {}

impl Source for SilentSource {
    fn poll(&mut self, _: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        Ok(SourceStatus::Pending)
    }
}

/// Runs with nothing to do; tells `resident_bytes` and `core_share`.
///
/// # Errors
/// If the job fails.
pub fn run_idle(settings: &Settings) -> Result<()> {
    let mut builder = JobBuilder::new("idle", 128);
    let source = builder.add_source(NodeSpec::named("silent"), || SilentSource);
    let sink = builder.add_sink(NodeSpec::named("tally"), || TallySink::new(|batch| Ok(batch.len() as u64)));
    let by_key = Some(partition::rows_by_key(|bid: &Bid| bid.auction));
    builder.connect((source, 0), (sink, 0), Partitioning::Hash, by_key, decode_rows::<Bid>);
    let handle = attempt::start(builder.build()?, options(settings)?)?;
    // What starting costs is not what being idle costs.
    std::thread::sleep(Duration::from_secs(1));
    let (cpu, wall) = (processor_time()?, Instant::now());
    std::thread::sleep(Duration::from_secs(settings.number("seconds", 10)?));
    let share = (processor_time()? - cpu).as_secs_f64() / wall.elapsed().as_secs_f64();
    figures::print("core_share", share);
    figures::print("resident_bytes", resident_bytes()? as f64);
    handle.stop(StopMode::Drain);
    handle.wait().map(drop)
}
