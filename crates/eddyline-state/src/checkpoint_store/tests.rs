//! Tests of the store: atomicity, fencing, damage.

use super::*;
use crate::storage::WritableFile;
use crate::storage::{CrashOutcome, FaultPlan, FileSystem, MemoryFileSystem};
use crate::{KeyedTable, ManagedState, PartWriter, RestoreSource};
use eddyline_core::{Data, ErrorKind, KeyGroupRange};
use eddyline_protocol::{MANIFEST_FORMAT, ManifestKind, OperatorManifest};
use std::path::Path;

const RANGE: KeyGroupRange = KeyGroupRange { start: 0, end: 4 };

pub(super) struct Job {
    pub(super) files: MemoryFileSystem,
    pub(super) store: CheckpointStore,
    pub(super) table: KeyedTable<u64, u64>,
}

impl Job {
    pub(super) fn new() -> Self {
        let files = MemoryFileSystem::new();
        let store = CheckpointStore::new(Arc::new(files.clone()), "/checkpoints", "job").unwrap();
        Job { files, store, table: KeyedTable::new("table", RANGE, 4) }
    }

    pub(super) fn set(&mut self, key: u64, value: u64) {
        self.table.insert(key.stable_hash(), key, value);
    }

    pub(super) fn checkpoint(&mut self, id: CheckpointId, attempt: AttemptId) -> Result<Manifest> {
        self.table.freeze(false);
        let mut part = PartWriter::new(self.store.part_path(id, attempt, 0));
        while !self.table.write_frozen(100, &mut part)? {}
        let state = self.table.manifest_of_frozen()?;
        let name = part.file().to_string();
        let finished = part.finish()?;
        if finished.bytes > 0 {
            let mut file = self.store.create_part(&name)?;
            finished.chunks.iter().try_for_each(|chunk| file.write(chunk))?;
            file.finish()?;
        }
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job: "job".into(),
            checkpoint: id,
            attempt,
            tick: id * 10,
            completed_at_ms: 5,
            max_parallelism: 4,
            finished: false,
            kind: ManifestKind::Checkpoint,
            origin: None,
            operators: vec![OperatorManifest { uid: "op".into(), states: vec![state] }],
        };
        self.store.write_complete(&manifest)?;
        Ok(manifest)
    }

    fn value_in(&self, id: CheckpointId, key: u64) -> Result<Option<u64>> {
        let manifest = self.store.read_manifest(id)?;
        let mut table = KeyedTable::<u64, u64>::new("table", RANGE, 4);
        table.restore(&mut RestoreSource::new(Arc::new(self.store.clone()), &manifest, "op", 0, 1))?;
        Ok(table.get(key.stable_hash(), &key).copied())
    }
}

/// Files of the job that are no manifest, no claim, and that no manifest names.
fn orphans(job: &Job) -> Vec<String> {
    let named: Vec<String> = job
        .store
        .complete_checkpoints()
        .unwrap()
        .into_iter()
        .flat_map(|id| {
            segments(&job.store.read_manifest(id).unwrap())
                .map(|segment| segment.file.clone())
                .collect::<Vec<_>>()
        })
        .collect();
    let mut orphans = Vec::new();
    for directory in job.files.list(Path::new("/checkpoints/job")).unwrap() {
        let below = job.files.list(&Path::new("/checkpoints/job").join(&directory.name)).unwrap();
        for name in below.into_iter().map(|entry| format!("{}/{}", directory.name, entry.name)) {
            let is_claim = name.starts_with("attempts/attempt-") && !name.contains("in-work");
            if !is_claim && !name.ends_with("/COMPLETE") && !named.contains(&name) {
                orphans.push(name);
            }
        }
    }
    orphans
}

fn hint(error: &Error) -> &str {
    error.hint().unwrap_or("")
}

#[test]
fn checkpoints_are_written_listed_and_retired() {
    let mut job = Job::new();
    assert!(job.store.complete_checkpoints().unwrap().is_empty());
    let attempt = job.store.claim_attempt().unwrap();
    (0..1_000).for_each(|key| job.set(key, 0));
    let written: Vec<_> = (1..=4)
        .map(|id| {
            job.set(1, id);
            job.checkpoint(id, attempt).unwrap()
        })
        .collect();
    assert_eq!(job.store.complete_checkpoints().unwrap(), [1, 2, 3, 4]);
    assert_eq!(job.store.read_manifest(2).unwrap(), written[1]);
    assert!(job.store.write_complete(&written[3]).unwrap_err().message().contains("complete already"));
    assert_eq!(job.store.next_checkpoint().unwrap(), 5);
    // The base of checkpoint 1 and the deltas in between are still needed by checkpoint 4.
    assert_eq!(job.store.retire(&[4]).unwrap(), 3);
    assert_eq!(job.store.complete_checkpoints().unwrap(), [4]);
    job.store.verify(&written[3]).unwrap();
    job.store.check_files(&written[3]).unwrap();
    assert_eq!(job.value_in(4, 1).unwrap(), Some(4));
    // A full checkpoint needs nothing before it.
    job.table.abandon();
    job.checkpoint(5, attempt).unwrap();
    assert_eq!(job.store.retire(&[5]).unwrap(), 5);
    assert_eq!(job.store.all_checkpoints().unwrap(), [5]);
    assert_eq!(job.value_in(5, 1).unwrap(), Some(4));
    assert_eq!((job.store.retire(&[]).unwrap(), job.store.retire(&[5]).unwrap()), (0, 0));
}

#[test]
fn a_supervisor_that_was_replaced_does_not_take_the_job_back() {
    let job = Job::new();
    let own = job.store.claim_attempt().unwrap();
    let own = job.store.claim_attempt_after(own).unwrap();
    let others = job.store.claim_attempt().unwrap();
    let error = job.store.claim_attempt_after(own).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(job.store.newest_attempt().unwrap(), others);
}

#[test]
fn an_older_attempt_is_fenced() {
    let mut job = Job::new();
    let first = job.store.claim_attempt().unwrap();
    job.set(1, 1);
    job.checkpoint(1, first).unwrap();
    let second = job.store.claim_attempt().unwrap();
    assert!(second > first);
    let error = job.checkpoint(2, first).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(job.store.check_fence(second).is_ok());
    assert_eq!(job.store.complete_checkpoints().unwrap(), [1]);
    assert_eq!(job.store.sweep_orphans(first).unwrap_err().kind(), ErrorKind::Cancelled);
    // The part of the failed checkpoint 2 belongs to nobody (the table had changed nothing, so it has none).
    job.set(2, 2);
    assert!(job.checkpoint(3, first).is_err());
    assert_eq!(job.store.sweep_orphans(second).unwrap(), 1);
    assert_eq!(job.store.all_checkpoints().unwrap(), [1]);
    assert_eq!(job.value_in(1, 1).unwrap(), Some(1));
}

/// Storage on which a newer attempt is claimed before some operation.
struct Claiming {
    inner: MemoryFileSystem,
    claim_before: std::sync::atomic::AtomicU64,
}
impl Claiming {
    fn step(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        if self.claim_before.fetch_sub(1, Relaxed) == 0 {
            CheckpointStore::new(Arc::new(self.inner.clone()), "/checkpoints", "job")
                .unwrap()
                .claim_attempt()
                .unwrap();
        }
    }
}
impl FileSystem for Claiming {
    fn create_new(&self, path: &Path) -> Result<Option<Box<dyn WritableFile>>> {
        self.step();
        self.inner.create_new(path)
    }
    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>> {
        self.inner.open_append(path)
    }
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.inner.read(path)
    }
    fn read_range(&self, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.inner.read_range(path, offset, length)
    }
    fn length(&self, path: &Path) -> Result<u64> {
        self.inner.length(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.step();
        self.inner.rename(from, to)
    }
    fn publish(&self, from: &Path, to: &Path) -> Result<bool> {
        self.step();
        self.inner.publish(from, to)
    }
    fn list(&self, directory: &Path) -> Result<Vec<crate::DirectoryEntry>> {
        self.step();
        self.inner.list(directory)
    }
    fn remove(&self, path: &Path) -> Result<()> {
        self.inner.remove(path)
    }
    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.inner.remove_dir(path)
    }
    fn sync_dir(&self, directory: &Path) -> Result<()> {
        self.step();
        self.inner.sync_dir(directory)
    }
    fn exists(&self, path: &Path) -> Result<bool> {
        self.step();
        self.inner.exists(path)
    }
    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.inner.create_dir_all(directory)
    }
}

#[test]
fn a_fence_between_the_checks_prevents_the_commit() {
    // Whatever operation the newer claim comes before: the older supervisor's completion fails, or the newer one
    // sees the checkpoint.
    let mut fenced = 0;
    for claim_before in 0..40 {
        let mut job = Job::new();
        let attempt = job.store.claim_attempt().unwrap();
        let files = Claiming { inner: job.files.clone(), claim_before: claim_before.into() };
        job.store = CheckpointStore::new(Arc::new(files), "/checkpoints", "job").unwrap();
        job.set(1, 1);
        let completed = job.checkpoint(1, attempt);
        let newer = CheckpointStore::new(Arc::new(job.files.clone()), "/checkpoints", "job").unwrap();
        let claimed = newer.newest_attempt().unwrap() > attempt;
        match completed {
            Ok(_) => assert_eq!(newer.complete_checkpoints().unwrap(), [1]),
            Err(error) => assert!(claimed && error.kind() == ErrorKind::Cancelled, "{}", error.report()),
        }
        fenced += usize::from(claimed);
    }
    assert!((8..40).contains(&fenced), "{fenced}");
}

#[test]
fn whenever_it_crashes_what_is_complete_is_whole() {
    let (mut lost, mut kept) = (0, 0);
    for outcome in
        [CrashOutcome::LoseAll, CrashOutcome::KeepAll].into_iter().chain((0..20).map(CrashOutcome::Seeded))
    {
        for stop in 0.. {
            let mut job = Job::new();
            job.store = job.store.owned_by("a supervisor");
            let attempt = job.store.claim_attempt().unwrap();
            (0..50).for_each(|key| job.set(key, 1));
            job.checkpoint(1, attempt).unwrap();
            job.set(1, 2);
            let before = job.files.operations();
            job.files.set_faults(FaultPlan { stop_after: Some(before + stop), ..Default::default() });
            let completed = job.checkpoint(2, attempt);
            let retired = completed.as_ref().map(|_| job.store.retire(&[2]));
            let all_done = matches!(retired, Ok(Ok(_)));
            job.files.crash(outcome);

            let complete = job.store.complete_checkpoints().unwrap();
            assert!(completed.is_err() || complete.contains(&2), "a completed checkpoint is gone at {stop}");
            let newest = *complete.last().unwrap();
            for id in complete {
                job.store.verify(&job.store.read_manifest(id).unwrap()).unwrap();
            }
            assert_eq!(job.value_in(newest, 1).unwrap(), Some(newest), "at {stop}, {outcome:?}");
            assert_eq!(job.value_in(newest, 2).unwrap(), Some(1));
            let next = job.store.claim_attempt().unwrap();
            assert!(next > attempt);
            job.store.sweep_orphans(next).unwrap();
            assert_eq!(orphans(&job), Vec::<String>::new(), "at {stop}, {outcome:?}");
            assert_eq!(job.value_in(newest, 1).unwrap(), Some(newest));
            if newest == 1 {
                lost += 1
            } else {
                kept += 1
            }
            if all_done {
                break;
            }
        }
    }
    assert!(lost > 100 && kept > 50, "{lost} {kept}");
}

#[test]
fn failing_operations_fail_the_checkpoint_and_nothing_else() {
    for every in 1..12 {
        let mut job = Job::new();
        let attempt = job.store.claim_attempt().unwrap();
        job.set(1, 1);
        job.checkpoint(1, attempt).unwrap();
        job.files.set_faults(FaultPlan { fail_every: Some(every), ..Default::default() });
        for id in 2..10 {
            job.set(1, id);
            if job.checkpoint(id, attempt).is_err() {
                job.table.abandon();
            }
        }
        job.files.set_faults(FaultPlan::default());
        for id in job.store.complete_checkpoints().unwrap() {
            assert_eq!(job.value_in(id, 1).unwrap(), Some(id));
        }
    }
}

#[test]
fn a_full_disk_is_reported_and_survived() {
    let mut job = Job::new();
    let attempt = job.store.claim_attempt().unwrap();
    (0..100).for_each(|key| job.set(key, 1));
    job.checkpoint(1, attempt).unwrap();
    let capacity_bytes = Some(job.files.used_bytes() + 10);
    job.files.set_faults(FaultPlan { capacity_bytes, ..Default::default() });
    job.set(1, 2);
    let error = job.checkpoint(2, attempt).unwrap_err();
    assert!(hint(&error).contains("free some space"), "{}", error.report());
    job.table.abandon();
    job.files.set_faults(FaultPlan::default());
    job.checkpoint(3, attempt).unwrap();
    assert_eq!(job.value_in(3, 1).unwrap(), Some(2));
    assert_eq!(job.value_in(1, 1).unwrap(), Some(1));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let mut job = Job::new();
    let attempt = job.store.claim_attempt().unwrap();
    (0..5).for_each(|key| job.set(key, 1));
    let manifest = job.checkpoint(1, attempt).unwrap();
    let directory = Path::new("/checkpoints/job");
    let complete = directory.join("checkpoint-0000000001").join(COMPLETE);
    let part = directory.join(job.store.part_path(1, attempt, 0));
    for path in [&complete, &part] {
        let length = job.files.length(path).unwrap();
        for offset in 0..length {
            job.files.damage(path, offset).unwrap();
            let error = job.value_in(1, 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::State, "byte {offset} of {}", path.display());
            assert!(
                hint(&error).contains("older checkpoint") || hint(&error).contains("version"),
                "{}",
                error.report()
            );
            job.files.damage(path, offset).unwrap();
        }
        assert_eq!(job.value_in(1, 1).unwrap(), Some(1));
    }
    let bytes = job.files.read(&complete).unwrap();
    for length in (0..bytes.len() as u64).rev() {
        job.files.truncate(&complete, length).unwrap();
        assert!(job.store.read_manifest(1).is_err());
    }
    job.files.truncate(&part, 5).unwrap();
    for error in [job.store.verify(&manifest).unwrap_err(), job.store.check_files(&manifest).unwrap_err()] {
        assert!(error.report().contains("part-1-0"), "{}", error.report());
    }
    job.files.remove(&part).unwrap();
    assert!(job.store.verify(&manifest).is_err() && job.store.check_files(&manifest).is_err());
}

#[test]
fn manifests_of_others_are_refused() {
    let mut job = Job::new();
    let attempt = job.store.claim_attempt().unwrap();
    let manifest = job.checkpoint(1, attempt).unwrap();
    let path = "COMPLETE";
    let read = |manifest: &Manifest| {
        let bytes = manifest_file::encode(manifest).unwrap();
        let decoded = manifest_file::decode(&bytes, path);
        decoded.and_then(|manifest| manifest_file::check(manifest, path, "job", 1)).unwrap_err()
    };
    let other = read(&Manifest { job: "other".into(), ..manifest.clone() });
    assert!(other.message().contains("`other`, not to job `job`"), "{}", other.report());
    let newer = read(&Manifest { format: MANIFEST_FORMAT + 1, ..manifest.clone() });
    assert!(hint(&newer).contains("version of Eddyline"), "{}", newer.report());
    assert!(read(&Manifest { checkpoint: 2, ..manifest }).message().contains("checkpoint 2"));
    assert!(job.store.read_manifest(9).unwrap_err().report().contains("complete are: [1]"));
    assert!(CheckpointStore::new(Arc::new(job.files.clone()), "/", "../up").is_err());
    for file in ["../x", "/etc/passwd", "", "a/../../b"] {
        assert!(job.store.segments.resolve(file).is_err(), "{file}");
    }
}
