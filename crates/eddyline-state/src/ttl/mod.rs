//! Time to live: state that forgets what has not been touched for a while.
//!
//! Each value, each element of a list and each entry of a map carries the time of its last touch, and is *expired*
//! once that was `ttl` ago. Whether an expired part can still be seen until it has been cleaned up is the user's
//! choice; that it is cleaned up some time is promised by the clean-ups that are switched on:
//!
//! - on access: what is found expired is dropped, always;
//! - incremental: each access looks at a few further entries, wherever they are (`SweepCursor`);
//! - in full snapshots: what has expired is not written.
//!
//! Times are stored next to the values, in a schema of its own ([`Timed`], [`TimedList`]). State that was written
//! without a time to live is taken in when it gets one: it counts as touched when it is first looked at. The other
//! way round the times are dropped, which is said: what had expired and was not cleaned up yet is there again.
//!
//! **Architecture invariant:** nothing here reads a clock; [`TtlTime`] is injected.

mod config;
mod list;
mod living;
mod map;
mod table;
mod timed;
mod times;
mod value;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use config::{StateTtlConfig, StateVisibility, TtlTimeDomain, TtlUpdateType};
pub(crate) use list::TtlList;
pub use living::{LivingTable, Sweeper};
pub(crate) use map::TtlMap;
pub(crate) use table::AgingBackend;
pub use table::{CleanUp, TtlTable};
pub use timed::{Aging, Timed, TimedList, Untimed};
pub(crate) use times::{carries_times, join_times, split_times};
pub use times::{timed, touched_ms, untimed, without_times};
pub(crate) use value::TtlValue;

/// Tells the time by which state ages.
pub trait TtlTime {
    /// The time by which it is judged whether something has expired, milliseconds since the epoch; `i64::MIN` while
    /// that is not known yet.
    fn now_ms(&self) -> i64;

    /// The time at which something that is touched now counts as touched; never less than [`TtlTime::now_ms`].
    fn touch_ms(&self) -> i64 {
        self.now_ms()
    }
}

/// The touch of something whose time is not known: it does not expire before it has been stamped.
pub(crate) const NEVER_STAMPED: i64 = i64::MIN;

/// How much of a state has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Nothing.
    Fresh,
    /// Some of it has, or has no time yet.
    Partly,
    /// All of it.
    Expired,
}

/// A configuration and the time, put to use.
pub(crate) struct Ttl {
    config: StateTtlConfig,
    time: std::rc::Rc<dyn TtlTime>,
}

impl Ttl {
    /// What was touched at this time or before has expired.
    pub(crate) fn limit(&self) -> i64 {
        self.time.now_ms().saturating_sub(self.config.ttl_ms())
    }

    /// The time of a touch that happens now.
    pub(crate) fn stamp(&self) -> i64 {
        self.time.touch_ms()
    }

    /// The time of something touched at `before` and now again.
    pub(crate) fn restamp(&self, before: i64) -> i64 {
        match self.config.time_domain {
            // Records come in disorder: an older one must not make a state older.
            TtlTimeDomain::EventTime => self.stamp().max(before),
            TtlTimeDomain::ProcessingTime => self.stamp(),
        }
    }

    /// Whether expired parts are shown while they are there.
    pub(crate) fn shows_expired(&self) -> bool {
        self.config.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp
    }

    /// Whether a part that was touched at `at` has to be stamped when it is read.
    pub(crate) fn stamps_read(&self, at: i64) -> bool {
        let wanted = at == NEVER_STAMPED || self.config.update_type == TtlUpdateType::OnReadAndWrite;
        wanted && self.restamp(at) != at
    }
}

/// Whether something touched at `at` has expired.
#[inline]
pub(crate) fn is_expired(at: i64, limit: i64) -> bool {
    at != NEVER_STAMPED && at <= limit
}
