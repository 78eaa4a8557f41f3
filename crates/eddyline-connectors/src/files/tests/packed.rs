//! Compressed files, quoted records and new files: from any offset, through restarts, and when they are damaged.

use super::super::bytes::Bytes;
use super::super::line_reader::{Cutting, Found, LineReader};
use super::{Driver, Place, Seen, TextFiles};
use eddyline_formats::{Compression, Compressor, Csv, Decoder, Framing};
use proptest::prelude::*;
use std::fs::File;
use std::time::{Duration, SystemTime};

fn pack(compression: Compression, text: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(compression).unwrap();
    compressor.write(text).unwrap();
    compressor.finish().unwrap()
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("{number} {}\n", "z".repeat(number as usize % 90))).collect()
}

fn length(bytes: u64) -> Vec<u8> {
    format!("too long: {bytes}").into_bytes()
}

/// All records from `offset` on.
fn read_from(place: &Place, compression: Compression, cutting: Cutting, offset: u64) -> Vec<(u64, Vec<u8>)> {
    let bytes = Bytes::new(File::open(place.path("input")).unwrap(), compression).unwrap();
    let mut reader = LineReader::new(bytes, offset, u64::MAX, cutting);
    let mut records = Vec::new();
    loop {
        let found = match reader.read(Vec::new()).unwrap() {
            Found::AtEnd(_) | Found::Done(_) => reader.take_rest(),
            found => Some(found),
        };
        match found {
            None => return records,
            Some(Found::Lines { offset, bytes }) => {
                let mut at = 0;
                while at < bytes.len() {
                    let end = cutting.line_end(&bytes[at..]).unwrap_or(bytes.len() - at);
                    let record = &bytes[at..at + end];
                    let bare = record.strip_suffix(b"\n").unwrap_or(record);
                    let is_long = bare.len() > cutting.line_bytes_max;
                    let shown = if is_long { length(bare.len() as u64) } else { record.to_vec() };
                    records.push((offset + at as u64, shown));
                    at += end;
                }
            }
            Some(Found::TooLong { offset, length: bytes, .. }) => records.push((offset, length(bytes))),
            Some(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn reading_on_at_any_record_gives_the_same_records(
        text in "[a,\"\n]{0,200}",
        line_bytes_max in 1usize..60,
        compression in prop_oneof![Just(Compression::None), Just(Compression::Gzip), Just(Compression::Zstd)],
    ) {
        let place = Place::new();
        place.write("input", pack(compression, text.as_bytes()));
        let framing = Decoder::<(u8,)>::framing(&Csv::new().decoder::<(u8,)>());
        for framing in [framing, Framing::Lines] {
            let cutting = Cutting { framing, line_bytes_max };
            let all = read_from(&place, compression, cutting, 0);
            for (index, (offset, _)) in all.iter().enumerate() {
                prop_assert_eq!(&read_from(&place, compression, cutting, *offset), &all[index..]);
            }
        }
    }
}

#[test]
fn long_records_and_chunk_boundaries_do_not_matter_in_packed_files() {
    let place = Place::new();
    let mut text = Vec::new();
    for length in [0, 10, 300_000, 262_143, 262_144, 262_145, 10_000_000, 3, 5] {
        text.extend(std::iter::repeat_n(b'x', length));
        text.push(b'\n');
    }
    place.write("input", pack(Compression::Zstd, &text));
    for line_bytes_max in [1, 262_144, 20_000_000] {
        let cutting = Cutting { framing: Framing::Lines, line_bytes_max };
        let packed = read_from(&place, Compression::Zstd, cutting, 0);
        let plain = Place::new();
        plain.write("input", &text);
        assert!(packed == read_from(&plain, Compression::None, cutting, 0), "limit {line_bytes_max}");
    }
}

/// Reads in two lives at any point: what the first has read counts, the second goes on from its state.
fn lives(files: &TextFiles, parallelism: u32, steps: usize, next: u32) -> Vec<Seen> {
    let (mut lines, mut state) = (Vec::new(), Vec::new());
    for instance in 0..parallelism {
        let mut driver = Driver::new(files, &[], instance, parallelism);
        driver.now_ms = 1;
        (0..steps).for_each(|_| _ = driver.step());
        state.extend(driver.state());
        lines.append(&mut driver.lines);
    }
    for instance in 0..next {
        let mut driver = Driver::new(files, &state, instance, next);
        driver.poll();
        assert_eq!(driver.failure, None);
        lines.append(&mut driver.lines);
    }
    lines.sort();
    lines
}

#[test]
fn compressed_and_plain_files_restart_in_the_middle_at_any_parallelism() {
    let place = Place::new();
    let texts = [numbers(0..30_000), numbers(30_000..50_000), numbers(50_000..80_000)];
    place.write("a.log.gz", pack(Compression::Gzip, texts[0].as_bytes()));
    place.write("b.log.zst", pack(Compression::Zstd, texts[1].as_bytes()));
    place.write("c.log", &texts[2]);
    for files in [
        TextFiles::new([place.directory()]),
        TextFiles::new([place.path("*.log*")]).discover(Duration::from_millis(1)),
    ] {
        for (parallelism, steps, next) in [(1, 0, 2), (1, 3, 3), (2, 5, 1), (3, 8, 2), (2, 1_000, 3)] {
            let lines: Vec<String> =
                lives(&files, parallelism, steps, next).into_iter().map(|seen| seen.2).collect();
            assert!(
                lines.iter().map(String::as_str).eq(texts.iter().flat_map(|text| text.lines())),
                "{steps}"
            );
        }
    }
}

#[test]
fn damaged_files_are_read_up_to_the_damage_and_others_to_their_end() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let place = Place::new();
        let text: String =
            (0..200_000u64).map(|number| format!("{}\n", number.wrapping_mul(0x9e37_79b9_7f4a))).collect();
        let packed = pack(compression, text.as_bytes());
        let name = format!("a{}", compression.ending());
        place.write("b", "fine\n");
        for damage in ["cut off", "flipped", "garbage"] {
            let mut bytes = packed.clone();
            match damage {
                "cut off" => bytes.truncate(bytes.len() * 2 / 3),
                "flipped" => bytes[packed.len() / 2..][..64].iter_mut().for_each(|byte| *byte ^= 0xff),
                _ => bytes = b"no archive at all".to_vec(),
            }
            place.write(&name, &bytes);
            let mut driver = Driver::new(&TextFiles::new([place.directory()]), &[], 0, 1);
            let lines = driver.poll();
            let reason = driver.failure.take().unwrap();
            assert!(reason.contains("damaged or cut off"), "{reason}");
            assert!(driver.ended && lines.contains(&"fine".to_string()));
            let good: Vec<&String> = lines.iter().filter(|line| *line != "fine").collect();
            // What comes out of an archive before the damage is found may be wrong only where a checksum is missing.
            let right =
                good.iter().zip(text.lines()).take_while(|(one, other)| one.as_str() == *other).count();
            let wanted = if damage == "cut off" { good.len() } else { 0 };
            assert!(right >= wanted, "{damage}: {right} of {} lines are right", good.len());
            assert!(damage != "cut off" || good.len() > 50_000, "{} lines before the damage", good.len());
            assert!(driver.state().iter().all(|split| split.finished), "a damaged file counts as read");
        }
    }
}

#[test]
fn new_files_are_read_once_the_oldest_first_whoever_restarts() {
    let place = Place::new();
    std::fs::create_dir(place.path("deep")).unwrap();
    let write = |name: &str, text: &str, age_s: u64| {
        let path = place.write(name, text);
        let time = SystemTime::now() - Duration::from_secs(age_s);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    write("b", "b1\nb2\n", 100);
    write("a", "a1\n", 50);
    write("c.tmp", "unfinished\n", 70);
    let files = TextFiles::new([place.directory()]).recursive(true).discover(Duration::from_secs(1));
    let mut driver = Driver::new(&files, &[], 0, 1);
    assert_eq!(driver.poll(), ["b1\nb2", "a1"].join("\n").lines().collect::<Vec<_>>(), "by age");
    place.rename("c.tmp", "c");
    write("deep/d", "d1\n", 10);
    let mut lines = driver.poll();
    lines.sort();
    assert_eq!(lines, ["d1", "unfinished"]);
    assert!(driver.poll().is_empty() && !driver.ended);
    // A restart at another parallelism, with a file that nobody has seen.
    place.write("e", "e1\n");
    let state = driver.state();
    let mut after: Vec<Driver> = (0..3).map(|instance| Driver::new(&files, &state, instance, 3)).collect();
    let mut lines: Vec<String> = after.iter_mut().flat_map(Driver::poll).collect();
    assert_eq!(lines, ["e1"]);
    // What is removed is forgotten; a new file of the name is read.
    std::fs::remove_file(place.path("a")).unwrap();
    after.iter_mut().for_each(|driver| _ = driver.poll());
    let known: Vec<String> = after.iter().flat_map(|driver| driver.state()).map(|split| split.path).collect();
    assert!(known.len() == 4 && known.iter().all(|path| !path.ends_with("/a")), "{known:?}");
    place.write("a", "another\n");
    lines = after.iter_mut().flat_map(Driver::poll).collect();
    assert_eq!(lines, ["another"]);
}

#[test]
fn a_new_file_that_vanishes_is_worth_a_warning() {
    let place = Place::new();
    place.write("a", numbers(0..40_000));
    let files = TextFiles::new([place.directory()]).discover(Duration::from_secs(1));
    let mut driver = Driver::new(&files, &[], 0, 1);
    driver.step();
    let state = driver.state();
    assert!(!state[0].finished && state[0].offset > 0);
    std::fs::remove_file(place.path("a")).unwrap();
    let mut after = Driver::new(&files, &state, 0, 1);
    assert!(after.poll().is_empty());
    assert!(
        after.failure.is_none() && after.warnings[0].contains("the rest is lost"),
        "{:?}",
        after.warnings
    );
    place.write("a", "again\n");
    assert_eq!(after.poll(), ["again"]);
}
