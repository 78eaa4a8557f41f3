//! JSON: values of all types, malformed records, round trips.

use crate::format::testing::{decode, encode, options, show, values};
use crate::row::{Value, kind};
use crate::types::{RowField, TypeKind};
use proptest::prelude::*;

fn text() -> TypeKind {
    TypeKind::STRING
}

fn array(item: TypeKind) -> TypeKind {
    TypeKind::Array(Box::new(item.nullable()))
}

fn map(value: TypeKind) -> TypeKind {
    TypeKind::Map(Box::new(text().nullable()), Box::new(value.nullable()))
}

fn row(fields: &[(&str, TypeKind)]) -> TypeKind {
    let field = |(name, kind): &(&str, TypeKind)| RowField {
        name: (*name).into(),
        data_type: kind.clone().nullable(),
    };
    TypeKind::Row(fields.iter().map(field).collect())
}

/// What a value becomes in a column, or why not.
fn cell(kind: TypeKind, json: &str) -> Result<String, String> {
    let columns = [("a", kind)];
    let format = options(&[("format", "json")], &columns).unwrap();
    decode(&format, &columns, &format!(r#"{{"a":{json}}}"#)).map(|rows| show(&rows, &columns).remove(0))
}

#[test]
fn values_are_read_as_flink_reads_them() {
    for (kind, json, expected) in [
        (TypeKind::Int, "17", "17"),
        (TypeKind::Int, "\" 17 \"", "17"),
        (TypeKind::Int, "1.9", "1"),
        (TypeKind::Int, "null", "NULL"),
        (TypeKind::BigInt, "-9223372036854775808", "-9223372036854775808"),
        (TypeKind::TinyInt, "-128", "-128"),
        (TypeKind::BigInt, "123456789012345678", "123456789012345678"),
        (TypeKind::BigInt, "-1e2", "-100"),
        (TypeKind::Int, "-0", "0"),
        (TypeKind::Double, "1e3", "1000.0"),
        (TypeKind::Double, "\"NaN\"", "NaN"),
        (TypeKind::Float, "0.1", "0.1"),
        (TypeKind::Boolean, "true", "TRUE"),
        (TypeKind::Boolean, "\"TRUE\"", "TRUE"),
        (TypeKind::Boolean, "\"yes\"", "FALSE"),
        (text(), r#""a\"\\\/\n\u00e9\ud83d\ude00""#, "a\"\\/\né😀"),
        (text(), "1.50", "1.50"),
        (text(), "true", "true"),
        (text(), r#"{ "b" : [1, "x y"] }"#, r#"{"b":[1,"x y"]}"#),
        (TypeKind::BYTES, "\"AP8=\"", "\0\u{fffd}"),
        (TypeKind::Decimal(5, 2), "1.005", "1.01"),
        (TypeKind::Decimal(5, 2), "\"1e1\"", "10.00"),
        (TypeKind::Decimal(5, 2), "12345", "NULL"),
        (TypeKind::Date, "\"2020-02-29\"", "2020-02-29"),
        (TypeKind::Time(0), "\"12:13:14.9\"", "12:13:14"),
        (TypeKind::Timestamp(3), "\"2020-01-02 03:04:05.6789\"", "2020-01-02 03:04:05.678"),
        (TypeKind::TimestampLtz(3), "\"2020-01-02 03:04:05Z\"", "2020-01-02 03:04:05.000"),
        (array(TypeKind::Int), "[1, null, \"3\"]", "[1, NULL, 3]"),
        (array(TypeKind::Int), "[]", "[]"),
        (map(TypeKind::Int), r#"{"x":1,"y":null,"x":2}"#, "{x=2, y=NULL}"),
        (row(&[("x", TypeKind::Int), ("y", text())]), r#"{"y":"q","z":[{}]}"#, "(NULL, q)"),
        (array(row(&[("x", TypeKind::Int)])), r#"[{"x":1},{}]"#, "[(1), (NULL)]"),
    ] {
        assert_eq!(cell(kind.clone(), json).as_deref(), Ok(expected), "{json} as {kind}");
    }
}

#[test]
fn what_cannot_be_read_is_said_with_its_field() {
    for (kind, json, expected) in [
        (TypeKind::Int, "\"x\"", "field `a`: `x` is no whole number from -2147483648 to 2147483647"),
        (TypeKind::TinyInt, "128", "field `a`: 128 is no whole number from -128 to 127"),
        (TypeKind::TinyInt, "1.5", "field `a`: 1.5 is no whole number from -128 to 127"),
        (TypeKind::Int, "true", "field `a`: `true` is no whole number from -2147483648 to 2147483647"),
        (TypeKind::Int, "[1]", "field `a`: is an object or an array, not a single value"),
        (TypeKind::Double, "\"\"", "field `a`: `` is no number"),
        (TypeKind::Decimal(5, 2), "\"x\"", "field `a`: `x` is no number"),
        (TypeKind::BYTES, "\"*\"", "field `a`: `*` is no Base64"),
        (TypeKind::Date, "\"2020-02-30\"", "field `a`: `2020-02-30` is no date such as 2020-12-30"),
        (TypeKind::Timestamp(3), "1", "field `a`: `1` is no timestamp such as 2020-12-30 12:13:14"),
        (array(TypeKind::Int), "1", "field `a`: is no array"),
        (row(&[("x", TypeKind::Int)]), r#"{"x":"y"}"#, "field `a.x`: `y` is no whole number"),
        (text(), "\"open", "field `a`: no JSON: a string is not closed"),
        (text(), r#""\x""#, "field `a`: no JSON: an escape expected at byte 7, found `x`"),
        (TypeKind::Int, "01", "field `a`: no JSON: a number expected"),
        (TypeKind::Int, "1 2", "no JSON: `,` or `}` expected at byte 7, found `2`"),
        (TypeKind::Int, "", "field `a`: no JSON: a value expected at byte 5, found `}`"),
        (TypeKind::Int, "1}}", "no JSON: something follows the object at byte 7"),
        (TypeKind::Int, "nul", "field `a`: no JSON: null expected"),
    ] {
        let reason = cell(kind.clone(), json).unwrap_err();
        assert!(reason.starts_with(expected), "{json} as {kind}: {reason}");
    }
    let columns = [("a", TypeKind::Int)];
    let format = options(&[("format", "json")], &columns).unwrap();
    for (record, expected) in [
        ("[]", "the record is no JSON object"),
        ("x", "no JSON: a value expected at byte 0, found `x`"),
        ("{\"a\" 1}", "no JSON: `:` expected"),
        ("{\"a\":1,}", "no JSON: a name expected"),
        ("{a:1}", "no JSON: a name expected"),
    ] {
        let reason = decode(&format, &columns, record).unwrap_err();
        assert!(reason.starts_with(expected), "{record}: {reason}");
    }
    assert_eq!(decode(&format, &columns, "  ").unwrap().count, 0);
    let deep = format!("{{\"b\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(decode(&format, &columns, &deep).unwrap_err().contains("levels of nesting"));
}

#[test]
fn errors_are_ignored_field_by_field_if_so_wanted() {
    let columns = [("a", TypeKind::Int), ("b", array(TypeKind::Int)), ("c", text())];
    let with = [("format", "json"), ("json.ignore-parse-errors", "true")];
    let format = options(&with, &columns).unwrap();
    let rows = decode(&format, &columns, r#"{"a":{"x":[1]},"b":[1,"x",3],"c":"y"}"#).unwrap();
    assert_eq!(show(&rows, &columns), ["NULL|[1, NULL, 3]|y"]);
    assert!(decode(&format, &columns, r#"{"a":1,"b":[1"#).is_err());
    let strict = options(&[("format", "json"), ("json.fail-on-missing-field", "true")], &columns).unwrap();
    assert_eq!(decode(&strict, &columns, r#"{"a":1,"c":""}"#).unwrap_err(), "field `b`: is missing");
    let both = [with[0], with[1], ("json.fail-on-missing-field", "true")];
    assert!(options(&both, &columns).unwrap_err().message.contains("cannot both"));
}

#[test]
fn options_change_what_is_written() {
    let columns = [("t", TypeKind::TimestampLtz(3)), ("d", TypeKind::Decimal(10, 9)), ("n", text())];
    let rows = [(kind::INSERT, vec![Value::Int(1_500_000), Value::Decimal(27), Value::Null])];
    let written = |with: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = [("format", "json")].iter().chain(with).copied().collect();
        encode(&options(&all, &columns).unwrap(), &columns, &rows).unwrap()
    };
    assert_eq!(written(&[]), "{\"t\":\"1970-01-01 00:00:01.5Z\",\"d\":2.7E-8,\"n\":null}\n");
    let with = [
        ("json.timestamp-format.standard", "ISO-8601"),
        ("json.encode.decimal-as-plain-number", "true"),
        ("json.encode.ignore-null-fields", "true"),
    ];
    assert_eq!(written(&with), "{\"t\":\"1970-01-01T00:00:01.5Z\",\"d\":0.000000027}\n");
    let numbers = TypeKind::Map(Box::new(TypeKind::Int.nullable()), Box::new(text().nullable()));
    let error = options(&[("format", "json")], &[("m", numbers)]).unwrap_err();
    assert!(error.message.contains("keys of MAP<INT, STRING>"));
    let error =
        options(&[("format", "json"), ("json.timestamp-format.standard", "ISO")], &columns).unwrap_err();
    assert!(error.hint.unwrap().contains("SQL, ISO-8601"));
}

fn columns() -> [(&'static str, TypeKind); 13] {
    [
        ("a", TypeKind::BigInt),
        ("b", text()),
        ("c", TypeKind::Double),
        ("d", TypeKind::Decimal(20, 4)),
        ("e", TypeKind::Boolean),
        ("f", TypeKind::BYTES),
        ("g", TypeKind::Date),
        ("h", TypeKind::Time(3)),
        ("i", TypeKind::Timestamp(6)),
        ("j", TypeKind::TimestampLtz(3)),
        ("k", array(text())),
        ("l", map(TypeKind::Int)),
        ("m", row(&[("x", TypeKind::Float), ("y \"q\"", text())])),
    ]
}

fn nullable(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 4 => value].boxed()
}

fn row_values() -> impl Strategy<Value = Vec<Value>> {
    let texts = || nullable("[a-z\"\\\\\n\u{1}é😀 ]{0,12}".prop_map(Value::Text));
    let fields = [
        nullable(any::<i64>().prop_map(Value::Int)),
        texts(),
        nullable(any::<f64>().prop_filter("a number", |value| !value.is_nan()).prop_map(Value::Float)),
        nullable((-99_999_999_999_999_999_999i128..100_000_000_000_000_000_000).prop_map(Value::Decimal)),
        nullable(any::<bool>().prop_map(Value::Bool)),
        nullable(prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes)),
        nullable((-100_000i64..100_000).prop_map(Value::Int)),
        nullable((0i64..86_400_000).prop_map(Value::Int)),
        nullable((-9_000_000_000_000_000i64..9_000_000_000_000_000).prop_map(Value::Int)),
        nullable((-9_000_000_000_000i64..9_000_000_000_000).prop_map(|millis| Value::Int(millis * 1_000))),
        nullable(prop::collection::vec(texts(), 0..4).prop_map(Value::List)),
        nullable(prop::collection::btree_map("[a-c\"]{0,3}", any::<i32>(), 0..4).prop_map(|entries| {
            let entry = |(key, value)| (Value::Text(key), Value::Int(i64::from(value)));
            Value::Map(entries.into_iter().map(entry).collect())
        })),
        nullable((-1e9f32..1e9, texts()).prop_map(|(x, y)| Value::Row(vec![Value::Float(f64::from(x)), y]))),
    ];
    fields.to_vec()
}

proptest! {
    #[test]
    fn rows_go_through_json_and_back(row in row_values()) {
        let columns = columns();
        let format = options(&[("format", "json")], &columns).unwrap();
        let line = encode(&format, &columns, &[(kind::INSERT, row.clone())]).unwrap();
        let rows = decode(&format, &columns, line.trim_end_matches('\n')).unwrap();
        prop_assert_eq!(values(&rows), vec![row], "{}", line);
    }

    #[test]
    fn no_text_makes_the_decoder_fail_but_with_a_reason(
        text in "[{}\\[\\]\",:a-m0-9.eE+\\\\ untrlsf-]{0,60}",
        cut in 0usize..200,
        row in row_values(),
        ignore in any::<bool>(),
    ) {
        let columns = columns();
        let with = [("format", "json"), ("json.ignore-parse-errors", if ignore { "true" } else { "false" })];
        let format = options(&with, &columns).unwrap();
        let _ = decode(&format, &columns, &text);
        let mut line = encode(&format, &columns, &[(kind::INSERT, row)]).unwrap();
        while !line.is_char_boundary(cut.min(line.len())) {
            line.insert(0, ' ');
        }
        // A row that was cut off is left out, whole.
        line.truncate(cut);
        if let Ok(rows) = decode(&format, &columns, &line) {
            let is_whole = line.ends_with(['}', '\n']);
            prop_assert!(rows.count == 0 || is_whole);
        }
    }
}
