//! Appending to a column without a [`super::Value`] in between: what decoders of formats do.

use super::ColumnBuilder;
use super::builder::Inner;

/// The columns below a column of arrays, maps or rows.
pub(crate) enum Nested<'a> {
    List(&'a mut ColumnBuilder),
    Map(&'a mut ColumnBuilder, &'a mut ColumnBuilder),
    Row(&'a mut [ColumnBuilder]),
    /// The column has none.
    None,
}

impl ColumnBuilder {
    #[inline]
    pub(crate) fn append_bool(&mut self, value: bool) {
        match &mut self.inner {
            Inner::Bool(builder) => builder.append_value(value),
            _ => self.append_null(),
        }
    }

    #[inline]
    pub(crate) fn append_float(&mut self, value: f64) {
        match &mut self.inner {
            Inner::F64(builder) => builder.append_value(value),
            Inner::F32(builder) => builder.append_value(value as f32),
            _ => self.append_null(),
        }
    }

    /// Appends an unscaled decimal.
    #[inline]
    pub(crate) fn append_decimal(&mut self, value: i128) {
        match &mut self.inner {
            Inner::Decimal(builder) => builder.append_value(value),
            _ => self.append_null(),
        }
    }

    #[inline]
    pub(crate) fn append_bytes(&mut self, bytes: &[u8]) {
        match &mut self.inner {
            Inner::Bytes(builder) => builder.append_value(bytes),
            _ => self.append_null(),
        }
    }

    /// The columns below, to which the parts of the next value are appended before [`ColumnBuilder::end_nested`].
    pub(crate) fn nested(&mut self) -> Nested<'_> {
        match &mut self.inner {
            Inner::List { items, .. } => Nested::List(items),
            Inner::Map { keys, values, .. } => Nested::Map(keys, values),
            Inner::Row { fields, .. } => Nested::Row(fields),
            _ => Nested::None,
        }
    }

    /// Ends a value whose parts, `count` of them, were appended to the columns below.
    pub(crate) fn end_nested(&mut self, count: usize) {
        match &mut self.inner {
            Inner::List { offsets, nulls, .. } | Inner::Map { offsets, nulls, .. } => {
                offsets.push(offsets[offsets.len() - 1] + count as i32);
                nulls.append_non_null();
            }
            Inner::Row { nulls, .. } => nulls.append_non_null(),
            _ => self.append_null(),
        }
    }
}
