//! Functions on streams without keys: rich forms of map, filter and flat map, and the process function that they are
//! cases of.

use super::{Collector, OutputTag, RuntimeContext};
use crate::side_output::SideOutputs;
use eddyline_core::{Data, EventTime, Result};
use eddyline_runtime::InstanceInfo;

/// A function that sees every record of a stream, with its time and side outputs. For timers and state per key, key
/// the stream first; state of the operator comes from the [`RuntimeContext`].
///
/// # Examples
/// ```
/// use eddyline::{Collector, Environment, OutputTag, ProcessContext, ProcessFunction, Result};
///
/// /// Lets even numbers pass and sets the others aside.
/// struct Split(OutputTag<u64>);
///
/// impl ProcessFunction<u64, u64> for Split {
///     fn process_element(
///         &mut self,
///         value: u64,
///         context: &mut ProcessContext<'_>,
///         out: &mut Collector<u64>,
///     ) -> Result<()> {
///         if value % 2 == 0 {
///             out.collect(value);
///         } else {
///             context.side_output(&self.0, value);
///         }
///         Ok(())
///     }
/// }
///
/// let environment = Environment::new();
/// let odd = OutputTag::new("odd");
/// let tag = odd.clone();
/// let even = environment.from_collection(vec![1, 2, 3]).process(move || Split(tag.clone()));
/// let (odd, even) = (even.side_output(&odd).collect(), even.collect());
/// environment.execute("split")?;
/// assert_eq!((odd.rows(), even.rows()), (vec![1, 3], vec![2]));
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait ProcessFunction<T: Data, U: Data>: 'static {
    /// Prepares the instance; called once, before anything else. States and accumulators are declared here; what a
    /// checkpoint holds for them is there from [`ProcessFunction::restored`] on.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// The states hold what was restored; also called when there was nothing to restore.
    ///
    /// # Errors
    /// End the attempt.
    fn restored(&mut self) -> Result<()> {
        Ok(())
    }

    /// Takes a record.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element(
        &mut self,
        value: T,
        context: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// A checkpoint is taken: brings the states up to date with what the function keeps in its fields.
    ///
    /// # Errors
    /// End the attempt.
    fn snapshot(&mut self) -> Result<()> {
        Ok(())
    }

    /// The input has ended: the last chance to emit something, without a timestamp of its own.
    ///
    /// # Errors
    /// End the attempt.
    fn finish(&mut self, out: &mut Collector<U>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// What a function may ask while it processes a record.
pub struct ProcessContext<'a> {
    pub(crate) runtime: &'a RuntimeContext,
    pub(crate) watermark: EventTime,
    pub(crate) timestamp: EventTime,
    pub(crate) side: &'a mut SideOutputs,
}

impl ProcessContext<'_> {
    /// The job, as seen from this instance.
    pub fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }

    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.runtime.info()
    }

    /// The record's timestamp, or the timer's; `i64::MIN` if it has none.
    pub fn timestamp(&self) -> EventTime {
        self.timestamp
    }

    /// The watermark as last applied.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The time of the job's clock, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.runtime.processing_time_ms()
    }

    /// Emits `value` on a side output, with the timestamp of the record or timer.
    pub fn side_output<S: Data>(&mut self, tag: &OutputTag<S>, value: S) {
        self.side.collect(tag, value, self.timestamp);
    }
}

/// A map with a life of its own: it is opened, can fail, and is closed.
///
/// # Examples
/// ```
/// use eddyline::{Environment, Error, MapFunction, Result};
///
/// /// Numbers what an instance sees.
/// #[derive(Default)]
/// struct Number(u64);
///
/// impl MapFunction<String, (u64, String)> for Number {
///     fn map(&mut self, word: String) -> Result<(u64, String)> {
///         self.0 = self.0.checked_add(1).ok_or_else(|| Error::user("too many words"))?;
///         Ok((self.0, word))
///     }
/// }
///
/// let environment = Environment::new();
/// let words = environment.from_collection(vec!["a".to_string(), "b".to_string()]);
/// let numbered = words.map_with(Number::default).collect();
/// environment.execute("number")?;
/// assert_eq!(numbered.rows(), [(1, "a".to_string()), (2, "b".to_string())]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait MapFunction<T: Data, U: Data>: 'static {
    /// Prepares the instance; called once, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Makes one value of another.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn map(&mut self, value: T) -> Result<U>;

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A filter with a life of its own: it is opened, can fail, and is closed.
///
/// # Examples
/// ```
/// use eddyline::{Environment, FilterFunction, Parameters, Result, RuntimeContext};
///
/// /// Keeps what reaches a limit that is given on the command line.
/// #[derive(Default)]
/// struct AtLeast(u64);
///
/// impl FilterFunction<u64> for AtLeast {
///     fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
///         self.0 = context.parameters().require_parsed("limit")?;
///         Ok(())
///     }
///
///     fn filter(&mut self, value: &u64) -> Result<bool> {
///         Ok(*value >= self.0)
///     }
/// }
///
/// let environment = Environment::from_arguments(["--", "--limit", "10"])?;
/// let large = environment.from_collection(vec![5, 10, 15]).filter_with(AtLeast::default).collect();
/// environment.execute("large")?;
/// assert_eq!(large.rows(), [10, 15]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait FilterFunction<T: Data>: 'static {
    /// Prepares the instance; called once, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Whether the value passes.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn filter(&mut self, value: &T) -> Result<bool>;

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A flat map with a life of its own: it is opened, can fail, and is closed.
///
/// # Examples
/// ```
/// use eddyline::{Collector, Environment, FlatMapFunction, Result};
///
/// /// Says each value as often as the instance has seen values.
/// #[derive(Default)]
/// struct Echo {
///     seen: u64,
/// }
///
/// impl FlatMapFunction<String, String> for Echo {
///     fn flat_map(&mut self, value: String, out: &mut Collector<String>) -> Result<()> {
///         self.seen += 1;
///         (0..self.seen).for_each(|_| out.collect(value.clone()));
///         Ok(())
///     }
/// }
///
/// let environment = Environment::new();
/// let words = environment.from_collection(vec!["a".to_string(), "b".to_string()]);
/// let echoed = words.flat_map_with(Echo::default).collect();
/// environment.execute("echo")?;
/// assert_eq!(echoed.rows(), ["a", "b", "b"]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait FlatMapFunction<T: Data, U: Data>: 'static {
    /// Prepares the instance; called once, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Emits any number of values for one.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn flat_map(&mut self, value: T, out: &mut Collector<U>) -> Result<()>;

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A [`MapFunction`] as a process function.
pub(crate) struct Mapped<F>(pub(crate) F);

impl<T: Data, U: Data, F: MapFunction<T, U>> ProcessFunction<T, U> for Mapped<F> {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.0.open(context)
    }

    #[inline]
    fn process_element(
        &mut self,
        value: T,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        out.collect(self.0.map(value)?);
        Ok(())
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// A [`FilterFunction`] as a process function.
pub(crate) struct Filtered<F>(pub(crate) F);

impl<T: Data, F: FilterFunction<T>> ProcessFunction<T, T> for Filtered<F> {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.0.open(context)
    }

    #[inline]
    fn process_element(
        &mut self,
        value: T,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<T>,
    ) -> Result<()> {
        if self.0.filter(&value)? {
            out.collect(value);
        }
        Ok(())
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// A [`FlatMapFunction`] as a process function.
pub(crate) struct FlatMapped<F>(pub(crate) F);

impl<T: Data, U: Data, F: FlatMapFunction<T, U>> ProcessFunction<T, U> for FlatMapped<F> {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.0.open(context)
    }

    #[inline]
    fn process_element(
        &mut self,
        value: T,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.0.flat_map(value, out)
    }

    fn close(&mut self) {
        self.0.close();
    }
}
