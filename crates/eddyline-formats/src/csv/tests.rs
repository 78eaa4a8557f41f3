//! CSV as it comes, and values through CSV and back.

use super::*;
use crate::{Decoder, Encoder, RawRecord};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
    count: Option<i64>,
    note: String,
}

fn decode(csv: &Csv, text: &[u8]) -> Result<Option<Row>, String> {
    csv.decoder::<Row>().decode(RawRecord::new(text, 1))
}

fn row(name: &str, count: Option<i64>, note: &str) -> Option<Row> {
    Some(Row { name: name.into(), count, note: note.into() })
}

#[test]
fn records_are_read_by_position_and_refused_with_a_reason() {
    let csv = Csv::new().allow_comments(b'#');
    assert_eq!(decode(&csv, b"a,1,x"), Ok(row("a", Some(1), "x")));
    assert_eq!(decode(&csv, b"\"a\n\"\"b\",,"), Ok(row("a\n\"b", None, "")));
    assert_eq!(decode(&csv, b"# a comment, with \"quotes"), Ok(None));
    assert_eq!(decode(&csv, b""), Ok(None));
    for (text, reason) in [
        (&b"a,1"[..], "too few columns"),
        (b"a,1,x,y", "4 columns, expected 3"),
        (b"a,b,c", "column 2: invalid digit found in string"),
        (b"a,1,\"open", "a quote is not closed"),
        (b"a,1,\xff\xfe", "column 3: invalid utf-8"),
        (b"\0\0\0", "too few columns"),
    ] {
        let error = decode(&csv, text).unwrap_err();
        assert!(error.contains(reason), "{error} instead of {reason}");
    }
    let wide = vec![b'x'; 100_000];
    assert!(decode(&csv, &wide).is_err());
    let many = [b"a,1,x".to_vec(), vec![b','; 10_000]].concat();
    assert_eq!(decode(&csv, &many).unwrap_err(), "10003 columns, expected 3");
    assert_eq!(decode(&csv.clone().ignore_extra_columns(true), &many), Ok(row("a", Some(1), "x")));
}

#[test]
fn columns_are_found_by_name_and_headers_skipped() {
    let csv = Csv::new().header(true).columns(["id", "note", "count", "name"]);
    let mut decoder = csv.decoder::<Row>();
    assert_eq!(decoder.decode(RawRecord::new(b"id,note,count,name", 0)), Ok(None));
    assert_eq!(decode(&csv, b"7,x,1,a"), Ok(row("a", Some(1), "x")));
    assert_eq!(decode(&csv, b"7,x,1").unwrap_err(), "3 columns, expected 4");
    let mut out = Vec::new();
    Encoder::<Row>::header(&csv.encoder(), &mut out).unwrap();
    assert_eq!(out, b"id,note,count,name\n");
    let unnamed = Csv::new().header(true).encoder();
    assert!(Encoder::<Row>::header(&unnamed, &mut out).unwrap_err().report().contains("Csv::columns"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_field() {
    let mut decoder = Csv::new().decoder::<Row>();
    assert_eq!(decoder.decode(RawRecord::new(b"\xef\xbb\xbfa,1,x", 0)), Ok(row("a", Some(1), "x")));
}

#[test]
fn what_has_no_columns_is_refused_and_leaves_no_trace() {
    let mut out = b"before".to_vec();
    let nested = vec![(1, vec![std::collections::BTreeMap::from([(1, 2)])])];
    assert!(Csv::new().encoder().encode(&nested, &mut out).is_err());
    let single = Csv::new().quoted_newlines(false).encoder();
    assert!(single.encode(&("a\nb",), &mut out).unwrap_err().report().contains("line feed"));
    assert_eq!(out, b"before");
}

fn formats() -> Vec<Csv> {
    vec![
        Csv::new(),
        Csv::new().delimiter(b';').quote(b'\'').allow_comments(b'#'),
        Csv::new().delimiter(b'\t').escape(b'\\'),
        Csv::new().null_literal("NULL"),
    ]
}

proptest! {
    #[test]
    fn values_survive(
        name in "[a,;\"'#\\\\\n\t\r é]{0,12}",
        count in proptest::option::of(any::<i64>()),
        note in "[a-c,;\"\n]{0,6}",
    ) {
        // The reader of lines takes a carriage return before the line feed for a part of the record end.
        let row = Row { name, count, note };
        for csv in formats() {
            let mut out = Vec::new();
            csv.encoder().encode(&row, &mut out).unwrap();
            let mut scanner = csv.framing().scanner();
            prop_assert_eq!(scanner.next_end(&out), Some(out.len()), "one record: {:?}", String::from_utf8_lossy(&out));
            prop_assert_eq!(decode(&csv, &out[..out.len() - 1]), Ok(Some(row.clone())), "{:?}", csv);
        }
    }

    #[test]
    fn garbage_is_an_error_at_worst(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for csv in formats().into_iter().chain([Csv::new().disable_quotes(), Csv::new().columns(["name", "count", "note"])]) {
            let _ = decode(&csv, &bytes);
        }
    }
}
