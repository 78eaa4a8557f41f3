//! No record makes a decoder panic, and one that cannot be read leaves nothing behind.

use super::testing::{options, schema};
use super::{Format, RowsBuilder};
use crate::types::TypeKind;
use eddyline_formats::RawRecord;

const CASES: usize = 4_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).expect("a small number")
    }
}

fn columns() -> Vec<(&'static str, TypeKind)> {
    let nullable = |kind: TypeKind| Box::new(kind.nullable());
    vec![
        ("i", TypeKind::Int),
        ("s", TypeKind::STRING),
        ("d", TypeKind::Decimal(10, 2)),
        ("f", TypeKind::Double),
        ("b", TypeKind::Boolean),
        ("t", TypeKind::Timestamp(3)),
        ("z", TypeKind::TimestampLtz(3)),
        ("day", TypeKind::Date),
        ("raw", TypeKind::BYTES),
        ("a", TypeKind::Array(nullable(TypeKind::BigInt))),
    ]
}

/// Cut, doubled, changed or filled with other bytes.
fn mutated(seed: &str, random: &mut Random) -> Vec<u8> {
    const BYTES: &[u8] = b"{}[]\",:;\\'nulltruefalse0123456789+-.eE \t\r\n#|\x00\x7f\xc3\xa9\xff\xf0\x9f";
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..=random.below(5) {
        let place = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.truncate(place),
            1 if place < bytes.len() => drop(bytes.remove(place)),
            2 if place < bytes.len() => bytes[place] = BYTES[random.below(BYTES.len())],
            3 => {
                let end = (place + random.below(12)).min(bytes.len());
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
            4 => {
                let piece = [BYTES[random.below(BYTES.len())]].repeat(random.below(300));
                bytes.splice(place..place, piece);
            }
            _ => bytes.insert(place, BYTES[random.below(BYTES.len())]),
        }
    }
    bytes
}

const ROW: &str = r#"{"i":-7,"s":"a \"\u00e9\ud83e\udd80","d":12.34,"f":1e-7,"b":true,"t":"2024-02-29 23:59:59.123","z":"2024-02-29 23:59:59Z","day":"2024-02-29","raw":"AQID","a":[1,null,9223372036854775807]}"#;

fn seeds(name: &str) -> Vec<String> {
    match name {
        "csv" => vec![
            "-7,\"a \"\"b\",12.34,1e-7,true,2024-02-29 23:59:59.123,2024-02-29 23:59:59Z,2024-02-29,AQID,1;2"
                .into(),
        ],
        "json" => vec![ROW.into()],
        "debezium-json" => vec![format!("{{\"before\":{ROW},\"after\":{ROW},\"op\":\"u\"}}")],
        "ogg-json" => vec![format!("{{\"before\":{ROW},\"after\":{ROW},\"op_type\":\"U\"}}")],
        "canal-json" => vec![format!("{{\"data\":[{ROW}],\"old\":[{{\"i\":1}}],\"type\":\"UPDATE\"}}")],
        _ => vec![format!("{{\"data\":{ROW},\"old\":{{\"s\":null}},\"type\":\"update\"}}")],
    }
}

fn check(format: &Format, columns: &[(&str, TypeKind)], records: impl Iterator<Item = Vec<u8>>) -> usize {
    let schema = schema(columns);
    let mut decoder = format.decoder(&schema);
    let mut rows = RowsBuilder::new(&schema, format.is_changelog());
    let mut read = 0;
    for record in records {
        read += usize::from(decoder.decode(RawRecord::new(&record, 1), &mut rows).is_ok());
    }
    // Columns of different lengths would make no batch.
    let rows = rows.finish();
    assert!(rows.columns.iter().all(|column| column.len() == rows.count), "columns differ in length");
    read
}

#[test]
fn mutated_records_are_read_or_refused() {
    let columns = columns();
    for name in ["csv", "json", "debezium-json", "ogg-json", "canal-json", "maxwell-json"] {
        for ignores in ["false", "true"] {
            let ignore = format!("{name}.ignore-parse-errors");
            let format = options(&[("format", name), (&ignore, ignores)], &columns).expect("a format");
            let seeds = seeds(name);
            let mut random = Random(name.len() as u64);
            let records = (0..CASES).map(|case| match case {
                0 => seeds[0].as_bytes().to_vec(),
                _ => mutated(&seeds[random.below(seeds.len())], &mut random),
            });
            let read = check(&format, &columns, records);
            assert!(read > CASES / 50, "{name}: {read} of {CASES}");
        }
    }
}

#[test]
fn deep_records_do_not_overflow_the_stack() {
    let columns = [("s", TypeKind::STRING), ("other", TypeKind::Int)];
    for depth in [100, 10_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"s\":", "}")] {
            let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let record = format!("{{\"x\":{value},\"s\":{value}}}").into_bytes();
            for name in ["json", "debezium-json", "maxwell-json"] {
                let format = options(&[("format", name)], &columns).expect("a format");
                check(&format, &columns, std::iter::once(record.clone()));
            }
        }
    }
}

#[test]
fn lines_of_logs_are_read_or_refused() {
    let columns =
        [("host", TypeKind::STRING), ("time", TypeKind::TimestampLtz(3)), ("status", TypeKind::Int)];
    let seed = "1.2.3.4 - - [31/Jan/2026:10:00:00 +0100] \"GET /a HTTP/1.1\" 200 12 \"-\" \"agent\"";
    for kind in ["common", "combined"] {
        let with = [("format", "log"), ("log.format", kind), ("log.ignore-parse-errors", "true")];
        let format = options(&with, &columns).expect("a format");
        let mut random = Random(9);
        check(&format, &columns, (0..CASES).map(|_| mutated(seed, &mut random)));
    }
}
