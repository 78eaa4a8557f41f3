//! Records made by a function, at a rate.

use super::{SourceContext, SplitOutput, SplitSource};
use eddyline_core::{Data, Error, Result};
use eddyline_runtime::SourceStatus;
use eddyline_state::{ManagedState, OperatorListState};
use std::sync::Arc;

/// A part of the index space that is being generated: how many parts there are, which one it is, how many of its
/// indices have been used. Index `i` belongs to part `i % parts`.
type Part = (u64, u64, u64);

/// While a rate limits the source, records of so much time are made at once at most, microseconds; the rate is
/// kept, in steps of a millisecond.
const BURST_MICROS_MAX: u64 = 100_000;
const STEP_MICROS: u64 = 1_000;

/// Makes records by calling a function with an index that counts up, as fast as the job takes them or at a rate, for
/// ever or for a number of records. Indices are dealt out over the instances; each instance's part is a split.
///
/// # Examples
/// ```
/// use eddyline::source::DataGenerator;
///
/// // A million records, a thousand per second over all instances together.
/// let readings = DataGenerator::new(|index| (index % 10, index as f64 / 3.0))
///     .with_count(1_000_000)
///     .with_rate_per_second(1_000.0);
/// # let _ = readings;
/// ```
pub struct DataGenerator<T> {
    make: Arc<dyn Fn(u64) -> T + Send + Sync>,
    count: Option<u64>,
    rate_per_second: Option<f64>,
}

impl<T> Clone for DataGenerator<T> {
    fn clone(&self) -> Self {
        DataGenerator { make: self.make.clone(), count: self.count, rate_per_second: self.rate_per_second }
    }
}

impl<T: Data> DataGenerator<T> {
    /// Records without end, as fast as the job takes them; `make` is called with 0, 1, 2…
    pub fn new(make: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        DataGenerator { make: Arc::new(make), count: None, rate_per_second: None }
    }

    /// Ends after `count` records.
    #[must_use]
    pub fn with_count(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    /// Makes `rate` records per second, over all instances together. What could not be made because the job was
    /// busy is made up for as far as a tenth of a second goes.
    #[must_use]
    pub fn with_rate_per_second(mut self, rate: f64) -> Self {
        self.rate_per_second = Some(rate);
        self
    }

    /// Checks that the rate is one.
    pub(crate) fn check(&self) -> Result<()> {
        match self.rate_per_second {
            Some(rate) if !(rate > 0.0 && rate.is_finite()) => {
                Err(Error::config(format!("a generator cannot make {rate} records per second"))
                    .with_hint("give a positive rate, or none for as many as the job takes"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn instance(&self) -> GeneratorSource<T> {
        GeneratorSource {
            generator: self.clone(),
            parts: OperatorListState::union("parts", 0),
            next_part: 0,
            tokens: 0.0,
            refilled_micros: 0,
            share: 1.0,
            started: false,
        }
    }
}

/// One instance of a [`DataGenerator`].
pub(crate) struct GeneratorSource<T> {
    generator: DataGenerator<T>,
    parts: OperatorListState<Part>,
    /// Which of the instance's parts is served first next time.
    next_part: usize,
    /// How many records may be made now.
    tokens: f64,
    refilled_micros: u64,
    /// The share of the rate that is this instance's.
    share: f64,
    started: bool,
}

impl<T: Data> GeneratorSource<T> {
    /// How many records may be made now; asks to be called again when there may be more.
    fn allowed(&mut self, context: &mut SourceContext<'_, '_>) -> u64 {
        let Some(rate) = self.generator.rate_per_second else { return u64::MAX };
        let rate = rate * self.share;
        let now = context.clock().monotonic_micros();
        let passed = now.saturating_sub(self.refilled_micros);
        self.refilled_micros = now;
        let per_micro = rate / 1_000_000.0;
        let most = (per_micro * BURST_MICROS_MAX as f64).max(1.0);
        self.tokens = (self.tokens + passed as f64 * per_micro).min(most);
        if self.tokens < 1.0 && per_micro > 0.0 {
            let wait = ((1.0 - self.tokens) / per_micro).max(STEP_MICROS as f64);
            let wait_ms = (wait / 1_000.0).ceil().min(3_600_000.0) as i64;
            context.wake_at(context.processing_time_ms() + wait_ms);
        }
        self.tokens as u64
    }

    /// How many indices of a part there are to be used.
    fn left(&self, (parts, part, used): Part) -> u64 {
        self.generator
            .count
            .map_or(u64::MAX, |count| count.saturating_sub(part).div_ceil(parts).saturating_sub(used))
    }
}

impl<T: Data> SplitSource<T> for GeneratorSource<T> {
    fn is_bounded(&self) -> bool {
        self.generator.count.is_some()
    }

    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.parts = OperatorListState::union("parts", context.instance());
        Ok(())
    }

    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let (instance, parallelism) = (u64::from(context.instance()), u64::from(context.parallelism()));
        let mut parts = self.parts.items().to_vec();
        if parts.is_empty() {
            parts.push((parallelism, instance, 0));
        } else {
            // The parts stay what they were cut into first; a different number of instances divides them anew.
            parts.retain(|(_, part, _)| part % parallelism == instance);
        }
        self.share = parts.iter().map(|(count, ..)| 1.0 / *count as f64).sum();
        self.parts.set(parts);
        self.refilled_micros = context.clock().monotonic_micros();
        Ok(())
    }

    fn poll(
        &mut self,
        out: &mut SplitOutput<'_, T>,
        context: &mut SourceContext<'_, '_>,
    ) -> Result<SourceStatus> {
        if !self.started {
            self.started = true;
            let unfinished = self.parts.items().iter().filter(|part| self.left(**part) > 0);
            unfinished.for_each(|(_, part, _)| out.split_added(*part));
        }
        let allowed = self.allowed(context);
        let mut made = 0;
        let (mut finished, mut able) = (true, false);
        let parts = self.parts.items().len();
        for step in 0..parts {
            let number = (self.next_part + step) % parts;
            let part @ (count, split, used) = self.parts.items()[number];
            let left = self.left(part);
            if left == 0 {
                continue;
            }
            let room = if out.is_paused(split) { 0 } else { (out.remaining() as u64).min(allowed - made) };
            let take = left.min(room);
            for index in used..used + take {
                out.push(split, (self.generator.make)(index * count + split));
            }
            made += take;
            if take > 0 {
                self.parts.items_mut()[number].2 += take;
            }
            if take == left {
                out.split_finished(split);
            } else {
                finished = false;
                able |= !out.is_paused(split);
            }
        }
        self.next_part = (self.next_part + 1) % parts.max(1);
        self.tokens -= if self.generator.rate_per_second.is_some() { made as f64 } else { 0.0 };
        Ok(match (finished, able && allowed > made) {
            (true, _) => SourceStatus::Finished,
            (false, true) => SourceStatus::Ready,
            (false, false) => SourceStatus::Pending,
        })
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.parts)
    }
}
