//! Distributing columnar batches by key.

use super::batches::hash_of;
use crate::row::{RowBytes, encode_row, views};
use arrow_array::UInt32Array;
use eddyline_core::key::owner_of;
use eddyline_core::{Batch, Body, Error, Reservation, Result};
use eddyline_runtime::partition::{EmitPart, Partitioner, PartitionerFactory, PartitionerSetup};
use std::sync::Arc;

/// Rows whose `columns` are equal meet on one instance: that which owns their key group.
pub(crate) fn by_columns(columns: Vec<usize>) -> PartitionerFactory {
    Arc::new(move |setup| {
        let max = setup.max_parallelism;
        let owners = (0..max).map(|group| owner_of(group, max, setup.targets as u32)).collect();
        Box::new(KeyPartitioner { columns: columns.clone(), owners, setup, key: Vec::new() })
    })
}

struct KeyPartitioner {
    columns: Vec<usize>,
    owners: Vec<u32>,
    setup: PartitionerSetup,
    key: RowBytes,
}

impl Partitioner for KeyPartitioner {
    fn partition(&mut self, mut batch: Batch, emit: EmitPart<'_>) -> Result<()> {
        if self.setup.targets == 1 {
            emit(0, batch);
            return Ok(());
        }
        if self.columns.is_empty() {
            let group = (hash_of(&RowBytes::new()) % u64::from(self.setup.max_parallelism)) as usize;
            emit(self.owners[group] as usize, batch);
            return Ok(());
        }
        let reservation = batch.take_reservation();
        let Body::Arrow(rows) = &batch.body else {
            return Err(Error::internal("an edge of columns carried something else"));
        };
        let views = views(rows, &self.columns);
        let mut targets: Vec<Vec<u32>> = vec![Vec::new(); self.setup.targets];
        for row in 0..rows.num_rows() {
            self.key.clear();
            encode_row(&views, row, &mut self.key);
            let group = (hash_of(&self.key) % u64::from(self.setup.max_parallelism)) as usize;
            targets[self.owners[group] as usize].push(row as u32);
        }
        for (target, indices) in targets.into_iter().enumerate() {
            if indices.is_empty() {
                continue;
            }
            let part = if indices.len() == rows.num_rows() {
                rows.clone()
            } else {
                arrow_select::take::take_record_batch(rows, &UInt32Array::from(indices))
                    .map_err(|error| Error::internal(format!("rows cannot be taken: {error}")))?
            };
            emit(target, reserved(Batch::from_arrow(part, batch.created_micros), reservation.as_ref()));
        }
        Ok(())
    }

    fn flush(&mut self, _emit: EmitPart<'_>) {}

    fn holds(&self) -> bool {
        false
    }
}

fn reserved(mut batch: Batch, reservation: Option<&Reservation>) -> Batch {
    if let Some(reservation) = reservation {
        let bytes = batch.memory_bytes();
        batch.reserve(reservation.another(bytes));
    }
    batch
}
