//! Four times as much data as a worker has memory.

use crate::support::{Shape, environment, run, sorted};
use eddyline::dataset::SortBy;
use eddyline::{DataGenerator, DataSet, Environment, WatermarkStrategy};

/// The memory of each of two workers.
const MEMORY_BYTES: usize = 16 << 20;
const WORKERS: u64 = 2;
/// A number, the place of a string and its 100 letters.
const ROW_BYTES: u64 = 8 + 24 + 100;
const ROWS: u64 = 4 * WORKERS * MEMORY_BYTES as u64 / ROW_BYTES;

type Row = (u64, String);

fn sixteen_megabytes() -> Environment {
    let mut environment =
        environment(Shape { parallelism: WORKERS as u32, batch_rows: 4096, tick_millis: 10 });
    environment.options_mut().runtime.memory_bytes = MEMORY_BYTES;
    environment
}

/// Numbers below `count`, mixed up, each once.
fn mixed(
    environment: &Environment,
    count: u64,
    key: impl Fn(u64) -> u64 + Clone + Send + Sync + 'static,
) -> DataSet<Row> {
    // Odd factors have no divisor in common with a power of two.
    let places = count.next_power_of_two();
    let numbers =
        DataGenerator::new(move |index| index.wrapping_mul(0x9E37_79B1) % places).with_count(places);
    let numbers = environment.from_generator(numbers, WatermarkStrategy::no_watermarks());
    numbers
        .filter(move |number| *number < count)
        .map(move |number| (key(number), format!("{number:0>100}")))
        .bounded()
}

#[test]
fn a_sort_of_four_times_the_memory() {
    let environment = sixteen_megabytes();
    let rows = mixed(&environment, ROWS, |number| number);
    let parts = rows.sort_by(SortBy::ascending(|row: &Row| row.0)).map_partition(|mut rows| {
        let first = rows.next().unwrap();
        let (mut last, mut count) = (first.0, 1u64);
        for row in rows {
            assert!(row.0 == last + 1 && row.1 == format!("{:0>100}", row.0));
            (last, count) = (row.0, count + 1);
        }
        std::iter::once((first.0, last, count))
    });
    let parts = parts.collect();
    run(&environment, "sort");
    let parts = parts.rows();
    assert_eq!(parts.len() as u64, WORKERS);
    assert_eq!((parts[0].0, parts[0].1 + 1, parts[1].1), (0, parts[1].0, ROWS - 1));
    let even = ROWS / WORKERS;
    assert!(parts.iter().all(|part| part.2 > even * 8 / 10 && part.2 < even * 12 / 10), "{parts:?}");
}

#[test]
fn a_full_outer_join_of_four_times_the_memory() {
    let environment = sixteen_megabytes();
    let half = ROWS / 2;
    // Left: even keys below twice the half; right: multiples of three below thrice the half.
    let left = mixed(&environment, half, |number| 2 * number);
    let right = mixed(&environment, half, |number| 3 * number);
    let joined = left.join(&right, |row| row.0, |row| row.0).full_outer(|left, right| {
        for row in [left, right].into_iter().flatten() {
            assert_eq!(row.1.len(), 100);
        }
        (left.is_some(), right.is_some())
    });
    let counts = joined.group_by(|sides| *sides).count().collect();
    run(&environment, "join");
    let both = (0..half).filter(|number| number * 2 % 3 == 0).count() as u64;
    let expected = [((false, true), half - both), ((true, false), half - both), ((true, true), both)];
    assert_eq!(sorted(counts.rows()), expected);
}

#[test]
fn distinct_keys_and_groups_of_four_times_the_memory() {
    let environment = sixteen_megabytes();
    let rows = mixed(&environment, ROWS, |number| number);
    let longest = rows.distinct().group_by(|row| row.0 / 4).max_by(|row| row.0).count().collect();
    let one_group =
        rows.group_by(|_| 7u8).reduce_group(|_, rows, out| out.collect(rows.count() as u64)).collect();
    run(&environment, "distinct");
    assert_eq!(longest.rows(), [ROWS.div_ceil(4)]);
    assert_eq!(one_group.rows(), [ROWS]);
}
