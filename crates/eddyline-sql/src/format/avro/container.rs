//! Avro's files: a header with the schema, and blocks of records, each packed.

use super::bytes::{Bytes, write_long};
use super::{AvroOptions, Codec};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

const MAGIC: [u8; 4] = *b"Obj\x01";
/// The largest header, and the largest block, packed or not.
const HEADER_BYTES_MAX: usize = 16 << 20;
const BLOCK_BYTES_MAX: usize = 512 << 20;

/// Reads the blocks of a file.
pub(super) struct BlockReader {
    input: BufReader<File>,
    /// Where the next block begins.
    pub(super) at: u64,
    codec: Codec,
    sync: [u8; 16],
    pub(super) schema: String,
}

impl BlockReader {
    pub(super) fn open(file: File) -> Result<Self, String> {
        let mut input = Counted { input: BufReader::new(file), read: 0 };
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => "it ends within its header".to_owned(),
            _ => error.to_string(),
        };
        let magic = input.array::<4>();
        if !matches!(magic, Ok(MAGIC)) {
            return Err("it is no Avro file: it does not begin with `Obj` and 1".into());
        }
        let (mut schema, mut codec) = (None, "null".to_owned());
        loop {
            let mut count = input.long().map_err(cut)?;
            if count == 0 {
                break;
            }
            if count < 0 {
                count = count.checked_neg().ok_or("its header is damaged")?;
                input.long().map_err(cut)?;
            }
            for _ in 0..count {
                let key = input.block(HEADER_BYTES_MAX).map_err(cut)?;
                let value = input.block(HEADER_BYTES_MAX).map_err(cut)?;
                let value = String::from_utf8(value);
                match key.as_slice() {
                    b"avro.schema" => schema = Some(value.map_err(|_| "its schema is no UTF-8")?),
                    b"avro.codec" => codec = value.map_err(|_| "its codec is no UTF-8")?,
                    _ => {}
                }
                if input.read > HEADER_BYTES_MAX as u64 {
                    return Err("its header is too long".into());
                }
            }
        }
        let sync = input.array::<16>().map_err(cut)?;
        let codec = Codec::of(&codec)
            .ok_or_else(|| format!("its codec `{codec}` is not one of null, deflate, snappy, zstandard"))?;
        let schema = schema.ok_or("its header has no schema")?;
        Ok(BlockReader { at: input.read, input: input.input, codec, sync, schema })
    }

    pub(super) fn seek(&mut self, at: u64) -> Result<(), String> {
        self.input.seek(SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        self.at = at;
        Ok(())
    }

    /// The next block: its records and how many there are; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Vec<u8>, u64)>, String> {
        let at = self.at;
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("it was cut off within the block at byte {at}"),
            _ => format!("the block at byte {at}: {error}"),
        };
        if std::io::BufRead::fill_buf(&mut self.input).map_err(cut)?.is_empty() {
            return Ok(None);
        }
        let mut input = Counted { input: &mut self.input, read: 0 };
        let count = input.long().map_err(cut)?;
        let packed = input.block(BLOCK_BYTES_MAX).map_err(cut)?;
        let sync = input.array::<16>().map_err(cut)?;
        let read = input.read;
        let count = u64::try_from(count).map_err(|_| format!("the block at byte {at} is damaged"))?;
        if sync != self.sync {
            return Err(format!(
                "the block at byte {at} is damaged: another mark is behind it than in the header"
            ));
        }
        self.at += read;
        let records = self.codec.unpack(packed, BLOCK_BYTES_MAX);
        Ok(Some((
            records.map_err(|reason| format!("the block at byte {at} cannot be unpacked: {reason}"))?,
            count,
        )))
    }
}

/// Reads and counts.
struct Counted<R> {
    input: R,
    read: u64,
}

impl<R: Read> Counted<R> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(bytes)
    }

    fn long(&mut self) -> io::Result<i64> {
        let mut bytes = Vec::with_capacity(10);
        loop {
            let [byte] = self.array::<1>()?;
            bytes.push(byte);
            if byte & 0x80 == 0 || bytes.len() == 10 {
                let long = Bytes::new(&bytes).long();
                return long.map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason));
            }
        }
    }

    /// Bytes behind their length.
    fn block(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.long()?).ok().filter(|length| *length <= most);
        let length = length.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("a length is damaged, or above {most} bytes"))
        })?;
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        self.read += read as u64;
        if read < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// Writes the blocks of a file.
pub(super) struct BlockWriter {
    file: File,
    codec: Codec,
    sync: [u8; 16],
    pub(super) written: u64,
}

impl BlockWriter {
    /// Writes the header. Blocks end with `sync`.
    pub(super) fn create(
        file: File,
        schema: &str,
        options: &AvroOptions,
        sync: [u8; 16],
    ) -> Result<Self, String> {
        let mut header = MAGIC.to_vec();
        write_long(2, &mut header);
        for (key, value) in [("avro.schema", schema), ("avro.codec", options.codec.name())] {
            for text in [key, value] {
                write_long(text.len() as i64, &mut header);
                header.extend_from_slice(text.as_bytes());
            }
        }
        write_long(0, &mut header);
        header.extend_from_slice(&sync);
        let mut writer = BlockWriter { file, codec: options.codec, sync, written: 0 };
        writer.put(&header)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all(bytes).map_err(|error| error.to_string())?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn block(&mut self, records: &[u8], count: u64) -> Result<(), String> {
        let packed = self.codec.pack(records)?;
        let mut head = Vec::new();
        write_long(count as i64, &mut head);
        write_long(packed.len() as i64, &mut head);
        self.put(&head)?;
        self.put(&packed)?;
        let sync = self.sync;
        self.put(&sync)
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }
}
