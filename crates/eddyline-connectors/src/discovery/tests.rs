//! Splits that come, grow and end, read by instances that are killed at any point.

use super::reader::{Command, Event, Splits};
use super::source::KnownSplit;
use super::*;
use crate::lane::Handler;
use eddyline::{Environment, RestartStrategy, StopMode, WatermarkStrategy};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Streams of numbers by name; `u64::MAX` ends one.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

impl Streams {
    fn append(&self, name: &str, numbers: impl IntoIterator<Item = u64>) {
        self.0.lock().unwrap().entry(name.to_owned()).or_default().extend(numbers);
    }
}

impl SplitReader<u64> for Streams {
    type Split = (String, u64);

    fn key(&self, split: &(String, u64)) -> String {
        split.0.clone()
    }

    fn discover(&mut self) -> Result<Vec<(String, u64)>> {
        Ok(self.0.lock().unwrap().keys().map(|name| (name.clone(), 0)).collect())
    }

    fn read(
        &mut self,
        split: &mut (String, u64),
        rows: &mut Vec<Record<u64>>,
        rows_max: usize,
    ) -> Result<SplitStatus> {
        let streams = self.0.lock().unwrap();
        let Some(stream) = streams.get(&split.0) else { return Ok(SplitStatus::Finished) };
        for number in stream.iter().skip(split.1 as usize).take(rows_max.min(3)) {
            if *number == u64::MAX {
                return Ok(SplitStatus::Finished);
            }
            rows.push(Record { value: *number, timestamp: 0 });
            split.1 += 1;
        }
        Ok(if rows.is_empty() { SplitStatus::Idle } else { SplitStatus::More })
    }
}

type Known = KnownSplit<(String, u64)>;

/// Reads for some steps; answers what was emitted and the splits behind it. The last `unemitted` answers are lost.
fn live(
    streams: &Streams,
    options: Options,
    share: (u32, u32),
    state: &[Known],
    (steps, unemitted): (usize, usize),
) -> (Vec<u64>, Vec<Known>, bool) {
    let mine = state.iter().filter(|known| super::reader::owner(&known.key, share.1) == share.0);
    let mine: Vec<_> = mine.cloned().collect();
    let mut known: BTreeMap<String, _> =
        mine.iter().map(|split| (split.key.clone(), split.clone())).collect();
    let mut splits = Splits::new(streams.clone(), options, share, mine);
    let (mut events, mut emitted, mut ended) = (Vec::new(), Vec::new(), false);
    for step in 0..steps {
        let command = Command { now_ms: step as i64 * 1_000, paused: BTreeSet::new() };
        splits.handle(command, &mut |event| events.push(event));
    }
    events.truncate(events.len().saturating_sub(unemitted));
    for event in events {
        match event {
            Event::Added { key, split } => {
                let before = known.insert(key.clone(), KnownSplit { key, split, finished: false });
                assert!(before.is_none());
            }
            Event::Rows { key, rows, split, finished } => {
                emitted.extend(rows.into_iter().map(|row| row.value));
                known.insert(key.clone(), KnownSplit { key, split, finished });
            }
            Event::Forgotten { key } => _ = known.remove(&key),
            Event::End => ended = true,
            Event::Idle => {}
            Event::Warning(text) => panic!("{text}"),
            Event::Failed(error) => panic!("{error}"),
        }
    }
    (emitted, known.into_values().collect(), ended)
}

proptest! {
    #[test]
    fn every_record_is_read_once_through_any_kills_and_rescales(
        lengths in proptest::collection::vec(0u64..12, 1..6),
        lives in proptest::collection::vec((1u32..4, 0usize..12, 0usize..4), 0..5),
        continuous in any::<bool>(),
    ) {
        let streams = Streams::default();
        let options = Options { discover_every_ms: continuous.then_some(1), poll_interval_ms: 1 };
        let (mut state, mut emitted, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (stream, length) in lengths.iter().enumerate() {
            let numbers: Vec<u64> = (0..*length).map(|number| stream as u64 * 100 + number).collect();
            expected.extend(numbers.clone());
            // Streams come as time goes by.
            streams.append(&format!("s{stream}"), numbers.into_iter().chain([u64::MAX]));
            if let Some((parallelism, steps, unemitted)) = lives.get(stream) {
                let before = std::mem::take(&mut state);
                for instance in 0..*parallelism {
                    let share = (instance, *parallelism);
                    let (rows, splits, _) = live(&streams, options, share, &before, (*steps, *unemitted));
                    emitted.extend(rows);
                    state.extend(splits);
                }
            }
        }
        for instance in 0..2 {
            let (rows, _, ended) = live(&streams, options, (instance, 2), &state, (200, 0));
            emitted.extend(rows);
            prop_assert_eq!(ended, !continuous);
        }
        emitted.sort_unstable();
        prop_assert_eq!(emitted, expected);
    }
}

#[test]
fn finished_splits_that_are_gone_are_forgotten() {
    let streams = Streams::default();
    streams.append("a", [1, u64::MAX]);
    let options = Options { discover_every_ms: Some(1), poll_interval_ms: 1 };
    let (rows, state, _) = live(&streams, options, (0, 1), &[], (5, 0));
    assert!(rows == [1] && state[0].finished);
    streams.0.lock().unwrap().clear();
    let (_, state, _) = live(&streams, options, (0, 1), &state, (5, 0));
    assert!(state.is_empty());
}

#[test]
fn a_job_finds_new_splits_and_survives_a_failure() {
    let place = tempfile::tempdir().unwrap();
    let (streams, failed) = (Streams::default(), Arc::new(AtomicBool::new(false)));
    streams.append("a", 0..1_000);
    let mut environment = Environment::new();
    environment.set_parallelism(2);
    environment.options_mut().runtime.checkpoint_dir = Some(place.path().to_path_buf());
    environment.options_mut().runtime.checkpoints.interval_ms = Some(20);
    environment.options_mut().runtime.restart =
        Some(RestartStrategy::FixedDelay { attempts: 3, delay_ms: 0 });
    let system = streams.clone();
    let source = DiscoveringSource::new(move || system.clone())
        .discover_every(Duration::from_millis(5))
        .poll_interval(Duration::from_millis(5));
    let fails = failed.clone();
    let numbers = environment
        .from_source("numbers", move || source.instance(), WatermarkStrategy::no_watermarks())
        .map(move |number: u64| {
            assert!(number != 1_500 || fails.swap(true, Ordering::Relaxed), "a planned failure");
            number
        })
        .collect();
    let job = environment.start("numbers").unwrap();
    let wait_for = |count: usize| {
        while numbers.rows().len() < count {
            std::thread::yield_now();
        }
    };
    wait_for(1_000);
    streams.append("b", 1_000..2_000);
    wait_for(2_000);
    streams.append("a", 2_000..2_100);
    streams.append("c", 2_100..3_000);
    wait_for(3_000);
    job.control().stop(StopMode::Drain);
    job.wait().unwrap();
    let mut rows = numbers.rows();
    rows.sort_unstable();
    assert!(failed.load(Ordering::Relaxed) && rows.into_iter().eq(0..3_000));
}
