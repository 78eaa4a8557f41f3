//! Parquet files that were written, read again and looked into.

use super::testing::{show, table};
use crate::catalog::TableDef;
use crate::connector::{ReadOutcome, sink_of, source_of};
use crate::row::{Value, build_columns};
use crate::types::{RowField, SqlType, TypeKind, arrow_schema};
use arrow_array::RecordBatch;
use parquet::basic::Type as Physical;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;
use std::path::Path;

fn columns() -> Vec<(&'static str, TypeKind)> {
    let text = || TypeKind::STRING.nullable();
    let inner = TypeKind::Row(vec![
        RowField { name: "x".into(), data_type: TypeKind::Timestamp(6).nullable() },
        RowField { name: "y".into(), data_type: TypeKind::Array(Box::new(text())).nullable() },
    ]);
    vec![
        ("bool", TypeKind::Boolean),
        ("tiny", TypeKind::TinyInt),
        ("small", TypeKind::SmallInt),
        ("int", TypeKind::Int),
        ("big", TypeKind::BigInt),
        ("float", TypeKind::Float),
        ("double", TypeKind::Double),
        ("short", TypeKind::Decimal(5, 2)),
        ("long", TypeKind::Decimal(38, 10)),
        ("char", TypeKind::Char(3)),
        ("text", TypeKind::STRING),
        ("bytes", TypeKind::BYTES),
        ("date", TypeKind::Date),
        ("time", TypeKind::Time(3)),
        ("at", TypeKind::Timestamp(6)),
        ("nanos", TypeKind::Timestamp(9)),
        ("ltz", TypeKind::TimestampLtz(3)),
        ("array", TypeKind::Array(Box::new(TypeKind::Int.nullable()))),
        ("map", TypeKind::Map(Box::new(text()), Box::new(TypeKind::BigInt.nullable()))),
        ("multiset", TypeKind::Multiset(Box::new(text()))),
        ("row", inner),
    ]
}

const YEAR_9999_MICROS: i64 = 253_402_300_799_123_456;

fn rows() -> Vec<Vec<Value>> {
    let text = |text: &str| Value::Text(text.into());
    let full = |sign: i64| {
        vec![
            Value::Bool(sign > 0),
            Value::Int(sign * 7),
            Value::Int(sign * 300),
            Value::Int(sign * 70_000),
            Value::Int(sign * 5_000_000_000),
            Value::Float(0.5 * sign as f64),
            Value::Float(0.1 * sign as f64),
            Value::Decimal(i128::from(sign) * 12_345),
            Value::Decimal(i128::from(sign) * 10i128.pow(37)),
            text("abc"),
            text("ä"),
            Value::Bytes(vec![0, 255]),
            Value::Int(sign * 20_000),
            Value::Int(3_600_123),
            Value::Int(if sign > 0 { YEAR_9999_MICROS } else { -1 }),
            Value::Int(sign * 1_234_567_891),
            Value::Int(sign * 1_234_000),
            Value::List(vec![Value::Int(1), Value::Null]),
            Value::Map(vec![(text("a"), Value::Int(1)), (text("b"), Value::Null)]),
            Value::Map(vec![(text("m"), Value::Int(2))]),
            Value::Row(vec![Value::Int(sign * 1_234_567), Value::List(vec![text("z"), Value::Null])]),
        ]
    };
    let nulls = columns().iter().map(|_| Value::Null).collect();
    vec![full(1), nulls, full(-1)]
}

pub(super) fn batch(columns: &[(&str, TypeKind)], rows: &[Vec<Value>]) -> RecordBatch {
    let types: Vec<SqlType> = columns.iter().map(|(_, kind)| kind.clone().nullable()).collect();
    let arrays = build_columns(&types, rows.iter().map(Vec::as_slice));
    let schema = arrow_schema(columns.iter().zip(&types).map(|((name, _), data_type)| (*name, data_type)));
    RecordBatch::try_new(schema, arrays).unwrap()
}

fn definition(place: &Path, columns: &[(&str, TypeKind)], with: &[(&str, &str)]) -> TableDef {
    let path = [("path", place.to_str().unwrap()), ("format", "parquet")];
    table("filesystem", columns, &path.iter().chain(with).copied().collect::<Vec<_>>())
}

pub(super) fn write(definition: &TableDef, batches: &[RecordBatch]) -> Result<(), String> {
    let sink = sink_of(definition).map_err(|error| error.message)?;
    let mut writer = sink.writer(0, 1).map_err(|error| error.report())?;
    for batch in batches {
        writer.write(batch, None).map_err(|error| error.report())?;
    }
    let prepared = writer.prepare(1).map_err(|error| error.report())?;
    writer.commit(&prepared).map_err(|error| error.report())
}

pub(super) fn read(definition: &TableDef, columns: &[(&str, TypeKind)]) -> Result<Vec<String>, String> {
    let source = source_of(definition).map_err(|error| error.message)?;
    let mut reader = source.reader(0, 1).map_err(|error| error.report())?;
    let mut lines = Vec::new();
    while let ReadOutcome::Rows(rows) = reader.read(100).map_err(|error| error.report())? {
        lines.extend(show(&rows, columns));
    }
    Ok(lines)
}

#[test]
fn all_types_are_read_as_they_were_written() {
    let columns = columns();
    let expected = {
        let rows = crate::connector::Rows {
            columns: batch(&columns, &rows()).columns().to_vec(),
            count: 3,
            kinds: None,
        };
        show(&rows, &columns)
    };
    for with in [
        &[][..],
        &[("parquet.compression", "zstd"), ("parquet.block.size", "1 b")],
        &[("parquet.compression", "GZIP"), ("parquet.writer.version", "PARQUET_2_0")],
        &[("parquet.write.int64.timestamp", "true"), ("parquet.enable.dictionary", "false")],
    ] {
        let place = tempfile::tempdir().unwrap();
        let definition = definition(place.path(), &columns, with);
        let rows = rows();
        write(&definition, &[batch(&columns, &rows[..1]), batch(&columns, &rows[1..])]).unwrap();
        let mut found = read(&definition, &columns).unwrap();
        let mut expected = expected.clone();
        if with.len() == 2 && with[0].0.ends_with("int64.timestamp") {
            // Microseconds were asked for.
            for line in expected.iter_mut().chain(&mut found) {
                *line = line.replace("567891", "567000").replace("432109", "432000");
            }
        }
        assert_eq!(found, expected, "{with:?}");
        assert!(place.path().join("part-1-0-0.parquet").is_file());
    }
}

#[test]
fn files_have_flinks_physical_types() {
    let physical = |with: &[(&str, &str)]| {
        let place = tempfile::tempdir().unwrap();
        write(&definition(place.path(), &columns(), with), &[batch(&columns(), &rows())]).unwrap();
        let file = File::open(place.path().join("part-1-0-0.parquet")).unwrap();
        let metadata = SerializedFileReader::new(file).unwrap().metadata().clone();
        let columns = metadata.file_metadata().schema_descr().columns().to_vec();
        columns.iter().map(|column| (column.path().string(), column.physical_type())).collect::<Vec<_>>()
    };
    let find = |columns: &[(String, Physical)], path: &str| {
        columns.iter().find(|(known, _)| known == path).map(|(_, physical)| *physical)
    };
    let plain = physical(&[]);
    for (path, expected) in [
        ("at", Physical::INT96),
        ("nanos", Physical::INT96),
        ("short", Physical::FIXED_LEN_BYTE_ARRAY),
        ("time", Physical::INT32),
        ("tiny", Physical::INT32),
        ("text", Physical::BYTE_ARRAY),
        ("array.list.element", Physical::INT32),
        ("map.key_value.key", Physical::BYTE_ARRAY),
        ("multiset.key_value.value", Physical::INT32),
        ("row.x", Physical::INT64),
        ("row.y.list.element", Physical::BYTE_ARRAY),
    ] {
        assert_eq!(find(&plain, path), Some(expected), "{path}");
    }
    let wanted = [("parquet.write.int64.timestamp", "true"), ("parquet.timestamp.time.unit", "nanos")];
    assert!(
        write(
            &definition(tempfile::tempdir().unwrap().path(), &columns(), &wanted),
            &[batch(&columns(), &rows())]
        )
        .unwrap_err()
        .contains("Overflow")
    );
    let wanted = [("parquet.write.int64.timestamp", "true"), ("parquet.timestamp.time.unit", "millis")];
    assert_eq!(find(&physical(&wanted), "at"), Some(Physical::INT64));
}

#[test]
fn milliseconds_before_1970_are_cut_downwards() {
    let place = tempfile::tempdir().unwrap();
    let columns = [("at", TypeKind::Timestamp(6))];
    let wanted = [("parquet.write.int64.timestamp", "true"), ("parquet.timestamp.time.unit", "millis")];
    let definition = definition(place.path(), &columns, &wanted);
    write(&definition, &[batch(&columns, &[vec![Value::Int(-1)], vec![Value::Int(1_999)]])]).unwrap();
    assert_eq!(
        read(&definition, &columns).unwrap(),
        ["1969-12-31 23:59:59.999000", "1970-01-01 00:00:00.001000"]
    );
}

#[test]
fn partitions_hold_the_rows_of_a_batch_and_files_roll_by_size() {
    let place = tempfile::tempdir().unwrap();
    let columns = [("id", TypeKind::Int), ("day", TypeKind::STRING)];
    let mut definition = definition(place.path(), &columns, &[("sink.rolling-policy.file-size", "1 b")]);
    definition.partition_keys = vec!["day".into()];
    let row = |id: i64, day: &str| vec![Value::Int(id), Value::Text(day.into())];
    let batches = [
        batch(&columns, &[row(1, "a"), row(2, "b"), row(3, "a")]),
        batch(&columns, &[row(4, "b"), row(5, "c")]),
    ];
    write(&definition, &batches).unwrap();
    let mut lines = read(&definition, &columns).unwrap();
    lines.sort();
    assert_eq!(lines, ["1|a", "2|b", "3|a", "4|b", "5|c"]);
    let count = |day: &str| std::fs::read_dir(place.path().join(day)).unwrap().count();
    assert_eq!([count("day=a"), count("day=b"), count("day=c")], [1, 2, 1]);
}

#[test]
fn what_parquet_cannot_hold_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let columns = [("i", TypeKind::IntervalDaySecond)];
    let reason = write(&definition(place.path(), &columns, &[]), &[]).unwrap_err();
    assert!(reason.contains("column `i`: Parquet has no type for INTERVAL DAY"), "{reason}");
    let reason =
        write(&definition(place.path(), &columns, &[("parquet.compression", "LZ9")]), &[]).unwrap_err();
    assert!(reason.contains("'parquet.compression' = 'LZ9'"), "{reason}");
}
