//! Which splits an instance reads: at the start from what is there, after a restore from what the checkpoint says.

use super::directory::Directory;
use super::event::Event;
use super::followed::Followed;
use super::identity::{FileIdentity, Fingerprint};
use super::line_reader::Cutting;
use super::listing::{self, Listing};
use super::monitor::Monitor;
use super::open;
use super::pieces::PiecesOfFile;
use super::reader::{Input, Reader};
use super::split::{FileSplit, OPEN_END, owner, pieces};
use super::{Mode, TextFiles};
use eddyline_core::{Error, Result};
use eddyline_formats::{Compression, Framing};
use std::collections::{BTreeMap, VecDeque};

/// An instance's share, and what is to be said of it at once.
pub(crate) struct Plan {
    pub(crate) reader: Reader,
    /// The splits of the reader from the start, by slot.
    pub(crate) splits: BTreeMap<u64, FileSplit>,
    /// What resuming has found.
    pub(crate) news: Vec<Event>,
    pub(crate) bytes_total: u64,
}

/// What `files` says, checked.
struct Given {
    /// Files by their own paths.
    files: Vec<String>,
    /// Directories and patterns; no file is in two of them.
    listings: Vec<Listing>,
}

/// Plans the share of instance `instance` of `parallelism`; `restored` are the splits of *all* instances.
///
/// # Errors
/// If a path does not exist or cannot be read.
pub(crate) fn plan(
    files: &TextFiles,
    framing: Framing,
    restored: &[FileSplit],
    instance: u32,
    parallelism: u32,
) -> Result<Plan> {
    let cutting = Cutting { framing, line_bytes_max: files.line_bytes_max };
    let mut plan = Plan {
        reader: Reader {
            inputs: Vec::new(),
            directories: Vec::new(),
            monitor: None,
            next_slot: 0,
            cutting,
            poll_interval_ms: files.poll_interval_ms,
            next_discovery_ms: i64::MIN,
            turn: 0,
            ended: false,
        },
        splits: BTreeMap::new(),
        news: Vec::new(),
        bytes_total: 0,
    };
    let share = (instance, parallelism);
    let mine = |split: &FileSplit| split.is_of(share);
    match files.mode {
        Mode::Followed => {
            let given = look_at_paths(files)?;
            plan.follow(given, restored, |name| owner(name, 0, parallelism) == instance);
        }
        Mode::Monitored => {
            let Given { files: paths, listings } = look_at_paths(files)?;
            let mut monitor = Monitor::new((listings, paths), files.clone(), cutting, share);
            plan.read_pieces(files, restored.iter().filter(|split| mine(split)).cloned().collect())?;
            plan.splits.iter().for_each(|(slot, split)| monitor.know(*slot, split));
            plan.reader.monitor = Some(monitor);
        }
        Mode::Bounded => {
            let all = if restored.is_empty() { cut(files, cutting)? } else { restored.to_vec() };
            plan.read_pieces(files, all.into_iter().filter(mine).collect())?;
        }
    }
    Ok(plan)
}

/// Tells files from directories and patterns.
fn look_at_paths(files: &TextFiles) -> Result<Given> {
    if files.paths.is_empty() {
        return Err(Error::config("a text file source needs a path").with_hint("give files or directories"));
    }
    let (mut paths, mut listings) = (Vec::new(), Vec::<Listing>::new());
    let mut texts = files.paths.iter().map(|path| open::as_text(path)).collect::<Result<Vec<_>>>()?;
    texts.sort();
    texts.dedup();
    for text in texts {
        // A name may have an asterisk in it: what is there is no pattern.
        if listing::is_pattern(&text) && !std::path::Path::new(&text).exists() {
            listings.push(Listing::of_pattern(&text)?.without(&listings));
        } else if open::look_at(&text)?.is_dir() {
            let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { &text };
            listings.push(Listing::of_directory(trimmed, files.recursive).without(&listings));
        } else {
            open::check_readable(&text, files.mode == Mode::Followed)?;
            paths.push(text);
        }
    }
    for listing in &listings {
        listing.files(true)?;
    }
    paths.retain(|path| !listings.iter().any(|listing| listing.holds(path)));
    Ok(Given { files: paths, listings })
}

/// Cuts bounded files into pieces, the same in every instance.
fn cut(files: &TextFiles, cutting: Cutting) -> Result<Vec<FileSplit>> {
    let Given { files: mut paths, listings } = look_at_paths(files)?;
    for listing in &listings {
        let found = listing.files(true)?;
        if found.is_empty() && listing.is_pattern_alone() {
            return Err(Error::input("no input file matches a pattern")
                .with_detail(listing.name().to_owned())
                .with_hint("look at the pattern; hidden and unfinished files are left out"));
        }
        paths.extend(found.into_iter().map(|file| file.path));
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        open::check_readable(&path, false)?;
        let metadata = open::look_at(&path)?;
        let identity = FileIdentity::of(&metadata);
        let pieces = pieces_of(files, cutting, &path, metadata.len());
        all.extend(pieces.into_iter().map(|split| FileSplit { identity, ..split }));
    }
    Ok(all)
}

/// The pieces of the file at `path`, which has `length` bytes: one, if it cannot be read from the middle.
pub(crate) fn pieces_of(files: &TextFiles, cutting: Cutting, path: &str, length: u64) -> Vec<FileSplit> {
    let whole = files.compression_of(path) != Compression::None || !cutting.framing.is_splittable();
    let bounds = if whole { vec![(0, OPEN_END)] } else { pieces(length) };
    let piece = |(number, (start, end))| FileSplit {
        path: path.to_owned(),
        identity: FileIdentity { device: 0, inode: 0 },
        fingerprint: Fingerprint::default(),
        number,
        start,
        end,
        offset: start,
        finished: false,
    };
    (0..).zip(bounds).map(piece).collect()
}

impl Plan {
    fn take_slot(&mut self) -> u64 {
        self.reader.next_slot += 1;
        self.reader.next_slot - 1
    }

    fn read_pieces(&mut self, files: &TextFiles, mine: Vec<FileSplit>) -> Result<()> {
        let may_vanish = files.mode == Mode::Monitored;
        let mut by_file: BTreeMap<String, VecDeque<(u64, FileSplit)>> = BTreeMap::new();
        for split in mine {
            let slot = self.take_slot();
            if !split.finished {
                let length = match open::look_at(&split.path) {
                    Ok(metadata) => metadata.len(),
                    Err(_) if may_vanish => 0,
                    Err(error) => return Err(error),
                };
                let is_plain = files.compression_of(&split.path) == Compression::None;
                if is_plain && !may_vanish && length < split.offset.max(1) && split.offset > split.start {
                    return Err(Error::input("an input file is shorter than what was read of it before")
                        .with_detail(format!("{}: {length} bytes, {} read", split.path, split.offset))
                        .with_hint("put the whole file back, or start the job without the checkpoint"));
                }
                self.bytes_total += length.min(split.end).saturating_sub(split.offset);
                by_file.entry(split.path.clone()).or_default().push_back((slot, split.clone()));
            }
            self.splits.insert(slot, split);
        }
        for (path, mut pieces) in by_file {
            pieces.make_contiguous().sort_by_key(|(_, split)| split.number);
            let compression = files.compression_of(&path);
            let input = PiecesOfFile::new(path, pieces, compression, self.reader.cutting);
            self.reader.inputs.push(Input::Pieces(if may_vanish { input.may_vanish() } else { input }));
        }
        Ok(())
    }

    fn follow(&mut self, given: Given, restored: &[FileSplit], is_mine: impl Fn(&str) -> bool) {
        for path in given.files.iter().filter(|path| is_mine(path)) {
            let split = restored.iter().find(|split| split.path == *path && !split.finished);
            self.follow_path(path, split.cloned(), false);
        }
        for listing in given.listings.into_iter().filter(|listing| is_mine(listing.name())) {
            let mut finished = Vec::new();
            for split in restored.iter().filter(|split| listing.holds(&split.path)) {
                if split.finished {
                    let slot = self.take_slot();
                    finished.push((slot, split.clone()));
                    self.splits.insert(slot, split.clone());
                } else {
                    self.follow_path(&split.path, Some(split.clone()), true);
                }
            }
            self.reader.directories.push(Directory::new(listing, finished));
        }
    }

    fn follow_path(&mut self, path: &str, split: Option<FileSplit>, in_directory: bool) {
        let mut followed = Followed::new(path.to_string(), self.reader.cutting, in_directory);
        if let Some(split) = split {
            let slot = self.take_slot();
            self.splits.insert(slot, split.clone());
            let news = &mut self.news;
            followed.resume(slot, split, &mut |event| news.push(event));
        }
        self.reader.inputs.push(Input::Followed(followed, i64::MIN));
    }
}
