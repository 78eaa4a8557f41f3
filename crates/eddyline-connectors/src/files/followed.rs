//! Following one path as its file grows, is rotated, cut off, deleted and created again.
//!
//! A [`Followed`] path holds the open file it is reading (a *generation*: one split). When another file has the path,
//! the old one is read on through its handle until it has given nothing for [`ROTATION_GRACE_MS`] while the new one
//! has content, because writers go on writing to a renamed file until they open the new one. Only then is the new one
//! begun. Files that had the path in between, while nobody looked, are found by their names and read first
//! ([`rotation`]). A file that became shorter, or whose first bytes changed, was cut off: said so, and read from the start.

use super::bytes::Bytes;
use super::event::Event;
use super::identity::{FileIdentity, Fingerprint};
use super::line_reader::{Cutting, Found, LineReader};
use super::open;
use super::pieces::{Turn, answer_lines};
use super::rotation;
use super::split::{FileSplit, OPEN_END};
use eddyline_core::Result;
use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

/// How long a file that lost its path has to give nothing before the next one is begun, milliseconds.
pub(crate) const ROTATION_GRACE_MS: i64 = 1_000;

/// The file that has the path now, and is being read.
struct Generation {
    slot: u64,
    split: FileSplit,
    reader: LineReader,
    /// Since when the file has given nothing although it lost its path.
    quiet_since_ms: Option<i64>,
    /// Whether the end had been reached before: what came since may be another content.
    was_at_end: bool,
}

/// What has happened to a file that is read to its end.
enum Fate {
    /// It may grow.
    Stays,
    /// It was cut off or overwritten.
    CutOff,
    /// Another file has its path, or none, and it gives nothing any more.
    Replaced,
}

/// One path that is followed.
pub(crate) struct Followed {
    path: String,
    current: Option<Generation>,
    next_number: u64,
    cutting: Cutting,
    /// Whether the path was found in a directory: then finished files are found again under other names.
    in_directory: bool,
    /// Finished splits that have to be remembered.
    finished: Vec<(u64, FileSplit)>,
    /// The error that was last warned of: not to be repeated at every poll.
    warned: Option<String>,
    /// The file that was read before and lost its path, and when it was last written: others may have had the path
    /// since.
    before: Option<(FileIdentity, SystemTime)>,
}

impl Followed {
    /// Follows `path` from the start of the file that has it.
    pub(crate) fn new(path: String, cutting: Cutting, in_directory: bool) -> Self {
        Followed {
            path,
            current: None,
            next_number: 0,
            cutting,
            in_directory,
            finished: Vec::new(),
            warned: None,
            before: None,
        }
    }

    /// Goes on where `split` says, in the file that it names, whatever its name is now. Answers whether that file
    /// was found; if not, what has the path now is read from the start.
    pub(crate) fn resume(&mut self, slot: u64, split: FileSplit, answer: &mut dyn FnMut(Event)) -> bool {
        self.next_number = split.number + 1;
        match find_again(&split) {
            Ok(file) => {
                let reader = LineReader::new(Bytes::Plain(file), split.offset, OPEN_END, self.cutting);
                self.current =
                    Some(Generation { slot, split, reader, quiet_since_ms: None, was_at_end: true });
                true
            }
            Err(reason) => {
                let FileSplit { path, offset, .. } = &split;
                answer(Event::Warning(format!(
                    "{path}: {reason}: lines from byte {offset} on that nobody read are lost; what has the path now is read from its start"
                )));
                answer(Event::Finished { slot, keep: false });
                false
            }
        }
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The slot of the split that is being read.
    pub(crate) fn slot(&self) -> Option<u64> {
        self.current.as_ref().map(|generation| generation.slot)
    }

    /// The split that is being read.
    pub(crate) fn split(&self) -> Option<&FileSplit> {
        self.current.as_ref().map(|generation| &generation.split)
    }

    /// Reads until there are lines; at the end looks whether something has happened to the file.
    pub(crate) fn turn(
        &mut self,
        mut buffer: Vec<u8>,
        now_ms: i64,
        next_slot: &mut u64,
        answer: &mut dyn FnMut(Event),
    ) -> Result<Turn> {
        loop {
            if self.current.is_none() && !self.begin(next_slot, answer)? {
                return Ok(if self.in_directory { Turn::Finished(buffer) } else { Turn::Idle(buffer) });
            }
            let Some(generation) = &mut self.current else { return Ok(Turn::Idle(buffer)) };
            if generation.was_overwritten(answer)? {
                self.finish(true, answer);
                continue;
            }
            let found = generation.reader.read(buffer).map_err(|error| failed(&self.path, &error))?;
            generation.identify(answer)?;
            match found {
                Found::More(empty) => buffer = empty,
                Found::AtEnd(empty) | Found::Done(empty) => {
                    buffer = empty;
                    generation.was_at_end = true;
                    match generation.look_around(&self.path, self.in_directory, now_ms, answer)? {
                        Fate::Stays => return Ok(Turn::Idle(buffer)),
                        fate if self.finish(matches!(fate, Fate::CutOff), answer) => {
                            return Ok(Turn::Answered);
                        }
                        _ => {}
                    }
                }
                found => {
                    generation.quiet_since_ms = None;
                    answer_lines(generation.slot, found, answer);
                    return Ok(Turn::Answered);
                }
            }
        }
    }

    /// Opens what has the path; a file that is not there, or not readable, is tried again later.
    fn begin(&mut self, next_slot: &mut u64, answer: &mut dyn FnMut(Event)) -> Result<bool> {
        let between = self.before.take().and_then(|before| rotation::next_after(&self.path, before));
        let opened = File::open(between.as_ref().unwrap_or(&self.path)).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((Fingerprint::of(&file, metadata.len())?, FileIdentity::of(&metadata), file))
        });
        let (fingerprint, identity, file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let text = error.to_string();
                // Between two files there is none for a moment: nothing to warn of.
                if error.kind() != std::io::ErrorKind::NotFound && self.warned.as_ref() != Some(&text) {
                    answer(Event::Warning(format!("{}: cannot be opened ({text}); trying again", self.path)));
                    self.warned = Some(text);
                }
                return Ok(false);
            }
        };
        self.warned = None;
        let split = FileSplit {
            path: self.path.clone(),
            identity,
            fingerprint,
            number: self.next_number,
            start: 0,
            end: OPEN_END,
            offset: 0,
            finished: false,
        };
        self.next_number += 1;
        let slot = *next_slot;
        *next_slot += 1;
        answer(Event::Opened { slot, split: split.clone() });
        let reader = LineReader::new(Bytes::Plain(file), 0, OPEN_END, self.cutting);
        self.current = Some(Generation { slot, split, reader, quiet_since_ms: None, was_at_end: false });
        Ok(true)
    }

    /// The file will not be read on. Answers whether its last line, which had no line end, was handed out.
    fn finish(&mut self, cut_off: bool, answer: &mut dyn FnMut(Event)) -> bool {
        let Some(mut generation) = self.current.take() else { return false };
        // The files of a directory are found by listing it.
        if !cut_off && !self.in_directory {
            let written = generation.reader.file().metadata().and_then(|metadata| metadata.modified());
            self.before = written.ok().map(|written| (generation.split.identity, written));
        }
        // Nothing that was cut off is handed out.
        let rest = if cut_off { None } else { generation.reader.take_rest() };
        let handed_out = rest.is_some();
        if let Some(rest) = rest {
            answer_lines(generation.slot, rest, answer);
        }
        if self.in_directory && !cut_off && generation.split.fingerprint.bytes > 0 {
            let split =
                FileSplit { offset: generation.reader.line_start(), finished: true, ..generation.split };
            self.finished.push((generation.slot, split));
            answer(Event::Finished { slot: generation.slot, keep: true });
        } else {
            answer(Event::Finished { slot: generation.slot, keep: false });
        }
        handed_out
    }

    /// The splits that were finished since the last call and have to be remembered.
    pub(crate) fn take_finished(&mut self) -> Vec<(u64, FileSplit)> {
        std::mem::take(&mut self.finished)
    }
}

impl Generation {
    /// Takes the fingerprint anew while the file is too short for a whole one.
    fn identify(&mut self, answer: &mut dyn FnMut(Event)) -> Result<()> {
        let known = self.reader.position();
        if !self.split.fingerprint.is_short() || known <= u64::from(self.split.fingerprint.bytes) {
            return Ok(());
        }
        let longer =
            Fingerprint::of(self.reader.file(), known).map_err(|error| failed(&self.split.path, &error))?;
        if longer != self.split.fingerprint {
            self.split.fingerprint = longer;
            answer(Event::Identified { slot: self.slot, split: self.split.clone() });
        }
        Ok(())
    }

    /// Whether the file begins otherwise than it did: it was cut off and has grown again.
    fn was_overwritten(&mut self, answer: &mut dyn FnMut(Event)) -> Result<bool> {
        if !std::mem::take(&mut self.was_at_end) {
            return Ok(false);
        }
        let file = self.reader.file();
        let length = file.metadata().map_err(|error| failed(&self.split.path, &error))?.len();
        // A file that is shorter now is `look_around`'s business.
        if length < self.reader.position()
            || self.split.fingerprint.fits(file).map_err(|error| failed(&self.split.path, &error))?
        {
            return Ok(false);
        }
        self.warn_of_cut("was overwritten", answer);
        Ok(true)
    }

    fn warn_of_cut(&self, what: &str, answer: &mut dyn FnMut(Event)) {
        let partial =
            if self.reader.holds_partial_line() { "; its unfinished last line is lost" } else { "" };
        answer(Event::Warning(format!(
            "{}: {what} after {} bytes had been read{partial}; reading it from the start",
            self.split.path,
            self.reader.position()
        )));
    }

    /// At the end of the file: what has become of it.
    fn look_around(
        &mut self,
        path: &str,
        in_directory: bool,
        now_ms: i64,
        answer: &mut dyn FnMut(Event),
    ) -> Result<Fate> {
        let length = self.reader.file().metadata().map_err(|error| failed(path, &error))?.len();
        if length < self.reader.position() {
            self.warn_of_cut(&format!("was cut off to {length} bytes"), answer);
            return Ok(Fate::CutOff);
        }
        let lost_its_path = match fs::metadata(path) {
            Ok(there) => FileIdentity::of(&there) != self.split.identity && there.len() > 0,
            // A directory's listing finds the next file of that name, and this one should it grow under another.
            Err(error) => in_directory && error.kind() == std::io::ErrorKind::NotFound,
        };
        if !lost_its_path {
            self.quiet_since_ms = None;
            return Ok(Fate::Stays);
        }
        let since = *self.quiet_since_ms.get_or_insert(now_ms);
        let over = now_ms.saturating_sub(since) >= ROTATION_GRACE_MS;
        Ok(if over { Fate::Replaced } else { Fate::Stays })
    }
}

fn failed(path: &str, error: &std::io::Error) -> eddyline_core::Error {
    open::failed("read input file", path, error)
}

/// The file a split was reading, under whatever name it has now.
fn find_again(split: &FileSplit) -> Result<File, &'static str> {
    let mut reason = match try_file(Path::new(&split.path), split) {
        Ok(file) => return Ok(file),
        Err(reason) => reason,
    };
    let directory = Path::new(&split.path).parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(directory.unwrap_or(Path::new("."))) else { return Err(reason) };
    for entry in entries.flatten() {
        match try_file(&entry.path(), split) {
            Ok(file) => return Ok(file),
            Err(why) if why == WAS_CUT_OFF => reason = why,
            Err(_) => {}
        }
    }
    Err(reason)
}

const WAS_CUT_OFF: &str = "the file was cut off or overwritten while nobody read it";
const IS_GONE: &str = "the file was deleted or replaced while nobody read it";

fn try_file(path: &Path, split: &FileSplit) -> Result<File, &'static str> {
    let metadata = fs::metadata(path).map_err(|_| IS_GONE)?;
    if !metadata.is_file() || FileIdentity::of(&metadata) != split.identity {
        return Err(IS_GONE);
    }
    let file = File::open(path).map_err(|_| IS_GONE)?;
    let fits = split.fingerprint.fits(&file).unwrap_or(false);
    if fits && metadata.len() >= split.offset { Ok(file) } else { Err(WAS_CUT_OFF) }
}
