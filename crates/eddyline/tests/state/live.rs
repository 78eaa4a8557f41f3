//! State is read while its job runs: at a cut, and without its checkpoint being deleted meanwhile.

use super::{PATIENCE, environment, numbers, store, until};
use eddyline::{
    Collector, Environment, JobHandle, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result,
    StopMode, ValueState,
};
use eddyline_state::{MemoryFileSystem, SavepointReader};
use std::sync::Arc;

const JOB: &str = "live";
const ENDLESS: u64 = 1 << 40;

#[derive(Default)]
struct Count(Option<ValueState<u64>>);

impl KeyedProcessFunction<u64, u64, u64> for Count {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.0 = Some(context.value_state("count")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        _: &mut KeyedContext<'_, u64>,
        out: &mut Collector<u64>,
    ) -> Result<()> {
        self.0.as_ref().unwrap().with_mut(|| 0, |count| *count += 1);
        out.collect(number);
        Ok(())
    }
}

/// Two operators in a row, each of which counts all numbers by key.
fn start(environment: &Environment) -> JobHandle {
    let first = numbers(environment, ENDLESS, 5_000.0).key_by(|number| number % 7).process(Count::default);
    let first = first.uid("first");
    let second = first.key_by(|number| number % 5).process(Count::default).uid("second");
    second.discard();
    environment.start(JOB).unwrap()
}

fn sum(reader: &SavepointReader, uid: &str) -> u64 {
    reader.keyed::<u64, u64>(uid, "count").unwrap().map(|entry| entry.unwrap().1).sum()
}

#[test]
fn what_is_read_is_consistent_and_stays_while_it_is_read() {
    let files = Arc::new(MemoryFileSystem::new());
    let job = start(&environment(&files, 2, 20));
    until("a checkpoint with records", || {
        job.state_snapshot()
            .is_ok_and(|reader| reader.uids().contains(&"first") && sum(&reader, "first") > 100)
    });
    let held = job.state_snapshot().unwrap();
    let (checkpoint, total) = (held.manifest().checkpoint, sum(&held, "first"));
    for _ in 0..20 {
        let reader = job.state_snapshot().unwrap();
        let (first, second) = (sum(&reader, "first"), sum(&reader, "second"));
        assert_eq!(first, second, "both operators are seen at the same cut");
        assert!(first >= total, "time does not run backwards");
        let by_key = job.query_state::<u64, u64>("first", "count", &3).unwrap().unwrap();
        assert!(by_key >= reader.get::<u64, u64>("first", "count", &3).unwrap().unwrap());
    }
    assert_eq!(job.query_state::<u64, u64>("first", "count", &99).unwrap(), None);
    assert!(job.query_state::<u64, u64>("nobody", "count", &3).is_err());
    assert!(job.query_state::<u64, String>("first", "count", &3).is_err());

    // Newer checkpoints come and go; the one that is being read stays, and goes when nobody reads it.
    let newest = || job.state_snapshot().unwrap().manifest().checkpoint;
    until("five newer checkpoints", || newest() > checkpoint + 5);
    assert_eq!((sum(&held, "first"), sum(&held, "second")), (total, total));
    let complete = || store(&files, JOB).complete_checkpoints().unwrap();
    assert!(complete().contains(&checkpoint));
    drop(held);
    until("deleted", || !complete().contains(&checkpoint));

    let control = job.control();
    job.stop(StopMode::Suspend);
    job.wait().unwrap();
    let last = control.state_snapshot().unwrap();
    assert_eq!(sum(&last, "first"), sum(&last, "second"));
}

#[test]
fn a_job_without_checkpoints_has_nothing_to_be_read() {
    let environment = Environment::new();
    let rows = numbers(&environment, ENDLESS, 1_000.0).collect_now();
    let job = environment.start(JOB).unwrap();
    assert!(rows.wait_for(1, PATIENCE));
    let error = job.query_state::<u64, u64>("first", "count", &3).unwrap_err();
    assert!(error.hint().unwrap().contains("execution.checkpointing.dir"), "{}", error.report());
    job.cancel();
    assert!(job.wait().is_err());
}
