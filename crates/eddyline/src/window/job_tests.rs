//! Windows in whole jobs: firings far greater than what may be in flight.

use super::{Aggregator, Count, SlicedWindows, WindowResult};
use crate::{DataStream, Environment, KeyedStream, WatermarkStrategy};
use std::collections::BTreeMap;
use std::time::Duration;

const KEYS: u64 = 20_000;
const WINDOWS: i64 = 4;

type Results = DataStream<WindowResult<u64, u64>>;

/// Runs a job that counts one record per key and 10 ms; answers how often each window has which count.
fn run(parallelism: u32, count: impl Fn(KeyedStream<u64, u64>) -> Results) -> BTreeMap<(i64, i64, u64), u64> {
    let mut environment = Environment::new();
    environment.set_parallelism(parallelism);
    environment.options_mut().runtime.memory_bytes = 48 << 20;
    environment.options_mut().runtime.batch_rows = 256;
    environment.options_mut().runtime.handle_signals = false;
    let items = (0..WINDOWS).flat_map(|window| (0..KEYS).map(move |key| (key, window * 10 + 5))).collect();
    let stream = environment.from_collection_with(items, WatermarkStrategy::for_monotonous_timestamps());
    let results = count(stream.key_by(|key| *key)).collect();
    environment.execute("windows").unwrap();
    let mut found = BTreeMap::new();
    for row in results.rows() {
        *found.entry((row.window.start, row.window.end, row.value)).or_default() += 1;
    }
    found
}

fn counting() -> impl Aggregator<Input = u64, Output = u64> {
    Count::new()
}

#[test]
fn firings_greater_than_what_may_be_in_flight_lose_nothing() {
    for parallelism in [1, 2] {
        let tumbling =
            run(parallelism, |keyed| keyed.window(SlicedWindows::tumbling(10)).aggregate(counting()));
        let expected = (0..WINDOWS).map(|window| ((window * 10, window * 10 + 10, 1), KEYS)).collect();
        assert_eq!(tumbling, expected);

        let sliding =
            run(parallelism, |keyed| keyed.window(SlicedWindows::sliding(20, 10)).aggregate(counting()));
        let records = |start: i64| if start < 0 || start + 20 > WINDOWS * 10 { 1 } else { 2 };
        let starts = (-1..WINDOWS).map(|window| window * 10);
        assert_eq!(sliding, starts.map(|start| ((start, start + 20, records(start)), KEYS)).collect());

        let session =
            run(parallelism, |keyed| keyed.session_window(Duration::from_millis(11)).aggregate(counting()));
        assert_eq!(session, BTreeMap::from([((5, WINDOWS * 10 + 6, WINDOWS as u64), KEYS)]));
    }
}
