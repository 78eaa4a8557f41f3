//! A piece of a pipeline between one source and one sink.

use super::pipeline::{Savepoint, TestPipeline};
use super::sink::TestSink;
use super::source::TestSource;
use crate::environment::Options;
use crate::function::{OutputTag, TimeDomain};
use crate::stream::DataStream;
use eddyline_core::{Data, EventTime, Key, Record, Result};
use eddyline_runtime::inspect::StateImage;
use std::time::Duration;

/// A function, an operator, or a few steps, fed and read by hand. Each call settles the pipeline before it returns,
/// so that what a record or a watermark leads to is there at once.
///
/// # Examples
/// ```
/// use eddyline::testing::Harness;
/// use eddyline::{Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Record, Result, ValueState};
///
/// /// Numbers the records of each key.
/// #[derive(Default)]
/// struct Number {
///     last: Option<ValueState<u64>>,
/// }
///
/// impl KeyedProcessFunction<String, String, (String, u64)> for Number {
///     fn open(&mut self, context: &mut KeyedOpenContext<'_, String>) -> Result<()> {
///         self.last = Some(context.value_state("last")?);
///         Ok(())
///     }
///
///     fn process_element(
///         &mut self,
///         word: String,
///         _context: &mut KeyedContext<'_, String>,
///         out: &mut Collector<(String, u64)>,
///     ) -> Result<()> {
///         if let Some(last) = &self.last {
///             last.with_mut(|| 0, |last| *last += 1);
///             out.collect((word, last.get().unwrap_or(0)));
///         }
///         Ok(())
///     }
/// }
///
/// let piece = |words: eddyline::DataStream<String>| words.key_by(|word| word.clone()).process(Number::default);
/// let mut harness = Harness::new(piece);
/// harness.push("a".to_string(), 10)?;
/// harness.push("a".to_string(), 20)?;
/// assert_eq!(harness.take(), [Record::new(("a".to_string(), 1), 10), Record::new(("a".to_string(), 2), 20)]);
/// assert_eq!(harness.state("last")?.keyed::<String, u64>()?, [("a".to_string(), 2)]);
///
/// // The same state on three workers.
/// let savepoint = harness.savepoint()?;
/// let mut restored = Harness::restore(&savepoint, 3, piece)?;
/// restored.push("a".to_string(), 30)?;
/// assert_eq!(restored.take_values(), [("a".to_string(), 3)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct Harness<T, U> {
    pipeline: TestPipeline,
    source: TestSource<T>,
    stream: DataStream<U>,
    sink: TestSink<U>,
}

impl<T: Data, U: Data> Harness<T, U> {
    /// Runs `piece` on one worker.
    pub fn new(piece: impl FnOnce(DataStream<T>) -> DataStream<U>) -> Self {
        Harness::in_pipeline(TestPipeline::new(), piece)
    }

    /// Runs `piece` on `parallelism` workers.
    pub fn with_parallelism(parallelism: u32, piece: impl FnOnce(DataStream<T>) -> DataStream<U>) -> Self {
        Harness::in_pipeline(TestPipeline::with_parallelism(parallelism), piece)
    }

    /// Runs `piece` on `parallelism` workers with the state of a savepoint.
    ///
    /// # Errors
    /// If the savepoint cannot be copied. Whether it fits to `piece` is seen by the first call that runs it.
    pub fn restore(
        savepoint: &Savepoint,
        parallelism: u32,
        piece: impl FnOnce(DataStream<T>) -> DataStream<U>,
    ) -> Result<Self> {
        let mut options = Options::default();
        options.parallelism = parallelism;
        Ok(Harness::in_pipeline(TestPipeline::from_savepoint(savepoint, options)?, piece))
    }

    fn in_pipeline(mut pipeline: TestPipeline, piece: impl FnOnce(DataStream<T>) -> DataStream<U>) -> Self {
        let source = pipeline.source("input");
        let stream = piece(source.stream());
        let sink = pipeline.sink(&stream);
        Harness { pipeline, source, stream, sink }
    }

    /// What the piece's last operator emits on a side output; to be asked for before the first record is pushed.
    pub fn side_output<S: Data>(&mut self, tag: &OutputTag<S>) -> TestSink<S> {
        let side = self.stream.side_output(tag);
        self.pipeline.sink(&side)
    }

    /// The pipeline around the piece, for crashes and whatever else the harness has no call for.
    pub fn pipeline(&mut self) -> &mut TestPipeline {
        &mut self.pipeline
    }

    /// Processes a record with a timestamp, milliseconds since the epoch.
    ///
    /// # Errors
    /// What the piece says.
    pub fn push(&mut self, value: T, timestamp: EventTime) -> Result<()> {
        self.source.push(value, timestamp);
        self.pipeline.settle()
    }

    /// Processes a record without a timestamp.
    ///
    /// # Errors
    /// What the piece says.
    pub fn push_value(&mut self, value: T) -> Result<()> {
        self.push(value, EventTime::MIN)
    }

    /// Moves the watermark.
    ///
    /// # Errors
    /// What the piece says.
    pub fn watermark(&mut self, watermark: EventTime) -> Result<()> {
        self.source.watermark(watermark);
        self.pipeline.settle()
    }

    /// Lets processing time pass.
    ///
    /// # Errors
    /// What the piece says.
    pub fn advance(&mut self, time: Duration) -> Result<()> {
        self.pipeline.advance(time)
    }

    /// Ends the input.
    ///
    /// # Errors
    /// What the piece says.
    pub fn finish(&mut self) -> Result<()> {
        self.pipeline.finish()
    }

    /// Takes what came out since the last call.
    pub fn take(&mut self) -> Vec<Record<U>> {
        self.sink.take()
    }

    /// As [`Harness::take`], without timestamps.
    pub fn take_values(&mut self) -> Vec<U> {
        self.sink.take_values()
    }

    /// The state of that name, over all instances.
    ///
    /// # Errors
    /// If no operator of the piece has such a state.
    pub fn state(&mut self, name: &str) -> Result<StateImage> {
        self.pipeline.image(None, name)
    }

    /// The timers of the functions in the piece: time and key, by time.
    ///
    /// # Errors
    /// If no function of the piece can have timers, or their keys are of another type.
    pub fn timers<K: Key>(&mut self, domain: TimeDomain) -> Result<Vec<(i64, K)>> {
        let name = match domain {
            TimeDomain::EventTime => crate::timers::EVENT_TIMERS,
            TimeDomain::ProcessingTime => crate::timers::PROCESSING_TIMERS,
        };
        self.pipeline.image(None, name)?.timers()
    }

    /// Takes a checkpoint and copies it, to be restored by [`Harness::restore`].
    ///
    /// # Errors
    /// What the piece says.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.pipeline.savepoint()
    }
}
