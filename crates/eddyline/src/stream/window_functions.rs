//! What is computed over windows.

use super::windowed::asks_for_nothing_special;
use super::{DataStream, WindowedStream};
use crate::function::Collector;
use crate::window::{
    AggregateFunction, Aggregator, Apply, AsRow, Count, Elements, Extreme, ExtremeBy, Finish,
    FixedWindowAssigner, Fold, Given, Incremental, Number, Ordered, ProcessWindowFunction, Reduce,
    SessionWindowOperator, SlicedWindowOperator, Sum, Trigger, Whole, WindowAssigner, WindowContents,
    WindowOperator, WindowResult,
};

use eddyline_core::{Data, Key};
use std::marker::PhantomData;

/// The rows of an aggregation.
type Results<K, R, W> = DataStream<WindowResult<K, R, W>>;

impl<K: Key, T: Data, A: WindowAssigner<T>, Tr: Trigger<T, A::Window>> WindowedStream<K, T, A, Tr> {
    /// Aggregates the records of each key and window; the result has the window's last millisecond as its
    /// timestamp. Incremental: one state per key and window, or per slice of a window.
    pub fn aggregate<G: Aggregator<Input = T>>(&self, aggregator: G) -> Results<K, G::Output, A::Window> {
        self.aggregated(aggregator, true)
    }

    /// Aggregates with a function that cannot merge. Incremental; for windows that do not merge.
    ///
    /// # Examples
    /// ```compile_fail
    /// # use eddyline::{Environment, window::EventTimeSessionWindows};
    /// # let numbers = Environment::new().from_collection(vec![1u64]);
    /// let sessions = EventTimeSessionWindows::with_gap(std::time::Duration::from_secs(1));
    /// // Sessions merge.
    /// numbers.window_all(sessions).fold(0u64, |sum: &mut u64, number| *sum += number);
    /// ```
    pub fn aggregate_ordered<F: AggregateFunction<Input = T>>(
        &self,
        function: F,
    ) -> Results<K, F::Output, A::Window>
    where
        A: FixedWindowAssigner,
    {
        self.aggregated(Ordered(function), false)
    }

    /// Folds the records of each key and window into `initial`, in the order in which they come. Incremental; for
    /// windows that do not merge.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    /// use eddyline::window::GlobalWindows;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["a".to_string(), "b".to_string()]);
    /// let windows = words.window_all(GlobalWindows::with_end_of_stream_trigger());
    /// let all = windows.fold(String::new(), |all: &mut String, word| all.push_str(&word)).collect();
    /// environment.execute("all")?;
    /// assert_eq!(all.rows()[0].value, "ab");
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn fold<R: Data + Sync>(
        &self,
        initial: R,
        fold: impl Fn(&mut R, T) + Clone + Send + Sync + 'static,
    ) -> Results<K, R, A::Window>
    where
        A: FixedWindowAssigner,
    {
        self.aggregate_ordered(Fold::new(initial, fold))
    }

    /// Makes one record of two until one is left. `reduce` is given an earlier and a later record and must be
    /// associative: sliding windows join records slice by slice, in the order of time. Incremental.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::TumblingEventTimeWindows;
    /// use eddyline::{Environment, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let environment = Environment::new();
    /// let items = [("a", 3, 1), ("b", 4, 2), ("a", 5, 7)];
    /// let items = items.into_iter().map(|(who, points, time)| ((who.to_string(), points), time)).collect();
    /// let points = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let windows = points.key_by(|(who, _)| who.clone()).window(TumblingEventTimeWindows::of(Duration::from_millis(10)));
    /// let totals = windows.reduce(|(who, one), (_, other): &(String, i32)| (who, one + other)).collect();
    /// environment.execute("totals")?;
    /// let mut totals: Vec<_> = totals.rows().into_iter().map(|row| row.value).collect();
    /// totals.sort();
    /// assert_eq!(totals, [("a".to_string(), 8), ("b".to_string(), 4)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn reduce(
        &self,
        reduce: impl Fn(T, &T) -> T + Clone + Send + Sync + 'static,
    ) -> Results<K, T, A::Window> {
        self.aggregate(Reduce::with(reduce))
    }

    /// Counts the records. Incremental.
    pub fn count(&self) -> Results<K, u64, A::Window> {
        self.aggregate(Count::new())
    }

    /// Sums what `number` gives for each record; integers wrap around. Incremental.
    pub fn sum<N: Number>(
        &self,
        number: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Results<K, N, A::Window> {
        self.aggregate(Sum::of(number))
    }

    /// The least of what `field` gives for each record. Incremental.
    pub fn min<V: Data + PartialOrd>(
        &self,
        field: impl Fn(&T) -> V + Clone + Send + Sync + 'static,
    ) -> Results<K, V, A::Window> {
        self.aggregate(Extreme::min(field))
    }

    /// The greatest of what `field` gives for each record. Incremental.
    pub fn max<V: Data + PartialOrd>(
        &self,
        field: impl Fn(&T) -> V + Clone + Send + Sync + 'static,
    ) -> Results<K, V, A::Window> {
        self.aggregate(Extreme::max(field))
    }

    /// The record for which `field` gives the least value; of several, the first. Incremental.
    pub fn min_by<V: PartialOrd + 'static>(
        &self,
        field: impl Fn(&T) -> V + Clone + Send + Sync + 'static,
    ) -> Results<K, T, A::Window> {
        self.aggregate(ExtremeBy::min(field))
    }

    /// The record for which `field` gives the greatest value; of several, the first. Incremental.
    pub fn max_by<V: PartialOrd + 'static>(
        &self,
        field: impl Fn(&T) -> V + Clone + Send + Sync + 'static,
    ) -> Results<K, T, A::Window> {
        self.aggregate(ExtremeBy::max(field))
    }

    /// Aggregates the records, and gives the one result to a function when a window fires; `make` is called once per
    /// instance. Incremental. For a function without state it is cheaper to let a `map` follow
    /// [`WindowedStream::aggregate`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::{
    ///     Count, Elements, ProcessWindowFunction, TimeWindow, TumblingEventTimeWindows, WindowContext,
    /// };
    /// use eddyline::{Collector, Environment, Result, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// struct Label;
    ///
    /// impl ProcessWindowFunction<String, TimeWindow, u64, String> for Label {
    ///     fn process(
    ///         &mut self,
    ///         key: &String,
    ///         count: Elements<'_, u64>,
    ///         context: &mut WindowContext<'_, TimeWindow>,
    ///         out: &mut Collector<String>,
    ///     ) -> Result<()> {
    ///         let count = count.first().copied().unwrap_or(0);
    ///         out.collect(format!("{key} from {}: {count}", context.window().start));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let environment = Environment::new();
    /// let items = vec![("a".to_string(), 1), ("a".to_string(), 2)];
    /// let words = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let windows = words.key_by(|word| word.clone()).window(TumblingEventTimeWindows::of(Duration::from_millis(10)));
    /// let labels = windows.aggregate_with(Count::new(), || Label).collect();
    /// environment.execute("labels")?;
    /// assert_eq!(labels.rows(), ["a from 0: 2"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn aggregate_with<G, U, F>(
        &self,
        aggregator: G,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U>
    where
        G: Aggregator<Input = T>,
        U: Data,
        F: ProcessWindowFunction<K, A::Window, G::Output, U>,
    {
        self.incremental(aggregator, move || Given(make()))
    }

    /// As [`WindowedStream::aggregate_with`], for a function that cannot merge; for windows that do not merge.
    pub fn aggregate_ordered_with<G, U, F>(
        &self,
        function: G,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U>
    where
        A: FixedWindowAssigner,
        G: AggregateFunction<Input = T>,
        U: Data,
        F: ProcessWindowFunction<K, A::Window, G::Output, U>,
    {
        self.incremental(Ordered(function), move || Given(make()))
    }

    /// As [`WindowedStream::reduce`], and gives the one record that is left to a function when a window fires; `make`
    /// is called once per instance.
    pub fn reduce_with<U, F>(
        &self,
        reduce: impl Fn(T, &T) -> T + Clone + Send + Sync + 'static,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> DataStream<U>
    where
        U: Data,
        F: ProcessWindowFunction<K, A::Window, T, U>,
    {
        self.aggregate_with(Reduce::with(reduce), make)
    }

    /// Gives all elements of a window to a function when it fires; `make` is called once per instance. Windows keep
    /// all their elements; see [`ProcessWindowFunction`] for an example.
    pub fn process<U, F>(&self, make: impl Fn() -> F + Send + Sync + 'static) -> DataStream<U>
    where
        U: Data,
        F: ProcessWindowFunction<K, A::Window, T, U>,
    {
        let evictor = self.evictor.clone();
        self.general(move || Whole { function: make(), evictor: evictor.clone(), _output: PhantomData })
    }

    /// Gives key, window and all elements of a window to `function` when it fires. Windows keep all their elements.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::{Elements, TimeWindow, TumblingEventTimeWindows};
    /// use eddyline::{Collector, Environment, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let environment = Environment::new();
    /// let items = vec![(5u64, 1), (3, 2), (9, 14)];
    /// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let windows = numbers.window_all(TumblingEventTimeWindows::of(Duration::from_millis(10)));
    /// let sorted = windows.apply(|_, _: &TimeWindow, elements: Elements<'_, u64>, out: &mut Collector<Vec<u64>>| {
    ///     let mut numbers: Vec<u64> = elements.iter().copied().collect();
    ///     numbers.sort();
    ///     out.collect(numbers);
    /// });
    /// let sorted = sorted.collect();
    /// environment.execute("sorted")?;
    /// assert_eq!(sorted.rows(), [vec![3, 5], vec![9]]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn apply<U: Data>(
        &self,
        function: impl FnMut(&K, &A::Window, Elements<'_, T>, &mut Collector<U>) + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.process(move || Apply::<_, T>::new(function.clone()))
    }

    /// Aggregates with the cheapest operator that can do what was asked for.
    fn aggregated<G: Aggregator<Input = T>>(
        &self,
        aggregator: G,
        can_merge: bool,
    ) -> Results<K, G::Output, A::Window> {
        let (key_of, settings) = (self.keyed.key_of.clone(), self.settings);
        let key = move |value: &T| key_of(value);
        if A::HAS_SLICES
            && let Some(windows) = self.assigner.as_sliced().filter(|_| self.asks_for_nothing_special())
            && (can_merge || windows.is_one_slice())
        {
            let make = move || {
                SlicedWindowOperator::new(windows, key.clone(), aggregator.clone(), settings.emits_late)
                    .expect("invariant: a job with impossible windows is not built")
                    .with_processing_time_at_end(settings.at_end)
            };
            return self.keyed.stream.transform(self.spec(), make).with_sides(self.sides.clone());
        }
        if A::HAS_SESSIONS
            && let Some(gap) = self.assigner.as_sessions().filter(|_| self.asks_for_nothing_special())
        {
            let make = move || {
                let gap = gap.clone();
                SessionWindowOperator::with_gap(gap, key.clone(), aggregator.clone(), settings.emits_late)
                    .expect("invariant: a job with impossible windows is not built")
            };
            return self.keyed.stream.transform(self.spec(), make).with_sides(self.sides.clone());
        }
        self.incremental(aggregator, || AsRow)
    }

    fn asks_for_nothing_special(&self) -> bool {
        asks_for_nothing_special::<T, A, Tr>(&self.assigner, &self.evictor, self.settings)
    }

    fn incremental<G, N, U>(
        &self,
        aggregator: G,
        finish: impl Fn() -> N + Send + Sync + 'static,
    ) -> DataStream<U>
    where
        G: Aggregator<Input = T>,
        N: Finish<K, A::Window, G::Output, U>,
        U: Data,
    {
        let evictor = self.evictor.clone();
        self.general(move || Incremental {
            aggregator: aggregator.clone(),
            finish: finish(),
            evictor: evictor.clone(),
            _output: PhantomData,
        })
    }

    fn general<U, C>(&self, contents: impl Fn() -> C + Send + Sync + 'static) -> DataStream<U>
    where
        U: Data,
        C: WindowContents<K, A::Window, T, Output = U>,
    {
        let (assigner, trigger) = (self.assigner.clone(), self.trigger.clone());
        let (key_of, settings, sides) = (self.keyed.key_of.clone(), self.settings, self.sides.clone());
        let ports = sides.clone();
        let stream = self.keyed.stream.transform(self.spec(), move || {
            let windows = (assigner.clone(), trigger.clone());
            WindowOperator::new(windows, key_of.clone(), contents(), settings, ports.clone())
        });
        stream.with_sides(sides)
    }
}
