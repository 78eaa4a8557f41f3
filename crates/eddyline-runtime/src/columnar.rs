//! Columnar batches on edges: their wire format and their distribution by key.
//!
//! On the wire a batch is an Arrow IPC stream of one batch, schema included, so that it can be read without context.
//! Distribution hashes the key column's values exactly as typed keys are hashed (see [`eddyline_core::key`]): rows
//! and columns with equal keys meet on the same instance.

use crate::partition::{EmitPart, Partitioner, PartitionerFactory, PartitionerSetup};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::DataType;
use eddyline_core::key::owner_of;
use eddyline_core::{Batch, Body, Data, Error, Reservation, Result};
use std::sync::Arc;

/// Appends a batch as an IPC stream.
pub(crate) fn encode(columns: &RecordBatch, out: &mut Vec<u8>) {
    let mut write = || -> std::result::Result<(), arrow_schema::ArrowError> {
        let mut writer = StreamWriter::try_new(&mut *out, &columns.schema())?;
        writer.write(columns)?;
        writer.finish()
    };
    write().expect("invariant: a batch in memory can be written to memory");
}

/// Reads a batch that [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<RecordBatch> {
    let unreadable =
        |detail: String| Error::network("a columnar batch cannot be decoded").with_detail(detail);
    let mut reader = StreamReader::try_new(bytes, None).map_err(|error| unreadable(error.to_string()))?;
    match reader.next() {
        Some(Ok(columns)) => Ok(columns),
        Some(Err(error)) => Err(unreadable(error.to_string())),
        None => Err(unreadable("it is empty".into())),
    }
}

/// Distributes columnar batches by the key in column `column`: integers of 32 or 64 bits, or text.
pub fn columns_by_key(column: usize) -> PartitionerFactory {
    Arc::new(move |setup| {
        let max = setup.max_parallelism;
        let owners = (0..max).map(|group| owner_of(group, max, setup.targets as u32)).collect();
        Box::new(ColumnPartitioner {
            column,
            setup,
            owners,
            kept: Vec::new(),
            held: vec![Vec::new(); setup.targets],
            indices: vec![Vec::new(); setup.targets],
            created_micros: u64::MAX,
            reservations: Vec::new(),
        })
    })
}

/// Parts of at least this share of a full batch leave at once.
const LARGE_SHARE: usize = 4;
/// Batches that small parts are held back from, at most.
const KEPT_BATCHES_MAX: usize = 256;

struct ColumnPartitioner {
    column: usize,
    setup: PartitionerSetup,
    owners: Vec<u32>,
    /// Batches of which rows are held back, and per target which rows.
    kept: Vec<RecordBatch>,
    held: Vec<Vec<(usize, usize)>>,
    indices: Vec<Vec<u32>>,
    created_micros: u64,
    reservations: Vec<Reservation>,
}

impl ColumnPartitioner {
    fn sort_rows(&mut self, keys: &dyn Array) -> Result<()> {
        for indices in &mut self.indices {
            indices.clear();
        }
        let (max, owners, indices) = (u64::from(self.setup.max_parallelism), &self.owners, &mut self.indices);
        let mut put = |row: usize, hash: u64| {
            let target = owners[(hash % max) as usize] as usize;
            indices[target].push(row as u32);
        };
        macro_rules! integers {
            ($type:ty) => {
                for (row, key) in keys.as_primitive::<$type>().values().iter().enumerate() {
                    put(row, key.stable_hash());
                }
            };
        }
        match keys.data_type() {
            DataType::UInt64 => integers!(UInt64Type),
            DataType::Int64 => integers!(Int64Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::Utf8 => {
                let mut canonical = Vec::new();
                for (row, key) in keys.as_string::<i32>().iter().enumerate() {
                    canonical.clear();
                    let text = key.unwrap_or_default();
                    eddyline_core::data::write_count(text.len(), &mut canonical);
                    canonical.extend_from_slice(text.as_bytes());
                    put(row, eddyline_core::stable_hash(&canonical));
                }
            }
            other => {
                return Err(Error::config(format!("a column of type {other} cannot be a key"))
                    .with_hint("key by an integer or a text column"));
            }
        }
        Ok(())
    }

    fn join_held(&mut self, target: usize, emit: EmitPart<'_>) {
        let rows = std::mem::take(&mut self.held[target]);
        let sources: Vec<&RecordBatch> = self.kept.iter().collect();
        let joined = arrow_select::interleave::interleave_record_batch(&sources, &rows)
            .expect("invariant: the rows that are held back exist and share one schema");
        emit(target, self.part(joined));
    }

    fn part(&self, columns: RecordBatch) -> Batch {
        let mut batch = Batch::new(Body::Arrow(columns), self.created_micros);
        if let Some(reservation) = self.reservations.last() {
            let bytes = batch.memory_bytes();
            batch.reserve(reservation.another(bytes));
        }
        batch
    }
}

impl Partitioner for ColumnPartitioner {
    fn partition(&mut self, mut batch: Batch, emit: EmitPart<'_>) -> Result<()> {
        self.created_micros = self.created_micros.min(batch.created_micros);
        if let Some(reservation) = batch.take_reservation() {
            self.reservations.push(reservation);
        }
        let columns = batch.arrow()?.clone();
        let keys = columns.columns().get(self.column).cloned().ok_or_else(|| {
            Error::config(format!("there is no column {} to key by", self.column))
                .with_detail(format!("the batch has {} columns", columns.num_columns()))
        })?;
        self.sort_rows(&keys)?;
        let mut kept = None;
        for target in 0..self.setup.targets {
            let rows = std::mem::take(&mut self.indices[target]);
            if self.held[target].is_empty() && rows.len() * LARGE_SHARE >= self.setup.rows_max {
                let part = arrow_select::take::take_record_batch(&columns, &UInt32Array::from(rows))
                    .map_err(|error| Error::internal(format!("rows cannot be taken: {error}")))?;
                emit(target, self.part(part));
                continue;
            }
            if !rows.is_empty() {
                let number = *kept.get_or_insert_with(|| {
                    self.kept.push(columns.clone());
                    self.kept.len() - 1
                });
                self.held[target].extend(rows.iter().map(|row| (number, *row as usize)));
            }
            self.indices[target] = rows;
            if self.held[target].len() >= self.setup.rows_max {
                self.join_held(target, emit);
            }
        }
        if self.kept.len() >= KEPT_BATCHES_MAX || !self.holds() {
            self.flush(emit);
        }
        Ok(())
    }

    fn flush(&mut self, emit: EmitPart<'_>) {
        for target in 0..self.held.len() {
            if !self.held[target].is_empty() {
                self.join_held(target, emit);
            }
        }
        self.kept.clear();
        self.reservations.clear();
        self.created_micros = u64::MAX;
    }

    fn holds(&self) -> bool {
        self.held.iter().any(|held| !held.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray, UInt64Array};
    use arrow_schema::{Field, Schema};

    fn columns(keys: std::ops::Range<u64>) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("key", DataType::UInt64, false),
            Field::new("time", DataType::Int64, false),
            Field::new("name", DataType::Utf8, false),
        ]));
        let names: Vec<String> = keys.clone().map(|key| format!("n{key}")).collect();
        let times = Int64Array::from_iter_values(keys.clone().map(|key| key as i64));
        let keys = UInt64Array::from_iter_values(keys);
        RecordBatch::try_new(
            schema,
            vec![Arc::new(keys), Arc::new(times), Arc::new(StringArray::from(names))],
        )
        .unwrap()
    }

    #[test]
    fn batches_survive_the_wire() {
        let before = columns(0..100).slice(10, 50);
        let mut bytes = Vec::new();
        encode(&before, &mut bytes);
        assert_eq!(decode(&bytes).unwrap(), before);
        assert!(decode(&bytes[..bytes.len() / 2]).is_err());
        assert!(decode(b"nonsense").is_err());
    }

    #[test]
    fn rows_and_columns_of_a_key_meet() {
        for column in [0, 1, 2] {
            let setup =
                PartitionerSetup { senders: 1, targets: 3, max_parallelism: 128, worker: 0, rows_max: 64 };
            let mut partitioner = columns_by_key(column)(setup);
            let mut seen = Vec::new();
            let mut take = |target: usize, batch: Batch| seen.push((target, batch.arrow().unwrap().clone()));
            for start in [0, 10, 20, 200] {
                let batch = Batch::new(Body::Arrow(columns(start..start + 10 + start / 2)), 5);
                partitioner.partition(batch, &mut take).unwrap();
            }
            partitioner.flush(&mut take);
            assert!(!partitioner.holds());
            assert_eq!(seen.iter().map(|(_, part)| part.num_rows()).sum::<usize>(), 10 + 15 + 20 + 110);
            for (target, part) in seen {
                for row in 0..part.num_rows() {
                    let hash = match column {
                        0 => part.column(0).as_primitive::<UInt64Type>().value(row).stable_hash(),
                        1 => part.column(1).as_primitive::<Int64Type>().value(row).stable_hash(),
                        _ => part.column(2).as_string::<i32>().value(row).to_owned().stable_hash(),
                    };
                    assert_eq!(owner_of((hash % 128) as u32, 128, 3) as usize, target);
                }
            }
        }
    }
}
