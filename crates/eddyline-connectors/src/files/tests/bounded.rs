//! Files that are read once: every line once, from any split and any offset.

use super::super::bytes::Bytes;
use super::super::line_reader::{Cutting, Found, LineReader};
use super::super::split::FileSplit;
use super::{Driver, Place, TextFiles, expected};
use eddyline_core::ErrorKind;
use eddyline_formats::Framing;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::File;

fn lines_of(place: &Place, start: u64, end: u64, line_bytes_max: usize) -> LineReader {
    let file = Bytes::Plain(File::open(place.path("input")).unwrap());
    LineReader::new(file, start, end, Cutting { framing: Framing::Lines, line_bytes_max })
}

/// What a reader of `[start, end)` finds.
fn read_range(place: &Place, start: u64, end: u64, line_bytes_max: usize) -> Vec<(u64, String)> {
    let mut reader = lines_of(place, start, end, line_bytes_max);
    let mut lines = Vec::new();
    let mut take = |found| match found {
        Found::Lines { offset, bytes } => {
            let mut at = offset;
            for line in bytes.split_inclusive(|byte: &u8| *byte == b'\n') {
                let bare = line.strip_suffix(b"\n").unwrap_or(line);
                let long = bare.len() > line_bytes_max;
                let text = String::from_utf8_lossy(bare).trim_end_matches('\r').to_string();
                lines.push((at, if long { format!("[{}]", bare.len()) } else { text }));
                at += line.len() as u64;
            }
            true
        }
        Found::TooLong { offset, length, .. } => {
            lines.push((offset, format!("[{length}]")));
            true
        }
        Found::More(_) => true,
        Found::AtEnd(_) | Found::Done(_) => false,
    };
    while take(reader.read(Vec::new()).unwrap()) {}
    if let Some(rest) = reader.take_rest() {
        take(rest);
    }
    lines
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![5 => Just(b'\n'), 2 => Just(b'\r'), 20 => any::<u8>()];
    proptest::collection::vec(byte, 0..300)
}

proptest! {
    #[test]
    fn ranges_that_lie_end_to_end_cover_every_line_once(
        content in content(),
        cuts in proptest::collection::btree_set(1u64..300, 0..8),
        line_bytes_max in 1usize..40,
    ) {
        let place = Place::new();
        let path = place.write("input", &content);
        let mut bounds: Vec<u64> = std::iter::once(0).chain(cuts).collect();
        bounds.push(u64::MAX);
        let mut lines = BTreeMap::new();
        for pair in bounds.windows(2) {
            for (offset, line) in read_range(&place, pair[0], pair[1], line_bytes_max) {
                let before = lines.insert((path.to_str().unwrap().to_string(), offset), line);
                prop_assert!(before.is_none(), "byte {offset} was read twice");
            }
        }
        prop_assert_eq!(lines, expected(&path, &content, line_bytes_max));
    }

    #[test]
    fn reading_on_at_any_line_gives_the_same_lines(content in content(), line_bytes_max in 1usize..40) {
        let place = Place::new();
        place.write("input", &content);
        let all = read_range(&place, 0, u64::MAX, line_bytes_max);
        for (index, (offset, _)) in all.iter().enumerate() {
            prop_assert_eq!(&read_range(&place, *offset, u64::MAX, line_bytes_max), &all[index..]);
        }
    }
}

#[test]
fn long_lines_are_skipped_and_chunk_boundaries_do_not_matter() {
    let place = Place::new();
    let mut content = Vec::new();
    for length in [0, 10, 300_000, 262_143, 262_144, 262_145, 1_000_000, 3, 10_000_000, 5] {
        content.extend(std::iter::repeat_n(b'x', length));
        content.push(b'\n');
    }
    content.extend_from_slice(b"no line end");
    let path = place.write("input", &content);
    for line_bytes_max in [1, 262_144, 1_000_000, 20_000_000] {
        let found = read_range(&place, 0, u64::MAX, line_bytes_max);
        let expected: Vec<_> =
            expected(&path, &content, line_bytes_max).into_iter().map(|((_, at), line)| (at, line)).collect();
        assert!(found == expected, "limit {line_bytes_max}");
    }
}

/// Runs all instances, stopping each after `steps` and going on with `next_parallelism` from the union of states.
fn read_in_two_lives(files: &TextFiles, parallelism: u32, steps: usize, next: u32) -> Vec<super::Seen> {
    let (mut lines, mut state) = (Vec::new(), Vec::<FileSplit>::new());
    for instance in 0..parallelism {
        let mut driver = Driver::new(files, &[], instance, parallelism);
        (0..steps).for_each(|_| _ = driver.step());
        state.extend(driver.state());
        lines.append(&mut driver.lines);
    }
    for instance in 0..next {
        let mut driver = Driver::new(files, &state, instance, next);
        driver.poll();
        assert!(driver.ended && driver.failure.is_none());
        lines.append(&mut driver.lines);
    }
    lines
}

#[test]
fn instances_share_files_and_a_restore_at_another_parallelism_loses_nothing() {
    let place = Place::new();
    let line = |number: usize| format!("{number} {}\n", "y".repeat(number % 200));
    let large: String = (0..40_000).map(line).collect();
    let small: String = (0..100).map(line).collect();
    assert!(large.len() > 3 << 20);
    let mut all = expected(&place.write("large", &large), large.as_bytes(), 1 << 20);
    all.extend(expected(&place.write("small", &small), small.as_bytes(), 1 << 20));
    place.write("empty", "");
    place.write(".hidden", "not read\n");
    let files = TextFiles::new([place.directory()]);
    for (parallelism, steps, next) in [(1, 0, 1), (1, 3, 4), (4, 1, 1), (3, 5, 2), (2, 1_000, 3)] {
        let lines = read_in_two_lives(&files, parallelism, steps, next);
        assert_eq!(lines.len(), all.len(), "{parallelism} then {next}");
        let lines: BTreeMap<_, _> = lines.into_iter().map(|(path, at, line)| ((path, at), line)).collect();
        assert!(lines == all);
    }
    let shares: Vec<usize> = (0..2)
        .map(|instance| {
            let mut driver = Driver::new(&files, &[], instance, 2);
            driver.poll().len()
        })
        .collect();
    assert!(shares.iter().all(|share| *share > 5_000), "both instances read: {shares:?}");
}

#[test]
fn input_that_cannot_be_read_is_refused_with_what_where_and_what_to_do() {
    let place = Place::new();
    let refuse =
        |files: &TextFiles| super::super::plan::plan(files, Framing::Lines, &[], 0, 1).err().unwrap();
    let missing = refuse(&TextFiles::new([place.path("missing.log")]));
    assert_eq!(missing.kind(), ErrorKind::Input);
    assert!(missing.report().contains("missing.log") && missing.hint().is_some(), "{}", missing.report());
    let unmatched = refuse(&TextFiles::new([place.path("access*.log")]));
    assert_eq!(unmatched.kind(), ErrorKind::Input);
    assert!(
        unmatched.report().contains("access*.log") && unmatched.hint().is_some(),
        "{}",
        unmatched.report()
    );
    let packed = place.write("a.log.gz", [0x1f, 0x8b, 8, 0]);
    assert!(refuse(&TextFiles::new([packed]).follow()).report().contains("unpack"));
    assert!(refuse(&TextFiles::new(Vec::<String>::new())).report().contains("needs a path"));
    let garbage = place.write("garbage", [0u8, 255, 10, 7, 10]);
    assert_eq!(Driver::new(&TextFiles::new([garbage]), &[], 0, 1).poll().len(), 2);
    let files = TextFiles::new([place.write("short", "one\ntwo\n")]);
    let mut driver = Driver::new(&files, &[], 0, 1);
    driver.poll();
    let mut state = driver.state();
    state[0].finished = false;
    place.write("short", "one\n");
    let error = super::super::plan::plan(&files, Framing::Lines, &state, 0, 1).err().unwrap();
    assert!(error.report().contains("shorter"), "{}", error.report());
}
