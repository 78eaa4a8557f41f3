//! A source for systems whose splits come and go: partitions, tables, stations.
//!
//! # Contract
//! - A [`SplitReader`] says which splits there are and reads one at a time. Its calls may block: they are made on a
//!   thread of the instance's own, one after the other, at most [`RUNS_MAX`] runs of records ahead.
//! - There is no central enumerator: every instance discovers all splits, and takes those whose keys hash to its
//!   number. So no messages have to pass between instances, and after a rescale every split has one owner again.
//!   Splits with their positions are union state; an instance that has none is idle and holds no watermark back.
//! - A split's state is what the reader left in it: after a restore it goes on there. Each split is a split to the
//!   watermark as well. Split and position are saved as they were after the last record that was emitted.
//! - *Continuous* ([`DiscoveringSource::discover_every`]): new splits are looked for again and again; one that is
//!   finished is known as such until discovery does not list it any more, and would be read anew after that.
//!   *Bounded* (the default): splits are discovered once per attempt, and the source ends when all are finished.

mod reader;
mod source;
#[cfg(test)]
mod tests;

pub use source::{DiscoveringInstance, KnownSplit, RUNS_MAX};

use eddyline_core::{Data, Record, Result};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// What a reader found in a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitStatus {
    /// There is more right now.
    More,
    /// There is nothing more for now.
    Idle,
    /// There will never be anything again.
    Finished,
}

/// A system that has splits, as one instance of a source sees it.
///
/// # Examples
/// `examples/examples/custom_connector.rs` has a whole one; this one counts down from each of some numbers:
/// ```
/// use eddyline::{Environment, Record, Result, WatermarkStrategy};
/// use eddyline_connectors::discovery::{DiscoveringSource, SplitReader, SplitStatus};
///
/// struct CountDowns;
///
/// impl SplitReader<u64> for CountDowns {
///     /// Where it starts, and what comes next.
///     type Split = (u64, u64);
///
///     fn key(&self, split: &(u64, u64)) -> String {
///         split.0.to_string()
///     }
///
///     fn discover(&mut self) -> Result<Vec<(u64, u64)>> {
///         Ok(vec![(3, 3), (2, 2)])
///     }
///
///     fn read(&mut self, split: &mut (u64, u64), rows: &mut Vec<Record<u64>>, _: usize) -> Result<SplitStatus> {
///         rows.push(Record { value: split.1, timestamp: 0 });
///         split.1 -= 1;
///         Ok(if split.1 == 0 { SplitStatus::Finished } else { SplitStatus::More })
///     }
/// }
///
/// let environment = Environment::new();
/// let source = DiscoveringSource::new(|| CountDowns);
/// let numbers = environment
///     .from_source("numbers", move || source.instance(), WatermarkStrategy::no_watermarks())
///     .collect();
/// environment.execute("numbers")?;
/// assert_eq!(numbers.rows().len(), 5);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait SplitReader<T: Data>: Send + 'static {
    /// A split with the position in it.
    type Split: Data;

    /// What tells the split from all others, whatever the position in it.
    fn key(&self, split: &Self::Split) -> String;

    /// Connects; called before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    /// All splits that there are now, at their starts.
    ///
    /// # Errors
    /// End the attempt, the first time; later ones are warnings, and it is tried again.
    fn discover(&mut self) -> Result<Vec<Self::Split>>;

    /// Appends what follows in `split`, about `rows_max` records at most, and moves its position behind them. Records
    /// without a timestamp of their own have [`EventTime::MIN`](eddyline_core::EventTime::MIN). It should not wait
    /// for long: other splits are waiting too.
    ///
    /// # Errors
    /// End the attempt.
    fn read(
        &mut self,
        split: &mut Self::Split,
        rows: &mut Vec<Record<T>>,
        rows_max: usize,
    ) -> Result<SplitStatus>;
}

/// A source whose splits are discovered while it runs.
pub struct DiscoveringSource<T, R> {
    make: Arc<dyn Fn() -> R + Send + Sync>,
    options: Options,
    row: PhantomData<fn() -> T>,
}

/// How splits are discovered and looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// `None`: once.
    discover_every_ms: Option<i64>,
    poll_interval_ms: i64,
}

impl<T: Data, R: SplitReader<T>> DiscoveringSource<T, R> {
    /// A source whose instances each have the reader that `make` makes.
    pub fn new(make: impl Fn() -> R + Send + Sync + 'static) -> Self {
        let options = Options { discover_every_ms: None, poll_interval_ms: 100 };
        DiscoveringSource { make: Arc::new(make), options, row: PhantomData }
    }

    /// Looks for new splits every `interval`, without end.
    #[must_use]
    pub fn discover_every(mut self, interval: Duration) -> Self {
        self.options.discover_every_ms = Some(in_ms(interval));
        self
    }

    /// How soon splits are looked at again when none has anything (default 100 ms).
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.options.poll_interval_ms = in_ms(interval);
        self
    }

    /// An instance of the source, for `Environment::from_source`.
    pub fn instance(&self) -> DiscoveringInstance<T, R> {
        DiscoveringInstance::new((self.make)(), self.options)
    }
}

fn in_ms(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1)
}
