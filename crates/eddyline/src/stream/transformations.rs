//! Small steps that are made of others, steps that can fail, and ways to hand records out.

use super::DataStream;
use crate::environment::Route;
use crate::function::Collector;
use crate::operators::{FilterMapStage, TryFilterStage, TryFlatMapStage};
use eddyline_core::{Data, Error, Result};
use eddyline_runtime::graph::Partitioning;
use eddyline_runtime::partition;

impl<T: Data> DataStream<T> {
    /// Calls `function` for each value and keeps what it gives, if it gives anything.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["1".to_string(), "x".to_string(), "3".to_string()]);
    /// let numbers = words.filter_map(|word| word.parse::<u64>().ok()).collect();
    /// environment.execute("numbers")?;
    /// assert_eq!(numbers.rows(), [1, 3]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn filter_map<U: Data>(
        &self,
        function: impl FnMut(T) -> Option<U> + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.stage("filter_map", move || {
            let mut function = function.clone();
            FilterMapStage::<T, U, _>::new(move |value| Ok(function(value)))
        })
    }

    /// Calls `function` for each value and passes the value on: to look at a stream without changing it.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2]);
    /// numbers.inspect(|number| assert!(*number > 0)).print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn inspect(&self, function: impl FnMut(&T) + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.stage("inspect", move || {
            let mut function = function.clone();
            TryFilterStage::<T, _>::new(move |value| {
                function(value);
                Ok(true)
            })
        })
    }

    /// Calls `function` for each value and emits everything that it gives; as [`DataStream::flat_map`] for those who
    /// have an iterator at hand.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let counts = environment.from_collection(vec![2u64, 3]);
    /// let numbers = counts.flat_map_iter(|count| 0..count).collect();
    /// environment.execute("numbers")?;
    /// assert_eq!(numbers.rows(), [0, 1, 0, 1, 2]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn flat_map_iter<I>(
        &self,
        function: impl FnMut(T) -> I + Clone + Send + Sync + 'static,
    ) -> DataStream<I::Item>
    where
        I: IntoIterator,
        I::Item: Data,
    {
        self.stage("flat_map", move || {
            let mut function = function.clone();
            TryFlatMapStage::<T, I::Item, _>::new(move |value, out: &mut Collector<I::Item>| {
                function(value).into_iter().for_each(|item| out.collect(item));
                Ok(())
            })
        })
    }

    /// As [`DataStream::map`] with a function that can fail: its error ends the attempt, naming operator and record,
    /// and the job is started again as its restart strategy says. For records that are to be set aside instead, see
    /// [`DataStream::filter_map`] and side outputs.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, Error};
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["1".to_string(), "two".to_string()]);
    /// words.try_map(|word| word.parse::<u64>()).name("parse").print();
    /// let report = environment.execute("numbers").unwrap_err().report();
    /// assert!(report.contains("invalid digit") && report.contains("parse") && report.contains("record 2"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn try_map<U: Data, E: Into<Error>>(
        &self,
        function: impl FnMut(T) -> Result<U, E> + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.stage("map", move || {
            let mut function = function.clone();
            FilterMapStage::<T, U, _>::new(move |value| function(value).map(Some).map_err(Into::into))
        })
    }

    /// As [`DataStream::filter`] with a function that can fail; see [`DataStream::try_map`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["1".to_string(), "20".to_string()]);
    /// let large = words.try_filter(|word| word.parse::<u64>().map(|number| number > 9)).collect();
    /// environment.execute("large")?;
    /// assert_eq!(large.rows(), ["20"]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn try_filter<E: Into<Error>>(
        &self,
        function: impl FnMut(&T) -> Result<bool, E> + Clone + Send + Sync + 'static,
    ) -> DataStream<T> {
        self.stage("filter", move || {
            let mut function = function.clone();
            TryFilterStage::<T, _>::new(move |value| function(value).map_err(Into::into))
        })
    }

    /// As [`DataStream::filter_map`] with a function that can fail; see [`DataStream::try_map`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Environment, Result};
    ///
    /// let environment = Environment::new();
    /// let words = environment.from_collection(vec!["".to_string(), "20".to_string()]);
    /// let numbers = words.try_filter_map(|word| -> Result<Option<u64>> {
    ///     if word.is_empty() { Ok(None) } else { Ok(Some(word.parse()?)) }
    /// });
    /// let numbers = numbers.collect();
    /// environment.execute("numbers")?;
    /// assert_eq!(numbers.rows(), [20]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn try_filter_map<U: Data, E: Into<Error>>(
        &self,
        function: impl FnMut(T) -> Result<Option<U>, E> + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.stage("filter_map", move || {
            let mut function = function.clone();
            FilterMapStage::<T, U, _>::new(move |value| function(value).map_err(Into::into))
        })
    }

    /// As [`DataStream::flat_map`] with a function that can fail; see [`DataStream::try_map`].
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Collector, Environment, Result};
    ///
    /// let environment = Environment::new();
    /// let lines = environment.from_collection(vec!["1 2".to_string(), "3".to_string()]);
    /// let numbers = lines.try_flat_map(|line: String, out: &mut Collector<u64>| -> Result<()> {
    ///     for word in line.split(' ') {
    ///         out.collect(word.parse()?);
    ///     }
    ///     Ok(())
    /// });
    /// let numbers = numbers.collect();
    /// environment.execute("numbers")?;
    /// assert_eq!(numbers.rows(), [1, 2, 3]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn try_flat_map<U: Data, E: Into<Error>>(
        &self,
        function: impl FnMut(T, &mut Collector<U>) -> Result<(), E> + Clone + Send + Sync + 'static,
    ) -> DataStream<U> {
        self.stage("flat_map", move || {
            let mut function = function.clone();
            TryFlatMapStage::<T, U, _>::new(move |value, out: &mut Collector<U>| {
                function(value, out).map_err(Into::into)
            })
        })
    }

    /// All values of this stream and of `others`, in the order in which they come.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let stream = |number| environment.from_collection(vec![number]);
    /// let all = stream(1u64).union_all([&stream(2), &stream(3)]).collect();
    /// environment.execute("all")?;
    /// let mut rows = all.rows();
    /// rows.sort();
    /// assert_eq!(rows, [1, 2, 3]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn union_all<'s>(&self, others: impl IntoIterator<Item = &'s DataStream<T>>) -> DataStream<T> {
        others.into_iter().fold(self.clone(), |all, other| all.union(other))
    }

    /// Hands records out to instances of what follows that are drawn at random, each as likely as any other.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2]);
    /// numbers.shuffle().map(|number| number + 1).print();
    /// assert!(environment.explain()?.to_text().contains("shuffle"));
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn shuffle(&self) -> DataStream<T> {
        self.routed(Route::By(Partitioning::Shuffle, partition::shuffle::<T>()))
    }

    /// Hands batches out evenly to some of the instances of what follows: each instance of this stream has its own
    /// share of them. Where one is twice as parallel as the other, two instances there belong to one here. Unlike
    /// [`DataStream::rebalance`], most records stay in their process.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// environment.set_parallelism(4);
    /// let numbers = environment.from_collection(vec![1u64, 2]).set_parallelism(2);
    /// numbers.rescale().map(|number| number + 1).print();
    /// assert!(environment.explain()?.to_text().contains("rescale"));
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn rescale(&self) -> DataStream<T> {
        self.routed(Route::By(Partitioning::Rescale, partition::rescale()))
    }
}
