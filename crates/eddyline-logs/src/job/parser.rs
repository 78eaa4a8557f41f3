//! From lines to blocks of them and dead letters, within the source.

use super::block::Block;
use super::dispatch::Parsed;
use crate::format::{Format, LineReader, ReadOptions};
use eddyline_connectors::files::{Damage, Line, LineContent, LineOutput, LineParser};
use eddyline_connectors::sink::DeadLetter;
use eddyline_core::EventTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much of a line that cannot be read is kept.
const DEAD_LINE_BYTES_MAX: usize = 64 << 10;

/// The format of the files whose names match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatRule {
    /// What the name ends with, or a part of the path between two `*`; see [`FormatRule::fits`].
    pub pattern: String,
    /// Their format.
    pub format: Format,
}

impl FormatRule {
    /// Whether the rule is about the file at `path`: `*` stands for anything, and a pattern without a slash looks at
    /// the name alone.
    ///
    /// # Examples
    /// ```
    /// use eddyline_logs::format::Format;
    /// use eddyline_logs::job::FormatRule;
    /// let rule = FormatRule { pattern: "*.jsonl*".into(), format: Format::Json };
    /// assert!(rule.fits("/var/log/app.jsonl") && rule.fits("app.jsonl.1") && !rule.fits("/jsonl/app.log"));
    /// ```
    pub fn fits(&self, path: &str) -> bool {
        let name = if self.pattern.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
        crate::pattern::matches(self.pattern.as_bytes(), name.as_bytes())
    }
}

/// A block is handed over when it has so many lines: small enough to be counted while it is in the processor's cache, and
/// to take its memory from what the one before has given back.
const BLOCK_LINES_MAX: usize = 128;
/// Or so many bytes.
const BLOCK_BYTES_MAX: usize = 32 << 10;
/// A block that is begun has room for so many bytes of a line.
const LINE_BYTES_USUAL: usize = BLOCK_BYTES_MAX / BLOCK_LINES_MAX;

/// Reads the lines of all files of an instance.
pub(super) struct BlockParser {
    options: Arc<ReadOptions>,
    rules: Arc<[FormatRule]>,
    readers: BTreeMap<Arc<str>, LineReader>,
    /// The file of the line before, and its reader: lines of a file mostly follow one another.
    current: Option<(Arc<str>, LineReader)>,
    /// Lines of one file that are not handed over yet.
    block: Block,
    /// The latest time of them.
    latest: EventTime,
    /// How many lines blocks had before, about.
    lines_before: usize,
}

impl BlockParser {
    pub(super) fn new(options: Arc<ReadOptions>, rules: Arc<[FormatRule]>) -> Self {
        BlockParser {
            options,
            rules,
            readers: BTreeMap::new(),
            current: None,
            block: Block::default(),
            latest: EventTime::MIN,
            lines_before: 0,
        }
    }

    fn hand_over(&mut self, out: &mut LineOutput<'_, '_, Parsed>) {
        if !self.block.lines().is_empty() {
            // It is the end of a run that is short; the next block may be a full one.
            self.lines_before = self.block.lines().len().max(self.lines_before - self.lines_before / 4);
            let block = std::mem::take(&mut self.block);
            out.emit_with_time(Parsed::Lines(block), self.latest);
        }
        self.latest = EventTime::MIN;
    }

    /// The reader of `file`.
    #[inline]
    fn reader(&mut self, file: &Arc<str>) -> &mut LineReader {
        let is_current =
            self.current.as_ref().is_some_and(|(current, _)| Arc::ptr_eq(current, file) || current == file);
        if !is_current && let Some((before, reader)) = self.current.take() {
            self.readers.insert(before, reader);
        }
        let (options, rules, readers) = (&self.options, &self.rules, &mut self.readers);
        let (_, reader) = self.current.get_or_insert_with(|| {
            let reader = readers.remove(file).unwrap_or_else(|| new_reader(file, options, rules));
            (file.clone(), reader)
        });
        reader
    }
}

fn new_reader(file: &str, options: &Arc<ReadOptions>, rules: &[FormatRule]) -> LineReader {
    match rules.iter().find(|rule| rule.fits(file)) {
        Some(rule) => LineReader::new(Arc::new(ReadOptions {
            format: Some(rule.format),
            ..ReadOptions::clone(options)
        })),
        None => LineReader::new(options.clone()),
    }
}

fn dead(line: &Line<'_>, reason: String, bytes: &[u8]) -> Parsed {
    Parsed::Dead(DeadLetter {
        file: line.file.to_string(),
        offset: line.offset,
        reason,
        line: bytes[..bytes.len().min(DEAD_LINE_BYTES_MAX)].to_vec(),
    })
}

impl LineParser<Parsed> for BlockParser {
    #[inline]
    fn parse(&mut self, line: Line<'_>, out: &mut LineOutput<'_, '_, Parsed>) {
        match line.content {
            LineContent::Whole(bytes) => match self.reader(line.file).read(bytes) {
                Ok(fields) => {
                    if self.block.lines().is_empty() {
                        // Where files grow slowly, blocks are small.
                        let lines = self.lines_before.clamp(1, BLOCK_LINES_MAX);
                        self.block = Block::with_room(line.file, lines, lines * LINE_BYTES_USUAL);
                    }
                    self.block.push(bytes, line.offset, &fields);
                    self.latest = self.latest.max(fields.time);
                    let is_full = self.block.lines().len() >= BLOCK_LINES_MAX
                        || self.block.text_bytes() >= BLOCK_BYTES_MAX;
                    if is_full {
                        self.hand_over(out);
                    }
                }
                // No time of its own: it must not move the watermark.
                Err(unparsed) => out.emit_with_time(dead(&line, unparsed.to_string(), bytes), EventTime::MIN),
            },
            LineContent::TooLong { length, start } => {
                let reason = format!("line too long: {length} bytes");
                out.emit_with_time(dead(&line, reason, start), EventTime::MIN);
            }
        }
    }

    fn held(&self) -> usize {
        self.block.lines().len()
    }

    fn flush(&mut self, out: &mut LineOutput<'_, '_, Parsed>) {
        self.hand_over(out);
    }

    /// The lines before the damage count; that there are no more is told by a dead letter.
    fn damaged(&mut self, damage: Damage<'_>, out: &mut LineOutput<'_, '_, Parsed>) {
        let letter = DeadLetter {
            file: damage.file.to_string(),
            offset: damage.offset,
            reason: format!("the file is damaged or cut off: {}", damage.reason),
            line: Vec::new(),
        };
        out.emit_with_time(Parsed::Dead(letter), EventTime::MIN);
    }
}
