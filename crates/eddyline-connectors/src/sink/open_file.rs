//! A file that is being written: encodes, packs, counts.

use super::Encoders;
use eddyline_core::Result;
use eddyline_formats::{BulkEncoder, Compression, Compressor, Encoder};
use std::sync::Arc;

/// Encoded bytes that are packed at a time.
const PACK_BYTES: usize = 16 << 10;

/// A file that is being written.
pub(crate) struct OpenFile<T> {
    /// Its visible name, bucket included.
    pub(crate) name: String,
    pub(crate) opened_ms: i64,
    pub(crate) touched_ms: i64,
    /// Bytes handed over to be written.
    handed_over: u64,
    encoder: Box<dyn BulkEncoder<T>>,
    compressor: Option<Compressor>,
    /// Encoded bytes; packed ones if there is no compressor.
    buffer: Vec<u8>,
}

impl<T: 'static> OpenFile<T> {
    /// Begins the file `name`.
    ///
    /// # Errors
    /// If there is no memory for packing.
    pub(crate) fn begin(
        name: String,
        now_ms: i64,
        encoders: &Encoders<T>,
        compression: Compression,
    ) -> Result<Self> {
        let compressor = match compression {
            Compression::None => None,
            packed => Some(Compressor::new(packed)?),
        };
        Ok(OpenFile {
            name,
            opened_ms: now_ms,
            touched_ms: now_ms,
            handed_over: 0,
            encoder: encoders(),
            compressor,
            buffer: Vec::new(),
        })
    }

    /// Takes a record in.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub(crate) fn add(&mut self, value: &T, now_ms: i64) -> Result<()> {
        self.touched_ms = now_ms;
        self.encoder.add(value, &mut self.buffer)?;
        if self.buffer.len() >= PACK_BYTES {
            self.pack()?;
        }
        Ok(())
    }

    fn pack(&mut self) -> Result<()> {
        if let Some(compressor) = &mut self.compressor {
            compressor.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Bytes that are ready to be written.
    pub(crate) fn ready_bytes(&mut self) -> usize {
        self.compressor.as_mut().map_or(self.buffer.len(), |compressor| compressor.packed().len())
    }

    /// How long the file is, as far as can be told; what is not packed yet counts as it is.
    pub(crate) fn length(&mut self) -> u64 {
        let unpacked = if self.compressor.is_some() { self.buffer.len() } else { 0 };
        self.handed_over + (self.ready_bytes() + unpacked + self.encoder.held_bytes()) as u64
    }

    /// The memory that it takes beyond what is handed over.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.buffer.capacity() + self.encoder.held_bytes()
    }

    /// Takes the bytes that are ready.
    pub(crate) fn take_ready(&mut self) -> Vec<u8> {
        let ready = match &mut self.compressor {
            Some(compressor) => std::mem::take(compressor.packed()),
            None => std::mem::take(&mut self.buffer),
        };
        self.handed_over += ready.len() as u64;
        ready
    }

    /// Ends the file: its last bytes, and how many it has in all.
    ///
    /// # Errors
    /// If it cannot be finished.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, u64)> {
        self.encoder.finish(&mut self.buffer)?;
        self.pack()?;
        let rest = match self.compressor {
            Some(compressor) => compressor.finish()?,
            None => self.buffer,
        };
        let length = self.handed_over + rest.len() as u64;
        Ok((rest, length))
    }
}

/// Writes values each by itself, below the header of the format.
pub(crate) struct Rows<E> {
    encoder: Arc<E>,
    begun: bool,
}

impl<E> Rows<E> {
    pub(crate) fn new(encoder: Arc<E>) -> Self {
        Rows { encoder, begun: false }
    }
}

impl<T, E: Encoder<T>> BulkEncoder<T> for Rows<E> {
    fn add(&mut self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.encoder.header(out)?;
        }
        self.encoder.encode(value, out)
    }
}

/// A closure that appends the bytes of a value, as an encoder.
pub(crate) struct ByClosure<F>(pub(crate) F);

impl<T, F: Fn(&T, &mut Vec<u8>) + Send + Sync + 'static> Encoder<T> for ByClosure<F> {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        (self.0)(value, out);
        Ok(())
    }
}
