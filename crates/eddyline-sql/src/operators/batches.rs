//! Batches with and without the column of row kinds.

use crate::row::{ColumnBuilder, RowBytes, kind};
use crate::types::SqlType;
use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, Int8Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use eddyline_core::{Batch, Body, DecodeError, Error, Reader, Result};
use std::sync::Arc;

/// A batch taken apart.
pub(crate) struct Incoming {
    pub(crate) rows: RecordBatch,
    kinds: Option<Int8Array>,
    pub(crate) created_micros: u64,
}

impl Incoming {
    /// Takes the kinds off if the edge has them.
    pub(crate) fn new(batch: &Batch, updating: bool) -> Result<Self> {
        let Body::Arrow(rows) = &batch.body else {
            return Err(Error::internal("an edge of columns carried something else"));
        };
        let created_micros = batch.created_micros;
        if !updating {
            return Ok(Incoming { rows: rows.clone(), kinds: None, created_micros });
        }
        let last = rows.num_columns() - 1;
        let kinds = rows.column(last).as_primitive::<Int8Type>().clone();
        let columns: Vec<usize> = (0..last).collect();
        let rows = rows.project(&columns).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Incoming { rows, kinds: Some(kinds), created_micros })
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.num_rows()
    }

    #[inline]
    pub(crate) fn kind(&self, row: usize) -> i8 {
        self.kinds.as_ref().map_or(kind::INSERT, |kinds| kinds.value(row))
    }

    #[inline]
    pub(crate) fn is_retraction(&self, row: usize) -> bool {
        kind::is_retraction(self.kind(row))
    }

    pub(crate) fn kinds(&self) -> Option<&[i8]> {
        self.kinds.as_ref().map(|kinds| &kinds.values()[..])
    }
}

/// A batch of `columns`, with kinds if they are given.
pub(crate) fn assemble(columns: Vec<ArrayRef>, rows: usize, kinds: Option<Vec<i8>>) -> Result<RecordBatch> {
    let mut fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(number, column)| Field::new(format!("c{number}"), column.data_type().clone(), true))
        .collect();
    let mut columns = columns;
    if let Some(kinds) = kinds {
        fields.push(Field::new("$kind", DataType::Int8, true));
        columns.push(Arc::new(Int8Array::from(kinds)));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| Error::internal(format!("a batch cannot be made: {error}")))
}

/// Rows on their way out, from their encoded forms.
pub(crate) struct Outgoing {
    types: Vec<SqlType>,
    builders: Vec<ColumnBuilder>,
    kinds: Option<Vec<i8>>,
    rows: usize,
}

impl Outgoing {
    pub(crate) fn new(types: &[SqlType], updating: bool) -> Self {
        let mut out =
            Outgoing { types: types.to_vec(), builders: Vec::new(), kinds: updating.then(Vec::new), rows: 0 };
        out.reset();
        out
    }

    fn reset(&mut self) {
        self.builders = self.types.iter().map(|data_type| ColumnBuilder::new(&data_type.kind)).collect();
        self.rows = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a row that is the encoded `parts` one after the other. Columns that no part is left for are NULL.
    pub(crate) fn push(&mut self, kind: i8, parts: &[&[u8]]) -> Result<()> {
        let mut builders = self.builders.iter_mut();
        for part in parts {
            let mut input = Reader::new(part);
            while !input.is_empty() {
                let Some(builder) = builders.next() else {
                    return Err(Error::internal("a row has more columns than its batch"));
                };
                builder.append_encoded(&mut input).map_err(damaged)?;
            }
        }
        builders.for_each(ColumnBuilder::append_null);
        if let Some(kinds) = &mut self.kinds {
            kinds.push(kind);
        }
        self.rows += 1;
        Ok(())
    }

    /// As [`Outgoing::push`], with `nulls` NULL columns first.
    pub(crate) fn push_behind_nulls(&mut self, kind: i8, nulls: usize, part: &[u8]) -> Result<()> {
        let padding = vec![0u8; nulls];
        self.push(kind, &[&padding, part])
    }

    /// The rows so far as a batch.
    pub(crate) fn take(&mut self) -> Result<RecordBatch> {
        let builders = std::mem::take(&mut self.builders);
        let columns = builders.into_iter().map(ColumnBuilder::finish).collect();
        let kinds = self.kinds.as_mut().map(std::mem::take);
        let rows = self.rows;
        self.reset();
        assemble(columns, rows, kinds)
    }
}

pub(crate) fn damaged(error: DecodeError) -> Error {
    Error::state(format!("a row in state cannot be read: {error}"))
}

/// Most rows that an operator puts into one batch.
pub(crate) const ROWS_MAX: usize = 4_096;

/// Emits what `out` holds if that is enough for a batch, or if `all` is wanted.
pub(crate) fn flush(
    out: &mut Outgoing,
    all: bool,
    created_micros: u64,
    context: &mut eddyline_runtime::OperatorContext<'_>,
) -> Result<()> {
    if out.len() >= ROWS_MAX || (all && out.len() > 0) {
        let batch = out.take()?;
        context.emit(0, Batch::from_arrow(batch, created_micros))?;
    }
    Ok(())
}

/// A key and its stable hash.
#[inline]
pub(crate) fn hash_of(key: &RowBytes) -> u64 {
    use eddyline_core::Data;
    key.stable_hash()
}
