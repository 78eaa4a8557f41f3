//! Finding new files in a directory, a tree or by a pattern that is followed.
//!
//! A file is new unless it is being read, was read (under whatever name), or is a copy that a rotation made of a file
//! that is being read. A file that was read and has grown since is read on. All files of a directory are read by one
//! instance, since only who knows what was read can tell a renamed file from a new one.

use super::event::Event;
use super::followed::Followed;
use super::identity::FileIdentity;
use super::line_reader::Cutting;
use super::listing::Listing;
use super::split::{FileSplit, OPEN_END};
use std::fs::File;

/// A directory that is followed.
pub(crate) struct Directory {
    listing: Listing,
    /// Splits of this directory that were read to their end, by slot.
    finished: Vec<(u64, FileSplit)>,
    warned: Option<String>,
}

impl Directory {
    /// The files of `listing`, of which `finished` was read before.
    pub(crate) fn new(listing: Listing, finished: Vec<(u64, FileSplit)>) -> Self {
        Directory { listing, finished, warned: None }
    }

    /// Whether `path` is one of its files.
    pub(crate) fn holds(&self, path: &str) -> bool {
        self.listing.holds(path)
    }

    /// Remembers splits that were read to their end.
    pub(crate) fn remember(&mut self, finished: Vec<(u64, FileSplit)>) {
        self.finished.extend(finished);
    }

    /// Looks for files that are to be read; `open` are those being read.
    pub(crate) fn discover(
        &mut self,
        open: &[&Followed],
        cutting: Cutting,
        next_slot: &mut u64,
        answer: &mut dyn FnMut(Event),
    ) -> Vec<Followed> {
        let paths = match self.listing.files(false) {
            Ok(files) => files.into_iter().map(|file| file.path).collect::<Vec<_>>(),
            Err(error) => {
                let text = error.to_string();
                if self.warned.as_ref() != Some(&text) {
                    answer(Event::Warning(format!("{text}; trying again")));
                    self.warned = Some(text);
                }
                return Vec::new();
            }
        };
        self.warned = None;
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        for path in paths {
            let Ok(file) = File::open(&path) else { continue };
            let Ok(metadata) = file.metadata() else { continue };
            let identity = FileIdentity::of(&metadata);
            seen.push(identity);
            let is_read = |followed: &&Followed| {
                followed.path() == path || followed.split().is_some_and(|split| split.identity == identity)
            };
            if open.iter().any(is_read) {
                continue;
            }
            let known = self.finished.iter().position(|(_, split)| {
                split.identity == identity && split.fingerprint.fits(&file).unwrap_or(false)
            });
            let original = open.iter().find(|followed| is_copy(&path, &file, followed));
            if let (None, Some(original)) = (known, original.and_then(|followed| followed.split())) {
                // Remembered as read, however long it becomes: the original will be cut off next.
                let split =
                    FileSplit { path, identity, finished: true, offset: OPEN_END, ..original.clone() };
                let slot = *next_slot;
                *next_slot += 1;
                answer(Event::Opened { slot, split: split.clone() });
                self.finished.push((slot, split));
                continue;
            }
            let mut followed = Followed::new(path.clone(), cutting, true);
            if let Some(index) = known {
                if metadata.len() <= self.finished[index].1.offset {
                    continue;
                }
                let (old_slot, old) = self.finished.remove(index);
                answer(Event::Forgotten { slot: old_slot });
                let split = FileSplit { path, finished: false, ..old };
                let slot = *next_slot;
                *next_slot += 1;
                answer(Event::Opened { slot, split: split.clone() });
                followed.resume(slot, split, answer);
            }
            found.push(followed);
        }
        self.forget_missing(&seen, answer);
        found
    }

    /// What is in the directory no more need not be known any more.
    fn forget_missing(&mut self, seen: &[FileIdentity], answer: &mut dyn FnMut(Event)) {
        self.finished.retain(|(slot, split)| {
            let stays = seen.contains(&split.identity);
            if !stays {
                answer(Event::Forgotten { slot: *slot });
            }
            stays
        });
    }
}

/// Whether `path` is what a rotation by copying left: it has the name of the file that is read, with something
/// appended, and begins in the same way.
fn is_copy(path: &str, file: &File, read: &Followed) -> bool {
    let appended = path.strip_prefix(read.path()).and_then(|rest| rest.chars().next());
    let named_so = appended.is_some_and(|first| matches!(first, '.' | '-' | '_'));
    let Some(split) = read.split().filter(|split| named_so && split.fingerprint.bytes > 0) else {
        return false;
    };
    // After the cut, the file that is read has other bytes than its copy: the fingerprint is that of before.
    split.fingerprint.fits(file).unwrap_or(false)
}
