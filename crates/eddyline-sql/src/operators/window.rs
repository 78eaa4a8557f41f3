//! Assigning rows to windows that do not depend on other rows.

use super::batches::{Incoming, assemble};
use super::{Settings, failed};
use crate::expr::text_format::local_of_instant;
use crate::plan::WindowKind;
use crate::row::{ColumnBuilder, ColumnView};
use crate::types::{SqlType, TypeKind};
use arrow_array::{ArrayRef, TimestampMicrosecondArray, UInt32Array};
use eddyline_core::{Batch, Error, Result};
use eddyline_runtime::operator::Stage;
use std::sync::Arc;

/// Gives each row once per window that it belongs to.
pub(crate) struct WindowStage {
    pub(crate) kind: WindowKind,
    pub(crate) time: usize,
    pub(crate) time_type: SqlType,
    /// The type of window_time.
    pub(crate) window_time: SqlType,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

/// The start of the window of `size` that `time` lies in, all in milliseconds.
fn start_of(time: i64, size: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(size)
}

/// The windows that `time` belongs to: `(start, end)`.
fn windows(kind: WindowKind, time: i64, mut found: impl FnMut(i64, i64)) {
    match kind {
        WindowKind::Tumble { size, offset } => {
            let start = start_of(time, size, offset);
            found(start, start + size);
        }
        WindowKind::Hop { slide, size, offset } => {
            let mut start = start_of(time, slide, offset);
            while start > time - size {
                found(start, start + size);
                start -= slide;
            }
        }
        WindowKind::Cumulate { step, size, offset } => {
            let start = start_of(time, size, offset);
            let mut end = start + ((time - start) / step + 1) * step;
            while end <= start + size {
                found(start, end);
                end += step;
            }
        }
        WindowKind::Session { .. } => {}
    }
}

/// The event time of row `row` as windows see it: milliseconds by the wall clock of the session for LTZ columns.
pub(crate) fn window_millis(
    view: &ColumnView<'_>,
    row: usize,
    kind: &TypeKind,
    settings: &Settings,
) -> Option<i64> {
    let value = view.int(row)?;
    let local = match kind {
        TypeKind::TimestampLtz(_) => local_of_instant(value, kind.in_nanos(), &settings.zone),
        _ => value,
    };
    Some(local.div_euclid(if kind.in_nanos() { 1_000_000 } else { 1_000 }))
}

/// The last millisecond before a window's end as a value of its window_time.
pub(crate) fn window_time_of(end_millis: i64, kind: &TypeKind, settings: &Settings) -> i64 {
    let local = (end_millis - 1) * 1_000;
    match kind {
        TypeKind::TimestampLtz(_) => crate::expr::text_format::instant_of_local(local, false, &settings.zone),
        _ => local,
    }
}

impl Stage for WindowStage {
    fn apply(&mut self, batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let view = ColumnView::new(input.rows.column(self.time));
        let mut indices: Vec<u32> = Vec::with_capacity(input.len());
        let mut starts: Vec<i64> = Vec::with_capacity(input.len());
        let mut ends: Vec<i64> = Vec::with_capacity(input.len());
        for row in 0..input.len() {
            let Some(time) = window_millis(&view, row, &self.time_type.kind, &self.settings) else {
                return Err(failed("WindowTableFunction", "the time column of a row is NULL".into()));
            };
            // Mostly a row is in the same windows as the one before.
            if let (WindowKind::Tumble { .. }, Some(start), Some(end)) =
                (self.kind, starts.last().copied(), ends.last().copied())
                && (start..end).contains(&(time * 1_000))
            {
                indices.push(row as u32);
                starts.push(start);
                ends.push(end);
                continue;
            }
            windows(self.kind, time, |start, end| {
                indices.push(row as u32);
                starts.push(start * 1_000);
                ends.push(end * 1_000);
            });
        }
        if indices.is_empty() {
            return Ok(());
        }
        let count = indices.len();
        let kinds = input.kinds().map(|kinds| indices.iter().map(|row| kinds[*row as usize]).collect());
        let mut columns: Vec<ArrayRef> =
            if count == input.len() && matches!(self.kind, WindowKind::Tumble { .. }) {
                input.rows.columns().to_vec()
            } else {
                let indices = UInt32Array::from(indices);
                let take = |column: &ArrayRef| {
                    arrow_select::take::take(column, &indices, None)
                        .map_err(|error| Error::internal(error.to_string()))
                };
                input.rows.columns().iter().map(take).collect::<Result<_>>()?
            };
        let mut times = ColumnBuilder::new(&self.window_time.kind);
        for end in &ends {
            times.append_int(window_time_of(end / 1_000, &self.window_time.kind, &self.settings));
        }
        let bounds = |values: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(values)) };
        columns.extend([bounds(starts), bounds(ends), times.finish()]);
        emit(Batch::from_arrow(assemble(columns, count, kinds)?, input.created_micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: WindowKind, time: i64) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        windows(kind, time, |start, end| all.push((start, end)));
        all
    }

    #[test]
    fn times_are_assigned_to_windows() {
        assert_eq!(of(WindowKind::Tumble { size: 10, offset: 3 }, 2), [(-7, 3)]);
        assert_eq!(of(WindowKind::Hop { slide: 5, size: 10, offset: 0 }, 12), [(10, 20), (5, 15)]);
        assert_eq!(of(WindowKind::Cumulate { step: 5, size: 15, offset: 0 }, 7), [(0, 10), (0, 15)]);
        assert_eq!(
            of(WindowKind::Cumulate { step: 5, size: 15, offset: 0 }, 15),
            [(15, 20), (15, 25), (15, 30)]
        );
    }
}
