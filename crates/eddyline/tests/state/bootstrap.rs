//! A job starts from state that another program has written.

use super::{environment, run, sorted, store};
use eddyline::{
    Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, OperatorList, Result, SavepointReader,
    SavepointWriter, TimeDomain, ValueState,
};
use eddyline_state::MemoryFileSystem;
use std::sync::Arc;

const JOB: &str = "bootstrapped";

/// Adds to what is known of a key and to a list of all, and tells of a timer that it never registered.
#[derive(Default)]
struct Add {
    sum: Option<ValueState<u64>>,
    seen: Option<OperatorList<u64>>,
}

impl KeyedProcessFunction<u64, u64, (u64, u64)> for Add {
    fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
        self.sum = Some(context.value_state("sum")?);
        self.seen = Some(context.runtime().operator_list_state("seen")?);
        Ok(())
    }

    fn process_element(
        &mut self,
        number: u64,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        self.seen.as_ref().unwrap().add(number);
        let sum = self.sum.as_ref().unwrap().with_mut(
            || 0,
            |sum| {
                *sum += number;
                *sum
            },
        );
        out.collect((*context.key(), sum));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: i64,
        _: TimeDomain,
        context: &mut KeyedContext<'_, u64>,
        out: &mut Collector<(u64, u64)>,
    ) -> Result<()> {
        out.collect((*context.key(), time as u64));
        Ok(())
    }
}

#[test]
fn a_job_goes_on_from_what_a_program_has_written() {
    let files = Arc::new(MemoryFileSystem::new());
    let store = store(&files, JOB);
    let mut writer = SavepointWriter::create(&store, 16).unwrap();
    let mut add = writer.operator("add");
    add.keyed_state("sum", (0..1_000u64).map(|key| (key, 1_000 * key))).unwrap();
    add.list_state("seen", [7u64, 8, 9]).unwrap();
    add.timers("__event-timers", [(5_000, 17u64)]).unwrap();
    writer.finish(0).unwrap();

    let environment = environment(&files, 3, 0);
    let sums =
        environment.from_collection(vec![1u64, 2, 3]).key_by(|number| number * 5).process(Add::default);
    let sums = sums.uid("add").collect();
    run(&environment, JOB);
    assert_eq!(sorted(sums.rows()), [(5, 5_001), (10, 10_002), (15, 15_003), (17, 5_000)]);

    let reader = SavepointReader::newest(&store).unwrap();
    assert!(reader.manifest().finished && reader.manifest().checkpoint > 1);
    assert_eq!(sorted(reader.items::<u64>("add", "seen").unwrap()), [1, 2, 3, 7, 8, 9]);
    assert_eq!(reader.get::<u64, u64>("add", "sum", &999).unwrap(), Some(999_000));
    assert_eq!(reader.timers::<u64>("add", "__event-timers").unwrap().count(), 0);
}
