//! Generators: what fields give, at which rate, and where a restored one goes on.

use super::{DatagenReader, source_of};
use crate::connector::{Position, ReadOutcome, TableReader};
use crate::format::testing::{show, table};
use crate::types::{RowField, TypeKind};
use eddyline_core::ManualClock;
use std::sync::Arc;
use std::time::Duration;

fn columns() -> Vec<(&'static str, TypeKind)> {
    vec![("id", TypeKind::BigInt), ("amount", TypeKind::Int), ("name", TypeKind::STRING)]
}

const WITH: &[(&str, &str)] = &[
    ("rows-per-second", "1000000"),
    ("fields.id.kind", "sequence"),
    ("fields.id.start", "10"),
    ("fields.id.end", "29"),
    ("fields.amount.min", "1"),
    ("fields.amount.max", "3"),
    ("fields.name.length", "4"),
];

fn lines(reader: &mut dyn TableReader, rows_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match reader.read(rows_max).unwrap() {
            ReadOutcome::Rows(rows) => lines.extend(show(&rows, &columns())),
            ReadOutcome::Wait(_) => {}
            ReadOutcome::End => return lines,
        }
    }
}

#[test]
fn a_sequence_ends_the_table_and_values_stay_in_their_bounds() {
    let source = source_of(&table("datagen", &columns(), WITH)).unwrap();
    assert!(source.is_bounded());
    let rows = lines(source.reader(0, 1).unwrap().as_mut(), 7);
    assert_eq!(rows.len(), 20);
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = row.split('|').collect();
        assert_eq!(cells[0], (10 + number).to_string());
        assert!(["1", "2", "3"].contains(&cells[1]) && cells[2].len() == 4, "{row}");
    }
    let mut shared: Vec<String> =
        (0..3).flat_map(|instance| lines(source.reader(instance, 3).unwrap().as_mut(), 2)).collect();
    shared.sort();
    assert_eq!(shared, rows, "instances share the rows of one table");
}

#[test]
fn a_restored_table_goes_on_with_the_same_rows_also_with_other_instances() {
    let source = source_of(&table("datagen", &columns(), WITH)).unwrap();
    let whole = lines(source.reader(0, 1).unwrap().as_mut(), 100);
    for stop in 0..8 {
        for parallelism in [1, 2, 3] {
            let (mut rows, mut positions): (Vec<String>, Vec<Position>) = (Vec::new(), Vec::new());
            for instance in 0..2 {
                let mut reader = source.reader(instance, 2).unwrap();
                for _ in 0..stop {
                    if let ReadOutcome::Rows(read) = reader.read(1).unwrap() {
                        rows.extend(show(&read, &columns()));
                    }
                }
                positions.extend(reader.positions());
            }
            for instance in 0..parallelism {
                let mut reader = source.reader(instance, parallelism).unwrap();
                reader.restore(positions.clone()).unwrap();
                rows.extend(lines(reader.as_mut(), 3));
            }
            rows.sort();
            assert_eq!(rows, whole, "after {stop} rows with {parallelism} instances");
        }
    }
}

#[test]
fn rows_come_as_fast_as_they_should() {
    let with = [("rows-per-second", "10")];
    let definition = table("datagen", &[("a", TypeKind::Boolean)], &with);
    let source = source_of(&definition).unwrap();
    assert!(!source.is_bounded());
    let clock = ManualClock::new(0);
    let field =
        super::Field::read(&mut super::OptionReader::new(&definition), "fields.a", &TypeKind::Boolean);
    let datagen = super::Datagen { fields: vec![field.unwrap()], rows_per_second: 10, rows: None };
    let mut reader = DatagenReader::new(Arc::new(datagen), 0, 2, Arc::new(clock.clone()));
    let mut made = || {
        let mut made = 0;
        loop {
            match reader.read(100).unwrap() {
                ReadOutcome::Rows(rows) => made += rows.count,
                ReadOutcome::Wait(wait) => {
                    assert!(wait >= Duration::from_millis(100), "{wait:?}");
                    return made;
                }
                ReadOutcome::End => panic!("it has no end"),
            }
        }
    };
    assert_eq!(made(), 1);
    clock.advance(1_000_000);
    assert_eq!(made(), 5, "half of ten, as there are two instances");
}

#[test]
fn values_of_all_types_are_made() {
    let text = || TypeKind::STRING.nullable();
    let columns = [
        ("a", TypeKind::Boolean),
        ("b", TypeKind::TinyInt),
        ("c", TypeKind::Decimal(5, 2)),
        ("d", TypeKind::Double),
        ("e", TypeKind::Char(3)),
        ("f", TypeKind::BYTES),
        ("g", TypeKind::Timestamp(3)),
        ("h", TypeKind::Date),
        ("i", TypeKind::Array(Box::new(text()))),
        ("j", TypeKind::Map(Box::new(text()), Box::new(TypeKind::Int.nullable()))),
        ("k", TypeKind::Row(vec![RowField { name: "x".into(), data_type: TypeKind::Int.nullable() }])),
        ("l", TypeKind::STRING),
    ];
    let with = [
        ("number-of-rows", "3"),
        ("fields.i.element.length", "2"),
        ("fields.i.length", "1"),
        ("fields.k.x.min", "7"),
        ("fields.k.x.max", "7"),
        ("fields.l.null-rate", "1"),
        ("fields.f.var-len", "true"),
    ];
    let source = source_of(&table("datagen", &columns, &with)).unwrap();
    let ReadOutcome::Rows(rows) = source.reader(0, 1).unwrap().read(10).unwrap() else { panic!("rows") };
    for line in show(&rows, &columns) {
        assert!(line.ends_with("(7)|NULL"), "{line}");
    }
    assert_eq!(rows.count, 3);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let with = |with: &[(&str, &str)]| source_of(&table("datagen", &columns(), with)).err().unwrap().message;
    assert!(with(&[("fields.id.kind", "sequence"), ("fields.id.start", "1")]).contains("fields.id.end"));
    assert!(with(&[("fields.amount.min", "5"), ("fields.amount.max", "1")]).contains("min 5 is above max 1"));
    assert!(with(&[("rows-per-second", "0")]).contains("no number from 1 on"));
    assert!(with(&[("fields.amuont.min", "5")]).contains("has no option 'fields.amuont.min'"));
    assert!(with(&[("fields.name.null-rate", "2")]).contains("from 0 to 1"));
}
