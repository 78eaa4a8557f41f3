//! Making columns of results without a value in between: what `Eval::Columns` needs again and again.

use crate::row::ColumnView;
use arrow_array::builder::{BooleanBuilder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::Buffer;
use std::sync::Arc;

/// A text in a column of them; none where it is NULL.
#[inline]
pub(super) fn text_at(column: &StringArray, row: usize) -> Option<&str> {
    if column.is_null(row) { None } else { Some(column.value(row)) }
}

/// The bytes of the texts of `column`, which may be a small part of a large buffer.
pub(super) fn text_bytes(column: &StringArray) -> usize {
    let offsets = column.value_offsets();
    (offsets[offsets.len() - 1] - offsets[0]) as usize
}

/// A builder with room for the texts of `column`.
pub(super) fn text_builder(column: &StringArray) -> StringBuilder {
    StringBuilder::with_capacity(column.len(), text_bytes(column))
}

/// One text of each text.
pub(super) fn map_texts(column: &ArrayRef, write: impl Fn(&str, &mut StringBuilder)) -> ArrayRef {
    let texts = column.as_string::<i32>();
    let mut builder = text_builder(texts);
    for row in 0..texts.len() {
        match text_at(texts, row) {
            Some(text) => write(text, &mut builder),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

/// The whole column at once if its bytes are all ASCII and its own; none otherwise.
pub(super) fn map_ascii(column: &ArrayRef, change: impl Fn(&mut [u8])) -> Option<ArrayRef> {
    let texts = column.as_string::<i32>();
    let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
    let is_whole = offsets[0] == 0 && offsets[offsets.len() - 1] as usize == bytes.len();
    if !is_whole || !bytes.is_ascii() {
        return None;
    }
    let mut changed = bytes.to_vec();
    change(&mut changed);
    let array = StringArray::try_new(texts.offsets().clone(), Buffer::from(changed), texts.nulls().cloned());
    array.ok().map(|array| Arc::new(array) as ArrayRef)
}

/// A column of 64-bit numbers.
pub(super) fn longs(rows: usize, value: impl Fn(usize) -> Option<i64>) -> ArrayRef {
    let mut builder = Int64Builder::with_capacity(rows);
    (0..rows).for_each(|row| builder.append_option(value(row)));
    Arc::new(builder.finish())
}

/// A column of 32-bit numbers.
pub(super) fn ints(rows: usize, value: impl Fn(usize) -> Option<i32>) -> ArrayRef {
    let mut builder = Int32Builder::with_capacity(rows);
    (0..rows).for_each(|row| builder.append_option(value(row)));
    Arc::new(builder.finish())
}

/// A column of truth values.
pub(super) fn bools(
    rows: usize,
    mut value: impl FnMut(usize) -> Result<Option<bool>, String>,
) -> Result<ArrayRef, String> {
    let mut builder = BooleanBuilder::with_capacity(rows);
    for row in 0..rows {
        builder.append_option(value(row)?);
    }
    Ok(Arc::new(builder.finish()))
}

/// The number in `row` of an argument that may be missing.
#[inline]
pub(super) fn int_of(view: Option<&ColumnView<'_>>, row: usize, default: i64) -> Option<i64> {
    match view {
        Some(view) => view.int(row),
        None => Some(default),
    }
}

/// What was made last of a text: constants are made once in a batch.
pub(super) struct Last<T> {
    made: Option<(String, T)>,
}

impl<T> Last<T> {
    pub(super) fn new() -> Self {
        Last { made: None }
    }

    /// What `make` gives for `text`.
    pub(super) fn get(
        &mut self,
        text: &str,
        make: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<&T, String> {
        if self.made.as_ref().is_none_or(|(key, _)| key != text) {
            self.made = Some((text.to_owned(), make(text)?));
        }
        Ok(&self.made.as_ref().expect("invariant: it was made just now").1)
    }
}
