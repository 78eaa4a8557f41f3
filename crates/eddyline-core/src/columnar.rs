//! What columnar batches weigh.
//!
//! Batches are often slices of a larger one (an exchange cuts them, so does a limit); counting the buffers they
//! point into would count the same bytes many times and stop the edge for nothing. So a slice is counted as the
//! bytes its own elements take. Dictionaries are shared by all slices and counted with each.

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{Array, GenericByteViewArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch};
use arrow_schema::DataType;

/// Strings up to this long live in the view itself.
const INLINE_VIEW_BYTES: u32 = 12;

/// The bytes that the rows of `batch` occupy.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| array_bytes(column.as_ref())).sum()
}

fn array_bytes(array: &dyn Array) -> usize {
    if array.is_empty() {
        return 0;
    }
    let nulls = array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    match array.data_type() {
        DataType::Struct(_) => {
            nulls
                + array.as_struct().columns().iter().map(|column| array_bytes(column.as_ref())).sum::<usize>()
        }
        DataType::List(_) => nulls + list_bytes(array.as_list::<i32>()),
        DataType::LargeList(_) => nulls + list_bytes(array.as_list::<i64>()),
        DataType::Map(_, _) => nulls + map_bytes(array.as_map()),
        DataType::Utf8View => nulls + view_bytes::<StringViewType>(array.as_byte_view()),
        DataType::BinaryView => nulls + view_bytes::<BinaryViewType>(array.as_byte_view()),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

fn list_bytes<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> usize {
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[list.len()].as_usize());
    size_of_val(offsets) + array_bytes(list.values().slice(first, last - first).as_ref())
}

fn map_bytes(map: &MapArray) -> usize {
    let offsets = map.value_offsets();
    let first = usize::try_from(offsets[0]).expect("invariant: offsets are not negative");
    let last = usize::try_from(offsets[map.len()]).expect("invariant: offsets are not negative");
    size_of_val(offsets) + array_bytes(&map.entries().slice(first, last - first))
}

fn view_bytes<T: ByteViewType>(views: &GenericByteViewArray<T>) -> usize {
    let outside = |length: u32| if length > INLINE_VIEW_BYTES { length as usize } else { 0 };
    size_of_val(&views.views()[..]) + views.lengths().map(outside).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Body, Record};
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, Int64Array, ListArray, StringArray, StringViewArray, StructArray};
    use std::sync::Arc;

    fn batch_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn numbers(count: i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(0..count))
    }

    /// The parts of `columns` together weigh about as much as the whole.
    fn check_slices(columns: Vec<(&str, ArrayRef)>) {
        let whole = batch_of(columns);
        let rows = whole.num_rows();
        let weight = batch_bytes(&whole);
        assert!(weight <= whole.get_array_memory_size(), "{weight}");
        let parts: usize = (0..10).map(|part| batch_bytes(&whole.slice(part * rows / 10, rows / 10))).sum();
        assert!(parts >= weight * 99 / 100 && parts <= weight + weight / 10, "{parts} of {weight}");
        assert_eq!(batch_bytes(&whole.slice(3, 0)), 0);
    }

    #[test]
    fn a_slice_weighs_what_it_holds() {
        check_slices(vec![("number", numbers(1_000))]);
        check_slices(vec![(
            "text",
            Arc::new(StringArray::from_iter_values((0..1_000).map(|i| format!("text {i}")))),
        )]);
        let optional: Int64Array = (0..1_000i64).map(|i| (i % 3 > 0).then_some(i)).collect();
        check_slices(vec![("optional", Arc::new(optional))]);
        let views = StringViewArray::from_iter_values((0..1_000).map(|i| "x".repeat(i % 40)));
        check_slices(vec![("views", Arc::new(views))]);
        let lists = (0..1_000).map(|i| Some((0..10).map(move |j| Some(i + j))));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
        let nested = StructArray::try_from(vec![("lists", lists), ("number", numbers(1_000))]).unwrap();
        check_slices(vec![("nested", Arc::new(nested))]);
    }

    #[test]
    fn views_count_their_text() {
        let views = StringViewArray::from_iter_values(["short", &"long".repeat(100)]);
        assert_eq!(array_bytes(&views), 2 * 16 + 400);
    }

    #[test]
    fn a_columnar_batch_goes_in_and_out() {
        let columns = batch_of(vec![("number", numbers(8))]);
        let batch = Batch::from_arrow(columns.clone(), 5);
        assert_eq!((batch.len(), batch.created_micros, batch.memory_bytes()), (8, 5, 64));
        assert_eq!(batch.arrow().unwrap(), &columns);
        assert_eq!(batch.clone().arrow().unwrap(), &columns);
        assert!(matches!(batch.body, Body::Arrow(_)));
        let mut batch = batch;
        assert!(batch.rows_mut::<u64>().is_err());
        assert!(Batch::from_rows(vec![Record::new(1u64, 0)], 0).arrow().is_err());
        assert!(Batch::default().arrow().is_err());
    }
}
