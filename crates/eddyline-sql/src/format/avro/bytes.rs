//! Avro's bytes: numbers of variable length, texts behind their length.

/// Bytes that are being read.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Bytes { rest: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        if count > self.rest.len() {
            return Err("a record ends too early".into());
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn long(&mut self) -> Result<i64, String> {
        let (mut bits, mut shift) = (0u64, 0);
        loop {
            let byte = self.take(1)?[0];
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
            shift += 7;
            if shift > 63 {
                return Err("a number is too long".into());
            }
        }
    }

    /// Bytes behind their length.
    #[inline]
    pub(super) fn sized(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(length)
    }

    /// The number of entries of the next block of an array or map; none at its end.
    pub(super) fn entries(&mut self) -> Result<Option<usize>, String> {
        let mut count = self.long()?;
        if count < 0 {
            count = count.checked_neg().ok_or("a count is damaged")?;
            self.long()?;
        }
        // An entry has a byte at least: nothing is allocated for what cannot be there.
        let count = usize::try_from(count).ok().filter(|count| *count <= self.left());
        let count = count.ok_or("an array is too long")?;
        Ok((count > 0).then_some(count))
    }
}

#[inline]
pub(super) fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

#[inline]
pub(super) fn write_sized(bytes: &[u8], out: &mut Vec<u8>) {
    write_long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}
