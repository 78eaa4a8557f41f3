//! Changelogs of databases: what becomes of each record, and round trips.

use crate::format::testing::{decode, encode, options, show, values};
use crate::row::{Value, kind};
use crate::types::TypeKind;
use proptest::prelude::*;

fn columns() -> [(&'static str, TypeKind); 2] {
    [("id", TypeKind::Int), ("name", TypeKind::STRING)]
}

fn read(with: &[(&str, &str)], record: &str) -> Result<Vec<String>, String> {
    decode(&options(with, &columns()).unwrap(), &columns(), record).map(|rows| {
        let mut shown = show(&rows, &columns());
        if rows.kinds.is_none() {
            shown.iter_mut().for_each(|line| line.insert_str(0, "+I "));
        }
        shown
    })
}

#[test]
fn changes_become_rows_and_what_they_mean() {
    let debezium = [("format", "debezium-json")];
    let with_schema = [("format", "debezium-json"), ("debezium-json.schema-include", "true")];
    let (canal, maxwell, ogg) =
        ([("format", "canal-json")], [("format", "maxwell-json")], [("format", "ogg-json")]);
    for (with, record, expected) in [
        (&debezium[..], r#"{"before":null,"after":{"id":1,"name":"a"},"op":"c","ts_ms":1}"#, vec!["+I 1|a"]),
        (&debezium, r#"{"after":{"id":1},"op":"r"}"#, vec!["+I 1|NULL"]),
        (
            &debezium,
            r#"{"op":"u","before":{"id":1,"name":"a"},"after":{"id":1,"name":"b"}}"#,
            vec!["-U 1|a", "+U 1|b"],
        ),
        (&debezium, r#"{"before":{"id":1,"name":"b"},"after":null,"op":"d"}"#, vec!["-D 1|b"]),
        (&debezium, "null", vec![]),
        (&debezium, "", vec![]),
        (&with_schema, r#"{"schema":{"x":[]},"payload":{"after":{"id":1},"op":"c"}}"#, vec!["+I 1|NULL"]),
        (&ogg, r#"{"before":{"id":1},"after":{"id":2},"op_type":"U"}"#, vec!["-U 1|NULL", "+U 2|NULL"]),
        (
            &canal,
            r#"{"data":[{"id":"1","name":"a"},{"id":"2"}],"type":"INSERT"}"#,
            vec!["+I 1|a", "+I 2|NULL"],
        ),
        (
            &canal,
            r#"{"data":[{"id":1,"name":"b"}],"old":[{"name":"a","id":null}],"type":"UPDATE"}"#,
            vec!["-U 1|a", "+U 1|b"],
        ),
        (&canal, r#"{"data":[{"id":1,"name":"b"}],"type":"DELETE"}"#, vec!["-D 1|b"]),
        (&canal, r#"{"data":null,"type":"CREATE"}"#, vec![]),
        (&maxwell, r#"{"data":{"id":1,"name":"a"},"type":"insert"}"#, vec!["+I 1|a"]),
        (
            &maxwell,
            r#"{"data":{"id":1,"name":"b"},"old":{"name":null},"type":"update"}"#,
            vec!["-U 1|NULL", "+U 1|b"],
        ),
        (&maxwell, r#"{"data":{"id":1,"name":"b"},"type":"delete"}"#, vec!["-D 1|b"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(read(with, record), Ok(expected), "{record}");
    }
}

#[test]
fn only_the_wanted_tables_are_read() {
    let with = [
        ("format", "canal-json"),
        ("canal-json.table.include", "ord.*"),
        ("canal-json.database.include", "d"),
    ];
    let record = |database: &str, table: &str| {
        format!(r#"{{"data":[{{"id":1}}],"type":"INSERT","database":"{database}","table":"{table}"}}"#)
    };
    assert_eq!(read(&with, &record("d", "orders")).unwrap().len(), 1);
    assert_eq!(read(&with, &record("dd", "orders")).unwrap().len(), 0);
    assert_eq!(read(&with, &record("d", "my_orders")).unwrap().len(), 0);
}

#[test]
fn changes_that_make_no_sense_are_refused_whole() {
    let debezium = [("format", "debezium-json")];
    for (with, record, expected) in [
        (
            &debezium[..],
            r#"{"after":{"id":1},"op":"x"}"#,
            "`op` is `x`, which is no operation of this format",
        ),
        (&debezium, r#"{"after":{"id":1}}"#, "the change has no text `op`"),
        (
            &debezium,
            r#"{"after":{"id":1},"op":"u"}"#,
            "the change `u` does not say what was before; for PostgreSQL",
        ),
        (
            &debezium,
            r#"{"before":{"id":1},"after":{"id":"y"},"op":"u"}"#,
            "field `after.id`: `y` is no whole number",
        ),
        (&debezium, r#"{"before":{"id":1}"#, "no JSON"),
        (
            &[("format", "canal-json")],
            r#"{"data":[{"id":1}],"old":[],"type":"UPDATE"}"#,
            "`old` has fewer rows",
        ),
        (&[("format", "maxwell-json")], r#"{"type":"update","data":{}}"#, "there is no `old`"),
    ] {
        let reason = read(with, record).unwrap_err();
        assert!(reason.starts_with(expected), "{record}: {reason}");
    }
}

proptest! {
    #[test]
    fn changes_go_through_json_and_back(
        rows in prop::collection::vec((0i8..4, any::<i32>(), "[a-z\"é]{0,5}"), 1..6),
    ) {
        for name in ["debezium-json", "ogg-json", "canal-json", "maxwell-json"] {
            let format = options(&[("format", name)], &columns()).unwrap();
            let rows: Vec<(i8, Vec<Value>)> = rows
                .iter()
                .map(|(row_kind, id, name)| (*row_kind, vec![Value::Int(i64::from(*id)), Value::Text(name.clone())]))
                .collect();
            let text = encode(&format, &columns(), &rows).unwrap();
            for ((row_kind, row), line) in rows.iter().zip(text.lines()) {
                let read = decode(&format, &columns(), line).unwrap();
                prop_assert_eq!(values(&read), vec![row.clone()]);
                // Updates are written as deletes and inserts.
                let expected = if kind::is_retraction(*row_kind) { Some(vec![kind::DELETE]) } else { None };
                prop_assert_eq!(read.kinds, expected);
            }
        }
    }
}
