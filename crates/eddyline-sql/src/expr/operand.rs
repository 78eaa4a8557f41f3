//! What a computation works with: a column, or a constant, which is not spread over the rows.

use super::eval::EvalResult;
use crate::row::{ColumnBuilder, ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::DataType;
use std::sync::Arc;

/// One side of a computation.
pub(super) struct Operand {
    array: ArrayRef,
    constant: bool,
}

impl Operand {
    pub(super) fn column(array: ArrayRef) -> Self {
        Operand { array, constant: false }
    }

    pub(super) fn constant(value: &Value, kind: &TypeKind) -> Self {
        Operand { array: repeat(value, kind, 1), constant: true }
    }

    pub(super) fn is_constant(&self) -> bool {
        self.constant
    }

    pub(super) fn data_type(&self) -> &DataType {
        self.array.data_type()
    }

    /// The whole number that a constant is.
    pub(super) fn constant_int(&self) -> Option<i64> {
        if self.constant { ColumnView::new(&self.array).int(0) } else { None }
    }

    pub(super) fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// As a column of `rows` rows.
    pub(super) fn spread(&self, rows: usize) -> EvalResult<ArrayRef> {
        if !self.constant {
            return Ok(self.array.clone());
        }
        let zeros = PrimitiveArray::<arrow_array::types::UInt32Type>::from_value(0, rows);
        arrow_select::take::take(&self.array, &zeros, None).map_err(|error| error.to_string())
    }
}

impl Datum for Operand {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array.as_ref(), self.constant)
    }
}

/// `value` in each of `rows` rows.
pub(super) fn repeat(value: &Value, kind: &TypeKind, rows: usize) -> ArrayRef {
    match (value, kind.arrow()) {
        (Value::Null, data_type) => arrow_array::new_null_array(&data_type, rows),
        (Value::Int(value), DataType::Int64) => numbers::<Int64Type>(*value, rows),
        (Value::Int(value), DataType::Int32) => numbers::<Int32Type>(*value as i32, rows),
        (Value::Bool(value), _) => Arc::new(BooleanArray::from(vec![*value; rows])),
        (Value::Text(text), DataType::Utf8) => {
            let offsets = OffsetBuffer::from_repeated_length(text.len(), rows);
            Arc::new(StringArray::new(offsets, Buffer::from(text.repeat(rows).into_bytes()), None))
        }
        _ => {
            let mut builder = ColumnBuilder::new(kind);
            (0..rows).for_each(|_| builder.append(value));
            builder.finish()
        }
    }
}

fn numbers<T: ArrowPrimitiveType>(value: T::Native, rows: usize) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, rows))
}
