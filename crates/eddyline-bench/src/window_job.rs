//! The job that most is measured by: bids, by auction, counted in windows; and the bare loop it is held against.

use crate::bid::{Bid, Bids, mixed};
use crate::columnar_count::{ColumnarCount, Count as CountRow};
use crate::figures::{self, Settings};
use crate::source::{BidSource, Format, TallySink, Weigh};
use crate::usage::Stopwatch;
use eddyline::window::{Count, SlicedWindowOperator, SlicedWindows, WindowResult};
use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Error, Result};
use eddyline_runtime::attempt::{self, JobOptions};
use eddyline_runtime::graph::{Job, JobBuilder, NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::{Stage, columnar, partition};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Range;

/// Key groups.
const MAX_PARALLELISM: u32 = 128;

/// Rows that pass at a cost: so many rounds of arithmetic per record.
struct Work {
    rounds: u64,
}

impl Stage for Work {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        for record in batch.rows_mut::<Bid>()? {
            record.value.price = worked(record.value.price, self.rounds);
        }
        emit(batch)
    }
}

fn worked(price: u64, rounds: u64) -> u64 {
    (0..rounds).fold(price, |price, _| mixed(price)) & 0xffff
}

/// What is run, as told on the command line.
struct Plan {
    bids: Bids,
    format: Format,
    count: u64,
    windows: SlicedWindows,
    window_ms: i64,
    /// `exchange`, `forward`, `none` (records are made and thrown away), or `bare` (no engine at all).
    edge: String,
    work_rounds: u64,
    options: JobOptions,
}

impl Plan {
    fn read(settings: &Settings) -> Result<Self> {
        let bids = Bids {
            keys: settings.number("keys", 10_000)?,
            per_second: settings.number("per_second", 1_000_000)?,
        };
        let window_ms = settings.number("window_ms", 10_000)? as i64;
        let windows = match settings.number("slide_ms", 0)? {
            0 => SlicedWindows::tumbling(window_ms),
            slide_ms => SlicedWindows::sliding(window_ms, slide_ms as i64),
        };
        let mut options = JobOptions {
            workers: settings.number("workers", 1)? as u32,
            processes: settings.number("processes", 1)? as u32,
            memory_bytes: (settings.number("memory_mib", 1_024)? as usize) << 20,
            ..JobOptions::default()
        };
        options.batch_rows = settings.number("batch_rows", options.batch_rows as u64)? as usize;
        Ok(Plan {
            bids,
            format: if settings.word("format") == "arrow" { Format::Arrow } else { Format::Rows },
            count: settings.number("records", 20_000_000)?,
            windows,
            window_ms,
            edge: settings.word("edge").to_owned(),
            work_rounds: settings.number("work_rounds", 0)?,
            options,
        })
    }

    fn job(&self) -> Result<Job> {
        let mut builder = JobBuilder::new("bids", MAX_PARALLELISM);
        let (bids, format, count) = (self.bids, self.format, self.count);
        let source = builder.add_source(NodeSpec::named("bids"), move || BidSource::new(bids, format, count));
        let source = self.with_work(&mut builder, source);
        if self.edge == "none" {
            let sink = builder.add_sink(NodeSpec::named("discard"), || TallySink::new(records));
            builder.connect((source, 0), (sink, 0), Partitioning::Forward, None, decode_rows::<Bid>);
            return builder.build();
        }
        let spec = NodeSpec::named("count").with_watermarks();
        let (counts, weigh): (_, Weigh) = match format {
            Format::Rows => {
                let operator = self.row_operator()?;
                (builder.add_operator(spec.with_outputs(2), operator), row_counts)
            }
            Format::Arrow => {
                let window_ms = self.window_ms;
                (builder.add_operator(spec, move || ColumnarCount::new(window_ms)), columnar_counts)
            }
        };
        if self.edge == "exchange" {
            let by_key = match format {
                Format::Rows => partition::rows_by_key(|bid: &Bid| bid.auction),
                Format::Arrow => columnar::columns_by_key(crate::bid::AUCTION_COLUMN),
            };
            let decode = decode_rows::<Bid>;
            builder.connect((source, 0), (counts, 0), Partitioning::Hash, Some(by_key), decode);
        } else {
            builder.connect((source, 0), (counts, 0), Partitioning::Forward, None, decode_rows::<Bid>);
        }
        let sink = builder.add_sink(NodeSpec::named("tally"), move || TallySink::new(weigh));
        let decode = match format {
            Format::Rows => decode_rows::<WindowResult<u64, u64>>,
            Format::Arrow => decode_rows::<CountRow>,
        };
        builder.connect((counts, 0), (sink, 0), Partitioning::Forward, None, decode);
        builder.build()
    }

    fn with_work(&self, builder: &mut JobBuilder, source: NodeHandle) -> NodeHandle {
        let rounds = self.work_rounds;
        if rounds == 0 {
            return source;
        }
        let work = builder.add_stage(NodeSpec::named("work"), move || Work { rounds });
        builder.connect((source, 0), (work, 0), Partitioning::Forward, None, decode_rows::<Bid>);
        work
    }

    #[allow(clippy::type_complexity)] // the operator's type, once
    fn row_operator(
        &self,
    ) -> Result<impl Fn() -> SlicedWindowOperator<u64, fn(&Bid) -> u64, Count<Bid>> + Send + Sync + 'static>
    {
        let windows = self.windows;
        windows.check()?;
        Ok(move || {
            SlicedWindowOperator::new(
                windows,
                (|bid: &Bid| bid.auction) as fn(&Bid) -> u64,
                Count::new(),
                false,
            )
            .expect("invariant: the windows were checked just now")
        })
    }

    /// The same work without an engine: hash maps, no batches passed on; each thread takes its share of the records.
    fn bare(&self) {
        let threads = u64::from(self.options.workers);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let share = self.count * thread / threads..self.count * (thread + 1) / threads;
                scope.spawn(move || figures::print("counted", black_box(self.bare_count(share)) as f64));
            }
        });
    }

    fn bare_count(&self, numbers: Range<u64>) -> u64 {
        let mut windows: BTreeMap<i64, HashMap<u64, u64, Mixing>> = BTreeMap::new();
        let mut next = numbers.start;
        while next < numbers.end {
            let rows = (numbers.end - next).min(self.options.batch_rows as u64);
            let mut current = (i64::MIN, HashMap::default());
            for mut record in self.bids.rows(next, 1, rows as usize) {
                record.value.price = worked(record.value.price, self.work_rounds);
                black_box(record.value.price);
                let start = record.timestamp - record.timestamp.rem_euclid(self.window_ms);
                if start != current.0 {
                    let fresh = windows.remove(&start).unwrap_or_default();
                    let before = std::mem::replace(&mut current, (start, fresh));
                    windows.insert(before.0, before.1);
                }
                *current.1.entry(record.value.auction).or_default() += 1;
            }
            windows.insert(current.0, current.1);
            next += rows;
        }
        windows.values().flat_map(HashMap::values).sum()
    }

    /// Makes the records and drops them, without an engine.
    fn bare_records(&self) {
        let (mut next, mut counted) = (0, 0);
        while next < self.count {
            let rows = (self.count - next).min(self.options.batch_rows as u64);
            counted += black_box(self.bids.rows(next, 1, rows as usize)).len();
            next += rows;
        }
        figures::print("counted", counted as f64);
    }
}

/// The bare loop hashes as cheaply as can be done for a `u64`: it is to be hard to beat.
#[derive(Clone, Default)]
pub struct Mixing;

/// Mixes a number.
pub struct MixingHasher(u64);

impl std::hash::BuildHasher for Mixing {
    type Hasher = MixingHasher;
    fn build_hasher(&self) -> MixingHasher {
        MixingHasher(0)
    }
}

impl std::hash::Hasher for MixingHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = mixed(self.0 ^ number);
    }
}

fn records(batch: Batch) -> Result<u64> {
    Ok(batch.len() as u64)
}

fn row_counts(mut batch: Batch) -> Result<u64> {
    Ok(batch.take_rows::<WindowResult<u64, u64>>()?.iter().map(|record| record.value.value).sum())
}

fn columnar_counts(mut batch: Batch) -> Result<u64> {
    Ok(batch.take_rows::<CountRow>()?.iter().map(|record| record.value.2).sum())
}

/// Runs what `settings` say and tells `cpu_ns`, `wall_ns`, and `counted`, the sum of all counts.
///
/// # Errors
/// If the job fails.
pub fn run(settings: &Settings) -> Result<()> {
    let plan = Plan::read(settings)?;
    let stopwatch = Stopwatch::start()?;
    match plan.edge.as_str() {
        "bare" => plan.bare(),
        "bare-records" => plan.bare_records(),
        "exchange" | "forward" | "none" => {
            attempt::run(plan.job()?, plan.options.clone())?;
        }
        other => return Err(Error::config(format!("there is no edge `{other}`"))),
    }
    stopwatch.print()
}
