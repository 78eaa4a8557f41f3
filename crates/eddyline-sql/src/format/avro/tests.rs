//! Avro files that were written and read again, and files of other programs.

use super::bytes::write_long;
use super::container::BlockWriter;
use super::schema::schema_of;
use super::{AvroOptions, Codec};
use crate::catalog::TableDef;
use crate::connector::{ReadOutcome, Rows, source_of};
use crate::format::parquet_tests::{batch, read, write};
use crate::format::testing::{schema, show, table};
use crate::row::Value;
use crate::types::{RowField, TypeKind};
use std::fs::{self, File};
use std::path::Path;

fn text() -> TypeKind {
    TypeKind::STRING
}

fn columns() -> Vec<(&'static str, TypeKind)> {
    let row = TypeKind::Row(vec![
        RowField { name: "x".into(), data_type: TypeKind::Int.not_null() },
        RowField { name: "y".into(), data_type: TypeKind::Array(Box::new(text().nullable())).nullable() },
    ]);
    vec![
        ("bool", TypeKind::Boolean),
        ("tiny", TypeKind::TinyInt),
        ("small", TypeKind::SmallInt),
        ("int", TypeKind::Int),
        ("big", TypeKind::BigInt),
        ("float", TypeKind::Float),
        ("double", TypeKind::Double),
        ("decimal", TypeKind::Decimal(38, 3)),
        ("text", text()),
        ("bytes", TypeKind::BYTES),
        ("date", TypeKind::Date),
        ("time", TypeKind::Time(3)),
        ("at", TypeKind::Timestamp(3)),
        ("map", TypeKind::Map(Box::new(text().nullable()), Box::new(TypeKind::BigInt.nullable()))),
        ("row", row),
    ]
}

fn rows() -> Vec<Vec<Value>> {
    let text = |text: &str| Value::Text(text.into());
    let full = |sign: i64| {
        vec![
            Value::Bool(sign > 0),
            Value::Int(sign * 7),
            Value::Int(sign * 300),
            Value::Int(sign * 70_000),
            Value::Int(if sign > 0 { i64::MAX } else { i64::MIN }),
            Value::Float(0.5 * sign as f64),
            Value::Float(0.1 * sign as f64),
            Value::Decimal(i128::from(sign) * 129),
            text("ä"),
            Value::Bytes(vec![0, 255]),
            Value::Int(sign * 20_000),
            Value::Int(3_600_123),
            Value::Int(sign * 1_234_000),
            Value::Map(vec![(text("a"), Value::Int(1)), (text("b"), Value::Null)]),
            Value::Row(vec![Value::Int(sign), Value::List(vec![text("z"), Value::Null])]),
        ]
    };
    vec![full(1), columns().iter().map(|_| Value::Null).collect(), full(-1)]
}

fn definition(place: &Path, columns: &[(&str, TypeKind)], with: &[(&str, &str)]) -> TableDef {
    let path = [("path", place.to_str().unwrap()), ("format", "avro")];
    table("filesystem", columns, &path.iter().chain(with).copied().collect::<Vec<_>>())
}

fn expected(columns: &[(&str, TypeKind)], rows: &[Vec<Value>]) -> Vec<String> {
    let batch = batch(columns, rows);
    show(&Rows { columns: batch.columns().to_vec(), count: rows.len(), kinds: None }, columns)
}

#[test]
fn all_types_are_read_as_they_were_written_by_every_codec() {
    for (_, codec) in Codec::ALL {
        let place = tempfile::tempdir().unwrap();
        let definition = definition(place.path(), &columns(), &[("avro.codec", codec)]);
        write(&definition, &[batch(&columns(), &rows()), batch(&columns(), &rows()[..1])]).unwrap();
        let mut all = rows();
        all.extend(rows().into_iter().take(1));
        assert_eq!(read(&definition, &columns()).unwrap(), expected(&columns(), &all), "{codec}");
        assert!(place.path().join("part-1-0-0.avro").is_file());
    }
}

#[test]
fn timestamps_are_mapped_as_in_flink() {
    let columns = [("at", TypeKind::Timestamp(6)), ("ltz", TypeKind::TimestampLtz(3))];
    let place = tempfile::tempdir().unwrap();
    let reason = write(&definition(place.path(), &columns, &[]), &[]).unwrap_err();
    assert!(reason.contains("column `at`: Avro has no type for TIMESTAMP(6)"), "{reason}");
    let right = [("avro.timestamp_mapping.legacy", "false")];
    let definition = definition(place.path(), &columns, &right);
    let rows = [vec![Value::Int(-1), Value::Int(-1_000)]];
    write(&definition, &[batch(&columns, &rows)]).unwrap();
    assert_eq!(read(&definition, &columns).unwrap(), expected(&columns, &rows));
    let derived = schema_of(&schema(&columns).columns, false).unwrap().to_string();
    assert!(derived.contains(r#"{"logicalType":"local-timestamp-micros","type":"long"}"#), "{derived}");
    assert!(derived.contains(r#"{"logicalType":"timestamp-millis","type":"long"}"#), "{derived}");
    assert!(derived.contains(r#""namespace":"org.apache.flink.avro.generated""#), "{derived}");
}

#[test]
fn a_restored_reader_goes_on_within_a_block() {
    let place = tempfile::tempdir().unwrap();
    let columns = [("id", TypeKind::Int), ("pad", text())];
    let row = |id: i64| vec![Value::Int(id), Value::Text("x".repeat(30_000))];
    let rows: Vec<Vec<Value>> = (0..10).map(row).collect();
    let definition = definition(place.path(), &columns, &[]);
    write(&definition, &[batch(&columns, &rows)]).unwrap();
    let source = source_of(&definition).unwrap().projected(&[0]).unwrap();
    let shown = [("id", TypeKind::Int)];
    for stop in 0..11 {
        let (mut lines, mut reader) = (Vec::new(), source.reader(0, 1).unwrap());
        for _ in 0..stop {
            if let ReadOutcome::Rows(rows) = reader.read(1).unwrap() {
                lines.extend(show(&rows, &shown));
            }
        }
        let positions = reader.positions();
        reader = source.reader(0, 1).unwrap();
        reader.restore(positions).unwrap();
        while let ReadOutcome::Rows(rows) = reader.read(2).unwrap() {
            lines.extend(show(&rows, &shown));
        }
        let expected: Vec<String> = (0..10).map(|id| id.to_string()).collect();
        assert_eq!(lines, expected, "after {stop}");
    }
}

/// A file with this schema and records.
fn foreign(place: &Path, schema: &str, records: &[u8], count: u64) {
    let options = AvroOptions { codec: Codec::Deflate, legacy_timestamps: true };
    let file = File::create(place.join("foreign.avro")).unwrap();
    let mut writer = BlockWriter::create(file, schema, &options, [7; 16]).unwrap();
    writer.block(records, count).unwrap();
}

#[test]
fn files_of_others_are_read_by_the_names_of_fields() {
    let place = tempfile::tempdir().unwrap();
    let schema = r#"{"type":"record","name":"a.Node","fields":[
        {"name":"next","type":["null","Node"]},
        {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["A","B"]}},
        {"name":"n","type":"int"},
        {"name":"price","type":{"type":"fixed","name":"P","size":3,"logicalType":"decimal","precision":5,"scale":1}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"ratio","type":["float","string"]}]}"#;
    let mut records = Vec::new();
    let node = |depth: usize, records: &mut Vec<u8>| {
        for level in (0..=depth).rev() {
            write_long(i64::from(level > 0), records);
        }
        for _ in 0..=depth {
            write_long(1, records);
            write_long(-3, records);
            records.extend_from_slice(&[0xff, 0xff, 0x85]);
            write_long(1_234_567, records);
            write_long(0, records);
            records.extend_from_slice(&0.5f32.to_le_bytes());
        }
    };
    node(0, &mut records);
    node(3, &mut records);
    foreign(place.path(), schema, &records, 2);
    let columns = [
        ("at", TypeKind::TimestampLtz(3)),
        ("n", TypeKind::BigInt),
        ("kind", text()),
        ("price", TypeKind::Decimal(6, 2)),
        ("ratio", TypeKind::Double),
        ("none", TypeKind::Date),
    ];
    let line = "1970-01-01 00:00:01.234|-3|B|-12.30|0.5|NULL";
    assert_eq!(read(&definition(place.path(), &columns, &[]), &columns).unwrap(), [line, line]);
    for (column, expected) in [
        (("n", TypeKind::Boolean), "column `n`: the file has int where the table has BOOLEAN"),
        (("at", TypeKind::Int), "column `at`: the file has long where the table has INT"),
        (("pric", TypeKind::Int), "it has none of the columns pric (there is `price`)"),
        (("price", TypeKind::Decimal(2, 1)), "record 1 of the block at byte"),
    ] {
        let columns = [column];
        let reason = read(&definition(place.path(), &columns, &[]), &columns).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
    // What is not wanted nests without end.
    let mut records = Vec::new();
    (0..200_000).for_each(|_| write_long(1, &mut records));
    foreign(place.path(), schema, &records, 1);
    let columns = [("n", TypeKind::BigInt)];
    let reason = read(&definition(place.path(), &columns, &[]), &columns).unwrap_err();
    assert!(reason.contains("nested more than 1000 deep"), "{reason}");
}

/// Flink writes records as a branch of a union with null.
#[test]
fn records_may_be_a_branch_of_a_union() {
    let place = tempfile::tempdir().unwrap();
    let schema = r#"["null",{"type":"record","name":"r","fields":[{"name":"n","type":["null","int"]}]}]"#;
    let mut records = Vec::new();
    for value in [1, 1, 7, 1, 0] {
        write_long(value, &mut records);
    }
    foreign(place.path(), schema, &records, 2);
    let columns = [("n", TypeKind::Int)];
    assert_eq!(read(&definition(place.path(), &columns, &[]), &columns).unwrap(), ["7", "NULL"]);
    foreign(place.path(), schema, &[0], 1);
    let reason = read(&definition(place.path(), &columns, &[]), &columns).unwrap_err();
    assert!(
        reason.contains("record 1 of the block at byte") && reason.contains("it is no record"),
        "{reason}"
    );
}

#[test]
fn files_that_were_cut_off_or_changed_are_errors() {
    let place = tempfile::tempdir().unwrap();
    let columns = [("id", TypeKind::Int), ("name", text())];
    let definition = definition(place.path(), &columns, &[("avro.codec", "null")]);
    let row = |id: i64| vec![Value::Int(id), Value::Text(format!("name {id}"))];
    write(&definition, &[batch(&columns, &(0..100).map(row).collect::<Vec<_>>())]).unwrap();
    let path = place.path().join("part-1-0-0.avro");
    let whole = fs::read(&path).unwrap();
    let reason_of = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&definition, &columns)
    };
    for length in (0..whole.len()).step_by(7) {
        // A file that ends behind its header is whole, and empty.
        let read = reason_of(&whole[..length]);
        assert!(
            read.as_ref().is_err_and(|reason| reason.contains("part-1-0-0.avro")) || read == Ok(Vec::new())
        );
    }
    assert!(reason_of(&whole[..whole.len() - 1]).unwrap_err().contains("cut off within the block at byte"));
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(reason_of(&changed).unwrap_err().contains("another mark is behind it than in the header"));
    assert!(reason_of(b"1,a\n").unwrap_err().contains("it is no Avro file"));
    // Whatever the bytes are, reading them ends.
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x55;
        let _ = reason_of(&changed);
    }
}
