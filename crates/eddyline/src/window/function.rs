//! What users write for windows: functions that see a window when it fires, and what they are given.

use super::general::PaneStates;
use super::{TimestampedValue, Window};
use crate::function::{Collector, KeyedOpenContext, OutputTag};
use crate::side_output::SideOutputs;
use eddyline_core::{Clock, Data, EventTime, Key, Result};
use eddyline_runtime::InstanceInfo;
use eddyline_state::{ListState, MapState, ValueState};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The elements of a window that fires, in the order in which they came (merged windows one after the other); or the
/// one result of an incremental function.
///
/// # Examples
/// ```
/// use eddyline::window::{Elements, TimestampedValue};
///
/// let kept = [TimestampedValue { value: "a", timestamp: 3 }, TimestampedValue { value: "b", timestamp: 5 }];
/// let elements = Elements::from(&kept[..]);
/// assert_eq!(elements.iter().copied().collect::<String>(), "ab");
/// assert_eq!(elements.with_timestamps()[1].timestamp, 5);
/// assert_eq!((elements.first(), elements.len()), (Some(&"a"), 2));
/// ```
#[derive(Debug)]
pub struct Elements<'a, T>(&'a [TimestampedValue<T>]);

impl<T> Clone for Elements<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Elements<'_, T> {}

impl<'a, T> From<&'a [TimestampedValue<T>]> for Elements<'a, T> {
    fn from(elements: &'a [TimestampedValue<T>]) -> Self {
        Elements(elements)
    }
}

impl<'a, T> Elements<'a, T> {
    /// The elements.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &'a T> + ExactSizeIterator + use<'a, T> {
        self.0.iter().map(|element| &element.value)
    }

    /// The elements with their timestamps.
    pub fn with_timestamps(&self) -> &'a [TimestampedValue<T>] {
        self.0
    }

    /// The first element: after an incremental function, its result.
    pub fn first(&self) -> Option<&'a T> {
        self.0.first().map(|element| &element.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none: an evictor has dropped them all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, T> IntoIterator for Elements<'a, T> {
    type Item = &'a T;
    type IntoIter =
        std::iter::Map<std::slice::Iter<'a, TimestampedValue<T>>, fn(&'a TimestampedValue<T>) -> &'a T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|element| &element.value)
    }
}

/// A function that is given a window's elements, or what an incremental function has made of them, when it fires.
///
/// What it collects has the window's greatest timestamp.
///
/// # Examples
/// The median of each window, and how it has changed since the window before:
/// ```
/// use eddyline::window::{
///     Elements, ProcessWindowFunction, TimeWindow, TumblingEventTimeWindows, WindowContext, WindowOpenContext,
/// };
/// use eddyline::{Collector, Environment, Result, ValueState, WatermarkStrategy};
/// use std::time::Duration;
///
/// #[derive(Default)]
/// struct Median {
///     before: Option<ValueState<i64>>,
/// }
///
/// impl ProcessWindowFunction<String, TimeWindow, (String, i64), (String, i64, i64)> for Median {
///     fn open(&mut self, context: &mut WindowOpenContext<'_, '_, String, TimeWindow>) -> Result<()> {
///         self.before = Some(context.value_state("before")?);
///         Ok(())
///     }
///
///     fn process(
///         &mut self,
///         key: &String,
///         elements: Elements<'_, (String, i64)>,
///         _context: &mut WindowContext<'_, TimeWindow>,
///         out: &mut Collector<(String, i64, i64)>,
///     ) -> Result<()> {
///         let mut numbers: Vec<i64> = elements.iter().map(|(_, number)| *number).collect();
///         numbers.sort();
///         let median = numbers[numbers.len() / 2];
///         let Some(before) = &self.before else { return Ok(()) };
///         out.collect((key.clone(), median, median - before.get().unwrap_or(median)));
///         before.update(median);
///         Ok(())
///     }
/// }
///
/// let environment = Environment::new();
/// let items = [(7, 1), (3, 2), (5, 9), (8, 14)];
/// let items = items.into_iter().map(|(number, time)| (("a".to_string(), number), time)).collect();
/// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let windows = numbers.key_by(|(key, _)| key.clone()).window(TumblingEventTimeWindows::of(Duration::from_millis(10)));
/// let medians = windows.process(Median::default).collect();
/// environment.execute("medians")?;
/// assert_eq!(medians.rows(), [("a".to_string(), 5, 0), ("a".to_string(), 8, 3)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait ProcessWindowFunction<K: Key, W: Window, T, U: Data>: 'static {
    /// Declares the states; called once per instance, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// A window of `key` fires. A window may fire several times, if its trigger or late records make it.
    ///
    /// # Errors
    /// End the attempt.
    fn process(
        &mut self,
        key: &K,
        elements: Elements<'_, T>,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// A window of `key` is dropped: the watermark has passed its end and the allowed lateness. The states per
    /// window are cleared after this.
    ///
    /// # Errors
    /// End the attempt.
    fn clear(&mut self, key: &K, context: &mut WindowContext<'_, W>) -> Result<()> {
        let _ = (key, context);
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// Where a function on windows declares its states. Those that a function on a keyed stream can have
/// ([`KeyedOpenContext`], to which this dereferences) belong to the key and outlive windows; the others belong to a
/// key and a window and go when the window goes.
pub struct WindowOpenContext<'a, 'b, K, W> {
    pub(crate) keyed: &'a mut KeyedOpenContext<'b, K>,
    pub(crate) panes: &'a mut PaneStates<K, W>,
}

impl<'b, K, W> Deref for WindowOpenContext<'_, 'b, K, W> {
    type Target = KeyedOpenContext<'b, K>;

    fn deref(&self) -> &Self::Target {
        self.keyed
    }
}

impl<K, W> DerefMut for WindowOpenContext<'_, '_, K, W> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.keyed
    }
}

impl<K: Key, W: Window> WindowOpenContext<'_, '_, K, W> {
    /// One value per key and window.
    ///
    /// # Errors
    /// If the operator has another state of that name, the name begins with `__`, or the windows are such as merge:
    /// what would become of their states nobody could tell.
    pub fn window_value_state<V: Data>(&mut self, name: &str) -> Result<ValueState<V>> {
        self.panes.value(name, self.keyed.runtime.tables(), &self.keyed.states.states)
    }

    /// A list per key and window.
    ///
    /// # Errors
    /// As for [`WindowOpenContext::window_value_state`].
    pub fn window_list_state<V: Data>(&mut self, name: &str) -> Result<ListState<V>> {
        Ok(ListState::new(self.window_value_state(name)?))
    }

    /// A map per key and window, in the order of the map's own keys.
    ///
    /// # Errors
    /// As for [`WindowOpenContext::window_value_state`].
    pub fn window_map_state<UK: Data + Ord, V: Data>(&mut self, name: &str) -> Result<MapState<UK, V>> {
        Ok(MapState::new(self.window_value_state(name)?))
    }
}

/// What a function may ask about the window that fires.
pub struct WindowContext<'a, W> {
    pub(crate) info: &'a InstanceInfo,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) window: &'a W,
    pub(crate) watermark: EventTime,
    pub(crate) side: &'a mut SideOutputs,
}

impl<W: Window> WindowContext<'_, W> {
    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.info
    }

    /// The window.
    pub fn window(&self) -> &W {
        self.window
    }

    /// The watermark as last applied.
    pub fn watermark(&self) -> EventTime {
        self.watermark
    }

    /// The time of the job's clock, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.clock.wall_millis()
    }

    /// Emits `value` on a side output, with the window's greatest timestamp.
    pub fn side_output<S: Data>(&mut self, tag: &OutputTag<S>, value: S) {
        self.side.collect(tag, value, self.window.max_timestamp());
    }
}

/// A closure as a window function.
pub(crate) struct Apply<C, T> {
    pub(crate) function: C,
    _elements: PhantomData<fn(T)>,
}

impl<C, T> Apply<C, T> {
    pub(crate) fn new(function: C) -> Self {
        Apply { function, _elements: PhantomData }
    }
}

impl<K, W, T, U, C> ProcessWindowFunction<K, W, T, U> for Apply<C, T>
where
    K: Key,
    W: Window,
    T: 'static,
    U: Data,
    C: FnMut(&K, &W, Elements<'_, T>, &mut Collector<U>) + 'static,
{
    fn process(
        &mut self,
        key: &K,
        elements: Elements<'_, T>,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        (self.function)(key, context.window, elements, out);
        Ok(())
    }
}
