//! Writing an object piece by piece: small ones at once, large ones in parts, a few of them on their way at a time.

use super::RemoteObjects;
use eddyline_core::{Error, Result};
use eddyline_state::ObjectWriter;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

/// Bytes in a part; S3 wants at least 5 MiB and at most 10,000 parts, which makes objects of 80 GB.
const PART_BYTES: usize = 8 << 20;
/// Parts that are on their way at the same time: with the one that is filled, what a writer keeps in memory.
const PARTS_AT_ONCE: usize = 4;

/// An object that is being written.
pub(super) struct Upload {
    objects: RemoteObjects,
    name: String,
    buffer: Vec<u8>,
    /// None as long as all fits into the buffer.
    parts: Option<Parts>,
}

struct Parts {
    upload: Box<dyn MultipartUpload>,
    on_their_way: JoinSet<object_store::Result<()>>,
}

impl Upload {
    pub(super) fn new(objects: RemoteObjects, name: &str) -> Self {
        Upload { objects, name: name.to_owned(), buffer: Vec::new(), parts: None }
    }

    /// Sends what is in the buffer as a part.
    fn send_part(&mut self) -> Result<()> {
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let path = self.objects.path(&self.name);
                let begun = self.objects.store.put_multipart(&path);
                let upload = self.objects.wait("write", &self.name, begun)?;
                Parts { upload, on_their_way: JoinSet::new() }
            }
        };
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES));
        let part = parts.upload.put_part(PutPayload::from(bytes));
        parts.on_their_way.spawn_on(part, &self.objects.io);
        let parts = self.parts.insert(parts);
        let most = PARTS_AT_ONCE;
        self.objects.wait("write", &self.name, arrived(&mut parts.on_their_way, most))
    }

    fn finish_parts(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        self.objects.wait("write", &self.name, arrived(&mut parts.on_their_way, 0))?;
        self.objects.wait("write", &self.name, parts.upload.complete())?;
        self.parts = None;
        Ok(())
    }
}

/// Returns when at most `most` parts are still on their way.
async fn arrived(parts: &mut JoinSet<object_store::Result<()>>, most: usize) -> object_store::Result<()> {
    while parts.len() > most {
        if let Some(outcome) = parts.join_next().await {
            outcome.map_err(|source| object_store::Error::JoinError { source })??;
        }
    }
    Ok(())
}

impl ObjectWriter for Upload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PART_BYTES - self.buffer.len();
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
            if self.buffer.len() == PART_BYTES {
                self.send_part()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.parts.is_some() {
            return self.finish_parts();
        }
        if self.objects.put(&self.name, &self.buffer)? {
            return Ok(());
        }
        Err(Error::storage("an object exists already")
            .with_detail(self.objects.problems.locate(&self.name))
            .with_hint("two workers or attempts have the same number: start the job once only"))
    }
}

impl Drop for Upload {
    /// Parts of an upload that is given up cost money until somebody says so.
    fn drop(&mut self) {
        if let Some(mut parts) = self.parts.take() {
            self.objects.io.spawn(async move {
                parts.on_their_way.shutdown().await;
                // Whoever cannot be told has a rule for uploads that were left behind.
                let _ = parts.upload.abort().await;
            });
        }
    }
}
