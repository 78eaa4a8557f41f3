//! The errors of a restore: what does not fit, whose it is, and what can be done.

use super::describe;
use eddyline_core::{DecodeError, Error};
use eddyline_protocol::{SegmentChain, SegmentRef, StateDescriptor};

/// The error for a state that the reader's types cannot take.
pub(crate) fn unmappable(
    uid: &str,
    written: &StateDescriptor,
    wanted: &StateDescriptor,
    error: &DecodeError,
) -> Error {
    wrong_shape(uid, wanted).with_detail(format!(
        "{error}; written as {} → {}, read as {} → {}",
        describe(&written.key),
        describe(&written.value),
        describe(&wanted.key),
        describe(&wanted.value)
    ))
}

/// The error for two keys that became one.
pub(crate) fn keys_merged(uid: &str, wanted: &StateDescriptor) -> Error {
    wrong_shape(uid, wanted).with_detail(format!(
        "two keys of the checkpoint become the same key when read as {}",
        describe(&wanted.key)
    ))
}

/// The error for a state of another kind.
pub(crate) fn wrong_kind(uid: &str, written: &StateDescriptor, wanted: &StateDescriptor) -> Error {
    wrong_shape(uid, wanted).with_detail(format!("written as {:?}, read as {:?}", written.kind, wanted.kind))
}

fn wrong_shape(uid: &str, wanted: &StateDescriptor) -> Error {
    Error::state(format!(
        "state `{}` of operator `{uid}` cannot be read: it was written with another shape",
        wanted.name
    ))
    .with_hint(format!(
        "make new fields optional, give renamed fields an alias, only widen numbers; or say how old values become new \
         ones (`migrate_from`); or give the state another name to start it empty; or drop all state of the operator \
         (execution.state-recovery.drop-state: {uid}); or run the program that wrote the checkpoint"
    ))
}

/// The error for a chain that does not begin with a base.
pub(super) fn headless(uid: &str, descriptor: &StateDescriptor, chain: &SegmentChain) -> Error {
    Error::state("the checkpoint is damaged: a chain of segments has no beginning")
        .with_detail(format!("operator `{uid}`, state `{}`, key group {}", descriptor.name, chain.group))
        .with_hint("restore from an older checkpoint")
}

/// The error for bytes that are none of their schema.
pub(super) fn undecodable(
    uid: &str,
    descriptor: &StateDescriptor,
    segment: &SegmentRef,
    error: &DecodeError,
) -> Error {
    Error::state(format!("state `{}` of operator `{uid}` cannot be decoded: {error}", descriptor.name))
        .with_detail(format!(
            "{} at byte {}, read as {} → {}",
            segment.file,
            segment.offset,
            describe(&descriptor.key),
            describe(&descriptor.value)
        ))
        .with_hint(
            "make sure that the types did not change without their schema, or restore an older checkpoint",
        )
}
