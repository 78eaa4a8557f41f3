//! What a kind of windows is: which windows a record belongs to, which of them merge, and when they fire if nobody
//! says otherwise.

use super::{SessionGapOf, SlicedWindows, TimeWindow, Trigger};
use eddyline_core::{Data, EventTime, Key, Result, key_group_of};

/// A window: what records of a key are collected in.
///
/// Windows of a key are told apart by equality; their encoding is part of the state.
pub trait Window: Key {
    /// The last moment that belongs to the window: the timestamp of its results.
    fn max_timestamp(&self) -> EventTime;
}

impl Window for TimeWindow {
    fn max_timestamp(&self) -> EventTime {
        self.end.saturating_sub(1)
    }
}

/// The one window that has all records of a key; it never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Data)]
pub struct GlobalWindow;

impl Window for GlobalWindow {
    fn max_timestamp(&self) -> EventTime {
        EventTime::MAX
    }
}

/// What an assigner may ask while it assigns windows.
#[derive(Debug, Clone, Copy)]
pub struct AssignerContext {
    pub(crate) processing_time_ms: i64,
    pub(crate) key_hash: u64,
    pub(crate) max_parallelism: u32,
}

impl AssignerContext {
    /// The time of the job's clock, milliseconds since the epoch; never goes back.
    pub fn processing_time_ms(&self) -> i64 {
        self.processing_time_ms
    }

    /// The group of keys that the record's key belongs to; it stays the same at any parallelism.
    pub fn key_group(&self) -> u32 {
        key_group_of(self.key_hash, self.max_parallelism)
    }
}

/// Makes one window of two that have to be merged; none if they stay apart.
pub type MergeWindows<W> = fn(&W, &W) -> Option<W>;

/// A kind of windows over records of type `T`.
///
/// # Examples
/// Windows that end where the hundreds begin, but at least ten milliseconds after the record:
/// ```
/// use eddyline::window::{AssignerContext, EventTimeTrigger, FixedWindowAssigner, TimeWindow, WindowAssigner};
/// use eddyline::{EventTime, Result};
///
/// #[derive(Clone)]
/// struct AtLeastTen;
///
/// impl<T> WindowAssigner<T> for AtLeastTen {
///     type Window = TimeWindow;
///     type DefaultTrigger = EventTimeTrigger;
///
///     fn assign_windows(
///         &self,
///         _value: &T,
///         timestamp: EventTime,
///         _context: &AssignerContext,
///         windows: &mut Vec<TimeWindow>,
///     ) -> Result<()> {
///         let end = (timestamp + 10).div_euclid(100) * 100 + 100;
///         windows.push(TimeWindow { start: end - 110, end });
///         Ok(())
///     }
///
///     fn default_trigger(&self) -> EventTimeTrigger {
///         EventTimeTrigger
///     }
///
///     fn is_event_time(&self) -> bool {
///         true
///     }
/// }
///
/// // It merges nothing: functions that cannot merge may be used.
/// impl FixedWindowAssigner for AtLeastTen {}
///
/// use eddyline::{Environment, WatermarkStrategy};
/// let environment = Environment::new();
/// let items = vec![(1u64, 5), (2, 95), (3, 150)];
/// let numbers = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
/// let sums = numbers.key_by(|_| 0u8).window(AtLeastTen).sum(|number| *number).collect();
/// environment.execute("sums")?;
/// assert_eq!(sums.rows().iter().map(|row| row.value).collect::<Vec<_>>(), [1, 5]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait WindowAssigner<T>: Clone + Send + Sync + 'static {
    /// Its windows.
    type Window: Window;
    /// The trigger that fires them unless another one is chosen.
    type DefaultTrigger: Trigger<T, Self::Window>;

    /// Pushes the windows that a record belongs to. `timestamp` is `i64::MIN` if the record has none.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn assign_windows(
        &self,
        value: &T,
        timestamp: EventTime,
        context: &AssignerContext,
        windows: &mut Vec<Self::Window>,
    ) -> Result<()>;

    /// The trigger that fires the windows unless another one is chosen.
    fn default_trigger(&self) -> Self::DefaultTrigger;

    /// Whether the watermark, not the clock, decides when a window is over.
    fn is_event_time(&self) -> bool;

    /// How windows of a key are merged; none if they are not. Two windows that have been merged merge with whatever
    /// either of them merged with.
    fn merging(&self) -> Option<MergeWindows<Self::Window>> {
        None
    }

    /// Whether such windows are possible.
    ///
    /// # Errors
    /// Of kind `Config`, said before the job starts.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// What operators on such windows are called unless the program names them. Part of their derived identity.
    fn name(&self) -> &'static str {
        "window"
    }

    /// Whether [`WindowAssigner::as_sliced`] may answer.
    #[doc(hidden)]
    const HAS_SLICES: bool = false;

    /// Whether [`WindowAssigner::as_sessions`] may answer.
    #[doc(hidden)]
    const HAS_SESSIONS: bool = false;

    /// The windows as the operator for sliced windows knows them.
    #[doc(hidden)]
    fn as_sliced(&self) -> Option<SlicedWindows> {
        None
    }

    /// The gap of sessions, if it is the same for all records.
    #[doc(hidden)]
    fn as_session_gap_ms(&self) -> Option<i64> {
        None
    }

    /// The gap as the operator for sessions knows it.
    #[doc(hidden)]
    fn as_sessions(&self) -> Option<SessionGapOf<T>>
    where
        T: 'static,
    {
        None
    }
}

/// A kind of windows that never merge: functions that cannot be merged may be used with them, such as
/// [`fold`](crate::stream::WindowedStream::fold).
pub trait FixedWindowAssigner {}
