//! Which splits an instance reads: at the start from what is there, after a restore from what the checkpoint says.

use super::directory::{Directory, parent_of};
use super::event::Event;
use super::followed::Followed;
use super::open;
use super::pieces::PiecesOfFile;
use super::reader::{Input, Reader};
use super::split::{FileSplit, owner, pieces};
use super::{TextFiles, identity::FileIdentity, identity::Fingerprint};
use eddyline_core::{Error, Result};
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

/// The files and directories of `files`, checked.
struct Given {
    files: Vec<String>,
    directories: Vec<String>,
}

/// Plans the share of instance `instance` of `parallelism`; `restored` are the splits of *all* instances.
///
/// # Errors
/// If a path does not exist or cannot be read.
pub(crate) fn plan(
    files: &TextFiles,
    restored: &[FileSplit],
    instance: u32,
    parallelism: u32,
) -> Result<Plan> {
    let mut plan = Plan {
        reader: Reader {
            inputs: Vec::new(),
            directories: Vec::new(),
            next_slot: 0,
            line_bytes_max: files.line_bytes_max,
            poll_interval_ms: files.poll_interval_ms,
            next_discovery_ms: i64::MIN,
            turn: 0,
            ended: false,
        },
        splits: BTreeMap::new(),
        news: Vec::new(),
        bytes_total: 0,
    };
    if files.follow {
        let given = look_at_paths(files)?;
        plan.follow(&given, restored, |path| owner(path, 0, parallelism) == instance);
    } else {
        let all = if restored.is_empty() { cut(files)? } else { restored.to_vec() };
        let mine = |split: &FileSplit| owner(&split.path, split.number, parallelism) == instance;
        plan.read_pieces(all.into_iter().filter(mine).collect())?;
    }
    Ok(plan)
}

/// Tells files from directories.
fn look_at_paths(files: &TextFiles) -> Result<Given> {
    if files.paths.is_empty() {
        return Err(Error::config("a text file source needs a path").with_hint("give files or directories"));
    }
    let mut given = Given { files: Vec::new(), directories: Vec::new() };
    for path in &files.paths {
        let text = open::as_text(path)?;
        if open::look_at(&text)?.is_dir() {
            let trimmed = if text.len() > 1 { text.trim_end_matches('/') } else { &text };
            open::text_files_in(trimmed)?;
            given.directories.push(trimmed.to_string());
        } else {
            open::check_readable(&text)?;
            given.files.push(text);
        }
    }
    given.files.sort();
    given.files.dedup();
    given.directories.sort();
    given.directories.dedup();
    let Given { files, directories } = &mut given;
    files.retain(|file| !directories.iter().any(|directory| parent_of(file) == directory));
    Ok(given)
}

/// Cuts bounded files into pieces, the same in every instance.
fn cut(files: &TextFiles) -> Result<Vec<FileSplit>> {
    let Given { files: mut paths, directories } = look_at_paths(files)?;
    for directory in &directories {
        paths.extend(open::text_files_in(directory)?);
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        open::check_readable(&path)?;
        let metadata = open::look_at(&path)?;
        for (number, (start, end)) in (0..).zip(pieces(metadata.len())) {
            all.push(FileSplit {
                path: path.clone(),
                identity: FileIdentity::of(&metadata),
                fingerprint: Fingerprint::default(),
                number,
                start,
                end,
                offset: start,
                finished: false,
            });
        }
    }
    Ok(all)
}

impl Plan {
    fn take_slot(&mut self) -> u64 {
        self.reader.next_slot += 1;
        self.reader.next_slot - 1
    }

    fn read_pieces(&mut self, mine: Vec<FileSplit>) -> Result<()> {
        let mut by_file: BTreeMap<String, VecDeque<(u64, FileSplit)>> = BTreeMap::new();
        for split in mine {
            let slot = self.take_slot();
            if !split.finished {
                let length = open::look_at(&split.path)?.len();
                if length < split.offset.max(1) && split.offset > split.start {
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
            let input = PiecesOfFile::new(path, pieces, self.reader.line_bytes_max);
            self.reader.inputs.push(Input::Pieces(input));
        }
        Ok(())
    }

    fn follow(&mut self, given: &Given, restored: &[FileSplit], is_mine: impl Fn(&str) -> bool) {
        for path in given.files.iter().filter(|path| is_mine(path)) {
            let split = restored.iter().find(|split| split.path == *path && !split.finished);
            self.follow_path(path, split.cloned(), false);
        }
        for directory in given.directories.iter().filter(|path| is_mine(path)) {
            let mut finished = Vec::new();
            for split in restored.iter().filter(|split| parent_of(&split.path) == directory) {
                if split.finished {
                    let slot = self.take_slot();
                    finished.push((slot, split.clone()));
                    self.splits.insert(slot, split.clone());
                } else {
                    self.follow_path(&split.path, Some(split.clone()), true);
                }
            }
            self.reader.directories.push(Directory::new(directory.clone(), finished));
        }
    }

    fn follow_path(&mut self, path: &str, split: Option<FileSplit>, in_directory: bool) {
        let mut followed = Followed::new(path.to_string(), self.reader.line_bytes_max, in_directory);
        if let Some(split) = split {
            let slot = self.take_slot();
            self.splits.insert(slot, split.clone());
            let news = &mut self.news;
            followed.resume(slot, split, &mut |event| news.push(event));
        }
        self.reader.inputs.push(Input::Followed(followed, i64::MIN));
    }
}
