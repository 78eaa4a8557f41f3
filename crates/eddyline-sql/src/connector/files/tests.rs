//! Tables of files: what is found and read, and what is seen of what was written.

use super::{sink_of, source_of};
use crate::catalog::{ColumnSource, TableColumn, TableDef};
use crate::connector::{Position, ReadOutcome, TableReader, TableSink, TableSource, TableWriter};
use crate::format::testing::{show, table};
use crate::row::{Value, build_columns, kind};
use crate::types::{SqlType, TypeKind, arrow_schema};
use arrow_array::RecordBatch;
use eddyline_formats::{Compression, Compressor};
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn columns() -> Vec<(&'static str, TypeKind)> {
    vec![("id", TypeKind::Int), ("name", TypeKind::STRING)]
}

/// A table of CSV files in `place`.
fn csv(place: &Path, with: &[(&str, &str)]) -> TableDef {
    let path = place.to_str().unwrap();
    let all: Vec<(&str, &str)> = [("path", path), ("format", "csv")].iter().chain(with).copied().collect();
    table("filesystem", &columns(), &all)
}

fn read_all(reader: &mut dyn TableReader, rows_max: usize, columns: &[(&str, TypeKind)]) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match reader.read(rows_max).unwrap() {
            ReadOutcome::Rows(rows) => {
                assert!(rows.count > 0 && rows.count <= rows_max);
                lines.extend(show(&rows, columns));
            }
            ReadOutcome::Wait(_) | ReadOutcome::End => return lines,
        }
    }
}

fn lines_of(source: &Arc<dyn TableSource>) -> Vec<String> {
    read_all(source.reader(0, 1).unwrap().as_mut(), 3, &columns())
}

fn write_files(place: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut compressor = Compressor::new(Compression::of_name(name)).unwrap();
        compressor.write(text.as_bytes()).unwrap();
        fs::write(path, compressor.finish().unwrap()).unwrap();
    }
}

#[test]
fn files_are_read_by_name_and_hidden_ones_left_out() {
    let place = tempfile::tempdir().unwrap();
    write_files(
        place.path(),
        &[
            ("b.csv.gz", "3,c\n4,\"d\nd\"\n"),
            ("a.csv", "\u{feff}1,a\r\n2,b"),
            ("_SUCCESS", "x"),
            (".part.inprogress", "x"),
            ("_temporary/z.csv", "x"),
            ("c/d.csv.zst", "5,e\n"),
        ],
    );
    let source = source_of(&csv(place.path(), &[])).unwrap();
    assert!(source.is_bounded() && !source.is_changelog());
    let expected = ["1|a", "2|b", "3|c", "4|d\nd", "5|e"];
    assert_eq!(lines_of(&source), expected);
    let mut shared: Vec<String> = (0..3)
        .flat_map(|instance| read_all(source.reader(instance, 3).unwrap().as_mut(), 2, &columns()))
        .collect();
    shared.sort();
    assert_eq!(shared, expected);
    let single = format!("file://{}", place.path().join("a.csv").display());
    let source =
        source_of(&table("filesystem", &columns(), &[("path", &single), ("format", "csv")])).unwrap();
    assert_eq!(lines_of(&source), ["1|a", "2|b"]);
    let projected = source.projected(&[1]).unwrap();
    let names = read_all(projected.reader(0, 1).unwrap().as_mut(), 9, &[("name", TypeKind::STRING)]);
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_restored_reader_goes_on_at_each_position() {
    let place = tempfile::tempdir().unwrap();
    write_files(
        place.path(),
        &[("a.csv", "1,a\n2,b\n3,\"c\nc\"\n"), ("b.csv.gz", "4,d\n5,e\n"), ("c.csv", "6,f")],
    );
    let source = source_of(&csv(place.path(), &[])).unwrap();
    for stop in 0..8 {
        for (before, after) in [(1, 1), (1, 2), (2, 1), (2, 3)] {
            let (mut lines, mut positions): (Vec<String>, Vec<Position>) = (Vec::new(), Vec::new());
            for instance in 0..before {
                let mut reader = source.reader(instance, before).unwrap();
                for _ in 0..stop {
                    if let ReadOutcome::Rows(rows) = reader.read(1).unwrap() {
                        lines.extend(show(&rows, &columns()));
                    }
                }
                positions.extend(reader.positions());
            }
            // What came later is no part of a bounded table, unless nothing was read yet.
            let later = place.path().join("d.csv");
            fs::write(&later, if stop > 0 { "9,z\n" } else { "" }).unwrap();
            for instance in 0..after {
                let mut reader = source.reader(instance, after).unwrap();
                reader.restore(positions.clone()).unwrap();
                lines.extend(read_all(reader.as_mut(), 2, &columns()));
            }
            fs::remove_file(later).unwrap();
            lines.sort();
            let expected = ["1|a", "2|b", "3|c\nc", "4|d", "5|e", "6|f"];
            assert_eq!(lines, expected, "after {stop} reads, from {before} to {after} instances");
        }
    }
}

#[test]
fn a_monitored_directory_gives_each_file_once() {
    let place = tempfile::tempdir().unwrap();
    write_files(place.path(), &[("a.csv", "1,a\n")]);
    let source = source_of(&csv(place.path(), &[("source.monitor-interval", "10 ms")])).unwrap();
    assert!(!source.is_bounded());
    let mut reader = source.reader(0, 1).unwrap();
    assert_eq!(read_all(reader.as_mut(), 9, &columns()), ["1|a"]);
    write_files(place.path(), &[("b.csv", "2,b\n")]);
    assert_eq!(read_all(reader.as_mut(), 9, &columns()), ["2|b"]);
    let positions = reader.positions();
    write_files(place.path(), &[("c.csv", "3,c\n")]);
    fs::remove_file(place.path().join("a.csv")).unwrap();
    let mut reader = source.reader(0, 1).unwrap();
    reader.restore(positions).unwrap();
    assert_eq!(read_all(reader.as_mut(), 9, &columns()), ["3|c"]);
    assert_eq!(reader.positions().len(), 2, "what is gone is forgotten");
}

#[test]
fn partitions_and_metadata_are_columns() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("table");
    write_files(
        &root,
        &[("day=2020-01-02/name=a%2Fb/x.csv", "1\n2\n"), ("day=__DEFAULT_PARTITION__/name=c/y.csv", "3\n")],
    );
    let mut definition = csv(&root, &[]);
    definition.columns.push(TableColumn {
        name: "day".into(),
        data_type: TypeKind::Date.nullable(),
        source: ColumnSource::Physical,
        comment: None,
    });
    for (name, key, kind) in [("file", "file.name", TypeKind::STRING), ("size", "file.size", TypeKind::Int)] {
        let source = ColumnSource::Metadata { key: key.into(), is_virtual: true };
        definition.columns.push(TableColumn {
            name: name.into(),
            data_type: kind.nullable(),
            source,
            comment: None,
        });
    }
    definition.partition_keys = vec!["day".into(), "name".into()];
    let shown = [
        ("id", TypeKind::Int),
        ("name", TypeKind::STRING),
        ("day", TypeKind::Date),
        ("file", TypeKind::STRING),
        ("size", TypeKind::Int),
    ];
    let source = source_of(&definition).unwrap();
    let lines = read_all(source.reader(0, 1).unwrap().as_mut(), 9, &shown);
    assert_eq!(lines, ["1|a/b|2020-01-02|x.csv|4", "2|a/b|2020-01-02|x.csv|4", "3|c|NULL|y.csv|2"]);
    let projected = source.projected(&[4, 2]).unwrap();
    let shown = [("size", TypeKind::Int), ("day", TypeKind::Date)];
    let lines = read_all(projected.reader(0, 1).unwrap().as_mut(), 9, &shown);
    assert_eq!(lines, ["4|2020-01-02", "4|2020-01-02", "2|NULL"]);

    // Written rows go to the same directories.
    let sink = sink_of(&definition).unwrap();
    let types = [TypeKind::Int.nullable(), TypeKind::STRING.nullable(), TypeKind::Date.nullable()];
    let mut writer = sink.writer(0, 1).unwrap();
    let rows = [
        vec![Value::Int(7), Value::Text("a/b".into()), Value::Int(18_263)],
        vec![Value::Int(8), Value::Text("c".into()), Value::Null],
    ];
    let columns = build_columns(&types, rows.iter().map(Vec::as_slice));
    let schema = arrow_schema([("id", &types[0]), ("name", &types[1]), ("day", &types[2])]);
    writer.write(&RecordBatch::try_new(schema, columns).unwrap(), None).unwrap();
    let prepared = writer.prepare(1).unwrap();
    writer.commit(&prepared).unwrap();
    let lines =
        read_all(source_of(&definition).unwrap().reader(0, 1).unwrap().as_mut(), 9, &[("id", TypeKind::Int)]);
    assert_eq!(lines.len(), 5);
    assert!(root.join("day=2020-01-02/name=a%2Fb/part-1-0-0.csv").is_file());

    write_files(&root, &[("z.csv", "1\n")]);
    let mut reader = source_of(&definition).unwrap().reader(0, 1).unwrap();
    let error = loop {
        match reader.read(100) {
            Ok(ReadOutcome::Rows(_)) => {}
            Ok(_) => panic!("a file without a partition was read"),
            Err(error) => break error,
        }
    };
    assert!(error.report().contains("z.csv has no directory `day=…`"), "{}", error.report());
}

#[test]
fn bad_records_are_told_with_file_and_line_or_counted() {
    let place = tempfile::tempdir().unwrap();
    write_files(place.path(), &[("a.csv", "1,\"a\na\"\nx,b\n3,c\n4\n5,e,f\n")]);
    let source = source_of(&csv(place.path(), &[])).unwrap();
    let report = source.reader(0, 1).unwrap().read(9).err().unwrap().report();
    assert!(report.contains("a.csv, line 3: field `id`: `x` is no whole number"), "{report}");
    assert!(report.contains("ignore-parse-errors"), "{report}");
    let source = source_of(&csv(place.path(), &[("csv.ignore-parse-errors", "true")])).unwrap();
    let mut reader = source.reader(0, 1).unwrap();
    assert_eq!(read_all(reader.as_mut(), 9, &columns()), ["1|a\na", "NULL|b", "3|c", "4|NULL"]);
    assert_eq!(reader.skipped(), 2, "a field and a record");
    fs::write(place.path().join("b.csv.gz"), [0x1f, 0x8b, 8, 0, 1, 2]).unwrap();
    let mut reader = source.reader(0, 1).unwrap();
    let report = loop {
        match reader.read(9) {
            Ok(ReadOutcome::Rows(_)) => {}
            Ok(_) => panic!("the damage was not seen"),
            Err(error) => break error.report(),
        }
    };
    assert!(report.contains("b.csv.gz"), "{report}");
    let report = source_of(&csv(&place.path().join("none"), &[]))
        .unwrap()
        .reader(0, 1)
        .unwrap()
        .read(1)
        .err()
        .unwrap();
    assert!(report.report().contains("check the option 'path'"));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let place = Path::new("nowhere");
    for (with, expected, hint) in [
        (
            &[("source.monitor-intervall", "1s")][..],
            "has no option 'source.monitor-intervall'",
            "monitor-interval'?",
        ),
        (&[("source.monitor-interval", "soon")], "is no length of time", "'10 s'"),
        (&[("sink.rolling-policy.file-size", "big")], "is no number of bytes", "128MB"),
        (&[("path", "s3://b/x")], "not from s3", "path of this machine"),
        (&[("format", "cvs")], "there is no format `cvs`", "`csv`"),
        (
            &[("json.ignore-parse-errors", "true")],
            "has no option 'json.ignore-parse-errors'",
            "csv.ignore-parse-errors",
        ),
    ] {
        let error = source_of(&csv(place, with)).err().unwrap();
        assert!(error.message.contains(expected), "{}", error.message);
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{:?}", error.hint);
    }
    let error =
        source_of(&table("filesystem", &columns(), &[("pth", "x"), ("format", "csv")])).err().unwrap();
    assert_eq!(error.hint.as_deref(), Some("did you mean 'path' by 'pth'?"));
}

fn batch(rows: &[(i64, &str)]) -> RecordBatch {
    let types: Vec<SqlType> = columns().iter().map(|(_, kind)| kind.clone().nullable()).collect();
    let rows: Vec<Vec<Value>> =
        rows.iter().map(|(id, name)| vec![Value::Int(*id), Value::Text((*name).into())]).collect();
    let columns = build_columns(&types, rows.iter().map(Vec::as_slice));
    RecordBatch::try_new(arrow_schema([("id", &types[0]), ("name", &types[1])]), columns).unwrap()
}

fn visible(place: &Path) -> Vec<String> {
    let names = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

#[test]
fn rows_are_seen_once_their_checkpoint_is_committed_whatever_crashes() {
    let place = tempfile::tempdir().unwrap();
    let definition = csv(place.path(), &[]);
    let sink: Arc<dyn TableSink> = sink_of(&definition).unwrap();
    let read = || lines_of(&source_of(&definition).unwrap());
    let mut writer: Box<dyn TableWriter> = sink.writer(0, 1).unwrap();
    writer.write(&batch(&[(1, "a")]), None).unwrap();
    let first = writer.prepare(1).unwrap();
    writer.write(&batch(&[(2, "b")]), None).unwrap();
    assert!(read().is_empty(), "nothing is committed");
    writer.commit(&first).unwrap();
    assert_eq!(read(), ["1|a"]);
    // The attempt fails after it prepared the second checkpoint, and wrote more.
    let second = writer.prepare(2).unwrap();
    writer.write(&batch(&[(3, "lost with its attempt")]), None).unwrap();
    drop(writer);
    let mut writer = sink.writer(0, 2).unwrap();
    writer.commit(&first).unwrap();
    writer.commit(&second).unwrap();
    writer.commit(&second).unwrap();
    writer.write(&batch(&[(3, "c")]), None).unwrap();
    let third = writer.prepare(3).unwrap();
    writer.commit(&third).unwrap();
    assert_eq!(read(), ["1|a", "2|b", "3|c"]);
    assert_eq!(visible(place.path()), ["part-1-0-0.csv", "part-1-0-1.csv", "part-2-0-0.csv"]);
    let nothing = writer.prepare(4).unwrap();
    assert!(nothing.is_empty());
    writer.commit(&nothing).unwrap();
    // Readers took files away before the commit was repeated.
    fs::remove_file(place.path().join("part-1-0-1.csv")).unwrap();
    writer.commit(&second).unwrap();
    let fourth = {
        writer.write(&batch(&[(4, "d")]), None).unwrap();
        writer.prepare(5).unwrap()
    };
    fs::remove_file(place.path().join(".part-2-0-1.csv.inprogress")).unwrap();
    assert!(writer.commit(&fourth).unwrap_err().report().contains("disappeared"));
}

#[test]
fn files_roll_by_size_and_two_sinks_share_a_directory() {
    let place = tempfile::tempdir().unwrap();
    let definition = csv(place.path(), &[("sink.rolling-policy.file-size", "8 b")]);
    let sinks = [sink_of(&definition).unwrap(), sink_of(&definition).unwrap()];
    let mut writers: Vec<Box<dyn TableWriter>> =
        sinks.iter().map(|sink| sink.writer(0, 1).unwrap()).collect();
    for _ in 0..2 {
        let prepared: Vec<Vec<u8>> = writers
            .iter_mut()
            .map(|writer| {
                writer.write(&batch(&[(1, "a"), (2, "b"), (3, "c")]), None).unwrap();
                writer.prepare(1).unwrap()
            })
            .collect();
        for (writer, prepared) in writers.iter_mut().zip(prepared) {
            writer.commit(&prepared).unwrap();
        }
    }
    assert_eq!(visible(place.path()).len(), 8);
    assert_eq!(lines_of(&source_of(&definition).unwrap()).len(), 12);
}

#[test]
fn an_overwriting_job_replaces_what_was_there_when_it_is_done() {
    let place = tempfile::tempdir().unwrap();
    write_files(place.path(), &[("old.csv", "1,a\n")]);
    let definition = csv(place.path(), &[]);
    let sink = sink_of(&definition).unwrap();
    sink.overwrite().unwrap();
    let mut writer = sink.writer(0, 1).unwrap();
    writer.write(&batch(&[(2, "b")]), None).unwrap();
    let prepared = writer.prepare(1).unwrap();
    assert_eq!(lines_of(&source_of(&definition).unwrap()), ["1|a"]);
    writer.commit(&prepared).unwrap();
    assert_eq!(lines_of(&source_of(&definition).unwrap()), ["2|b"]);
    let sink = sink_of(&definition).unwrap();
    sink.overwrite().unwrap();
    let mut writer = sink.writer(0, 2).unwrap();
    let prepared = writer.prepare(1).unwrap();
    writer.commit(&prepared).unwrap();
    assert!(lines_of(&source_of(&definition).unwrap()).is_empty(), "overwritten with nothing");
}

#[test]
fn changes_are_written_and_read_as_changes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    let definition = table("filesystem", &columns(), &[("path", path), ("format", "debezium-json")]);
    let sink = sink_of(&definition).unwrap();
    assert_eq!(sink.mode(), crate::connector::SinkMode::Retract);
    let mut writer = sink.writer(0, 1).unwrap();
    let kinds = [kind::INSERT, kind::UPDATE_BEFORE, kind::UPDATE_AFTER];
    writer.write(&batch(&[(1, "a"), (1, "a"), (1, "b")]), Some(&kinds)).unwrap();
    let prepared = writer.prepare(1).unwrap();
    writer.commit(&prepared).unwrap();
    let source = source_of(&definition).unwrap();
    assert!(source.is_changelog());
    assert_eq!(
        read_all(source.reader(0, 1).unwrap().as_mut(), 9, &columns()),
        ["+I 1|a", "-D 1|a", "+I 1|b"]
    );
}
