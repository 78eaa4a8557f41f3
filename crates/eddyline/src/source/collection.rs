//! A collection as a source.

use super::{SourceContext, SplitOutput, SplitSource};
use eddyline_core::{Data, Error, EventTime, Record, Result};
use eddyline_runtime::SourceStatus;
use eddyline_state::{ManagedState, OperatorListState};
use std::sync::{Arc, Mutex, PoisonError};

/// A share of a collection that is being read: how many shares there are, which one it is, how many of its items
/// have been read. Item `i` belongs to share `i % shares`.
type Share = (u64, u64, u64);

/// Emits the items of a vector, dealt out round robin; each instance's share is a split.
pub struct CollectionSource<T> {
    items: Arc<Mutex<Vec<Record<T>>>>,
    /// A copy of this instance's shares, made when it starts.
    rows: Vec<Vec<Record<T>>>,
    shares: OperatorListState<Share>,
    started: bool,
}

impl<T: Data> CollectionSource<T> {
    pub(crate) fn new(items: Arc<Mutex<Vec<Record<T>>>>) -> Self {
        CollectionSource {
            items,
            rows: Vec::new(),
            shares: OperatorListState::list("shares", 0),
            started: false,
        }
    }

    /// The items with their timestamps, shared by all instances.
    pub(crate) fn shared(items: Vec<(T, EventTime)>) -> Arc<Mutex<Vec<Record<T>>>> {
        Arc::new(Mutex::new(items.into_iter().map(|(value, time)| Record::new(value, time)).collect()))
    }
}

impl<T: Data> SplitSource<T> for CollectionSource<T> {
    fn open(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        self.shares = OperatorListState::union("shares", context.instance());
        Ok(())
    }

    fn restored(&mut self, context: &mut SourceContext<'_, '_>) -> Result<()> {
        let (instance, parallelism) = (u64::from(context.instance()), u64::from(context.parallelism()));
        let restored: Vec<Share> = self.shares.items().to_vec();
        let mine = if restored.is_empty() {
            vec![(parallelism, instance, 0)]
        } else {
            // The shares stay what they were cut into first; a different number of instances divides them anew.
            restored.into_iter().filter(|(_, share, _)| share % parallelism == instance).collect()
        };
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        self.rows.clear();
        for (count, share, read) in &mine {
            let left = items.iter().skip(*share as usize).step_by(*count as usize).skip(*read as usize);
            let left: Vec<Record<T>> = left.cloned().collect();
            let whole = (items.len() as u64).saturating_sub(*share).div_ceil(*count);
            if *read > whole {
                return Err(Error::state(format!("{read} of {whole} items of a collection have been read"))
                    .with_hint("the collection must be the same as when the checkpoint was made"));
            }
            self.rows.push(left.into_iter().rev().collect());
        }
        self.shares.set(mine);
        Ok(())
    }

    fn poll(&mut self, out: &mut SplitOutput<'_, T>, _: &mut SourceContext<'_, '_>) -> Result<SourceStatus> {
        if !self.started {
            self.started = true;
            for (number, (_, share, _)) in self.shares.items().iter().enumerate() {
                if !self.rows[number].is_empty() {
                    out.split_added(*share);
                }
            }
        }
        let mut status = SourceStatus::Finished;
        for (number, rows) in self.rows.iter_mut().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let (_, share, _) = self.shares.items()[number];
            if out.is_paused(share) {
                // Called again when the others have caught up.
                status = if status == SourceStatus::Ready { status } else { SourceStatus::Pending };
                continue;
            }
            let mut taken = 0;
            while !out.is_full()
                && let Some(record) = rows.pop()
            {
                out.push_with_time(share, record.value, record.timestamp);
                taken += 1;
            }
            self.shares.items_mut()[number].2 += taken;
            if rows.is_empty() {
                out.split_finished(share);
            } else {
                status = SourceStatus::Ready;
            }
        }
        Ok(status)
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.shares)
    }
}
