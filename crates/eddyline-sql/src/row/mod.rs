//! Rows and values outside of columns: in state, as keys, as literals, as output.
//!
//! - [`Value`] is one value, whose meaning its type decides: dates, times and timestamps are whole numbers.
//! - [`ColumnView`] reads a column row by row; [`ColumnBuilder`] makes one.
//! - The *encoding* of a row is what state keeps: per column a byte (0: NULL, 1: a value follows), then the value:
//!   whole numbers in 8 bytes, decimals in 16, floats as the bits of a double in 8, `bool` in one, all little-endian;
//!   text and bytes with their length in 4 bytes before; arrays, maps and rows with their count and then their parts.
//!   It is a persistent format. Equal rows have equal bytes, so it serves as a key, too.

mod append;
mod builder;
pub(crate) mod kind;
mod sort_key;
#[cfg(test)]
mod tests;
mod value;
mod view;

pub(crate) use append::Nested;
pub(crate) use builder::{ColumnBuilder, build_columns};
pub(crate) use sort_key::{SortOrder, encode_sort_key};
pub(crate) use value::Value;
pub(crate) use view::ColumnView;

use crate::types::SqlType;
use arrow_array::{ArrayRef, RecordBatch};
use eddyline_core::{DecodeError, Reader};

/// The encoded form of a row, or of some of its columns.
pub(crate) type RowBytes = Vec<u8>;

/// Views of the columns `columns` of `batch`.
pub(crate) fn views<'a>(batch: &'a RecordBatch, columns: &[usize]) -> Vec<ColumnView<'a>> {
    columns.iter().map(|column| ColumnView::new(batch.column(*column))).collect()
}

/// Views of all `columns`.
pub(crate) fn views_of(columns: &[ArrayRef]) -> Vec<ColumnView<'_>> {
    columns.iter().map(ColumnView::new).collect()
}

/// Appends the encoding of row `row` over `views`.
#[inline]
pub(crate) fn encode_row(views: &[ColumnView<'_>], row: usize, out: &mut Vec<u8>) {
    for view in views {
        view.encode(row, out);
    }
}

/// The encoding of row `row` over `views`.
pub(crate) fn row_bytes(views: &[ColumnView<'_>], row: usize) -> RowBytes {
    let mut bytes = Vec::with_capacity(views.len() * 10);
    encode_row(views, row, &mut bytes);
    bytes
}

/// The values of an encoded row.
pub(crate) fn decode_values(types: &[SqlType], bytes: &[u8]) -> Result<Vec<Value>, DecodeError> {
    let mut input = Reader::new(bytes);
    types.iter().map(|data_type| Value::decode(&data_type.kind, &mut input)).collect()
}

/// The encoding of `values`.
pub(crate) fn encode_values(values: &[Value]) -> RowBytes {
    let mut bytes = Vec::with_capacity(values.len() * 10);
    values.iter().for_each(|value| value.encode(&mut bytes));
    bytes
}

/// Columns of `types` made of encoded rows.
pub(crate) fn columns_of_rows<'a>(
    types: &[SqlType],
    rows: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<ArrayRef>, DecodeError> {
    let mut builders: Vec<ColumnBuilder> =
        types.iter().map(|data_type| ColumnBuilder::new(&data_type.kind)).collect();
    for row in rows {
        let mut input = Reader::new(row);
        for builder in &mut builders {
            builder.append_encoded(&mut input)?;
        }
    }
    Ok(builders.into_iter().map(ColumnBuilder::finish).collect())
}
