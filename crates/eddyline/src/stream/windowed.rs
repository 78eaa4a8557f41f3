//! Streams cut into windows: what kind, when they fire, what they drop, what they do with late records.

use super::{DataStream, KeyedStream};
use crate::function::OutputTag;
use crate::operators::ProcessingTimersAtEnd;
use crate::side_output::SidePorts;
use crate::watermark::millis;
use crate::window::{
    CountEvictor, CountTrigger, EventTimeSessionWindows, Evictor, GlobalWindows, LATE_OUTPUT, PurgingTrigger,
    Settings, SomeEvictor, TimeWindow, Trigger, WindowAssigner,
};
use eddyline_core::{Data, Error, Key, Result};
use eddyline_runtime::graph::NodeSpec;
use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

/// A keyed stream and the windows that its records belong to.
///
/// What follows is a function: one that is *incremental* and keeps one value per key and window
/// ([`aggregate`](WindowedStream::aggregate), [`reduce`](WindowedStream::reduce), [`sum`](WindowedStream::sum) and
/// their like), one that is given all elements and so keeps them ([`process`](WindowedStream::process),
/// [`apply`](WindowedStream::apply)), or an incremental one whose result is given to another
/// ([`aggregate_with`](WindowedStream::aggregate_with), [`reduce_with`](WindowedStream::reduce_with)).
pub struct WindowedStream<K, T, A: WindowAssigner<T>, Tr = <A as WindowAssigner<T>>::DefaultTrigger> {
    pub(super) keyed: KeyedStream<K, T>,
    pub(super) assigner: A,
    pub(super) trigger: Tr,
    pub(super) evictor: SomeEvictor<T, A::Window>,
    pub(super) settings: Settings,
    pub(super) sides: SidePorts,
    pub(super) outputs: usize,
    /// 0: one instance per worker.
    pub(super) parallelism: u32,
}

/// A stream that is not keyed and the windows that its records belong to: all in one instance, under the key `()`.
pub type AllWindowedStream<T, A, Tr = <A as WindowAssigner<T>>::DefaultTrigger> =
    WindowedStream<(), T, A, Tr>;

/// Windows of so many records.
pub type CountWindowedStream<K, T> = WindowedStream<K, T, GlobalWindows, PurgingTrigger<CountTrigger>>;

/// Windows of the last so many records, every so many.
pub type SlidingCountWindowedStream<K, T> = WindowedStream<K, T, GlobalWindows, CountTrigger>;

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Cuts the stream into windows.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::{Count, SlicedWindows};
    /// use eddyline::{Environment, WatermarkStrategy};
    ///
    /// let environment = Environment::new();
    /// let strategy = WatermarkStrategy::for_monotonous_timestamps();
    /// let clicks = environment.from_collection_with(vec![("a".to_string(), 1_000), ("b".to_string(), 61_000)], strategy);
    /// clicks.key_by(|page| page.clone()).window(SlicedWindows::tumbling(60_000)).aggregate(Count::new()).print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn window<A: WindowAssigner<T>>(&self, windows: A) -> WindowedStream<K, T, A> {
        let trigger = windows.default_trigger();
        WindowedStream {
            keyed: self.clone(),
            assigner: windows,
            trigger,
            evictor: None,
            settings: Settings::default(),
            sides: SidePorts::default(),
            outputs: 1,
            parallelism: 0,
        }
    }

    /// Cuts the stream into sessions: a window lasts until the key has been quiet for `gap`.
    pub fn session_window(&self, gap: Duration) -> WindowedStream<K, T, EventTimeSessionWindows> {
        self.window(EventTimeSessionWindows::with_gap(gap))
    }

    /// Cuts the stream into windows of `size` records of a key. A window that is not full when the input ends does
    /// not fire.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2, 3, 4, 5, 6, 7]);
    /// let sums = numbers.key_by(|number| number % 2).count_window(2).sum(|number| *number).collect();
    /// environment.execute("sums")?;
    /// assert_eq!(sums.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [4, 6, 12]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn count_window(&self, size: u64) -> CountWindowedStream<K, T> {
        self.check_count("count windows", size);
        self.window(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// Cuts the stream into windows of the last `size` records of a key, one every `slide` records. The first ones
    /// have fewer.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2, 3, 4, 5, 6]);
    /// let sums = numbers.key_by(|_| 0u8).count_window_sliding(3, 2).sum(|number| *number).collect();
    /// environment.execute("sums")?;
    /// assert_eq!(sums.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [3, 9, 15]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn count_window_sliding(&self, size: u64, slide: u64) -> SlidingCountWindowedStream<K, T> {
        self.check_count("sliding count windows", size.min(slide));
        self.window(GlobalWindows::create()).trigger(CountTrigger::of(slide)).evictor(CountEvictor::of(size))
    }

    fn check_count(&self, what: &str, count: u64) {
        if count == 0 {
            let problem = Error::config(format!("{what} of 0 records are not possible"))
                .with_hint("size and slide are numbers of records greater than 0");
            self.stream.graph.borrow_mut().refuse(problem);
        }
    }
}

impl<T: Data> DataStream<T> {
    /// Cuts the stream into windows without regard to keys. One instance does all the work: if there is a key, use
    /// it.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::TumblingEventTimeWindows;
    /// use eddyline::{Environment, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let environment = Environment::new();
    /// let items = vec![(3u64, 1_000), (4, 30_000), (5, 61_000)];
    /// let orders = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let per_minute = orders.window_all(TumblingEventTimeWindows::of(Duration::from_secs(60)));
    /// let totals = per_minute.sum(|price| *price).collect();
    /// environment.execute("totals")?;
    /// assert_eq!(totals.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [7, 5]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn window_all<A: WindowAssigner<T>>(&self, windows: A) -> AllWindowedStream<T, A> {
        let mut windowed = self.key_by(|_| ()).window(windows);
        windowed.parallelism = 1;
        windowed
    }

    /// Windows of `size` records, without regard to keys, in one instance.
    pub fn count_window_all(&self, size: u64) -> CountWindowedStream<(), T> {
        let mut windowed = self.key_by(|_| ()).count_window(size);
        windowed.parallelism = 1;
        windowed
    }

    /// Windows of the last `size` records, one every `slide` records, without regard to keys, in one instance.
    pub fn count_window_all_sliding(&self, size: u64, slide: u64) -> SlidingCountWindowedStream<(), T> {
        let mut windowed = self.key_by(|_| ()).count_window_sliding(size, slide);
        windowed.parallelism = 1;
        windowed
    }
}

impl<K: Key, T: Data, A: WindowAssigner<T>, Tr: Trigger<T, A::Window>> WindowedStream<K, T, A, Tr> {
    /// Fires the windows by `trigger`, in place of what fires them by default: with a trigger that does not look at
    /// the time, windows do not fire at their end any more.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::{CountTrigger, TumblingEventTimeWindows};
    /// use eddyline::{Environment, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let environment = Environment::new();
    /// let items = (1..=5u64).map(|number| (number, number as i64)).collect();
    /// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let windows = numbers.window_all(TumblingEventTimeWindows::of(Duration::from_secs(1)));
    /// let so_far = windows.trigger(CountTrigger::of(2)).sum(|number| *number).collect();
    /// environment.execute("so far")?;
    /// assert_eq!(so_far.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [3, 10]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    #[must_use]
    pub fn trigger<Tr2: Trigger<T, A::Window>>(self, trigger: Tr2) -> WindowedStream<K, T, A, Tr2> {
        WindowedStream {
            keyed: self.keyed,
            assigner: self.assigner,
            trigger,
            evictor: self.evictor,
            settings: self.settings,
            sides: self.sides,
            outputs: self.outputs,
            parallelism: self.parallelism,
        }
    }

    /// Drops elements when a window fires, as `evictor` says. Windows then keep all their elements, also for
    /// incremental functions.
    #[must_use]
    pub fn evictor(mut self, evictor: impl Evictor<T, A::Window>) -> Self {
        self.evictor = Some(Arc::new(evictor));
        self
    }

    /// Keeps windows in event time until the watermark is `lateness` past them. A record that comes meanwhile is
    /// added to its window, which fires again at once (by the default trigger), with everything in it. Windows in
    /// processing time do not heed it: no record is late for them.
    ///
    /// What comes out then is behind the watermark, so the watermark of what follows is held back by `lateness`.
    ///
    /// # Examples
    /// ```
    /// use eddyline::window::TumblingEventTimeWindows;
    /// use eddyline::{Environment, OutputTag, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// let mut environment = Environment::new();
    /// // Watermarks exactly between records, so that the example always gives the same.
    /// environment.options_mut().set("eddyline.watermark-mode", "on-event")?;
    /// let items = vec![(1u64, 2), (10, 12), (100, 3), (1_000, 17), (10_000, 4)];
    /// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    /// let too_late = OutputTag::new("too late");
    /// let sums = numbers
    ///     .window_all(TumblingEventTimeWindows::of(Duration::from_millis(10)))
    ///     .allowed_lateness(Duration::from_millis(5))
    ///     .side_output_late_data(&too_late)
    ///     .sum(|number| *number);
    /// let (sums, too_late) = (sums.clone().collect(), sums.side_output(&too_late).collect());
    /// environment.execute("sums")?;
    /// // The third record comes when the first window has fired; the last one when that is gone.
    /// assert_eq!(sums.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [1, 101, 1_010]);
    /// assert_eq!(too_late.rows(), [10_000]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.settings.allowed_lateness_ms = millis(lateness);
        self
    }

    /// Emits records that come too late for all of their windows on a side output, to be read from the stream of
    /// results.
    #[must_use]
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        if let Err(problem) = self.sides.port(tag, LATE_OUTPUT) {
            self.keyed.stream.graph.borrow_mut().refuse(problem);
        }
        self.outputs = LATE_OUTPUT + 1;
        self.settings.emits_late = true;
        self
    }

    /// Says what becomes of windows in processing time that are not over when the input ends, and of other
    /// processing-time timers of triggers. Unless this is said, they fire.
    #[must_use]
    pub fn processing_time_at_end(mut self, at_end: ProcessingTimersAtEnd) -> Self {
        self.settings.at_end = at_end;
        self
    }

    /// The node of an operator on these windows; refuses what cannot work.
    pub(super) fn spec(&self) -> NodeSpec {
        if let Err(problem) = check_windows(&self.assigner, &self.trigger) {
            self.keyed.stream.graph.borrow_mut().refuse(problem);
        }
        let mut spec = NodeSpec::named(self.assigner.name()).with_watermarks().with_outputs(self.outputs);
        if self.assigner.is_event_time() && self.settings.allowed_lateness_ms > 0 {
            spec = spec.generating_watermarks();
        }
        spec.with_parallelism(self.parallelism)
    }
}

/// Whether such windows can be fired by such a trigger.
///
/// # Errors
/// Of kind `Config`.
pub(super) fn check_windows<T, A, Tr>(assigner: &A, trigger: &Tr) -> Result<()>
where
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    assigner.check()?;
    if assigner.merging().is_some() && !trigger.can_merge() {
        return Err(Error::config("the trigger does not work with windows that merge")
            .with_hint("choose another trigger, or implement `can_merge` and `on_merge` of your own one"));
    }
    Ok(())
}

/// Whether the operators made for some kinds of windows in time can do what was asked for.
pub(super) fn asks_for_nothing_special<T, A, Tr>(
    assigner: &A,
    evictor: &SomeEvictor<T, A::Window>,
    settings: Settings,
) -> bool
where
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    evictor.is_none()
        && (settings.allowed_lateness_ms == 0 || !assigner.is_event_time())
        && TypeId::of::<Tr>() == TypeId::of::<A::DefaultTrigger>()
        && TypeId::of::<A::Window>() == TypeId::of::<TimeWindow>()
}
