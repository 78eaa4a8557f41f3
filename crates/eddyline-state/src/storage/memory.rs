//! Files in memory that can fail, fill up and crash: for simulation and for tests.
//!
//! Durability is modelled: a [`MemoryFileSystem::crash`] takes back bytes that were not synced and names whose
//! directory was not synced, all of them, none, or as a seed decides; of bytes written last, a part may stay.

use super::local::too_short;
use super::{DirectoryEntry, FileSystem, WritableFile};
use eddyline_core::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong, and when. The default is that nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// The disk is full when it holds that many bytes; a write that does not fit is written in part.
    pub capacity_bytes: Option<u64>,
    /// Every operation that changes something and whose number is a multiple of this fails.
    pub fail_every: Option<u64>,
    /// After that many operations that change something, all operations fail until the next crash.
    pub stop_after: Option<u64>,
    /// The time that storing 1 KiB takes; it adds up until [`MemoryFileSystem::take_delay_micros`] is called.
    pub delay_micros_per_kibibyte: u64,
}

/// What a crash leaves of what was not made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashOutcome {
    /// Nothing.
    LoseAll,
    /// Everything: the writes happened to reach the disk.
    KeepAll,
    /// Some of it, decided by the seed: names in the order in which they changed up to some change, and of every
    /// file's last bytes a part, the end of which may be garbage.
    Seeded(u64),
}

/// Files in memory; clones share them.
#[derive(Clone, Default)]
pub struct MemoryFileSystem {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    directories: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that are not durable yet, in order.
    pending: Vec<NameChange>,
    files: BTreeMap<u64, File>,
    next_file: u64,
    /// Handles opened before the last crash are of no use any more.
    generation: u64,
    operations: u64,
    faults: FaultPlan,
    delay_micros: u64,
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
}

struct NameChange {
    directory: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, u64)>,
}

struct Handle {
    disk: MemoryFileSystem,
    file: u64,
    path: PathBuf,
    generation: u64,
}

/// A small generator (SplitMix64): the same seed gives the same crash everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        if let Some((path, file)) = &self.added {
            names.insert(path.clone(), *file);
        }
    }
}

impl Disk {
    fn used(&self) -> u64 {
        self.names.values().filter_map(|file| self.files.get(file)).map(|file| file.bytes.len() as u64).sum()
    }

    /// Counts an operation that changes something and lets it fail if the plan says so.
    fn operate(&mut self, path: &Path) -> Result<()> {
        self.check_running(path)?;
        self.operations += 1;
        if self.faults.fail_every.is_some_and(|every| self.operations.is_multiple_of(every.max(1))) {
            return Err(planned("the fault plan lets this operation fail", path));
        }
        Ok(())
    }

    fn check_running(&self, path: &Path) -> Result<()> {
        match self.faults.stop_after {
            Some(last) if self.operations >= last => Err(planned("the machine has stopped", path)),
            _ => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> Result<u64> {
        self.check_running(path)?;
        self.names.get(path).copied().ok_or_else(|| missing(path))
    }

    fn content(&self, path: &Path) -> Result<&[u8]> {
        Ok(self.files.get(&self.find(path)?).map_or(&[], |file| &file.bytes))
    }

    fn parent(&self, path: &Path) -> Result<PathBuf> {
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        if self.directories.contains(&parent) { Ok(parent) } else { Err(missing(&parent)) }
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }
}

fn planned(message: &str, path: &Path) -> Error {
    Error::storage(message).with_detail(path.display().to_string()).with_hint("this storage is a simulation")
}

fn missing(path: &Path) -> Error {
    Error::storage("no such file or directory")
        .with_detail(path.display().to_string())
        .with_hint("check that the path is right")
}

impl MemoryFileSystem {
    /// An empty, faultless disk.
    pub fn new() -> Self {
        MemoryFileSystem::default()
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: FaultPlan) {
        self.lock().faults = faults;
    }

    /// How many operations that change something there were.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The bytes in all files.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used()
    }

    /// The time that writes took since the last call, for a simulated clock to add.
    pub fn take_delay_micros(&self) -> u64 {
        std::mem::take(&mut self.lock().delay_micros)
    }

    /// The machine stops and starts again: what was not durable is left as `outcome` says, open files are closed,
    /// and planned stops are over.
    pub fn crash(&self, outcome: CrashOutcome) {
        let disk = &mut *self.lock();
        let mut dice = Dice(if let CrashOutcome::Seeded(seed) = outcome { seed } else { 0 });
        let pending = std::mem::take(&mut disk.pending);
        let kept = match outcome {
            CrashOutcome::LoseAll => 0,
            CrashOutcome::KeepAll => pending.len(),
            CrashOutcome::Seeded(_) => dice.below(pending.len() + 1),
        };
        pending[..kept].iter().for_each(|change| change.apply(&mut disk.durable_names));
        disk.names = disk.durable_names.clone();
        for file in disk.files.values_mut() {
            let loose = file.bytes.len() - file.synced;
            match outcome {
                CrashOutcome::LoseAll => file.bytes.truncate(file.synced),
                CrashOutcome::KeepAll => {}
                CrashOutcome::Seeded(_) => {
                    let kept = dice.below(loose + 1);
                    file.bytes.truncate(file.synced + kept);
                    if kept > 0
                        && dice.below(2) == 0
                        && let Some(last) = file.bytes.last_mut()
                    {
                        *last ^= 0x55;
                    }
                }
            }
            file.synced = file.bytes.len();
        }
        let named: BTreeSet<u64> = disk.names.values().copied().collect();
        disk.files.retain(|number, _| named.contains(number));
        disk.generation += 1;
        disk.faults.stop_after = None;
    }

    /// Changes the byte at `offset` of a file, as a failing disk would.
    ///
    /// # Errors
    /// If there is no such byte.
    pub fn damage(&self, path: &Path, offset: u64) -> Result<()> {
        let disk = &mut *self.lock();
        let file = disk.find(path)?;
        let byte = disk.files.get_mut(&file).and_then(|file| file.bytes.get_mut(offset as usize));
        *byte.ok_or_else(|| too_short(path, offset, 1))? ^= 0x10;
        Ok(())
    }

    /// Cuts a file off after `length` bytes.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn truncate(&self, path: &Path, length: u64) -> Result<()> {
        let disk = &mut *self.lock();
        let file = disk.find(path)?;
        if let Some(file) = disk.files.get_mut(&file) {
            file.bytes.truncate(length as usize);
            file.synced = file.synced.min(file.bytes.len());
        }
        Ok(())
    }
}

impl Handle {
    fn open<'a>(&self, disk: &'a mut Disk) -> Result<&'a mut File> {
        if disk.generation != self.generation {
            return Err(planned("the machine has crashed since the file was opened", &self.path));
        }
        disk.operate(&self.path)?;
        Ok(disk.files.entry(self.file).or_default())
    }
}

impl WritableFile for Handle {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let disk = &mut *self.disk.lock();
        let room =
            disk.faults.capacity_bytes.map_or(u64::MAX, |capacity| capacity.saturating_sub(disk.used()));
        let delay = bytes.len() as u64 * disk.faults.delay_micros_per_kibibyte / 1024;
        let file = self.open(disk)?;
        let fitting = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        file.bytes.extend_from_slice(&bytes[..fitting]);
        disk.delay_micros += delay;
        if fitting < bytes.len() {
            return Err(Error::storage("cannot write to file: no space left on device")
                .with_detail(self.path.display().to_string())
                .with_hint("free some space, or choose a directory on another disk"));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let disk = &mut *self.disk.lock();
        let file = self.open(disk)?;
        file.synced = file.bytes.len();
        Ok(())
    }
}

impl FileSystem for MemoryFileSystem {
    fn create_new(&self, path: &Path) -> Result<Option<Box<dyn WritableFile>>> {
        let disk = &mut *self.lock();
        disk.operate(path)?;
        let directory = disk.parent(path)?;
        if disk.names.contains_key(path) || disk.directories.contains(path) {
            return Ok(None);
        }
        let file = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(file, File::default());
        disk.change_names(NameChange { directory, removed: None, added: Some((path.to_owned(), file)) });
        let generation = disk.generation;
        Ok(Some(Box::new(Handle { disk: self.clone(), file, path: path.to_owned(), generation })))
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn WritableFile>> {
        let disk = self.lock();
        let (file, generation) = (disk.find(path)?, disk.generation);
        Ok(Box::new(Handle { disk: self.clone(), file, path: path.to_owned(), generation }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        Ok(self.lock().content(path)?.to_vec())
    }

    fn read_range(&self, path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
        let disk = self.lock();
        let content = disk.content(path)?;
        let range = usize::try_from(offset).ok().zip(usize::try_from(offset.saturating_add(length)).ok());
        let bytes = range.and_then(|(start, end)| content.get(start..end));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| too_short(path, offset, length))
    }

    fn length(&self, path: &Path) -> Result<u64> {
        Ok(self.lock().content(path)?.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let disk = &mut *self.lock();
        disk.operate(from)?;
        let file = disk.find(from)?;
        let directory = disk.parent(to)?;
        let (removed, added) = (Some(from.to_owned()), Some((to.to_owned(), file)));
        disk.change_names(NameChange { directory, removed, added });
        Ok(())
    }

    fn publish(&self, from: &Path, to: &Path) -> Result<bool> {
        if self.exists(to)? {
            return Ok(false);
        }
        self.rename(from, to).map(|()| true)
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>> {
        let disk = self.lock();
        disk.check_running(directory)?;
        if !disk.directories.contains(directory) {
            return Err(missing(directory));
        }
        let inside = |path: &PathBuf, is_directory| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            (path.parent() == Some(directory)).then_some(DirectoryEntry { name, is_directory })
        };
        let files = disk.names.keys().filter_map(|path| inside(path, false));
        let directories = disk.directories.iter().filter_map(|path| inside(path, true));
        let mut entries: Vec<_> = files.chain(directories).collect();
        entries.sort();
        Ok(entries)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let disk = &mut *self.lock();
        disk.operate(path)?;
        disk.find(path)?;
        let directory = disk.parent(path)?;
        disk.change_names(NameChange { directory, removed: Some(path.to_owned()), added: None });
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(Error::storage("directory is not empty").with_detail(path.display().to_string()));
        }
        let disk = &mut *self.lock();
        disk.operate(path)?;
        disk.directories.remove(path);
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        let disk = &mut *self.lock();
        disk.operate(directory)?;
        let pending = std::mem::take(&mut disk.pending);
        let (synced, waiting) =
            pending.into_iter().partition(|change: &NameChange| change.directory == directory);
        disk.pending = waiting;
        let synced: Vec<NameChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut disk.durable_names));
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let disk = self.lock();
        disk.check_running(path)?;
        Ok(disk.names.contains_key(path) || disk.directories.contains(path))
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        let disk = &mut *self.lock();
        if !disk.directories.contains(directory) {
            disk.operate(directory)?;
            disk.directories.extend(directory.ancestors().map(Path::to_owned));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        Path::new("/d").join(name)
    }

    fn disk_with_file(name: &str, synced: &[u8], loose: &[u8]) -> MemoryFileSystem {
        let disk = MemoryFileSystem::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let mut file = disk.create_new(&path(name)).unwrap().unwrap();
        file.write(synced).unwrap();
        file.sync().unwrap();
        file.write(loose).unwrap();
        disk
    }

    #[test]
    fn a_crash_takes_back_what_was_not_synced() {
        let disk = disk_with_file("a", b"safe", b"loose");
        disk.crash(CrashOutcome::LoseAll);
        assert!(!disk.exists(&path("a")).unwrap(), "its directory was not synced");

        let disk = disk_with_file("a", b"safe", b"loose");
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.rename(&path("a"), &path("b")).unwrap();
        disk.crash(CrashOutcome::LoseAll);
        assert_eq!(disk.read(&path("a")).unwrap(), b"safe");
        assert!(!disk.exists(&path("b")).unwrap());

        let disk = disk_with_file("a", b"safe", b"loose");
        disk.rename(&path("a"), &path("b")).unwrap();
        disk.crash(CrashOutcome::KeepAll);
        assert_eq!(disk.read(&path("b")).unwrap(), b"safeloose");
    }

    #[test]
    fn a_seeded_crash_tears_and_is_repeatable() {
        let after = |seed| {
            let disk = disk_with_file("a", b"safe", b"loose");
            disk.crash(CrashOutcome::Seeded(seed));
            disk.read(&path("a")).ok()
        };
        let outcomes: BTreeSet<_> = (0..200).map(after).collect();
        assert!(outcomes.contains(&None) && outcomes.contains(&Some(b"safeloose".to_vec())));
        assert!(outcomes.len() > 8, "{outcomes:?}");
        assert!(outcomes.iter().flatten().all(|bytes| bytes.starts_with(b"safe")));
        assert!((0..50).all(|seed| after(seed) == after(seed)));
    }

    #[test]
    fn faults_come_as_planned() {
        let disk = disk_with_file("a", b"1234", b"");
        disk.set_faults(FaultPlan {
            capacity_bytes: Some(6),
            delay_micros_per_kibibyte: 1024,
            ..Default::default()
        });
        let mut file = disk.open_append(&path("a")).unwrap();
        assert!(file.write(b"567").unwrap_err().message().contains("no space"));
        assert_eq!((disk.used_bytes(), disk.take_delay_micros(), disk.take_delay_micros()), (6, 3, 0));
        disk.set_faults(FaultPlan { fail_every: Some(3), ..Default::default() });
        let failures = (0..9).filter(|_| disk.sync_dir(Path::new("/d")).is_err()).count();
        assert_eq!(failures, 3);
        disk.set_faults(FaultPlan { stop_after: Some(disk.operations()), ..Default::default() });
        assert!(disk.read(&path("a")).is_err() && file.sync().is_err());
        disk.crash(CrashOutcome::KeepAll);
        assert!(disk.read(&path("a")).is_ok() && file.sync().is_err(), "handles do not survive a crash");
    }
}
