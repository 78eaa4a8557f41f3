//! A whole job through the runtime: source, fused stages, exchange, keyed state, windows by watermark, sink.

use eddyline_core::batch::decode_rows;
use eddyline_core::{Batch, Data, EventTime, Record, Result, WATERMARK_MAX};
use eddyline_protocol::CheckpointId;
use eddyline_runtime::attempt::{self, JobOptions};
use eddyline_runtime::graph::{Job, JobBuilder, NodeSpec, Partitioning};
use eddyline_runtime::{
    Operator, OperatorContext, Progress, Source, SourceStatus, Stage, Stateful, partition,
};
use eddyline_state::{ManagedState, NamespacedTable, OperatorListState};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const WINDOW: i64 = 100;

struct Numbers {
    count: u64,
    next: OperatorListState<u64>,
    step: u64,
}

impl Stateful for Numbers {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.next)
    }
}

impl Source for Numbers {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        self.step = u64::from(context.info().parallelism);
        self.next.set(vec![u64::from(context.info().instance)]);
        Ok(())
    }

    fn poll(&mut self, context: &mut OperatorContext<'_>) -> Result<SourceStatus> {
        let start = self.next.items()[0];
        let rows: Vec<Record<u64>> = (0..100)
            .map(|i| start + i * self.step)
            .filter(|i| *i < self.count)
            .map(|i| Record::new(i, i as i64 / 10))
            .collect();
        let Some(last) = rows.last().map(|record| record.value) else { return Ok(SourceStatus::Finished) };
        self.next.set(vec![last + self.step]);
        context.emit_rows(0, rows, 0)?;
        context.set_watermark(last as i64 / 10 - 1, false);
        Ok(SourceStatus::Ready)
    }
}

struct Double;
impl Stage for Double {
    fn apply(&mut self, mut batch: Batch, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        for record in batch.rows_mut::<u64>()? {
            record.value *= 2;
        }
        emit(batch)
    }
}

type Row = (i64, u64, u64);

struct Count {
    table: Option<NamespacedTable<u64, u64>>,
}

impl Stateful for Count {
    fn visit_states(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        match &mut self.table {
            Some(table) => visit(table),
            None => Ok(()),
        }
    }
}

impl Operator for Count {
    fn open(&mut self, context: &mut OperatorContext<'_>) -> Result<()> {
        let info = context.info();
        self.table = Some(NamespacedTable::new("counts", info.key_groups, info.max_parallelism));
        Ok(())
    }

    fn on_batch(&mut self, _input: usize, mut batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        let table = self.table.as_mut().unwrap();
        for record in batch.take_rows::<u64>()? {
            let key = record.value % 20;
            let end = (record.timestamp.div_euclid(WINDOW) + 1) * WINDOW;
            *table.entry(end, key.stable_hash(), &key, || 0) += 1;
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: EventTime, context: &mut OperatorContext<'_>) -> Result<Progress> {
        let table = self.table.as_mut().unwrap();
        while let Some(end) =
            table.first_namespace().filter(|end| *end - 1 <= watermark || watermark == WATERMARK_MAX)
        {
            let rows: Vec<Record<Row>> = table
                .take_namespace(end)
                .map(|(_, key, count)| Record::new((end, key, count), end - 1))
                .collect();
            context.emit_rows(0, rows, 0)?;
        }
        Ok(Progress::Done)
    }
}

struct Collect {
    rows: Arc<Mutex<Vec<Row>>>,
    pending: Vec<Row>,
}
impl Stateful for Collect {}
impl Operator for Collect {
    fn on_batch(&mut self, _input: usize, mut batch: Batch, _: &mut OperatorContext<'_>) -> Result<()> {
        self.pending.extend(batch.take_rows::<Row>()?.into_iter().map(|record| record.value));
        Ok(())
    }
    fn on_commit(&mut self, _: CheckpointId, _: &mut OperatorContext<'_>) -> Result<()> {
        self.rows.lock().unwrap().append(&mut self.pending);
        Ok(())
    }
}

fn job(count: u64, rows: &Arc<Mutex<Vec<Row>>>) -> Job {
    let mut builder = JobBuilder::new("first", 128);
    let next = move || Numbers { count, next: OperatorListState::union("next", 0), step: 1 };
    let source = builder.add_source(NodeSpec::named("numbers"), next);
    let double = builder.add_stage(NodeSpec::named("double"), || Double);
    let again = builder.add_stage(NodeSpec::named("double again"), || Double);
    let counts = builder.add_operator(NodeSpec::named("count").with_watermarks(), || Count { table: None });
    let rows = rows.clone();
    let sink =
        builder.add_sink(NodeSpec::named("collect"), move || Collect { rows: rows.clone(), pending: vec![] });
    builder.connect((source, 0), (double, 0), Partitioning::Forward, None, decode_rows::<u64>);
    builder.connect((double, 0), (again, 0), Partitioning::Forward, None, decode_rows::<u64>);
    let by_key = partition::rows_by_key(|value: &u64| *value % 20);
    builder.connect((again, 0), (counts, 0), Partitioning::Hash, Some(by_key), decode_rows::<u64>);
    let whole = Some(partition::global());
    builder.connect((counts, 0), (sink, 0), Partitioning::Global, whole, decode_rows::<Row>);
    builder.build().unwrap()
}

fn expected(count: u64) -> BTreeMap<(i64, u64), u64> {
    let mut all = BTreeMap::new();
    for i in 0..count {
        *all.entry(((i as i64 / 10).div_euclid(WINDOW) * WINDOW + WINDOW, i * 4 % 20)).or_default() += 1;
    }
    all
}

fn check(workers: u32, checkpoint_dir: Option<std::path::PathBuf>) {
    let rows = Arc::new(Mutex::new(Vec::new()));
    let options = JobOptions { workers, checkpoint_dir, ..JobOptions::default() };
    let report = attempt::run(job(20_000, &rows), options).unwrap();
    assert_eq!(report.status.records_in, 20_000);
    let rows = rows.lock().unwrap();
    let found: BTreeMap<(i64, u64), u64> =
        rows.iter().map(|(end, key, count)| ((*end, *key), *count)).collect();
    assert_eq!(found.len(), rows.len(), "no row twice");
    assert_eq!(found, expected(20_000));
}

#[test]
fn counts_are_right_with_one_to_four_workers() {
    for workers in 1..=4 {
        check(workers, None);
    }
}

#[test]
fn a_job_with_checkpoints_ends_with_a_finished_one() {
    let directory = tempfile::tempdir().unwrap();
    check(2, Some(directory.path().to_path_buf()));
    // A finished job that is started again has nothing left to do.
    let rows = Arc::new(Mutex::new(Vec::new()));
    let options = JobOptions {
        workers: 2,
        checkpoint_dir: Some(directory.path().to_path_buf()),
        ..JobOptions::default()
    };
    attempt::run(job(20_000, &rows), options).unwrap();
    assert!(rows.lock().unwrap().is_empty());
}
