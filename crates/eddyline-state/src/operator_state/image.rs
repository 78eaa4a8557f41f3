//! Snapshots of state that is encoded at once.

use crate::part::PartWriter;
use crate::restore::{RestoreSource, same_layout};
use crate::segment::{Chain, Removals};
use crate::table::{not_written, nothing_frozen};
use eddyline_core::{DecodeError, Error, KeyGroup, Result};
use eddyline_protocol::{SegmentKind, StateDescriptor, StateManifest};
use std::collections::VecDeque;

/// The snapshots in flight of one instance's state.
pub(super) struct Images {
    instance: KeyGroup,
    changed: bool,
    chain: Chain,
    in_flight: VecDeque<Image>,
}

enum Image {
    /// Nothing changed: the segment of before is referenced.
    Same,
    Bytes {
        bytes: Vec<u8>,
        entries: u64,
    },
    Written,
}

impl Images {
    pub(super) fn new(instance: KeyGroup) -> Self {
        Images { instance, changed: true, chain: Chain::default(), in_flight: VecDeque::new() }
    }

    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    pub(super) fn freeze(&mut self, full: bool, encode: impl FnOnce(&mut Vec<u8>) -> u64) {
        if !full && !self.changed {
            self.in_flight.push_back(Image::Same);
            return;
        }
        self.changed = false;
        let mut bytes = Vec::new();
        Removals::default().encode(&mut bytes);
        let entries = encode(&mut bytes);
        self.in_flight.push_back(Image::Bytes { bytes, entries });
    }

    pub(super) fn write(&mut self, part: &mut PartWriter) -> Result<bool> {
        let front = self.in_flight.front_mut().ok_or_else(nothing_frozen)?;
        match std::mem::replace(front, Image::Written) {
            Image::Same | Image::Written => {}
            Image::Bytes { entries: 0, .. } => self.chain.clear(),
            Image::Bytes { bytes, entries } => {
                part.begin_segment()?;
                part.append(|out| out.extend_from_slice(&bytes));
                self.chain.push(part.end_segment(SegmentKind::Base, entries)?);
            }
        }
        Ok(true)
    }

    pub(super) fn manifest(&mut self, descriptor: StateDescriptor) -> Result<StateManifest> {
        match self.in_flight.front() {
            None => Err(nothing_frozen()),
            Some(Image::Written) => {
                self.in_flight.pop_front();
                Ok(StateManifest {
                    descriptor,
                    chains: self.chain.manifest(self.instance).into_iter().collect(),
                })
            }
            Some(_) => Err(not_written()),
        }
    }

    pub(super) fn abandon(&mut self) {
        self.in_flight.clear();
        self.chain.clear();
        self.changed = true;
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let bytes = |image: &Image| if let Image::Bytes { bytes, .. } = image { bytes.capacity() } else { 0 };
        self.in_flight.iter().map(bytes).sum()
    }
}

/// The chains of all writers, one a state, in the order of the instances that wrote them: every reader must see the
/// same order.
pub(super) fn in_order_of_writers(states: Vec<StateManifest>) -> Vec<StateManifest> {
    let mut single: Vec<StateManifest> = states
        .into_iter()
        .flat_map(|StateManifest { descriptor, chains }| {
            chains
                .into_iter()
                .map(move |chain| StateManifest { descriptor: descriptor.clone(), chains: vec![chain] })
        })
        .collect();
    single.sort_by_key(|state| state.chains[0].group);
    single
}

/// Tells an error of evolution from one of damage.
pub(super) fn explain(
    source: &RestoreSource,
    written: &StateDescriptor,
    wanted: &StateDescriptor,
    error: Error,
) -> Error {
    if same_layout(&written.key, &wanted.key) && same_layout(&written.value, &wanted.value) {
        return error;
    }
    source.unmappable(written, wanted, &DecodeError::new(error.message().to_string()))
}
