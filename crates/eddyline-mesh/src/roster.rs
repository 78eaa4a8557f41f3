//! Who may join, and who has: each process index once per attempt.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use eddyline_core::Result;

use crate::handshake::{Identity, Objection, Role};
use crate::wire::Refusal;

/// The places of an attempt, as the accepting side sees them.
#[derive(Debug)]
pub(crate) struct Roster {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    identity: Identity,
    role: Role,
    admitted: Range<u32>,
    taken: BTreeSet<(u64, u32)>,
}

impl Roster {
    /// A roster of the side `identity` that admits peers of `role` with indices in `admitted`.
    pub(crate) fn new(identity: Identity, role: Role, admitted: Range<u32>) -> Arc<Self> {
        Arc::new(Roster { inner: Mutex::new(Inner { identity, role, admitted, taken: BTreeSet::new() }) })
    }

    /// Who this side is at present.
    pub(crate) fn identity(&self) -> Identity {
        self.lock().identity.clone()
    }

    /// Goes on to another attempt, of `processes` processes, all of which are admitted.
    pub(crate) fn set_attempt(&self, attempt: u64, processes: u32) -> Result<()> {
        let mut inner = self.lock();
        let identity = Identity { attempt, processes, ..inner.identity.clone() };
        identity.check()?;
        inner.identity = identity;
        inner.admitted = 0..processes;
        Ok(())
    }

    /// Judges a proven peer and holds its place until the returned value is dropped.
    pub(crate) fn admit(self: &Arc<Self>, peer: &Identity) -> Result<Place, Objection> {
        let mut inner = self.lock();
        if peer.role != inner.role {
            let detail = format!("it is a {:?}, expected here is a {:?}", peer.role, inner.role);
            return Err(Objection::new(Refusal::WrongRole, detail));
        }
        inner.identity.compare(peer)?;
        if !inner.admitted.contains(&peer.process) {
            let detail = format!("process {} does not connect to {}", peer.process, inner.identity);
            return Err(Objection::new(Refusal::WrongProcess, detail));
        }
        let place = (peer.attempt, peer.process);
        if !inner.taken.insert(place) {
            let detail = format!("another one is process {} already", peer.process);
            return Err(Objection::new(Refusal::Duplicate, detail));
        }
        Ok(Place { roster: self.clone(), place })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process index that is taken; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    roster: Arc<Roster>,
    place: (u64, u32),
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roster.lock().taken.remove(&self.place);
    }
}
