//! The content of `COMPLETE`: a line of JSON and a line with its checksum.

use eddyline_core::{Error, Result};
use eddyline_protocol::{CheckpointId, MANIFEST_FORMAT, MANIFEST_FORMAT_OLDEST, Manifest};
use serde::Deserialize;

const CHECKSUM_PREFIX: &str = "crc32:";

/// What is read before anything else: whether the rest can be understood.
#[derive(Deserialize)]
struct Preamble {
    format: u32,
}

pub(super) fn encode(manifest: &Manifest) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(manifest)
        .map_err(|error| Error::internal(format!("cannot write a manifest as JSON: {error}")))?;
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(format!("\n{CHECKSUM_PREFIX}{checksum:08x}\n").as_bytes());
    Ok(bytes)
}

fn damaged(what: &str, place: &str) -> Error {
    Error::state(format!("the checkpoint is damaged: its manifest {what}"))
        .with_detail(place)
        .with_hint("restore from an older checkpoint")
}

/// Reads a manifest, whosever it is. `place` is where it was found, for messages.
pub(super) fn decode(bytes: &[u8], place: &str) -> Result<Manifest> {
    let damaged = |what: &str| damaged(what, place);
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("is not text"))?;
    let (json, checksum) = text
        .strip_suffix('\n')
        .and_then(|text| text.rsplit_once('\n'))
        .and_then(|(json, last)| Some((json, last.strip_prefix(CHECKSUM_PREFIX)?)))
        .ok_or_else(|| damaged("is cut off"))?;
    if format!("{:08x}", crc32fast::hash(json.as_bytes())) != checksum {
        return Err(damaged("does not have its checksum"));
    }
    let preamble: Preamble =
        serde_json::from_str(json).map_err(|error| damaged(&format!("is no manifest: {error}")))?;
    if !(MANIFEST_FORMAT_OLDEST..=MANIFEST_FORMAT).contains(&preamble.format) {
        return Err(Error::state(format!(
            "the checkpoint has format {}, which is unknown here",
            preamble.format
        ))
        .with_detail(format!(
            "{place}; this version reads formats {MANIFEST_FORMAT_OLDEST} to {MANIFEST_FORMAT}"
        ))
        .with_hint("restore it with the version of Eddyline that wrote it, or a newer one"));
    }
    serde_json::from_str(json).map_err(|error| damaged(&format!("is no manifest: {error}")))
}

/// Checks that a manifest is the one that was looked for.
pub(super) fn check(
    manifest: Manifest,
    place: &str,
    job: &str,
    checkpoint: CheckpointId,
) -> Result<Manifest> {
    if manifest.job != job {
        return Err(Error::state(format!(
            "the checkpoint belongs to job `{}`, not to job `{job}`",
            manifest.job
        ))
        .with_detail(place)
        .with_hint("give the checkpoint directory of this job, or run the job under the other name"));
    }
    if manifest.checkpoint != checkpoint {
        return Err(damaged(&format!("is that of checkpoint {}", manifest.checkpoint), place));
    }
    Ok(manifest)
}
