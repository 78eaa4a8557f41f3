//! Two keyed streams, joined or grouped together by windows.

use super::windowed::{asks_for_nothing_special, check_windows};
use super::{DataStream, JoinedStreams, KeyedStream};
use crate::function::{Collector, OutputTag};
use crate::join::{
    BothSides, EachPair, GroupFunction, JoinWindows, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT,
    PairFunction, RIGHT_INPUT, Sided, TwoSides, WindowJoinOperator, WindowPairs, emit_late_sides,
};
use crate::operators::{KeyOf, ProcessingTimersAtEnd};
use crate::side_output::SidePorts;
use crate::window::{
    EventTimeSessionWindows, Evictor, ProcessWindowFunction, Settings, SomeEvictor, Trigger, Whole,
    WindowAssigner, WindowOperator,
};
use eddyline_core::{Data, Key, Result};
use eddyline_runtime::Operator;
use eddyline_runtime::graph::NodeSpec;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Two keyed streams and the windows that both are cut into.
struct Sides<K, L, R, A: WindowAssigner<Sided<L, R>>, Tr> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
    assigner: A,
    trigger: Tr,
    evictor: SomeEvictor<Sided<L, R>, A::Window>,
    settings: Settings,
    ports: SidePorts,
    outputs: usize,
}

/// Two keyed streams that are to be joined window by window.
///
/// Any kind of windows will do, with any trigger and evictor; these see the records of both sides, each as a
/// [`Sided`], in the order in which they come.
///
/// # Examples
/// What was clicked at a price that is valid for as long as the day has been, and again if a price comes late:
/// ```
/// use eddyline::window::CumulativeWindows;
/// use eddyline::{Environment, WatermarkStrategy};
/// use std::time::Duration;
///
/// let environment = Environment::new();
/// let times = WatermarkStrategy::for_monotonous_timestamps();
/// let clicks = environment.from_collection_with(vec![(1u64, 1_000), (1, 7_000)], times);
/// let times = WatermarkStrategy::for_monotonous_timestamps();
/// let prices = environment.from_collection_with(vec![((1u64, 20u32), 2_000)], times);
/// let windows = CumulativeWindows::event_time(Duration::from_secs(10), Duration::from_secs(5));
/// let offers = clicks
///     .key_by(|item| *item)
///     .join(&prices.key_by(|(item, _)| *item))
///     .window(windows)
///     .allowed_lateness(Duration::from_secs(60))
///     .apply(|item, (_, price)| (*item, *price))
///     .collect();
/// environment.execute("offers")?;
/// // One pair until second 5, both until second 10.
/// assert_eq!(offers.rows(), [(1, 20), (1, 20), (1, 20)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct WindowJoinedStreams<
    K,
    L,
    R,
    A: WindowAssigner<Sided<L, R>>,
    Tr = <A as WindowAssigner<Sided<L, R>>>::DefaultTrigger,
>(Sides<K, L, R, A, Tr>);

/// Two keyed streams that are to be grouped together: say by which windows.
pub struct CoGroupedStreams<K, L, R> {
    left: KeyedStream<K, L>,
    right: KeyedStream<K, R>,
}

/// Two keyed streams that are to be grouped together window by window; any kind of windows will do, as for
/// [`WindowJoinedStreams`].
pub struct WindowCoGroupedStreams<
    K,
    L,
    R,
    A: WindowAssigner<Sided<L, R>>,
    Tr = <A as WindowAssigner<Sided<L, R>>>::DefaultTrigger,
>(Sides<K, L, R, A, Tr>);

impl<K: Key, L: Data, R: Data, A: WindowAssigner<Sided<L, R>>> Sides<K, L, R, A, A::DefaultTrigger> {
    fn new(left: KeyedStream<K, L>, right: KeyedStream<K, R>, assigner: A) -> Self {
        let trigger = assigner.default_trigger();
        Sides {
            left,
            right,
            assigner,
            trigger,
            evictor: None,
            settings: Settings::default(),
            ports: SidePorts::default(),
            outputs: 1,
        }
    }
}

impl<K, L, R, A, Tr> Sides<K, L, R, A, Tr>
where
    K: Key,
    L: Data,
    R: Data,
    A: WindowAssigner<Sided<L, R>>,
    Tr: Trigger<Sided<L, R>, A::Window>,
{
    fn trigger<Tr2>(self, trigger: Tr2) -> Sides<K, L, R, A, Tr2> {
        Sides {
            left: self.left,
            right: self.right,
            assigner: self.assigner,
            trigger,
            evictor: self.evictor,
            settings: self.settings,
            ports: self.ports,
            outputs: self.outputs,
        }
    }

    fn side_output_late_data(&mut self, left: &OutputTag<L>, right: &OutputTag<R>) {
        let added =
            self.ports.port(left, LATE_LEFT_OUTPUT).and_then(|_| self.ports.port(right, LATE_RIGHT_OUTPUT));
        if let Err(problem) = added {
            self.left.stream.graph.borrow_mut().refuse(problem);
        }
        self.settings.emits_late = true;
        self.outputs = LATE_RIGHT_OUTPUT + 1;
    }

    /// The windows as the operator made for joins knows them, if it can do what was asked for.
    fn simple(&self) -> Option<JoinWindows> {
        let is_simple = asks_for_nothing_special::<_, A, Tr>(&self.assigner, &self.evictor, self.settings);
        let sliced = self.assigner.as_sliced().map(JoinWindows::Sliced);
        let windows = sliced
            .or_else(|| self.assigner.as_session_gap_ms().map(|gap_ms| JoinWindows::Session { gap_ms }));
        windows.filter(|windows| {
            is_simple
                && (!windows.is_processing_time() || self.settings.at_end == ProcessingTimersAtEnd::Fire)
        })
    }

    fn apply<O, P, F>(
        &self,
        name: &str,
        simple: P,
        general: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<O>
    where
        O: Data,
        P: WindowPairs<K, L, R, O>,
        F: ProcessWindowFunction<K, A::Window, Sided<L, R>, O>,
    {
        if let Err(problem) = check_windows(&self.assigner, &self.trigger) {
            self.left.stream.graph.borrow_mut().refuse(problem);
            // What is described next is never run.
            return self.general(name, general);
        }
        match self.simple() {
            Some(windows) => self.by_join_operator(name, windows, simple),
            None => self.general(name, general),
        }
    }

    fn by_join_operator<O: Data>(
        &self,
        name: &str,
        windows: JoinWindows,
        function: impl WindowPairs<K, L, R, O>,
    ) -> DataStream<O> {
        let (left_key, right_key) = (self.left.key_of.clone(), self.right.key_of.clone());
        let emits_late = self.settings.emits_late;
        self.node(name, move || {
            let (left_key, right_key) = (left_key.clone(), right_key.clone());
            WindowJoinOperator::<K, L, R, O, _, _, _>::new(
                windows,
                move |left: &L| left_key(left),
                move |right: &R| right_key(right),
                function.clone(),
                emits_late,
            )
            .expect("invariant: a job with impossible windows is not built")
        })
    }

    fn general<O, F>(&self, name: &str, make: impl Fn() -> F + Send + Sync + 'static) -> DataStream<O>
    where
        O: Data,
        F: ProcessWindowFunction<K, A::Window, Sided<L, R>, O>,
    {
        let (left_key, right_key) = (self.left.key_of.clone(), self.right.key_of.clone());
        let key_of: KeyOf<Sided<L, R>, K> = Arc::new(move |record: &Sided<L, R>| match record {
            Sided::Left(left) => left_key(left),
            Sided::Right(right) => right_key(right),
        });
        let (assigner, trigger, evictor) =
            (self.assigner.clone(), self.trigger.clone(), self.evictor.clone());
        let (settings, ports) = (self.settings, self.ports.clone());
        self.node(name, move || {
            let windows = (assigner.clone(), trigger.clone());
            let contents = Whole { function: make(), evictor: evictor.clone(), _output: PhantomData };
            let operator = WindowOperator::new(windows, key_of.clone(), contents, settings, ports.clone());
            TwoSides::<L, R, _>::new(operator.with_late_rows(emit_late_sides::<L, R>))
        })
    }

    fn node<O: Data, P: Operator + 'static>(
        &self,
        name: &str,
        make: impl Fn() -> P + Send + Sync + 'static,
    ) -> DataStream<O> {
        let mut spec = NodeSpec::named(name).with_watermarks().with_outputs(self.outputs);
        if self.assigner.is_event_time() && self.settings.allowed_lateness_ms > 0 {
            spec = spec.generating_watermarks();
        }
        let (left, right) = (&self.left.stream, &self.right.stream);
        let node = left.graph.borrow_mut().nodes.add_operator(spec, make);
        left.lead_into(node, LEFT_INPUT);
        right.lead_into(node, RIGHT_INPUT);
        DataStream::new(left.graph.clone(), node).with_sides(self.ports.clone())
    }
}

impl<K: Key, L: Data, R: Data> JoinedStreams<K, L, R> {
    /// Joins within windows: every pair of records of the same key and window.
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
    pub fn window<A: WindowAssigner<Sided<L, R>>>(self, windows: A) -> WindowJoinedStreams<K, L, R, A> {
        WindowJoinedStreams(Sides::new(self.left, self.right, windows))
    }

    /// Joins within sessions of both streams together: a session lasts until a key has been quiet on both sides for
    /// `gap`.
    pub fn session_window(self, gap: Duration) -> WindowJoinedStreams<K, L, R, EventTimeSessionWindows> {
        self.window(EventTimeSessionWindows::with_gap(gap))
    }
}

/// What can be said of the windows of a join and of those of a co-group.
macro_rules! window_settings {
    ($streams:ident) => {
        impl<K, L, R, A, Tr> $streams<K, L, R, A, Tr>
        where
            K: Key,
            L: Data,
            R: Data,
            A: WindowAssigner<Sided<L, R>>,
            Tr: Trigger<Sided<L, R>, A::Window>,
        {
            /// Fires the windows by `trigger`, in place of what fires them by default.
            #[must_use]
            pub fn trigger<Tr2: Trigger<Sided<L, R>, A::Window>>(
                self,
                trigger: Tr2,
            ) -> $streams<K, L, R, A, Tr2> {
                $streams(self.0.trigger(trigger))
            }

            /// Drops records of both sides when a window fires, as `evictor` says.
            #[must_use]
            pub fn evictor(mut self, evictor: impl Evictor<Sided<L, R>, A::Window>) -> Self {
                self.0.evictor = Some(Arc::new(evictor));
                self
            }

            /// Keeps windows in event time until the watermark is `lateness` past them. A record that comes meanwhile
            /// is added to its window, which fires again at once (by the default trigger), with all records of both
            /// sides. The watermark of what follows is held back by `lateness`.
            #[must_use]
            pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
                self.0.settings.allowed_lateness_ms = crate::watermark::millis(lateness);
                self
            }

            /// Says what becomes of windows in processing time that are not over when the input ends. Unless this is
            /// said, they fire.
            #[must_use]
            pub fn processing_time_at_end(mut self, at_end: ProcessingTimersAtEnd) -> Self {
                self.0.settings.at_end = at_end;
                self
            }

            /// Emits records that come too late for all of their windows on side outputs, to be read from the stream
            /// of results.
            #[must_use]
            pub fn side_output_late_data(mut self, left: &OutputTag<L>, right: &OutputTag<R>) -> Self {
                self.0.side_output_late_data(left, right);
                self
            }
        }
    };
}

window_settings!(WindowJoinedStreams);
window_settings!(WindowCoGroupedStreams);

impl<K, L, R, A, Tr> WindowJoinedStreams<K, L, R, A, Tr>
where
    K: Key,
    L: Data,
    R: Data,
    A: WindowAssigner<Sided<L, R>>,
    Tr: Trigger<Sided<L, R>, A::Window>,
{
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
        let simple = EachPair(join.clone());
        self.0.apply("window join", simple, move || PairFunction { join: join.clone(), _sides: PhantomData })
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
    /// Groups within windows.
    pub fn window<A: WindowAssigner<Sided<L, R>>>(self, windows: A) -> WindowCoGroupedStreams<K, L, R, A> {
        WindowCoGroupedStreams(Sides::new(self.left, self.right, windows))
    }

    /// Groups within sessions of both streams together.
    pub fn session_window(self, gap: Duration) -> WindowCoGroupedStreams<K, L, R, EventTimeSessionWindows> {
        self.window(EventTimeSessionWindows::with_gap(gap))
    }
}

impl<K, L, R, A, Tr> WindowCoGroupedStreams<K, L, R, A, Tr>
where
    K: Key,
    L: Data,
    R: Data,
    A: WindowAssigner<Sided<L, R>>,
    Tr: Trigger<Sided<L, R>, A::Window>,
{
    /// Calls `function` for each key and window with the records of both sides, in the order in which they came; what
    /// it collects has the last millisecond of the window as its timestamp.
    pub fn apply<O: Data>(
        &self,
        function: impl Fn(&K, &A::Window, &[L], &[R], &mut Collector<O>) -> Result<()>
        + Clone
        + Send
        + Sync
        + 'static,
    ) -> DataStream<O> {
        let simple = BothSides::<_, A::Window> { function: function.clone(), _window: PhantomData };
        self.0.apply("co-group", simple, move || GroupFunction::new(function.clone()))
    }
}
