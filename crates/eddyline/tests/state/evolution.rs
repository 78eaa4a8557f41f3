//! A job is stopped in mid-stream, and another version of its program goes on from its state.

use super::{environment, numbers, run, sorted, until};
use eddyline::{
    Collector, Data, Environment, ErrorKind, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result,
    StateTtlConfig, StopMode, TimeDomain, ValueState,
};
use eddyline_state::MemoryFileSystem;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const JOB: &str = "totals";
const COUNT: u64 = 20_000;
/// So many records are enough to be in mid-stream.
const ENOUGH: u64 = 500;
const KEYS: u64 = 7;

mod before {
    use super::*;

    #[derive(Clone, Data)]
    pub struct Total {
        pub label: String,
        pub count: u32,
        pub sum: u32,
        pub parity: Parity,
        pub spread: Spread,
    }

    #[derive(Clone, Data)]
    pub enum Parity {
        Even,
        Odd { since: u32 },
    }

    #[derive(Clone, Data)]
    pub struct Spread {
        pub least: u32,
        pub most: u32,
    }
}

mod after {
    use super::*;

    /// A field added, one removed, one renamed, numbers widened, all in another order, down to the nested types.
    #[derive(Clone, Data)]
    pub struct Total {
        pub spread: Spread,
        pub parity: Parity,
        pub sum: u64,
        #[data(alias = "count")]
        pub records: u64,
        pub since_change: Option<u64>,
    }

    #[derive(Clone, Data, PartialEq)]
    pub enum Parity {
        Unknown,
        #[data(alias = "Odd")]
        Uneven {
            since: u64,
            seen: Option<bool>,
        },
        Even,
    }

    #[derive(Clone, Data)]
    pub struct Spread {
        pub most: u64,
        pub least: u64,
        pub range: Option<u64>,
    }
}

/// The first version.
#[derive(Default)]
struct TotalBefore(Option<ValueState<before::Total>>);

impl KeyedProcessFunction<u64, u64, u64> for TotalBefore {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.value_state("total")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<u64>,
    ) -> Result<()> {
        let number = number as u32;
        let parity = if number.is_multiple_of(2) {
            before::Parity::Even
        } else {
            before::Parity::Odd { since: number }
        };
        let spread = before::Spread { least: number, most: number };
        let first = before::Total { label: "x".into(), count: 0, sum: 0, parity: parity.clone(), spread };
        let make = || first.clone();
        self.0.as_ref().unwrap().with_mut(make, |total| {
            total.count += 1;
            total.sum += number;
            total.parity = parity;
            total.spread.least = total.spread.least.min(number);
            total.spread.most = total.spread.most.max(number);
        });
        context.register_event_time_timer(i64::MAX);
        Ok(())
    }
}

/// The second version: tells count, sum, least and most of each key at the end.
#[derive(Default)]
struct TotalAfter(Option<ValueState<after::Total>>);

impl KeyedProcessFunction<u64, u64, (u64, u64, u64, u64, u64)> for TotalAfter {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.value_state("total")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        context: &mut KeyedContext<'_, u64>,
        _: &mut Collector<(u64, u64, u64, u64, u64)>,
    ) -> Result<()> {
        let state = self.0.as_ref().unwrap();
        let before = state.get().unwrap_or_else(|| panic!("key {} was there before", context.key()));
        let parity = if number.is_multiple_of(2) {
            after::Parity::Even
        } else {
            after::Parity::Uneven { since: number, seen: Some(true) }
        };
        assert!(before.parity != after::Parity::Unknown);
        assert_eq!(before.spread.range.is_none(), before.since_change.is_none());
        let (least, most) = (before.spread.least.min(number), before.spread.most.max(number));
        state.update(after::Total {
            spread: after::Spread { most, least, range: Some(most - least) },
            parity,
            sum: before.sum + number,
            records: before.records + 1,
            since_change: Some(before.since_change.unwrap_or(0) + 1),
        });
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64, u64, u64, u64)>,
    ) -> Result<()> {
        let total = self.0.as_ref().unwrap().get().unwrap();
        out.collect((*context.key(), total.records, total.sum, total.spread.least, total.spread.most));
        Ok(())
    }
}

/// Numbers the records of each key, in state of its own.
#[derive(Default)]
struct Audit(Option<ValueState<u64>>);

impl KeyedProcessFunction<u64, u64, u64> for Audit {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.value_state("seen")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.0.as_ref().unwrap().with_mut(|| 0, |seen| *seen += 1);
        out.collect(number);
        Ok(())
    }
}

/// Runs the first version until it is stopped (or killed, after a checkpoint) in mid-stream.
fn run_before(files: &Arc<MemoryFileSystem>, is_killed: bool) {
    let environment = environment(files, 2, if is_killed { 10 } else { 0 });
    let seen = Arc::new(AtomicU64::new(0));
    let counted = seen.clone();
    let numbers = numbers(&environment, COUNT, 2_000.0).map(move |number| {
        counted.fetch_add(1, Ordering::SeqCst);
        number
    });
    numbers.key_by(|number| number % KEYS).process(TotalBefore::default).uid("total").discard().uid("out");
    numbers.key_by(|number| number % 3).process(Audit::default).uid("audit").discard().uid("audit out");
    let job = environment.start(JOB).unwrap();
    until("in mid-stream", || seen.load(Ordering::SeqCst) > ENOUGH);
    if is_killed {
        let before = job.status().checkpoints;
        until("a checkpoint", || job.status().checkpoints > before + 1);
        job.cancel();
        assert_eq!(job.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    } else {
        job.stop(StopMode::Suspend);
        job.wait().unwrap();
    }
    assert!(seen.load(Ordering::SeqCst) < COUNT, "the second version has something to do");
}

/// The second version: the operators in another order, one is gone, one is new.
fn describe_after(environment: &Environment) -> eddyline::CollectHandle<(u64, u64, u64, u64, u64)> {
    let numbers = numbers(environment, COUNT, 1e9);
    let audited = numbers.key_by(|number| number % 5).process(Audit::default).uid("new audit");
    let totals = audited.key_by(|number| number % KEYS).process(TotalAfter::default).uid("total");
    totals.map(|(key, ..)| key).discard().uid("out");
    totals.collect()
}

fn expected() -> Vec<(u64, u64, u64, u64, u64)> {
    let of_key = |key: u64| {
        let numbers = || (key..COUNT).step_by(KEYS as usize);
        (key, numbers().count() as u64, numbers().sum(), key, numbers().last().unwrap())
    };
    (0..KEYS).map(of_key).collect()
}

#[test]
fn another_graph_with_other_types_goes_on_where_the_first_was_stopped_or_killed() {
    for is_killed in [false, true] {
        let files = Arc::new(MemoryFileSystem::new());
        run_before(&files, is_killed);
        // State without an operator is not dropped in silence.
        let unsaid = environment(&files, 3, 0);
        describe_after(&unsaid);
        let error = unsaid.execute(JOB).unwrap_err().report();
        assert!(error.contains("`audit`") && error.contains("drop-state: audit"), "{error}");

        let mut said = environment(&files, 3, 0);
        said.options_mut().set("execution.state-recovery.drop-state", "audit, audit out").unwrap();
        let totals = describe_after(&said);
        run(&said, JOB);
        assert_eq!(sorted(totals.rows()), expected(), "killed: {is_killed}");
    }
}

/// The total as it was never meant to be: text.
struct TotalText {
    state: Option<ValueState<String>>,
    migrates: bool,
}

impl KeyedProcessFunction<u64, u64, String> for TotalText {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        if self.migrates {
            context
                .runtime()
                .migrate_from("total", |old: before::Total| Ok(format!("{} of before", old.count)));
        }
        self.state = Some(context.value_state("total")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u64,
        _: &mut KeyedContext<'_, u64>,
        _: &mut Collector<String>,
    ) -> Result<()> {
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: i64,
        _: TimeDomain,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<String>,
    ) -> Result<()> {
        out.collect(self.state.as_ref().unwrap().get().unwrap_or_default());
        Ok(())
    }
}

#[test]
fn what_the_rules_cannot_map_needs_a_migration_or_is_dropped_by_uid() {
    let files = Arc::new(MemoryFileSystem::new());
    run_before(&files, false);
    let describe = |environment: &Environment, migrates: bool| {
        let numbers = numbers(environment, COUNT, 1e9);
        let make = move || TotalText { state: None, migrates };
        let texts = numbers.key_by(|number| number % KEYS).process(make).uid("total");
        texts.map(|text| text.len() as u64).discard().uid("out");
        numbers.key_by(|number| number % 3).process(Audit::default).uid("audit").discard().uid("audit out");
        texts.collect()
    };
    let neither = environment(&files, 1, 0);
    describe(&neither, false);
    let error = neither.execute(JOB).unwrap_err().report();
    for part in ["`total`", "label: text", "read as u64 → text", "migrate_from", "drop-state: total"] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }

    let migrating = environment(&files, 2, 0);
    let texts = describe(&migrating, true);
    run(&migrating, JOB);
    let texts = texts.rows();
    assert_eq!(texts.len() as u64, KEYS);
    assert!(texts.iter().all(|text| text.ends_with(" of before")), "{texts:?}");

    let files = Arc::new(MemoryFileSystem::new());
    run_before(&files, false);
    let mut dropping = environment(&files, 1, 0);
    dropping.options_mut().set("execution.state-recovery.drop-state", "total").unwrap();
    let texts = describe(&dropping, false);
    run(&dropping, JOB);
    assert!(texts.rows().is_empty(), "its timers are gone too");
}

/// Counts with a time to live or without.
struct Count {
    state: Option<ValueState<u64>>,
    forgets: bool,
}

impl KeyedProcessFunction<u64, u64, (u64, u64)> for Count {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.state = Some(match self.forgets {
            true => {
                context.time_to_live(StateTtlConfig::new(Duration::from_secs(3_600))).value_state("count")?
            }
            false => context.value_state("count")?,
        });
        Ok(())
    }

    fn process_element(
        &mut self,
        _: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        let count = self.state.as_ref().unwrap().with_mut(
            || 0,
            |count| {
                *count += 1;
                *count
            },
        );
        out.collect((*context.key(), count));
        Ok(())
    }
}

#[test]
fn a_time_to_live_comes_and_goes() {
    let files = Arc::new(MemoryFileSystem::new());
    for forgets in [false, true, true, false] {
        let environment = environment(&files, 2, 0);
        let seen = Arc::new(AtomicU64::new(0));
        let counted = seen.clone();
        let make = move || Count { state: None, forgets };
        let counts = numbers(&environment, COUNT, 2_000.0).key_by(|number| number % KEYS).process(make);
        let counted = counts.uid("count").map(move |(key, _)| {
            counted.fetch_add(1, Ordering::SeqCst);
            key
        });
        counted.discard().uid("out");
        let job = environment.start(JOB).unwrap();
        until("in mid-stream", || seen.load(Ordering::SeqCst) > ENOUGH);
        job.stop(StopMode::Suspend);
        job.wait().unwrap();
    }
    let environment = environment(&files, 1, 0);
    let make = || Count { state: None, forgets: true };
    let counts = numbers(&environment, COUNT, 1e9).key_by(|number| number % KEYS).process(make).uid("count");
    counts.map(|(key, _)| key).discard().uid("out");
    let counts = counts.collect();
    run(&environment, JOB);
    let last: BTreeMap<u64, u64> = sorted(counts.rows()).into_iter().collect();
    let all = (0..KEYS).map(|key| (key, (COUNT - key).div_ceil(KEYS)));
    assert_eq!(last, all.collect(), "no count was lost on the way");
}
