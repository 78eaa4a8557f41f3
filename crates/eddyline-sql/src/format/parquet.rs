//! Parquet files: columns by name, in batches, cast to the types of the table.
//!
//! Only the wanted columns are read. A column that a file does not have is NULL; a column of another kind than the
//! table's (text for a number) is an error.

use super::rows::{FormatColumn, FormatSchema};
use crate::parser::span::nearest;
use crate::types::TypeKind;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use std::fs::File;
use std::sync::Arc;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// A Parquet file that is being read.
pub(crate) struct ParquetFile {
    batches: ParquetRecordBatchReader,
    /// For each wanted column its type, and its place in the batches if the file has it.
    columns: Vec<(TypeKind, Option<usize>)>,
    batch: Vec<ArrayRef>,
    /// Rows of `batch`, and those that were handed out.
    rows: usize,
    taken: usize,
}

impl ParquetFile {
    /// Opens `file` at row `first_row`.
    ///
    /// # Errors
    /// The reason, if it is no Parquet file or has none of the columns.
    pub(crate) fn open(file: File, schema: &FormatSchema, first_row: u64) -> Result<Self, String> {
        // What writers of Arrow say of their own types is left aside: the table says what it wants.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let loaded = with_wide_times(ArrowReaderMetadata::load(&file, options).map_err(text)?, schema)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, loaded);
        let fields = builder.schema().fields().clone();
        let mut roots: Vec<usize> = Vec::new();
        for column in schema.wanted_columns() {
            roots.extend(fields.iter().position(|field| *field.name() == column.name));
        }
        if roots.is_empty() && !schema.wanted.is_empty() {
            let wanted: Vec<&str> = schema.wanted_columns().map(|column| column.name.as_str()).collect();
            let names = fields.iter().map(|field| field.name().as_str());
            let near = wanted.iter().find_map(|name| nearest(name, names.clone()));
            let hint = near.map(|near| format!(" (there is `{near}`)")).unwrap_or_default();
            return Err(format!("it has none of the columns {}{hint}", wanted.join(", ")));
        }
        roots.sort_unstable();
        roots.dedup();
        let columns = schema.wanted_columns().map(|column| {
            let place = roots.iter().position(|root| *fields[*root].name() == column.name);
            (column.data_type.kind.clone(), place)
        });
        let columns = columns.collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let skipped = usize::try_from(first_row).map_err(text)?;
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).with_offset(skipped);
        let batches = batches.build().map_err(text)?;
        Ok(ParquetFile { batches, columns, batch: Vec::new(), rows: 0, taken: 0 })
    }

    /// The next rows, `rows_max` at most, and how many they are; none at the end.
    pub(crate) fn next(&mut self, rows_max: usize) -> Result<Option<(Vec<ArrayRef>, usize)>, String> {
        while self.taken == self.rows {
            let Some(batch) = self.batches.next() else { return Ok(None) };
            let batch = batch.map_err(text)?;
            (self.rows, self.taken) = (batch.num_rows(), 0);
            let columns = self.columns.iter().map(|(kind, place)| match place {
                Some(place) => convert(batch.column(*place), kind)
                    .map_err(|reason| format!("column `{}`: {reason}", batch.schema().field(*place).name())),
                None => Ok(new_null_array(&kind.arrow(), batch.num_rows())),
            });
            self.batch = columns.collect::<Result<_, _>>()?;
        }
        let count = rows_max.min(self.rows - self.taken).max(1);
        let columns = self.batch.iter().map(|column| column.slice(self.taken, count)).collect();
        self.taken += count;
        Ok(Some((columns, count)))
    }
}

/// Timestamps of 96 bits are read as microseconds where the table has no more digits: nanoseconds would end in 2262.
fn with_wide_times(
    loaded: ArrowReaderMetadata,
    schema: &FormatSchema,
) -> Result<ArrowReaderMetadata, String> {
    let types = loaded.parquet_schema().root_schema().get_fields();
    let mut fields: Vec<Field> =
        loaded.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut is_wide = false;
    for (field, file_type) in fields.iter_mut().zip(types) {
        let is_int96 = file_type.is_primitive() && file_type.get_physical_type() == PhysicalType::INT96;
        let fits = |column: &FormatColumn| {
            column.name == *field.name()
                && column.data_type.kind.is_timestamp()
                && !column.data_type.kind.in_nanos()
        };
        if is_int96 && schema.wanted_columns().any(fits) {
            field.set_data_type(DataType::Timestamp(TimeUnit::Microsecond, None));
            is_wide = true;
        }
    }
    if !is_wide {
        return Ok(loaded);
    }
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(loaded.metadata().clone(), options).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What kind of values a type of a file holds: casts stay within.
fn family(data_type: &DataType) -> u8 {
    match data_type {
        DataType::Null => 0,
        DataType::Boolean => 1,
        kind if kind.is_numeric() => 2,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 3,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 4,
        DataType::Date32 | DataType::Date64 => 5,
        DataType::Time32(_) | DataType::Time64(_) => 6,
        DataType::Timestamp(..) => 7,
        DataType::List(_) | DataType::LargeList(_) => 8,
        DataType::Map(..) => 9,
        DataType::Struct(_) => 10,
        DataType::Duration(_) => 11,
        _ => 12,
    }
}

/// A column of a file as a column of type `kind`.
pub(crate) fn convert(column: &ArrayRef, kind: &TypeKind) -> Result<ArrayRef, String> {
    let (from, to) = (column.data_type(), kind.arrow());
    let wrong = || format!("the file has {from} where the table has {kind}");
    match (kind, from) {
        (TypeKind::Array(item), DataType::List(_)) => {
            let list = column.as_list::<i32>();
            let DataType::List(field) = to else { return Err(wrong()) };
            let items = convert(list.values(), &item.kind)?;
            return Ok(Arc::new(ListArray::new(field, list.offsets().clone(), items, list.nulls().cloned())));
        }
        (TypeKind::Map(key, value), DataType::Map(..)) => {
            let map = column.as_map();
            let DataType::Map(entries, sorted) = to else { return Err(wrong()) };
            let DataType::Struct(fields) = entries.data_type() else { return Err(wrong()) };
            let parts = vec![convert(map.keys(), &key.kind)?, convert(map.values(), &value.kind)?];
            let parts = StructArray::new(fields.clone(), parts, None);
            let nulls = map.nulls().cloned();
            return Ok(Arc::new(MapArray::new(entries, map.offsets().clone(), parts, nulls, sorted)));
        }
        (TypeKind::Row(fields), DataType::Struct(_)) => {
            let row = column.as_struct();
            let DataType::Struct(names) = to else { return Err(wrong()) };
            let parts = fields.iter().map(|field| match row.column_by_name(&field.name) {
                Some(part) => convert(part, &field.data_type.kind)
                    .map_err(|reason| format!("`{}`: {reason}", field.name)),
                None => Ok(new_null_array(&field.data_type.kind.arrow(), row.len())),
            });
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            return Ok(Arc::new(StructArray::new(names, parts, row.nulls().cloned())));
        }
        _ => {}
    }
    let (source, target) = (family(from), family(&to));
    // Text is often not marked as such.
    let fits =
        source == target || source == 0 || (source == 4 && target == 3) || (source == 3 && target == 4);
    if !fits || source == 12 {
        return Err(wrong());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = |column: &ArrayRef, to: &DataType| cast_with_options(column, to, &options).map_err(text);
    match (from, &to) {
        _ if *from == to => Ok(cut(column.clone(), from, kind)),
        // With a zone or without, what is stored is the same.
        (DataType::Timestamp(unit, _), DataType::Timestamp(wanted, _)) => {
            let mut bare = relabelled(column, DataType::Timestamp(*unit, None))?;
            if (*unit, *wanted) == (TimeUnit::Nanosecond, TimeUnit::Microsecond) {
                // A cast would cut towards 1970.
                let nanos = bare.as_primitive::<TimestampNanosecondType>();
                bare = Arc::new(
                    nanos.unary::<_, TimestampNanosecondType>(|value| value - value.rem_euclid(1_000)),
                );
            }
            let cast = cast(&bare, &DataType::Timestamp(*wanted, None))?;
            Ok(cut(relabelled(&cast, to)?, from, kind))
        }
        _ => cast(column, &to),
    }
}

/// The same bits as values of another type.
fn relabelled(column: &ArrayRef, data_type: DataType) -> Result<ArrayRef, String> {
    let data = column.to_data().into_builder().data_type(data_type).build().map_err(text)?;
    Ok(arrow_array::make_array(data))
}

/// Cuts timestamps to the precision of their type, if the file has a finer unit.
fn cut(column: ArrayRef, from: &DataType, kind: &TypeKind) -> ArrayRef {
    let (TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision)) = kind else { return column };
    let digits = match from {
        DataType::Timestamp(TimeUnit::Second, _) => 0,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 3,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 6,
        _ => 9,
    };
    if digits <= *precision {
        return column;
    }
    let data_type = column.data_type().clone();
    if kind.in_nanos() {
        let step = 10i64.pow(9 - u32::from((*precision).min(9)));
        let cut = column
            .as_primitive::<TimestampNanosecondType>()
            .unary::<_, TimestampNanosecondType>(|value| value.div_euclid(step) * step);
        return Arc::new(cut.with_data_type(data_type));
    }
    let step = 10i64.pow(6 - u32::from(*precision));
    let cut = column
        .as_primitive::<TimestampMicrosecondType>()
        .unary::<_, TimestampMicrosecondType>(|value| value.div_euclid(step) * step);
    Arc::new(cut.with_data_type(data_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{ReadOutcome, source_of};
    use crate::format::testing::{show, table};
    use crate::types::RowField;
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{Float32Array, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
    use arrow_schema::{Field, Fields, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use std::path::Path;

    fn write(path: &Path) {
        let inner = Fields::from(vec![Field::new("x", DataType::Int32, true)]);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in 0..5 {
            lists.values().append_value(format!("v{row}"));
            lists.values().append_null();
            lists.append(row != 3);
        }
        let numbers = || Arc::new(Int32Array::from(vec![Some(0), Some(1), None, Some(3), Some(4)]));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", numbers()),
            ("name", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]))),
            ("at", Arc::new(TimestampNanosecondArray::from(vec![1_234_567_890; 5]))),
            ("price", Arc::new(Float32Array::from(vec![0.5; 5]))),
            ("tags", Arc::new(lists.finish())),
            ("part", Arc::new(StructArray::new(inner, vec![numbers()], None))),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(2))
            .build();
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn columns() -> Vec<(&'static str, TypeKind)> {
        let part = RowField { name: "x".into(), data_type: TypeKind::BigInt.nullable() };
        vec![
            ("name", TypeKind::STRING),
            ("id", TypeKind::BigInt),
            ("at", TypeKind::TimestampLtz(3)),
            ("price", TypeKind::Double),
            ("tags", TypeKind::Array(Box::new(TypeKind::STRING.nullable()))),
            ("part", TypeKind::Row(vec![part])),
            ("none", TypeKind::Date),
        ]
    }

    fn lines(path: &Path, columns: &[(&str, TypeKind)], stop: usize) -> Result<Vec<String>, String> {
        let with = [("path", path.to_str().unwrap()), ("format", "parquet")];
        let source = source_of(&table("filesystem", columns, &with)).map_err(|error| error.message)?;
        let mut lines = Vec::new();
        let mut reader = source.reader(0, 1).map_err(|error| error.report())?;
        for _ in 0..stop {
            if let ReadOutcome::Rows(rows) = reader.read(1).map_err(|error| error.report())? {
                lines.extend(show(&rows, columns));
            }
        }
        let positions = reader.positions();
        reader = source.reader(0, 1).map_err(|error| error.report())?;
        reader.restore(positions).map_err(|error| error.report())?;
        while let ReadOutcome::Rows(rows) = reader.read(2).map_err(|error| error.report())? {
            lines.extend(show(&rows, columns));
        }
        Ok(lines)
    }

    #[test]
    fn columns_are_found_by_name_and_cast_and_read_on_after_a_restore() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.parquet");
        write(&path);
        for stop in 0..7 {
            let lines = lines(&path, &columns(), stop).unwrap();
            assert_eq!(lines.len(), 5, "after {stop}");
            assert_eq!(lines[0], "a|0|1970-01-01 00:00:01.234|0.5|[v0, NULL]|(0)|NULL");
            assert_eq!(lines[2], "c|NULL|1970-01-01 00:00:01.234|0.5|[v2, NULL]|(NULL)|NULL");
            assert_eq!(lines[3], "d|3|1970-01-01 00:00:01.234|0.5|NULL|(3)|NULL");
        }
    }

    #[test]
    fn columns_of_another_kind_and_files_of_another_format_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.parquet");
        write(&path);
        let reason = lines(&path, &[("name", TypeKind::Int)], 0).unwrap_err();
        assert!(
            reason.contains("a.parquet: column `name`: the file has Utf8 where the table has INT"),
            "{reason}"
        );
        let reason = lines(&path, &[("nam", TypeKind::STRING)], 0).unwrap_err();
        assert!(reason.contains("it has none of the columns nam (there is `name`)"), "{reason}");
        std::fs::write(&path, "no parquet").unwrap();
        assert!(lines(&path, &columns(), 0).unwrap_err().contains("check that it is a whole Parquet file"));
    }
}
