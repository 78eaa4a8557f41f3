//! A source and a sink of one's own, exactly once from end to end: `cargo run -p eddyline-examples --example custom_connector`.
//!
//! The source reads *stations*, which come and go while the job runs; the sink writes to a *ledger*, a store with
//! transactions that now and then loses one. Both are in memory here, so that the example needs nothing but itself:
//! think of a broker's partitions and of a database. `docs/connectors.md` explains each step.

use eddyline::{Environment, Error, Record, Result, WatermarkStrategy};
use eddyline_connectors::discovery::{DiscoveringSource, SplitReader, SplitStatus};
use eddyline_connectors::transactional::{
    CommitOutcome, TransactionId, TransactionalSink, TransactionalStore,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Measurements by station; one that is closed gives no more.
#[derive(Clone)]
struct Stations(Arc<BTreeMap<String, Vec<i64>>>);

/// How far a station has been read: the split and the position in it.
#[derive(Debug, Clone, PartialEq, eddyline::Data)]
struct StationSplit {
    station: String,
    next: u64,
}

impl SplitReader<(String, i64)> for Stations {
    type Split = StationSplit;

    fn key(&self, split: &StationSplit) -> String {
        split.station.clone()
    }

    fn discover(&mut self) -> Result<Vec<StationSplit>> {
        Ok(self.0.keys().map(|station| StationSplit { station: station.clone(), next: 0 }).collect())
    }

    fn read(
        &mut self,
        split: &mut StationSplit,
        rows: &mut Vec<Record<(String, i64)>>,
        rows_max: usize,
    ) -> Result<SplitStatus> {
        let measured = self
            .0
            .get(&split.station)
            .ok_or_else(|| Error::input("a station has disappeared").with_detail(split.station.clone()))?;
        for value in measured.iter().skip(split.next as usize).take(rows_max) {
            let timestamp = split.next as i64 * 1_000;
            rows.push(Record { value: (split.station.clone(), *value), timestamp });
            split.next += 1;
        }
        let is_over = split.next as usize == measured.len();
        Ok(if is_over { SplitStatus::Finished } else { SplitStatus::More })
    }
}

type Rows = Vec<(String, i64)>;

/// Transactions by name.
#[derive(Default)]
struct Transactions {
    open: BTreeMap<String, Rows>,
    prepared: BTreeMap<String, Rows>,
    committed: BTreeMap<String, Rows>,
    commits: u64,
}

/// A connection to the ledger.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Transactions>>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Transactions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TransactionalStore<(String, i64)> for Ledger {
    fn recover(&mut self, sink: &str, attempt: u64, keep: &[TransactionId]) -> Result<()> {
        let keep: Vec<String> = keep.iter().map(ToString::to_string).collect();
        // Names begin with the sink and the attempt; those of this attempt are in use.
        let (ours, current) = (format!("{sink}-"), format!("{sink}-{attempt}-"));
        let stays =
            |name: &String| !name.starts_with(&ours) || name.starts_with(&current) || keep.contains(name);
        let mut ledger = self.lock();
        ledger.open.retain(|name, _| stays(name));
        ledger.prepared.retain(|name, _| stays(name));
        Ok(())
    }

    fn begin(&mut self, id: &TransactionId) -> Result<()> {
        self.lock().open.insert(id.to_string(), Rows::new());
        Ok(())
    }

    fn write(&mut self, id: &TransactionId, records: &[(String, i64)]) -> Result<()> {
        let mut ledger = self.lock();
        let rows = ledger.open.get_mut(&id.to_string());
        rows.ok_or_else(|| Error::output("the transaction has timed out"))?.extend_from_slice(records);
        Ok(())
    }

    fn pre_commit(&mut self, id: &TransactionId) -> Result<()> {
        let mut ledger = self.lock();
        if let Some(rows) = ledger.open.remove(&id.to_string()) {
            ledger.prepared.insert(id.to_string(), rows);
        }
        Ok(())
    }

    fn commit(&mut self, id: &TransactionId) -> Result<CommitOutcome> {
        let mut ledger = self.lock();
        let name = id.to_string();
        if ledger.committed.contains_key(&name) {
            return Ok(CommitOutcome::Done);
        }
        ledger.commits += 1;
        if ledger.commits == 1 {
            // The trouble that this ledger has: the sink will write the transaction again.
            ledger.prepared.remove(&name);
        }
        let Some(rows) = ledger.prepared.remove(&name) else { return Ok(CommitOutcome::Lost) };
        ledger.committed.insert(name, rows);
        Ok(CommitOutcome::Done)
    }

    fn abort(&mut self, id: &TransactionId) -> Result<()> {
        let mut ledger = self.lock();
        ledger.open.remove(&id.to_string());
        ledger.prepared.remove(&id.to_string());
        Ok(())
    }
}

fn main() -> Result<()> {
    let measured =
        (0..5i64).map(|station| (format!("station-{station}"), (0..1_000).map(|at| station * at).collect()));
    let stations = Stations(Arc::new(measured.collect()));
    let ledger = Ledger::default();

    let environment = Environment::from_args()?;
    let source = DiscoveringSource::new(move || stations.clone());
    let store = ledger.clone();
    let sink = TransactionalSink::new(move || store.clone());
    environment
        .from_source("stations", move || source.instance(), WatermarkStrategy::for_monotonous_timestamps())
        .filter(|(_, value)| value % 2 == 0)
        .add_sink_operator(eddyline::NodeSpec::named("ledger"), move || sink.operator())
        .uid("ledger");
    environment.execute("custom-connector")?;

    let ledger = ledger.lock();
    let rows: usize = ledger.committed.values().map(Vec::len).sum();
    let expected =
        (0..5i64).map(|station| (0..1_000).filter(|at| station * at % 2 == 0).count()).sum::<usize>();
    if rows != expected || !ledger.prepared.is_empty() {
        return Err(Error::internal(format!("{rows} rows in the ledger, expected {expected}")));
    }
    println!(
        "{rows} rows in the ledger, in {} transactions; one was lost on the way",
        ledger.committed.len()
    );
    Ok(())
}
