//! Rows as Parquet: columns by the state's schema.

use super::{RowWriter, unwritten};
use crate::rows::{Row, Selection};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, Fields, Schema};
use eddyline_core::{DataType, Error, Result, Value};
use eddyline_protocol::StateKind;
use eddyline_state::savepoint::Placement;
use eddyline_state::ttl::without_times;
use parquet::arrow::ArrowWriter;
use std::io::Write;
use std::sync::Arc;

/// Rows in a batch.
const BATCH_ROWS: usize = 8_192;

/// A Parquet file of one state: `group`, `key`, `value`, and `window`, `time`, `namespace`, `touched_ms` where it has
/// them. Structs and tuples are structs, lists lists, maps lists of `key` and `value`; enums and integers beyond 64 bits
/// are text, enums as JSON.
pub struct ParquetRows<W: Write + Send> {
    writer: Option<ArrowWriter<W>>,
    schema: Arc<Schema>,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

/// A column, and where in a row it is found.
struct Column {
    name: &'static str,
    data_type: DataType,
    of: fn(&Row) -> Option<Value>,
}

impl<W: Write + Send> ParquetRows<W> {
    /// Writes the rows of `selection` to `out`.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn new(out: W, selection: &Selection) -> Result<Self> {
        let columns = columns(selection);
        let fields: Vec<ArrowField> =
            columns.iter().map(|column| field(column.name, &column.data_type)).collect();
        let schema = Arc::new(Schema::new(fields));
        let writer = ArrowWriter::try_new(out, schema.clone(), None).map_err(|error| unwritten(&error))?;
        Ok(ParquetRows { writer: Some(writer), schema, columns, rows: Vec::new() })
    }

    fn write_batch(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let values: Vec<Option<Value>> = rows.iter().map(column.of).collect();
            let values: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
            arrays.push(array(&column.data_type, &values)?);
        }
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| unwritten(&error))?;
        match &mut self.writer {
            Some(writer) => writer.write(&batch).map_err(|error| unwritten(&error)),
            None => Err(Error::internal("rows were written to a file that is finished")),
        }
    }
}

impl<W: Write + Send> RowWriter for ParquetRows<W> {
    fn write(&mut self, row: &Row) -> Result<()> {
        self.rows.push(row.clone());
        if self.rows.len() >= BATCH_ROWS { self.write_batch() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        self.write_batch()?;
        match self.writer.take() {
            Some(writer) => writer.close().map(drop).map_err(|error| unwritten(&error)),
            None => Ok(()),
        }
    }
}

fn number(number: Option<i64>) -> Option<Value> {
    number.map(|number| Value::Int(i128::from(number), 64))
}

fn columns(selection: &Selection) -> Vec<Column> {
    let descriptor = selection.state().descriptor();
    let column = |name, data_type, of| Column { name, data_type, of };
    let mut columns =
        vec![column("group", DataType::UInt(32), |row| Some(Value::UInt(u128::from(row.group), 32)))];
    match selection.placement() {
        Placement::OfWindows => columns.push(column("window", DataType::Int(64), |row| number(row.window))),
        Placement::OfTimers => {
            columns.push(column("time", DataType::Int(64), |row| number(row.time)));
            columns.push(column("namespace", DataType::Int(64), |row| number(row.namespace)));
        }
        Placement::OfKeys | Placement::OfInstances => {}
    }
    if !matches!(descriptor.kind, StateKind::List | StateKind::Union) {
        let key = selection.placement().hashed_schema(&descriptor.key).clone();
        columns.push(column("key", key, |row| row.key.clone()));
    }
    if descriptor.kind != StateKind::Timers {
        let untimed = without_times(&descriptor.value);
        let is_timed = untimed != descriptor.value;
        let shown = if selection.is_raw() { descriptor.value.clone() } else { untimed };
        columns.push(column("value", shown, |row| row.value.clone()));
        if is_timed {
            columns.push(column("touched_ms", DataType::Int(64), |row| number(row.touched_ms)));
        }
    }
    columns
}

/// Everything may be absent in Parquet: whether it may in the state, the state's schema says.
fn field(name: &str, data_type: &DataType) -> ArrowField {
    ArrowField::new(name, arrow_type(data_type), true)
}

fn tuple_fields(types: &[DataType]) -> Fields {
    types.iter().enumerate().map(|(position, inner)| field(&position.to_string(), inner)).collect()
}

fn entry_fields(key: &DataType, value: &DataType) -> Fields {
    Fields::from(vec![field("key", key), field("value", value)])
}

fn arrow_type(data_type: &DataType) -> ArrowType {
    match data_type {
        // A column without a value in it is none in Parquet.
        DataType::Unit | DataType::Bool => ArrowType::Boolean,
        DataType::Int(8) => ArrowType::Int8,
        DataType::Int(16) => ArrowType::Int16,
        DataType::Int(32) => ArrowType::Int32,
        DataType::Int(64) => ArrowType::Int64,
        DataType::UInt(8) => ArrowType::UInt8,
        DataType::UInt(16) => ArrowType::UInt16,
        DataType::UInt(32) => ArrowType::UInt32,
        DataType::UInt(64) => ArrowType::UInt64,
        DataType::Float(32) => ArrowType::Float32,
        DataType::Float(_) => ArrowType::Float64,
        DataType::Int(_) | DataType::UInt(_) | DataType::Char | DataType::Text | DataType::Enum { .. } => {
            ArrowType::Utf8
        }
        DataType::Bytes => ArrowType::Binary,
        DataType::Optional(inner) => arrow_type(inner),
        DataType::List(inner) => ArrowType::List(Arc::new(field("item", inner))),
        DataType::Map(key, value) => {
            let entries = ArrowType::Struct(entry_fields(key, value));
            ArrowType::List(Arc::new(ArrowField::new("item", entries, true)))
        }
        DataType::Tuple(types) if types.is_empty() => ArrowType::Boolean,
        DataType::Tuple(types) => ArrowType::Struct(tuple_fields(types)),
        DataType::Struct { fields, .. } if fields.is_empty() => ArrowType::Boolean,
        DataType::Struct { fields, .. } => {
            ArrowType::Struct(fields.iter().map(|inner| field(&inner.name, &inner.data_type)).collect())
        }
    }
}

macro_rules! numbers {
    ($array:ident, $native:ident, $values:ident, $variant:ident) => {
        Arc::new($array::from_iter($values.iter().map(|value| match value {
            Some(Value::$variant(number, _)) => $native::try_from(*number).ok(),
            _ => None,
        })))
    };
}

/// The values of a column.
fn array(data_type: &DataType, values: &[Option<&Value>]) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Bool => Arc::new(BooleanArray::from_iter(values.iter().map(|value| match value {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }))),
        DataType::Int(8) => numbers!(Int8Array, i8, values, Int),
        DataType::Int(16) => numbers!(Int16Array, i16, values, Int),
        DataType::Int(32) => numbers!(Int32Array, i32, values, Int),
        DataType::Int(64) => numbers!(Int64Array, i64, values, Int),
        DataType::UInt(8) => numbers!(UInt8Array, u8, values, UInt),
        DataType::UInt(16) => numbers!(UInt16Array, u16, values, UInt),
        DataType::UInt(32) => numbers!(UInt32Array, u32, values, UInt),
        DataType::UInt(64) => numbers!(UInt64Array, u64, values, UInt),
        DataType::Float(32) => Arc::new(Float32Array::from_iter(
            values.iter().map(|value| float(*value).map(|number| number as f32)),
        )),
        DataType::Float(_) => Arc::new(Float64Array::from_iter(values.iter().map(|value| float(*value)))),
        DataType::Int(_) | DataType::UInt(_) | DataType::Char | DataType::Text | DataType::Enum { .. } => {
            Arc::new(StringArray::from_iter(values.iter().map(|value| value.and_then(text))))
        }
        DataType::Bytes => Arc::new(BinaryArray::from_iter(values.iter().map(|value| match value {
            Some(Value::Bytes(bytes)) => Some(bytes.as_slice()),
            _ => None,
        }))),
        DataType::Optional(inner) => {
            let inner_values: Vec<Option<&Value>> = values.iter().map(|value| present(*value)).collect();
            array(inner, &inner_values)?
        }
        DataType::List(inner) => list(field("item", inner), values, |items| array(inner, items))?,
        DataType::Map(key, value) => map(key, value, values)?,
        DataType::Tuple(types) if !types.is_empty() => {
            let columns = types.iter().enumerate().map(|(position, inner)| {
                let items: Vec<Option<&Value>> = values.iter().map(|value| part(*value, position)).collect();
                array(inner, &items)
            });
            structs(tuple_fields(types), columns.collect::<Result<_>>()?, values)?
        }
        DataType::Struct { fields, .. } if !fields.is_empty() => {
            let columns = fields.iter().enumerate().map(|(position, inner)| {
                let items: Vec<Option<&Value>> = values.iter().map(|value| part(*value, position)).collect();
                array(&inner.data_type, &items)
            });
            let named = fields.iter().map(|inner| field(&inner.name, &inner.data_type)).collect();
            structs(named, columns.collect::<Result<_>>()?, values)?
        }
        DataType::Unit | DataType::Tuple(_) | DataType::Struct { .. } => {
            Arc::new(BooleanArray::from_iter(values.iter().map(|value| value.map(|_| true))))
        }
    })
}

fn float(value: Option<&Value>) -> Option<f64> {
    match value {
        Some(Value::Float(number, _)) => Some(*number),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Char(character) => Some(character.to_string()),
        Value::Int(number, _) => Some(number.to_string()),
        Value::UInt(number, _) => Some(number.to_string()),
        other => serde_json::to_string(other).ok(),
    }
}

/// What is in an optional value.
fn present(value: Option<&Value>) -> Option<&Value> {
    match value {
        Some(Value::Optional(inner)) => inner.as_deref(),
        other => other,
    }
}

/// A part of a struct or tuple.
fn part(value: Option<&Value>, position: usize) -> Option<&Value> {
    match value {
        Some(Value::Tuple(items)) => items.get(position),
        Some(Value::Struct(fields)) => fields.get(position).map(|(_, value)| value),
        _ => None,
    }
}

fn structs(fields: Fields, columns: Vec<ArrayRef>, values: &[Option<&Value>]) -> Result<ArrayRef> {
    let there = NullBuffer::from_iter(values.iter().map(Option::is_some));
    let structs = StructArray::try_new(fields, columns, Some(there)).map_err(|error| unwritten(&error))?;
    Ok(Arc::new(structs))
}

fn list(
    item: ArrowField,
    values: &[Option<&Value>],
    items: impl FnOnce(&[Option<&Value>]) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let of = |value: &Option<&'_ Value>| match value {
        Some(Value::List(items)) => items.len(),
        _ => 0,
    };
    let lengths: Vec<usize> = values.iter().map(of).collect();
    let mut flat = Vec::with_capacity(lengths.iter().sum());
    for value in values {
        if let Some(Value::List(items)) = value {
            flat.extend(items.iter().map(Some));
        }
    }
    lists(item, &lengths, items(&flat)?, values)
}

fn map(key: &DataType, value: &DataType, values: &[Option<&Value>]) -> Result<ArrayRef> {
    let (mut keys, mut mapped, mut lengths) = (Vec::new(), Vec::new(), Vec::with_capacity(values.len()));
    for value in values {
        let before = keys.len();
        if let Some(Value::Map(entries)) = value {
            for (key, value) in entries {
                keys.push(Some(key));
                mapped.push(Some(value));
            }
        }
        lengths.push(keys.len() - before);
    }
    let fields = entry_fields(key, value);
    let columns = vec![array(key, &keys)?, array(value, &mapped)?];
    let entries = structs(fields.clone(), columns, &keys)?;
    lists(ArrowField::new("item", ArrowType::Struct(fields), true), &lengths, entries, values)
}

fn lists(
    item: ArrowField,
    lengths: &[usize],
    items: ArrayRef,
    values: &[Option<&Value>],
) -> Result<ArrayRef> {
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    let there = NullBuffer::from_iter(values.iter().map(Option::is_some));
    let lists =
        ListArray::try_new(Arc::new(item), offsets, items, Some(there)).map_err(|error| unwritten(&error))?;
    Ok(Arc::new(lists))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writable_store;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, UInt64Type};
    use eddyline_core::Data;
    use eddyline_state::ttl::Timed;
    use eddyline_state::{SavepointReader, SavepointWriter};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use std::collections::BTreeMap;
    use std::fs::File;

    #[derive(Clone, Data)]
    struct Nested {
        name: String,
        list: Vec<Option<i64>>,
        map: BTreeMap<String, u8>,
        pair: Option<(u16, f32)>,
        kind: Kind,
        nothing: (),
    }

    #[derive(Clone, Data)]
    enum Kind {
        Plain,
        Large(u128),
    }

    fn nested(key: u64) -> Nested {
        Nested {
            name: format!("name {key}"),
            list: (0..key % 3).map(|item| (item != 1).then_some(item as i64)).collect(),
            map: (0..key % 4).map(|entry| (format!("entry {entry}"), entry as u8)).collect(),
            pair: (key.is_multiple_of(2)).then_some((key as u16, 0.5)),
            kind: if key.is_multiple_of(2) { Kind::Plain } else { Kind::Large(u128::from(key) << 70) },
            nothing: (),
        }
    }

    fn export(reader: &SavepointReader, state: &str, path: &std::path::Path) -> Vec<RecordBatch> {
        let selection = Selection::all(reader.state("op", state).unwrap()).unwrap();
        let mut writer = ParquetRows::new(File::create(path).unwrap(), &selection).unwrap();
        selection.rows().unwrap().for_each(|row| writer.write(&row.unwrap()).unwrap());
        writer.finish().unwrap();
        let read = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        read.build().unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn nested_values_are_columns_of_structs_and_lists() {
        let root = tempfile::tempdir().unwrap();
        let store = writable_store(root.path().to_str().unwrap(), "job").unwrap();
        let mut writer = SavepointWriter::create(&store, 4).unwrap();
        let mut operator = writer.operator("op");
        operator.keyed_state("nested", (0..20_000u64).map(|key| (key, nested(key)))).unwrap();
        operator.keyed_state("timed", [(7u64, Timed { touched_ms: 40, value: 1u32 })]).unwrap();
        operator.timers("timers", [(5_000, 3u64)]).unwrap();
        operator.list_state("list", ["a".to_string()]).unwrap();
        writer.finish(0).unwrap();
        let reader = SavepointReader::newest(&store).unwrap();

        let batches = export(&reader, "nested", &root.path().join("nested.parquet"));
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
        for batch in &batches {
            let keys = batch["key"].as_primitive::<UInt64Type>();
            let values = batch["value"].as_struct();
            for row in 0..batch.num_rows() {
                let expected = nested(keys.value(row));
                let column = |name: &str| values.column_by_name(name).unwrap().clone();
                assert_eq!(column("name").as_string::<i32>().value(row), expected.name);
                let list = column("list").as_list::<i32>().value(row);
                let list: Vec<Option<i64>> = list.as_primitive::<Int64Type>().iter().collect();
                assert_eq!(list, expected.list);
                assert_eq!(column("map").as_list::<i32>().value(row).len(), expected.map.len());
                assert_eq!(column("pair").is_null(row), expected.pair.is_none());
                let kind = column("kind").as_string::<i32>().value(row).to_owned();
                assert_eq!(kind == "\"Plain\"", matches!(expected.kind, Kind::Plain), "{kind}");
            }
        }
        let names = |state: &str| {
            let batches = export(&reader, state, &root.path().join(state));
            let schema = batches[0].schema();
            schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        assert_eq!(names("timed"), ["group", "key", "value", "touched_ms"]);
        assert_eq!(names("timers"), ["group", "time", "namespace", "key"]);
        assert_eq!(names("list"), ["group", "value"]);
    }
}
