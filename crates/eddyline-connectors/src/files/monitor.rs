//! Finding new files that are read once, for as long as the job runs.
//!
//! Every instance lists the files by itself and takes those pieces that its number says: no instance has to tell
//! another, and after a change of parallelism each piece has one owner again. A file is known by its path and must
//! not change once it has it; a file that was removed is forgotten, so that a later one of its name is new.

use super::event::Event;
use super::line_reader::Cutting;
use super::listing::{FoundFile, Listing};
use super::pieces::PiecesOfFile;
use super::split::FileSplit;
use super::{TextFiles, plan};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The files that an instance watches for.
pub(crate) struct Monitor {
    listings: Vec<Listing>,
    /// Files given by their own paths.
    paths: Vec<String>,
    files: TextFiles,
    cutting: Cutting,
    /// The instance and how many there are.
    share: (u32, u32),
    /// Files that this attempt has seen.
    seen: BTreeSet<String>,
    /// The slots of this instance's pieces, by path and number.
    slots: BTreeMap<String, BTreeMap<u64, u64>>,
    /// Files whose pieces of this instance are read.
    finished: BTreeSet<String>,
    warned: Option<String>,
}

impl Monitor {
    /// Watches `listings` and `paths` for instance `share.0` of `share.1`.
    pub(crate) fn new(
        (listings, paths): (Vec<Listing>, Vec<String>),
        files: TextFiles,
        cutting: Cutting,
        share: (u32, u32),
    ) -> Self {
        Monitor {
            listings,
            paths,
            files,
            cutting,
            share,
            seen: BTreeSet::new(),
            slots: BTreeMap::new(),
            finished: BTreeSet::new(),
            warned: None,
        }
    }

    /// Takes note of a piece that the checkpoint knows.
    pub(crate) fn know(&mut self, slot: u64, split: &FileSplit) {
        let known = self.slots.entry(split.path.clone()).or_default();
        let all_finished = split.finished && (known.is_empty() || self.finished.contains(&split.path));
        known.insert(split.number, slot);
        if all_finished {
            self.finished.insert(split.path.clone());
        } else {
            self.finished.remove(&split.path);
        }
    }

    /// Takes note of a file whose pieces of this instance are read, or which has vanished before that.
    pub(crate) fn finish(&mut self, path: &str, vanished: bool) {
        if vanished {
            self.slots.remove(path);
            self.seen.remove(path);
        } else {
            self.finished.insert(path.to_owned());
        }
    }

    /// Looks for new files, the oldest first.
    pub(crate) fn discover(
        &mut self,
        next_slot: &mut u64,
        answer: &mut dyn FnMut(Event),
    ) -> Vec<PiecesOfFile> {
        let mut found: Vec<FoundFile> = Vec::new();
        for listing in &self.listings {
            match listing.files(true) {
                Ok(files) => found.extend(files),
                Err(error) => {
                    let text = error.to_string();
                    if self.warned.as_ref() != Some(&text) {
                        answer(Event::Warning(format!("{text}; trying again")));
                        self.warned = Some(text);
                    }
                    return Vec::new();
                }
            }
        }
        self.warned = None;
        for path in &self.paths {
            let Ok(metadata) = std::fs::metadata(path) else { continue };
            let modified = metadata.modified().unwrap_or(std::time::SystemTime::UNIX_EPOCH);
            found.push(FoundFile { path: path.clone(), modified, length: metadata.len() });
        }
        self.forget_missing(&found, answer);
        found.retain(|file| !self.seen.contains(&file.path));
        found.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
        found.iter().filter_map(|file| self.take(file, next_slot, answer)).collect()
    }

    /// Takes this instance's pieces of a file that is new to this attempt.
    fn take(
        &mut self,
        file: &FoundFile,
        next_slot: &mut u64,
        answer: &mut dyn FnMut(Event),
    ) -> Option<PiecesOfFile> {
        self.seen.insert(file.path.clone());
        let known = self.slots.entry(file.path.clone()).or_default();
        let mut pieces = VecDeque::new();
        for split in plan::pieces_of(&self.files, self.cutting, &file.path, file.length) {
            if known.contains_key(&split.number) || !split.is_of(self.share) {
                continue;
            }
            let slot = *next_slot;
            *next_slot += 1;
            known.insert(split.number, slot);
            answer(Event::Opened { slot, split: split.clone() });
            pieces.push_back((slot, split));
        }
        if known.is_empty() {
            self.slots.remove(&file.path);
        }
        if pieces.is_empty() {
            return None;
        }
        self.finished.remove(&file.path);
        let compression = self.files.compression_of(&file.path);
        Some(PiecesOfFile::new(file.path.clone(), pieces, compression, self.cutting).may_vanish())
    }

    /// Forgets files that were read and are not there any more.
    fn forget_missing(&mut self, found: &[FoundFile], answer: &mut dyn FnMut(Event)) {
        let there: BTreeSet<&str> = found.iter().map(|file| file.path.as_str()).collect();
        self.seen.retain(|path| there.contains(path.as_str()));
        let gone: Vec<String> =
            self.finished.iter().filter(|path| !there.contains(path.as_str())).cloned().collect();
        for path in gone {
            self.finished.remove(&path);
            for slot in self.slots.remove(&path).unwrap_or_default().into_values() {
                answer(Event::Forgotten { slot });
            }
        }
    }
}
