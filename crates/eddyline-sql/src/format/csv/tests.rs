//! CSV: cells of all types, malformed lines, round trips.

use crate::format::testing::{decode, encode, options, show, values};
use crate::row::{Value, kind};
use crate::types::{RowField, TypeKind};
use proptest::prelude::*;

fn array(item: TypeKind) -> TypeKind {
    TypeKind::Array(Box::new(item.nullable()))
}

fn row() -> TypeKind {
    let field = |name: &str, kind: TypeKind| RowField { name: name.into(), data_type: kind.nullable() };
    TypeKind::Row(vec![field("x", TypeKind::Int), field("y", TypeKind::STRING)])
}

fn read(with: &[(&str, &str)], columns: &[(&str, TypeKind)], record: &str) -> Result<Vec<String>, String> {
    let all: Vec<(&str, &str)> = [("format", "csv")].iter().chain(with).copied().collect();
    let format = options(&all, columns).map_err(|error| error.message)?;
    decode(&format, columns, record).map(|rows| show(&rows, columns))
}

#[test]
fn fields_are_read_as_flink_reads_them() {
    for (kind, field, expected) in [
        (TypeKind::Int, " 17 ", "17"),
        (TypeKind::STRING, " a b ", " a b "),
        (TypeKind::STRING, "\"a,\"\"\nb\"", "a,\"\nb"),
        (TypeKind::STRING, "", ""),
        (TypeKind::Boolean, "TRUE", "TRUE"),
        (TypeKind::Boolean, "x", "FALSE"),
        (TypeKind::Double, "1e3", "1000.0"),
        (TypeKind::Decimal(5, 2), "1.005", "1.01"),
        (TypeKind::Decimal(5, 2), "12345", "NULL"),
        (TypeKind::BYTES, "AQ==", "\u{1}"),
        (TypeKind::Date, "2020-1-2", "2020-01-02"),
        (TypeKind::Time(3), "12:13:14.25", "12:13:14.250"),
        (TypeKind::Time(0), "12:13", "12:13:00"),
        (TypeKind::Timestamp(3), "2020-01-02 03:04:05.6", "2020-01-02 03:04:05.600"),
        (TypeKind::TimestampLtz(3), "2020-01-02 03:04:05Z", "2020-01-02 03:04:05.000"),
        (array(TypeKind::Int), "1;2;3", "[1, 2, 3]"),
        (array(TypeKind::Int), "", "[]"),
        (row(), "1;a", "(1, a)"),
    ] {
        let columns = [("a", kind.clone()), ("b", TypeKind::Int)];
        let shown = read(&[], &columns, &format!("{field},7"));
        assert_eq!(shown, Ok(vec![format!("{expected}|7")]), "{field} as {kind}");
    }
}

#[test]
fn options_say_what_fields_are() {
    let columns = [("a", TypeKind::STRING), ("b", TypeKind::Int)];
    for (with, record, expected) in [
        (&[("csv.field-delimiter", ";")][..], "x;1", Ok("x|1")),
        (&[("csv.field-delimiter", "\\t")], "x\t1", Ok("x|1")),
        (&[("csv.quote-character", "'")], "'x,y',1", Ok("x,y|1")),
        (&[("csv.disable-quote-character", "true")], "\"x,1", Ok("\"x|1")),
        (&[("csv.escape-character", "\\")], "\"x\\\"\\\\\",1", Ok("x\"\\|1")),
        (&[("csv.null-literal", "n/a")], "n/a,n/a", Ok("NULL|NULL")),
        (&[("csv.null-literal", "")], ",", Ok("NULL|NULL")),
        (&[("csv.ignore-parse-errors", "true")], "x,y", Ok("x|NULL")),
        (&[("csv.ignore-parse-errors", "true")], "x", Ok("x|NULL")),
        (&[("csv.ignore-parse-errors", "true")], "x,1,2", Err("3 fields, expected 2")),
        (&[], "x,1,", Ok("x|1")),
        (&[], "x,1,2", Err("3 fields, expected 2")),
        (&[], "x", Err("1 fields, expected 2")),
        (&[], "x,", Err("field `b`: `` is no whole number from -2147483648 to 2147483647")),
        (&[], "\"x,1", Err("a quote is not closed")),
    ] {
        let shown = read(with, &columns, record).map(|rows| rows.join("\n"));
        assert_eq!(shown.as_deref().map_err(String::as_str), expected, "{record} with {with:?}");
    }
    assert_eq!(read(&[("csv.allow-comments", "true")], &columns, "# x"), Ok(vec![]));
    assert_eq!(read(&[], &columns, ""), Ok(vec![]));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let columns = [("a", TypeKind::STRING)];
    for (with, expected) in [
        (&[("csv.field-delimiter", ";;")][..], "'csv.field-delimiter' = ';;' is no single ASCII character"),
        (&[("csv.quote-character", "'"), ("csv.disable-quote-character", "true")], "makes no sense"),
        (&[("csv.field-delimiter", "\"")], "cannot be the quote character"),
        (&[("csv.ignore-parse-errors", "yes")], "is no boolean"),
        (&[("csv.feld-delimiter", ";")], "has no option 'csv.feld-delimiter'"),
    ] {
        let message = read(with, &columns, "").unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    let nested = [("a", array(array(TypeKind::Int)))];
    assert!(read(&[], &nested, "").unwrap_err().contains("cannot be written in CSV"));
}

#[test]
fn fields_are_quoted_when_they_have_to_be() {
    let columns = [("a", TypeKind::STRING), ("b", array(TypeKind::Int)), ("c", TypeKind::Timestamp(3))];
    let format = options(&[("format", "csv"), ("csv.null-literal", "NULL")], &columns).unwrap();
    let list = Value::List(vec![Value::Int(1), Value::Null]);
    let rows = [
        (kind::INSERT, vec![Value::Text("a,\"b".into()), list, Value::Int(1_500_000)]),
        (kind::INSERT, vec![Value::Null, Value::Null, Value::Null]),
    ];
    let written = encode(&format, &columns, &rows).unwrap();
    assert_eq!(written, "\"a,\"\"b\",1;NULL,1970-01-01 00:00:01.5\nNULL,NULL,NULL\n");
}

fn nullable(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 4 => value].boxed()
}

fn record_values() -> impl Strategy<Value = Vec<Value>> {
    // The only item of a list cannot be NULL: it would be the list.
    let item = nullable(any::<i32>().prop_map(|value| Value::Int(i64::from(value))));
    let list = prop::collection::vec(item, 1..4).prop_filter("not NULL", |items| *items != [Value::Null]);
    let fields = [
        nullable("[a-z\",\n#'\\\\ é]{0,12}".prop_map(Value::Text)),
        nullable(any::<i64>().prop_map(Value::Int)),
        nullable(any::<f64>().prop_filter("a number", |value| !value.is_nan()).prop_map(Value::Float)),
        nullable((-99_999i128..100_000).prop_map(Value::Decimal)),
        nullable(prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes)),
        nullable((-100_000i64..100_000).prop_map(Value::Int)),
        nullable((-9_000_000_000_000_000i64..9_000_000_000_000_000).prop_map(Value::Int)),
        nullable(list.prop_map(Value::List)),
        nullable(
            (any::<i32>(), "[a-z\", ]{0,5}")
                .prop_map(|(x, y)| Value::Row(vec![Value::Int(i64::from(x)), Value::Text(y)])),
        ),
    ];
    fields.to_vec()
}

proptest! {
    #[test]
    fn rows_go_through_csv_and_back(
        record in record_values(),
        escape in any::<bool>(),
    ) {
        let columns = [
            ("a", TypeKind::STRING),
            ("b", TypeKind::BigInt),
            ("c", TypeKind::Double),
            ("d", TypeKind::Decimal(5, 2)),
            ("e", TypeKind::BYTES),
            ("f", TypeKind::Date),
            ("g", TypeKind::Timestamp(6)),
            ("h", array(TypeKind::Int)),
            ("i", row()),
        ];
        let mut with = vec![("format", "csv"), ("csv.null-literal", "NULL"), ("csv.allow-comments", "true")];
        if escape {
            with.push(("csv.escape-character", "\\"));
        }
        let format = options(&with, &columns).unwrap();
        let line = encode(&format, &columns, &[(kind::INSERT, record.clone())]).unwrap();
        let mut scanner = format.framing().scanner();
        prop_assert_eq!(scanner.next_end(line.as_bytes()), Some(line.len()));
        let rows = decode(&format, &columns, &line[..line.len() - 1]).unwrap();
        prop_assert_eq!(values(&rows), vec![record], "{}", line);
    }

    #[test]
    fn garbage_is_an_error_at_worst(text in "[a-c\",;\n\\\\0-9]{0,60}", ignore in any::<bool>()) {
        let columns = [("a", TypeKind::Int), ("b", TypeKind::STRING), ("c", array(TypeKind::Int))];
        let with = [("format", "csv"), ("csv.ignore-parse-errors", if ignore { "true" } else { "false" })];
        let _ = decode(&options(&with, &columns).unwrap(), &columns, &text);
    }
}
