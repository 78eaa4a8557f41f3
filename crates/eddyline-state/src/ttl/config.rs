//! What a user says about the life of a state.

use eddyline_core::{Error, Result};
use std::time::Duration;

/// What renews the life of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TtlUpdateType {
    /// Creating and writing it.
    #[default]
    OnCreateAndWrite,
    /// Reading it, too.
    OnReadAndWrite,
}

/// Whether a value that has expired can be seen until it is cleaned up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateVisibility {
    /// It is as if it were not there.
    #[default]
    NeverReturnExpired,
    /// It is returned once more if it is still there; that cleans it up.
    ReturnExpiredIfNotCleanedUp,
}

/// The time by which values age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TtlTimeDomain {
    /// The job's clock.
    #[default]
    ProcessingTime,
    /// The watermark. A value counts as touched at the timestamp of the record that touched it, or at the watermark
    /// if that is greater. The end of the input makes nothing expire.
    EventTime,
}

/// Entries that each access looks at, unless something else is said.
const ENTRIES_PER_ACCESS: usize = 5;

/// How long a state lives without being touched, and how it is cleaned up afterwards.
///
/// # Examples
/// ```
/// use eddyline_state::{StateTtlConfig, StateVisibility, TtlUpdateType};
/// use std::time::Duration;
///
/// let one_hour = StateTtlConfig::new(Duration::from_secs(3_600))
///     .update_type(TtlUpdateType::OnReadAndWrite)
///     .visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
///     .cleanup_full_snapshot()
///     .cleanup_incrementally(10, true);
/// assert!(one_hour.check().is_ok());
/// assert!(StateTtlConfig::new(Duration::ZERO).check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTtlConfig {
    ttl: Duration,
    pub(crate) update_type: TtlUpdateType,
    pub(crate) visibility: StateVisibility,
    pub(crate) time_domain: TtlTimeDomain,
    pub(crate) in_full_snapshots: bool,
    pub(crate) entries_per_access: usize,
    pub(crate) for_every_record: bool,
}

impl StateTtlConfig {
    /// Values live for `ttl` after they were created or last written, in processing time; expired ones are never
    /// returned; each access looks at 5 further entries to clean up.
    pub fn new(ttl: Duration) -> Self {
        StateTtlConfig {
            ttl,
            update_type: TtlUpdateType::default(),
            visibility: StateVisibility::default(),
            time_domain: TtlTimeDomain::default(),
            in_full_snapshots: false,
            entries_per_access: ENTRIES_PER_ACCESS,
            for_every_record: false,
        }
    }

    /// Sets what renews the life of a value.
    #[must_use]
    pub fn update_type(mut self, update_type: TtlUpdateType) -> Self {
        self.update_type = update_type;
        self
    }

    /// Sets whether expired values can be seen.
    #[must_use]
    pub fn visibility(mut self, visibility: StateVisibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Sets the time by which values age.
    #[must_use]
    pub fn time_domain(mut self, time_domain: TtlTimeDomain) -> Self {
        self.time_domain = time_domain;
        self
    }

    /// Does not write what has expired to snapshots that stand alone. In memory it stays until it is cleaned up
    /// otherwise.
    #[must_use]
    pub fn cleanup_full_snapshot(mut self) -> Self {
        self.in_full_snapshots = true;
        self
    }

    /// Looks at `entries` further keys with each access of the state and drops what has expired; with
    /// `run_for_every_record`, at as many for each record that the operator processes, and a few whenever the
    /// watermark moves, so that a state nobody asks for is cleaned up too.
    #[must_use]
    pub fn cleanup_incrementally(mut self, entries: usize, run_for_every_record: bool) -> Self {
        (self.entries_per_access, self.for_every_record) = (entries, run_for_every_record);
        self
    }

    /// Cleans up nothing but what is accessed.
    #[must_use]
    pub fn disable_cleanup_in_background(mut self) -> Self {
        (self.entries_per_access, self.for_every_record) = (0, false);
        self
    }

    /// The time to live, milliseconds.
    pub fn ttl_ms(&self) -> i64 {
        i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX)
    }

    /// The time by which values age.
    pub fn domain(&self) -> TtlTimeDomain {
        self.time_domain
    }

    /// Whether a state can live like that.
    ///
    /// # Errors
    /// Of kind `Config`, if the time to live is less than a millisecond.
    pub fn check(&self) -> Result<()> {
        if self.ttl_ms() > 0 {
            return Ok(());
        }
        Err(Error::config(format!("state cannot live for {:?}", self.ttl))
            .with_hint("give a time to live of at least a millisecond"))
    }
}
