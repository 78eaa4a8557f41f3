//! Whole jobs on files in formats: values in and out, bad records, compressed files, damage.

use eddyline::{Data, Environment, NodeSpec, WatermarkStrategy};
use eddyline_connectors::files::{DecodedStream, OnBadRecord, TextFiles};
use eddyline_connectors::sink::{FileSink, partition_path};
use eddyline_formats::{Compression, Compressor, Csv, Decoder, JsonLines, Text};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Data, Serialize, Deserialize)]
struct Trade {
    symbol: String,
    price: f64,
    note: Option<String>,
}

fn write(place: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    std::fs::write(place.path().join(name), content).unwrap();
    place.path().join(name)
}

fn read<D: Decoder<Trade> + Clone + Send + Sync>(
    path: &Path,
    parallelism: u32,
    decoder: D,
    on_bad: OnBadRecord,
) -> eddyline::Result<Vec<Trade>> {
    let environment = Environment::new();
    environment.set_parallelism(parallelism);
    let files = TextFiles::new([path]);
    let trades = environment
        .from_source(
            "trades",
            move || files.decode(decoder.clone(), on_bad),
            WatermarkStrategy::no_watermarks(),
        )
        .collect();
    environment.execute("trades")?;
    let mut rows = trades.rows();
    rows.sort_by(|one, other| one.symbol.cmp(&other.symbol));
    Ok(rows)
}

fn trades(count: usize) -> Vec<Trade> {
    let note = |number: usize| (number.is_multiple_of(3)).then(|| format!("line\n\"{number}\",\tx"));
    (0..count)
        .map(|number| Trade {
            symbol: format!("s{number:06}"),
            price: number as f64 / 8.0,
            note: note(number),
        })
        .collect()
}

#[test]
fn values_survive_csv_and_json_at_any_parallelism_packed_or_not() {
    let place = tempfile::tempdir().unwrap();
    let trades = trades(30_000);
    let (csv, json) = (Csv::new().delimiter(b'|'), JsonLines::new());
    let (mut as_csv, mut as_json) = (Vec::new(), Vec::new());
    for trade in &trades {
        use eddyline_formats::Encoder;
        csv.encoder().encode(trade, &mut as_csv).unwrap();
        json.encoder().encode(trade, &mut as_json).unwrap();
    }
    let mut packed = Compressor::new(Compression::Gzip).unwrap();
    packed.write(&as_csv).unwrap();
    let as_csv_gz = packed.finish().unwrap();
    let paths = [write(&place, "t.csv", as_csv), write(&place, "t.csv.gz", as_csv_gz)];
    let json_path = write(&place, "t.jsonl", as_json);
    for parallelism in 1..4 {
        for path in &paths {
            assert!(read(path, parallelism, csv.decoder(), OnBadRecord::Fail).unwrap() == trades);
        }
        assert!(read(&json_path, parallelism, json.decoder(), OnBadRecord::Fail).unwrap() == trades);
    }
}

#[test]
fn bad_records_fail_are_skipped_or_kept() {
    let place = tempfile::tempdir().unwrap();
    let text = b"symbol,price,note\na,1,\nb,x,\nc,3\n\xff,4,y\n\"d\n\",5,\n\"e,6,\n";
    let path = write(&place, "t.csv", text);
    let csv = Csv::new().header(true);
    let error = read(&path, 1, csv.decoder(), OnBadRecord::Fail).unwrap_err().report();
    assert!(error.contains("t.csv, byte 23: column 2: invalid float literal"), "{error}");
    let symbols = |trades: &[Trade]| trades.iter().map(|trade| trade.symbol.clone()).collect::<Vec<_>>();
    assert_eq!(symbols(&read(&path, 1, csv.decoder(), OnBadRecord::Skip).unwrap()), ["a", "d\n"]);

    let environment = Environment::new();
    let files = TextFiles::new([&path]);
    let decoded = environment.from_source(
        "trades",
        move || files.decode_or_dead_letter(csv.decoder::<Trade>()),
        WatermarkStrategy::no_watermarks(),
    );
    let (good, bad) = (decoded.records().collect(), decoded.dead_letters().collect());
    environment.execute("trades").unwrap();
    assert_eq!(symbols(&good.rows()), ["a", "d\n"]);
    let bad: Vec<(u64, String, Vec<u8>)> =
        bad.rows().into_iter().map(|letter| (letter.offset, letter.reason, letter.line)).collect();
    let reasons = [
        (23, "column 2: invalid float literal"),
        (28, "too few columns: 2"),
        (32, "column 1: invalid utf-8"),
        (46, "a quote is not closed"),
    ];
    assert_eq!(bad.len(), reasons.len(), "{bad:?}");
    for ((offset, reason, _), (expected_offset, expected)) in bad.iter().zip(reasons) {
        assert!(
            *offset == expected_offset && reason.contains(expected),
            "{offset}: {reason}, not {expected}"
        );
    }
    assert_eq!(bad[0].2, b"b,x,");
}

#[test]
fn a_truncated_archive_is_an_error_or_a_letter_and_what_came_before_is_there() {
    let place = tempfile::tempdir().unwrap();
    let mut packed = Compressor::new(Compression::Gzip).unwrap();
    let text: String =
        (0..200_000u64).map(|number| format!("{}\n", number.wrapping_mul(0x9e37_79b9))).collect();
    packed.write(text.as_bytes()).unwrap();
    let mut bytes = packed.finish().unwrap();
    bytes.truncate(bytes.len() / 2);
    let path = write(&place, "t.log.gz", bytes);
    let run = |on_bad| {
        let environment = Environment::new();
        let files = TextFiles::new([&path]);
        let source = move || files.decode(Text.decoder(), on_bad);
        let lines =
            environment.from_source("lines", source, WatermarkStrategy::no_watermarks()).collect_now();
        (environment.execute("lines"), lines.rows())
    };
    let (outcome, _) = run(OnBadRecord::Fail);
    let error = outcome.err().unwrap().report();
    assert!(error.contains("t.log.gz, from unpacked byte") && error.contains("put a whole copy"), "{error}");
    let (outcome, lines) = run(OnBadRecord::Skip);
    outcome.unwrap();
    assert!(lines.len() > 50_000 && lines.iter().map(String::as_str).eq(text.lines().take(lines.len())));

    let environment = Environment::new();
    let files = TextFiles::new([&path]);
    let source = move || files.decode_or_dead_letter(Text.decoder());
    let letters =
        environment.from_source("lines", source, WatermarkStrategy::no_watermarks()).dead_letters().collect();
    environment.execute("lines").unwrap();
    assert!(letters.rows()[0].reason.contains("damaged or cut off"), "{:?}", letters.rows());
    assert_eq!(letters.rows()[0].offset, lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>());
}

#[test]
fn a_long_record_is_bad_and_no_more() {
    let place = tempfile::tempdir().unwrap();
    let mut text = b"a,1,\n\"".to_vec();
    text.extend(std::iter::repeat_n(b'x', 10 << 20));
    text.extend_from_slice(b"\nb,2,\n");
    let path = write(&place, "t.csv", text);
    let trades = read(&path, 1, Csv::new().decoder(), OnBadRecord::Skip).unwrap();
    assert_eq!(trades.len(), 2);
}

#[test]
fn what_a_partitioned_sink_writes_a_source_reads() {
    let place = tempfile::tempdir().unwrap();
    let (trades, out) = (trades(5_000), place.path().join("out"));
    let sink = FileSink::with_encoder(&out, Csv::new().encoder())
        .bucket_by(|trade: &Trade| partition_path(&[("digit", trade.symbol[6..].to_string())]))
        .open_files_max(3)
        .suffix(".csv")
        .compression(Compression::Zstd);
    let environment = Environment::new();
    environment.set_parallelism(2);
    environment
        .from_collection(trades.clone())
        .add_sink_operator(NodeSpec::named("out"), move || sink.operator());
    environment.execute("write").unwrap();
    for digit in 0..10 {
        let bucket = out.join(format!("digit={digit}/*.csv.zst"));
        let found = read(&bucket, 2, Csv::new().decoder(), OnBadRecord::Fail).unwrap();
        assert!(found.iter().eq(trades.iter().skip(digit).step_by(10)), "{digit}");
    }
    assert!(read(&out.join("**/*"), 1, Csv::new().decoder(), OnBadRecord::Fail).unwrap() == trades);
}
