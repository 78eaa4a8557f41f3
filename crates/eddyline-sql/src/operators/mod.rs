//! The streaming relational operators: what a plan runs as.
//!
//! Edges carry columnar batches. Where a relation changes rows that it gave, a last column says what each row means
//! (see [`crate::row::kind`]); where it never does, there is no such column. State keeps rows in their encoded form.

pub(crate) mod accumulator;
pub(crate) mod aggregate;
pub(crate) mod batches;
pub(crate) mod distinct;
pub(crate) mod exchange;
mod inner_join;
pub(crate) mod interval_join;
pub(crate) mod join;
mod join_rows;
mod join_ttl;
pub(crate) mod keys;
pub(crate) mod limit;
mod merge;
pub(crate) mod normalize;
pub(crate) mod over;
pub(crate) mod over_time;
mod percentile;
pub(crate) mod rank;
mod rank_rows;
pub(crate) mod scan;
pub(crate) mod session;
pub(crate) mod set;
pub(crate) mod sink;
pub(crate) mod sliced;
pub(crate) mod sort;
pub(crate) mod stages;
pub(crate) mod stored;
pub(crate) mod temporal_join;
pub(crate) mod window;
mod windows;

use crate::expr::EvalContext;
use crate::expr::text_format::{instant_of_local, local_of_instant};
use eddyline_core::{Error, EventTime};
use jiff::tz::TimeZone;

/// Behind the year 9999 clocks have no zones: such times are bounds, not times.
const LAST_MILLIS: i64 = 253_402_300_800_000;

/// What all operators of a query know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) zone: TimeZone,
    pub(crate) lenient_casts: bool,
    /// Whether only final results are wanted, at the end.
    pub(crate) batch: bool,
    /// Whether rows with NULL for a column that must not be are left out instead of being refused.
    pub(crate) drops_nulls: bool,
    /// Whether windows are on the session's clock, as those of TIMESTAMP_LTZ are, and not on that of watermarks.
    pub(crate) local_windows: bool,
    /// Whether changes of tables with a key may come twice.
    pub(crate) normalizes: bool,
    /// Whether the changes of a batch of rows are netted, so that each group changes once.
    pub(crate) nets: bool,
    /// How long state lives after it was last written, milliseconds; 0 is for ever.
    pub(crate) ttl_ms: i64,
    /// When the rows of tables with a primary key are distributed by it.
    pub(crate) keyed_shuffle: KeyedShuffle,
}

/// When the rows that are written to a table with a primary key are distributed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyedShuffle {
    /// Where changes could overtake one another else.
    Auto,
    Force,
    None,
}

impl Settings {
    /// What expressions may know, at wall time `now_micros`.
    pub(crate) fn context(&self, now_micros: i64) -> EvalContext {
        EvalContext { zone: self.zone.clone(), now_micros, lenient_casts: self.lenient_casts }
    }

    /// The latest end, on the clock of windows, of the windows that a watermark closes.
    pub(crate) fn ends_closed_by(&self, watermark: EventTime) -> EventTime {
        self.clock_of(watermark.saturating_add(1))
    }

    /// A time in milliseconds as the clock of windows shows it.
    pub(crate) fn clock_of(&self, millis: i64) -> i64 {
        if !self.local_windows || millis.abs() > LAST_MILLIS {
            return millis;
        }
        local_of_instant(millis * 1_000, false, &self.zone).div_euclid(1_000)
    }

    /// When the clock of windows shows `millis`.
    pub(crate) fn instant_of(&self, millis: i64) -> i64 {
        if !self.local_windows || millis.abs() > LAST_MILLIS {
            return millis;
        }
        instant_of_local(millis * 1_000, false, &self.zone).div_euclid(1_000)
    }
}

/// The error of an expression that could not be computed.
pub(crate) fn failed(operator: &str, message: String) -> Error {
    Error::user(message).with_detail(format!("operator {operator}"))
}

pub(crate) fn wall_micros() -> i64 {
    use eddyline_core::Clock;
    eddyline_core::SystemClock::new().wall_micros() as i64
}
