//! Two keyed streams, joined or grouped together by windows.

use super::{DataStream, JoinedStreams, KeyedStream};
use crate::function::{Collector, OutputTag};
use crate::join::{
    BothSides, EachPair, JoinWindows, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT, RIGHT_INPUT,
    WindowJoinOperator, WindowPairs,
};
use crate::side_output::SidePorts;
use crate::window::{SlicedWindows, TimeWindow};
use eddyline_core::{Data, Key, Result};
use eddyline_runtime::graph::NodeSpec;
use std::time::Duration;

/// Two keyed streams and the windows that both are cut into.
struct Sides<K, L, R> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
    windows: JoinWindows,
    ports: SidePorts,
    outputs: usize,
}

/// Two keyed streams that are to be joined window by window.
pub struct WindowJoinedStreams<K, L, R>(Sides<K, L, R>);

/// Two keyed streams that are to be grouped together: say by which windows.
pub struct CoGroupedStreams<K, L, R> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
}

/// Two keyed streams that are to be grouped together window by window.
pub struct WindowCoGroupedStreams<K, L, R>(Sides<K, L, R>);

impl<K: Key, L: Data, R: Data> Sides<K, L, R> {
    fn new(left: KeyedStream<K, L>, right: KeyedStream<K, R>, windows: JoinWindows) -> Self {
        Sides { left, right, windows, ports: SidePorts::default(), outputs: 1 }
    }

    fn side_output_late_data(&mut self, left: &OutputTag<L>, right: &OutputTag<R>) {
        let added =
            self.ports.port(left, LATE_LEFT_OUTPUT).and_then(|_| self.ports.port(right, LATE_RIGHT_OUTPUT));
        if let Err(problem) = added {
            self.left.stream.graph.borrow_mut().refuse(problem);
        }
        self.outputs = LATE_RIGHT_OUTPUT + 1;
    }

    fn apply<O: Data>(&self, name: &str, function: impl WindowPairs<K, L, R, O>) -> DataStream<O> {
        let (left_key, right_key) = (self.left.key_of.clone(), self.right.key_of.clone());
        let (windows, emits_late) = (self.windows, self.outputs > 1);
        let make = move || {
            let (left_key, right_key) = (left_key.clone(), right_key.clone());
            WindowJoinOperator::<K, L, R, O, _, _, _>::new(
                windows,
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
        let spec = NodeSpec::named(name).with_watermarks().with_outputs(self.outputs);
        let node = left.graph.borrow_mut().nodes.add_operator(spec, move || {
            make().expect("invariant: a job with an impossible join is not built")
        });
        left.lead_into(node, LEFT_INPUT);
        right.lead_into(node, RIGHT_INPUT);
        DataStream::new(left.graph.clone(), node).with_sides(self.ports.clone())
    }
}

impl<K: Key, L: Data, R: Data> JoinedStreams<K, L, R> {
    /// Joins within tumbling or sliding windows: every pair of records of the same key and window.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::SlicedWindows;
    /// use eddyline::{Environment, WatermarkStrategy};
    ///
    /// let environment = Environment::new();
    /// let temperatures = environment.from_collection_with(
    ///     vec![((1u64, 20i64), 1_000), ((1, 25), 61_000)],
    ///     WatermarkStrategy::for_monotonous_timestamps(),
    /// );
    /// let humidities = environment.from_collection_with(
    ///     vec![((1u64, 60i64), 2_000), ((2, 70), 3_000)],
    ///     WatermarkStrategy::for_monotonous_timestamps(),
    /// );
    /// let climate = temperatures
    ///     .key_by(|(room, _)| *room)
    ///     .join(&humidities.key_by(|(room, _)| *room))
    ///     .window(SlicedWindows::tumbling(60_000))
    ///     .apply(|(room, degrees), (_, percent)| (*room, *degrees, *percent))
    ///     .collect();
    /// environment.execute("climate")?;
    /// assert_eq!(climate.rows(), [(1, 20, 60)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn window(self, windows: SlicedWindows) -> WindowJoinedStreams<K, L, R> {
        WindowJoinedStreams(Sides::new(self.left, self.right, JoinWindows::Sliced(windows)))
    }

    /// Joins within sessions of both streams together: a session lasts until a key has been quiet on both sides for
    /// `gap`.
    pub fn session_window(self, gap: Duration) -> WindowJoinedStreams<K, L, R> {
        let windows = JoinWindows::Session { gap_ms: crate::watermark::millis(gap) };
        WindowJoinedStreams(Sides::new(self.left, self.right, windows))
    }
}

impl<K: Key, L: Data, R: Data> WindowJoinedStreams<K, L, R> {
    /// Emits records that come too late for all of their windows on side outputs, to be read from the stream of
    /// results.
    #[must_use]
    pub fn side_output_late_data(mut self, left: &OutputTag<L>, right: &OutputTag<R>) -> Self {
        self.0.side_output_late_data(left, right);
        self
    }

    /// Makes the result of a pair; its timestamp is the last millisecond of the window.
    pub fn apply<O: Data>(
        &self,
        join: impl Fn(&L, &R) -> O + Clone + Send + Sync + 'static,
    ) -> DataStream<O> {
        self.flat_apply(move |left: &L, right: &R, out: &mut Collector<O>| out.collect(join(left, right)))
    }

    /// Makes any number of results of a pair.
    pub fn flat_apply<O: Data>(
        &self,
        join: impl Fn(&L, &R, &mut Collector<O>) + Clone + Send + Sync + 'static,
    ) -> DataStream<O> {
        self.0.apply("window join", EachPair(join))
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Groups the stream with another one that has keys of the same type: a function sees all records of a key and
    /// window, of both sides, also where one side has none.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::SlicedWindows;
    /// use eddyline::{Environment, WatermarkStrategy};
    ///
    /// let environment = Environment::new();
    /// let orders = environment.from_collection_with(
    ///     vec![("anna".to_string(), 1_000), ("ben".to_string(), 2_000)],
    ///     WatermarkStrategy::for_monotonous_timestamps(),
    /// );
    /// let payments = environment.from_collection_with(
    ///     vec![("anna".to_string(), 5_000)],
    ///     WatermarkStrategy::for_monotonous_timestamps(),
    /// );
    /// let unpaid = orders
    ///     .key_by(|name| name.clone())
    ///     .co_group(&payments.key_by(|name| name.clone()))
    ///     .window(SlicedWindows::tumbling(60_000))
    ///     .apply(|name, _window, orders, payments, out| {
    ///         if payments.len() < orders.len() {
    ///             out.collect(name.clone());
    ///         }
    ///         Ok(())
    ///     })
    ///     .collect();
    /// environment.execute("unpaid")?;
    /// assert_eq!(unpaid.rows(), ["ben"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn co_group<R: Data>(&self, right: &KeyedStream<K, R>) -> CoGroupedStreams<K, T, R> {
        CoGroupedStreams { left: self.clone(), right: right.clone() }
    }
}

impl<K: Key, L: Data, R: Data> CoGroupedStreams<K, L, R> {
    /// Groups within tumbling or sliding windows.
    pub fn window(self, windows: SlicedWindows) -> WindowCoGroupedStreams<K, L, R> {
        WindowCoGroupedStreams(Sides::new(self.left, self.right, JoinWindows::Sliced(windows)))
    }

    /// Groups within sessions of both streams together.
    pub fn session_window(self, gap: Duration) -> WindowCoGroupedStreams<K, L, R> {
        let windows = JoinWindows::Session { gap_ms: crate::watermark::millis(gap) };
        WindowCoGroupedStreams(Sides::new(self.left, self.right, windows))
    }
}

impl<K: Key, L: Data, R: Data> WindowCoGroupedStreams<K, L, R> {
    /// Emits records that come too late for all of their windows on side outputs, to be read from the stream of
    /// results.
    #[must_use]
    pub fn side_output_late_data(mut self, left: &OutputTag<L>, right: &OutputTag<R>) -> Self {
        self.0.side_output_late_data(left, right);
        self
    }

    /// Calls `function` for each key and window with the records of both sides, in the order in which they came; what
    /// it collects has the last millisecond of the window as its timestamp.
    pub fn apply<O: Data>(
        &self,
        function: impl Fn(&K, TimeWindow, &[L], &[R], &mut Collector<O>) -> Result<()>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> DataStream<O> {
        self.0.apply("co-group", BothSides(function))
    }
}
