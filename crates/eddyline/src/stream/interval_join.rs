//! Two keyed streams, joined by the distance of their event times.

use super::{DataStream, KeyedStream};
use crate::function::{Collector, OutputTag};
use crate::join::{
    Interval, IntervalJoinOperator, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT, PairTimes, RIGHT_INPUT,
};
use crate::side_output::SidePorts;
use eddyline_core::{Data, Key, Result};
use eddyline_runtime::graph::NodeSpec;

/// Two keyed streams that are to be joined by an interval: say which one by [`IntervalJoin::between`].
pub struct IntervalJoin<K, L, R> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
}

/// Two keyed streams and the interval by which they are joined.
pub struct IntervalJoined<K, L, R> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
    interval: Interval,
    sides: SidePorts,
    outputs: usize,
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Joins the stream with another one that has keys of the same type: pairs of records with equal keys whose
    /// event times are close to one another.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, WatermarkStrategy};
    ///
    /// // A click belongs to a view of the same advertisement up to a minute before it.
    /// let environment = Environment::new();
    /// let views = environment.from_collection_with(
    ///     vec![("ad 1".to_string(), 1_000), ("ad 2".to_string(), 2_000)],
    ///     WatermarkStrategy::for_monotonous_timestamps(),
    /// );
    /// let clicks = environment.from_collection_with(
    ///     vec![("ad 1".to_string(), 30_000), ("ad 2".to_string(), 90_000)],
    ///     WatermarkStrategy::for_monotonous_timestamps(),
    /// );
    /// let attributed = clicks
    ///     .key_by(|ad| ad.clone())
    ///     .interval_join(&views.key_by(|ad| ad.clone()))
    ///     .between(-60_000, 0)
    ///     .process(|ad, _view, times, out| {
    ///         out.collect((ad.clone(), times.left - times.right));
    ///         Ok(())
    ///     })
    ///     .collect();
    /// environment.execute("attribution")?;
    /// assert_eq!(attributed.rows(), [("ad 1".to_string(), 29_000)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn interval_join<R: Data>(&self, right: &KeyedStream<K, R>) -> IntervalJoin<K, T, R> {
        IntervalJoin { left: self.clone(), right: right.clone() }
    }
}

impl<K: Key, L: Data, R: Data> IntervalJoin<K, L, R> {
    /// A right record is a partner of a left one if its timestamp is from `lower_ms` to `upper_ms` milliseconds
    /// after the left one's, both bounds included; negative numbers mean before.
    pub fn between(self, lower_ms: i64, upper_ms: i64) -> IntervalJoined<K, L, R> {
        let (left, right) = (self.left, self.right);
        let interval = Interval { lower_ms, upper_ms };
        IntervalJoined { left, right, interval, sides: SidePorts::default(), outputs: 1 }
    }
}

impl<K: Key, L: Data, R: Data> IntervalJoined<K, L, R> {
    /// Leaves the lower bound out of the interval.
    #[must_use]
    pub fn lower_bound_exclusive(mut self) -> Self {
        self.interval.lower_ms = self.interval.lower_ms.saturating_add(1);
        self
    }

    /// Leaves the upper bound out of the interval.
    #[must_use]
    pub fn upper_bound_exclusive(mut self) -> Self {
        self.interval.upper_ms = self.interval.upper_ms.saturating_sub(1);
        self
    }

    /// Emits records that come too late to be joined on side outputs, to be read from the stream of results.
    #[must_use]
    pub fn side_output_late_data(mut self, left: &OutputTag<L>, right: &OutputTag<R>) -> Self {
        let added =
            self.sides.port(left, LATE_LEFT_OUTPUT).and_then(|_| self.sides.port(right, LATE_RIGHT_OUTPUT));
        if let Err(problem) = added {
            self.left.stream.graph.borrow_mut().refuse(problem);
        }
        self.outputs = LATE_RIGHT_OUTPUT + 1;
        self
    }

    /// Makes the result of a pair; its timestamp is the greater one of both.
    pub fn apply<O: Data>(
        &self,
        join: impl Fn(&L, &R) -> O + Clone + Send + Sync + 'static,
    ) -> DataStream<O> {
        self.process(move |left: &L, right: &R, _, out: &mut Collector<O>| {
            out.collect(join(left, right));
            Ok(())
        })
    }

    /// Calls `function` for each pair, with both timestamps; what it collects has the greater one of them.
    pub fn process<O: Data>(
        &self,
        function: impl Fn(&L, &R, PairTimes, &mut Collector<O>) -> Result<()> + Clone + Send + Sync + 'static,
    ) -> DataStream<O> {
        let (left_key, right_key) = (self.left.key_of.clone(), self.right.key_of.clone());
        let (interval, emits_late) = (self.interval, self.outputs > 1);
        let make = move || {
            let (left_key, right_key) = (left_key.clone(), right_key.clone());
            IntervalJoinOperator::new(
                interval,
                move |left: &L| left_key(left),
                move |right: &R| right_key(right),
                function.clone(),
                emits_late,
            )
        };
        let (left, right) = (&self.left.stream, &self.right.stream);
        if let Err(problem) = make() {
            left.graph.borrow_mut().refuse(problem);
        }
        let spec = NodeSpec::named("interval join")
            .with_watermarks()
            .generating_watermarks()
            .with_outputs(self.outputs);
        let node = left.graph.borrow_mut().nodes.add_operator(spec, move || {
            make().expect("invariant: a job with an impossible join is not built")
        });
        left.lead_into(node, LEFT_INPUT);
        right.lead_into(node, RIGHT_INPUT);
        DataStream::new(left.graph.clone(), node).with_sides(self.sides.clone())
    }
}
