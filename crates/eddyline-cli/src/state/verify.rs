//! `eddyline state verify`.

use super::progress::Progress;
use super::text::{Output, size};
use clap::Args;
use eddyline_core::Result;
use eddyline_state_tools::{Listing, open};

/// What `eddyline state verify` is told.
#[derive(Args)]
pub struct VerifyArguments {
    /// A checkpoint's directory, the directory of a job (its newest checkpoint), or one with a single job in it.
    path: String,
}

pub fn run(arguments: &VerifyArguments) -> Result<()> {
    let opened = open(&arguments.path)?;
    let listing = Listing::of(&opened.reader)?;
    let mut progress = Progress::new("checked", listing.bytes);
    opened.reader.verify(&mut |bytes| progress.add(bytes))?;
    drop(progress);
    let mut out = Output::new();
    let (job, checkpoint, states) = (&listing.job, listing.checkpoint, listing.states.len());
    let bytes = size(listing.bytes);
    out.line(&format!("checkpoint {checkpoint} of job {job} is whole: {states} states, {bytes}"))?;
    out.end()
}
