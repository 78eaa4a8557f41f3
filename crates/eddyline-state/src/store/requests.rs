//! What is asked of a store, and what it answers.

/// The length of a key, bytes.
pub const KEY_BYTES: usize = 12;

/// Key group and stable hash, both big endian.
pub type StoreKey = [u8; KEY_BYTES];

/// The key of all entries of `hash`, which belongs to `group`.
#[inline]
pub(crate) fn store_key(group: u32, hash: u64) -> StoreKey {
    let mut key = [0; KEY_BYTES];
    key[..4].copy_from_slice(&group.to_be_bytes());
    key[4..].copy_from_slice(&hash.to_be_bytes());
    key
}

/// The hash in a key.
pub(crate) fn hash_of(key: &StoreKey) -> u64 {
    let mut hash = [0; 8];
    hash.copy_from_slice(&key[4..]);
    u64::from_be_bytes(hash)
}

/// Keys in one piece of memory.
pub type KeyList = Vec<StoreKey>;

/// Changes that belong together.
///
/// # Examples
/// ```
/// use eddyline_state::store::WriteBatch;
///
/// let mut batch = WriteBatch::default();
/// batch.put([0; 12], |out| out.extend_from_slice(b"value"));
/// batch.delete([1; 12]);
/// let changes: Vec<_> = batch.iter().map(|(key, value)| (key[0], value)).collect();
/// assert_eq!(changes, [(0, Some(&b"value"[..])), (1, None)]);
/// ```
#[derive(Debug, Default)]
pub struct WriteBatch {
    keys: KeyList,
    /// Where each value ends; deletions are marked.
    ends: Vec<(usize, bool)>,
    values: Vec<u8>,
}

impl WriteBatch {
    /// Sets the value of `key` to what `encode` appends.
    pub fn put(&mut self, key: StoreKey, encode: impl FnOnce(&mut Vec<u8>)) {
        self.keys.push(key);
        encode(&mut self.values);
        self.ends.push((self.values.len(), true));
    }

    /// Takes `key` out.
    pub fn delete(&mut self, key: StoreKey) {
        self.keys.push(key);
        self.ends.push((self.values.len(), false));
    }

    /// Keys and their new values, none for those that are taken out.
    pub fn iter(&self) -> impl Iterator<Item = (&StoreKey, Option<&[u8]>)> {
        let mut start = 0;
        self.keys.iter().zip(&self.ends).map(move |(key, (end, put))| {
            let value = &self.values[start..*end];
            start = *end;
            (key, put.then_some(value))
        })
    }

    /// Whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The number of changes.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The memory of the batch.
    pub fn memory_bytes(&self) -> usize {
        self.keys.capacity() * KEY_BYTES
            + self.ends.capacity() * size_of::<(usize, bool)>()
            + self.values.capacity()
    }
}

/// What is asked of a store.
#[derive(Debug)]
pub enum Request {
    /// What is under these keys? Answered by [`Answer::Read`].
    Read {
        /// The keys.
        keys: KeyList,
    },
    /// Change this. Answered by [`Answer::Written`].
    Write(WriteBatch),
    /// Keep what there is now readable as this snapshot. Not answered.
    Freeze {
        /// The number by which the snapshot is asked for.
        snapshot: u64,
    },
    /// What is under these keys in a snapshot? Answered by [`Answer::Frozen`].
    ReadFrozen {
        /// The snapshot.
        snapshot: u64,
        /// The keys.
        keys: KeyList,
    },
    /// What does a snapshot have from one key to another, in order? Answered by [`Answer::Frozen`].
    ScanFrozen {
        /// The snapshot.
        snapshot: u64,
        /// The first key.
        from: StoreKey,
        /// The last key.
        to: StoreKey,
        /// About how many bytes to answer at once.
        bytes_max: usize,
    },
    /// A snapshot is not needed any more. Not answered.
    Release {
        /// The snapshot.
        snapshot: u64,
    },
}

/// Values in one piece of memory.
#[derive(Debug, Default)]
pub struct Found {
    /// Where each value ends; nothing was found where the flag is not set.
    ends: Vec<(usize, bool)>,
    values: Vec<u8>,
}

impl Found {
    /// Adds what is under the next key.
    pub fn push(&mut self, value: Option<&[u8]>) {
        self.values.extend_from_slice(value.unwrap_or_default());
        self.ends.push((self.values.len(), value.is_some()));
    }

    /// What is under each key, in the order in which they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.ends.iter().map(move |(end, found)| {
            let value = &self.values[start..*end];
            start = *end;
            found.then_some(value)
        })
    }

    /// The bytes of all values.
    pub fn bytes(&self) -> usize {
        self.values.len()
    }
}

/// What a store answers.
#[derive(Debug)]
pub enum Answer {
    /// To [`Request::Read`]: what is under the keys, which come back with it.
    Read {
        /// The keys that were asked for.
        keys: KeyList,
        /// What is under each.
        found: Found,
    },
    /// To [`Request::Write`]: it is done.
    Written {
        /// How many changes that were.
        changes: usize,
        /// The memory that the batch occupied, bytes.
        bytes: usize,
    },
    /// To [`Request::ReadFrozen`] and [`Request::ScanFrozen`].
    Frozen {
        /// The values that there are.
        found: Found,
        /// The key to go on from, if that was not all.
        next: Option<StoreKey>,
    },
}
