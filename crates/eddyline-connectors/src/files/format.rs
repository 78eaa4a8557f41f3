//! Files in a format: what a decoder makes of each record, and what is done about records that it refuses.

use super::parse::{Damage, Line, LineContent, LineOutput, LineParser};
use crate::sink::DeadLetter;
use eddyline::DataStream;
use eddyline_core::{Data, Error};
use eddyline_formats::{Decoder, Framing, RawRecord};

/// The bytes of a bad record that a dead letter keeps.
const DEAD_BYTES_MAX: usize = 64 << 10;

/// What happens to a record that cannot be decoded, and to the rest of a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRecord {
    /// The attempt ends with an error that says file, offset and reason.
    #[default]
    Fail,
    /// It is left out, and counted ([`FileProgress::records_bad`](super::FileProgress::records_bad)); the first few
    /// are told in a warning.
    Skip,
}

/// What came of a record.
#[derive(Debug, Clone, PartialEq, Eq, Data)]
pub enum Decoded<T: Data> {
    /// Its value.
    Record(T),
    /// It could not be decoded.
    Bad(DeadLetter),
}

impl<T: Data> Decoded<T> {
    /// The value, if there is one: for the timestamp assigner of a watermark strategy, say.
    pub fn record(&self) -> Option<&T> {
        match self {
            Decoded::Record(value) => Some(value),
            Decoded::Bad(_) => None,
        }
    }
}

/// The two halves of a stream of [`Decoded`] records.
///
/// # Examples
/// ```
/// use eddyline::{Environment, WatermarkStrategy};
/// use eddyline_connectors::files::{DecodedStream, TextFiles};
/// use eddyline_formats::JsonLines;
///
/// let path = std::env::temp_dir().join("eddyline-decoded.jsonl");
/// std::fs::write(&path, "1\ntwo\n3\n").expect("a writable directory");
/// let files = TextFiles::new([&path]);
/// let environment = Environment::new();
/// let decoded = environment.from_source(
///     "numbers",
///     move || files.decode_or_dead_letter(JsonLines::new().decoder::<u64>()),
///     WatermarkStrategy::no_watermarks(),
/// );
/// let numbers = decoded.records().collect();
/// let bad = decoded.dead_letters().collect();
/// environment.execute("numbers")?;
/// assert_eq!(numbers.rows(), [1, 3]);
/// assert_eq!((bad.rows()[0].offset, bad.rows()[0].line.as_slice()), (2, &b"two"[..]));
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait DecodedStream<T: Data> {
    /// The records that could be decoded.
    fn records(&self) -> DataStream<T>;
    /// The records that could not.
    fn dead_letters(&self) -> DataStream<DeadLetter>;
}

impl<T: Data> DecodedStream<T> for DataStream<Decoded<T>> {
    fn records(&self) -> DataStream<T> {
        self.flat_map(|decoded, out| {
            if let Decoded::Record(value) = decoded {
                out.collect(value);
            }
        })
    }

    fn dead_letters(&self) -> DataStream<DeadLetter> {
        self.flat_map(|decoded, out| {
            if let Decoded::Bad(letter) = decoded {
                out.collect(letter);
            }
        })
    }
}

/// Decodes records and leaves out or fails on bad ones; made by [`TextFiles::decode`](super::TextFiles::decode).
#[derive(Debug, Clone)]
pub struct Decoding<D> {
    decoder: D,
    on_bad: OnBadRecord,
}

impl<D> Decoding<D> {
    pub(super) fn new(decoder: D, on_bad: OnBadRecord) -> Self {
        Decoding { decoder, on_bad }
    }
}

impl<T: Data, D: Decoder<T>> LineParser<T> for Decoding<D> {
    fn framing(&self) -> Framing {
        self.decoder.framing()
    }

    fn parse(&mut self, line: Line<'_>, out: &mut LineOutput<'_, '_, T>) {
        match decode(&mut self.decoder, line) {
            Ok(Some(value)) => out.emit(value),
            Ok(None) => {}
            Err((reason, _)) if self.on_bad == OnBadRecord::Skip => out.skip(line.file, line.offset, &reason),
            Err((reason, _)) => out.fail(
                Error::input("an input record cannot be read")
                    .with_detail(format!("{}, byte {}: {reason}", line.file, line.offset))
                    .with_hint(
                        "correct the record or the options of the format, or skip or keep bad records",
                    ),
            ),
        }
    }

    fn damaged(&mut self, damage: Damage<'_>, out: &mut LineOutput<'_, '_, T>) {
        match self.on_bad {
            OnBadRecord::Fail => out.fail(damage.to_error()),
            OnBadRecord::Skip => out.skip(damage.file, damage.offset, damage.reason),
        }
    }
}

/// Decodes records and hands over bad ones as well; made by
/// [`TextFiles::decode_or_dead_letter`](super::TextFiles::decode_or_dead_letter).
#[derive(Debug, Clone)]
pub struct DecodingAll<D> {
    decoder: D,
}

impl<D> DecodingAll<D> {
    pub(super) fn new(decoder: D) -> Self {
        DecodingAll { decoder }
    }
}

impl<T: Data, D: Decoder<T>> LineParser<Decoded<T>> for DecodingAll<D> {
    fn framing(&self) -> Framing {
        self.decoder.framing()
    }

    fn parse(&mut self, line: Line<'_>, out: &mut LineOutput<'_, '_, Decoded<T>>) {
        match decode(&mut self.decoder, line) {
            Ok(Some(value)) => out.emit(Decoded::Record(value)),
            Ok(None) => {}
            Err((reason, bytes)) => out.emit(Decoded::Bad(DeadLetter {
                file: line.file.to_string(),
                offset: line.offset,
                reason,
                line: bytes[..bytes.len().min(DEAD_BYTES_MAX)].to_vec(),
            })),
        }
    }

    fn damaged(&mut self, damage: Damage<'_>, out: &mut LineOutput<'_, '_, Decoded<T>>) {
        out.emit(Decoded::Bad(DeadLetter {
            file: damage.file.to_string(),
            offset: damage.offset,
            reason: damage.reason.to_owned(),
            line: Vec::new(),
        }));
    }
}

/// The value of a record, or what is wrong with it and its bytes as far as they are there.
fn decode<'a, T, D: Decoder<T>>(decoder: &mut D, line: Line<'a>) -> Result<Option<T>, (String, &'a [u8])> {
    match line.content {
        LineContent::Whole(bytes) => {
            decoder.decode(RawRecord::new(bytes, line.offset)).map_err(|reason| (reason, bytes))
        }
        LineContent::TooLong { length, start } => {
            Err((format!("too long: {length} bytes, or a quote is not closed"), start))
        }
    }
}
