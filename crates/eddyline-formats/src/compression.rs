//! Packing and unpacking streams of bytes.

use eddyline_core::{Error, Result};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};

/// Unpacked, zstd needs a window of at most so many bytes (as a power of two): 128 MiB, what its tools allow too.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How the bytes of a file are packed.
///
/// # Examples
/// ```
/// use eddyline_formats::{Compression, Compressor};
/// use std::io::Read;
///
/// assert_eq!(Compression::of_name("a.log.gz"), Compression::Gzip);
/// let mut compressor = Compressor::new(Compression::Gzip)?;
/// compressor.write(b"some text")?;
/// let packed = compressor.finish()?;
/// let mut text = String::new();
/// Compression::Gzip.unpack(std::io::Cursor::new(packed)).unwrap().read_to_string(&mut text).unwrap();
/// assert_eq!(text, "some text");
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip: also several members one behind the other.
    Gzip,
    /// Zstandard: also several frames one behind the other.
    Zstd,
}

impl Compression {
    /// What the ending of a file's name says: `.gz`, `.gzip`, `.zst`, `.zstd`, else none.
    pub fn of_name(name: &str) -> Self {
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("gz" | "gzip") => Compression::Gzip,
            Some("zst" | "zstd") => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// The ending for the names of files that are packed so.
    pub fn ending(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }

    /// The unpacked bytes of `packed`. Damage is an error where it is met; what comes before it can be read. Errors
    /// of `packed` itself pass through.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn unpack<R: Read + Send + 'static>(self, packed: R) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Compression::None => Box::new(packed),
            Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Compression::Zstd => {
                let mut unpacking = zstd::stream::read::Decoder::new(packed)?;
                unpacking.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(unpacking)
            }
        })
    }
}

enum Stream {
    None(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// Packs the bytes of one file, in memory.
pub struct Compressor(Stream);

impl Compressor {
    /// Begins a file.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(compression: Compression) -> Result<Self> {
        Ok(Compressor(match compression {
            Compression::None => Stream::None(Vec::new()),
            Compression::Gzip => Stream::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Compression::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut encoder = encoder.map_err(failed)?;
                encoder.include_checksum(true).map_err(failed)?;
                Stream::Zstd(encoder)
            }
        }))
    }

    /// Takes bytes in.
    ///
    /// # Errors
    /// If they cannot be packed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.0 {
            Stream::None(packed) => packed.extend_from_slice(bytes),
            Stream::Gzip(encoder) => encoder.write_all(bytes).map_err(failed)?,
            Stream::Zstd(encoder) => encoder.write_all(bytes).map_err(failed)?,
        }
        Ok(())
    }

    /// The packed bytes that have come out and were not taken yet.
    pub fn packed(&mut self) -> &mut Vec<u8> {
        match &mut self.0 {
            Stream::None(packed) => packed,
            Stream::Gzip(encoder) => encoder.get_mut(),
            Stream::Zstd(encoder) => encoder.get_mut(),
        }
    }

    /// Ends the file; answers the packed bytes that were not taken yet.
    ///
    /// # Errors
    /// If they cannot be packed.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.0 {
            Stream::None(packed) => Ok(packed),
            Stream::Gzip(encoder) => encoder.finish().map_err(failed),
            Stream::Zstd(encoder) => encoder.finish().map_err(failed),
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::output("output cannot be compressed").with_detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn what_is_packed_comes_out_again_also_from_several_files_in_one() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|number| number.to_string().into_bytes()).collect();
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut packed = Vec::new();
            for half in text.chunks(text.len() / 2 + 1) {
                let mut compressor = Compressor::new(compression).unwrap();
                for piece in half.chunks(10_000) {
                    compressor.write(piece).unwrap();
                    packed.append(compressor.packed());
                }
                packed.extend(compressor.finish().unwrap());
            }
            assert!(compression == Compression::None || packed.len() < text.len() / 2);
            let mut unpacked = Vec::new();
            compression.unpack(Cursor::new(packed.clone())).unwrap().read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == text, "{compression:?}");
            if compression != Compression::None {
                packed.truncate(packed.len() - 5);
                unpacked.clear();
                let read = compression.unpack(Cursor::new(packed)).unwrap().read_to_end(&mut unpacked);
                assert!(read.is_err() && text.starts_with(&unpacked), "{compression:?}, cut off");
            }
        }
    }
}
