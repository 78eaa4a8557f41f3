//! Timely's TCP allocators, on sockets that carry nothing.
//!
//! Each allocator brings a thread per peer and direction that waits at its socket. Here these threads sleep until
//! the cluster is dropped; the bytes go through the spill policies of the queues instead, in the thread that steps
//! the workers.

use super::network::{Network, Untouched};
use eddyline_core::{Error, Result};
use std::io;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::bytes_slab::BytesRefill;
use timely::communication::allocator::zero_copy::initialize::{
    CommsGuard, initialize_networking_from_sockets,
};
use timely::communication::allocator::zero_copy::spill::{SpillPolicy, SpillPolicyFn};
use timely::communication::allocator::zero_copy::stream::Stream;
use timely::communication::allocator::{Allocator, ProcessBuilder};

/// How Timely calls the thread that sends to a process; the number follows.
const SENDER_THREAD: &str = "timely:send-";
/// Bytes of the header with which a peer says that nothing follows.
const HEADER_BYTES: usize = 48;

/// Opened once, when the run is over.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
}

/// A socket that carries nothing.
#[derive(Clone)]
struct SilentSocket {
    gate: Arc<Gate>,
    read: usize,
}

impl io::Read for SilentSocket {
    /// Waits for the end, then gives one empty header, which is how a peer leaves cleanly.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.gate.wait();
        let count = (HEADER_BYTES - self.read).min(buffer.len());
        buffer[..count].fill(0);
        self.read += count;
        Ok(count)
    }
}

impl io::Write for SilentSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gate.wait();
        Ok(())
    }
}

impl Stream for SilentSocket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(self.clone())
    }

    fn set_nonblocking(&self, _nonblocking: bool) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _how: std::net::Shutdown) -> io::Result<()> {
        Ok(())
    }
}

/// The sleeping threads; joined when this is dropped, which must be after the workers.
pub(super) struct Fabric {
    gate: Arc<Gate>,
    guards: Vec<CommsGuard>,
}

impl Drop for Fabric {
    fn drop(&mut self) {
        self.gate.open();
        self.guards.clear();
    }
}

/// The allocators of `processes` processes of one worker each, connected by `network`.
pub(super) fn weave(processes: usize, network: &Network) -> Result<(Vec<Allocator>, Fabric)> {
    let mut fabric = Fabric { gate: Arc::default(), guards: Vec::new() };
    let mut allocators = Vec::new();
    for process in 0..processes {
        let hooks =
            Hooks { refill: small_slabs(), spill: Some(policies(process, network)), ..Hooks::default() };
        let socket = || SilentSocket { gate: fabric.gate.clone(), read: 0 };
        let sockets = (0..processes).map(|peer| (peer != process).then(socket)).collect();
        let local = ProcessBuilder::new_typed_vector(1, hooks.refill.clone(), None);
        let (builders, guard) = initialize_networking_from_sockets(local, sockets, process, 1, hooks)
            .map_err(|error| Error::internal(format!("cannot simulate process {process}: {error}")))?;
        fabric.guards.push(guard);
        allocators.extend(builders.into_iter().map(|builder| Allocator::Tcp(builder.build())));
    }
    Ok((allocators, fabric))
}

/// Which end of which link a queue is, Timely does not say: sending queues are made in the sender's thread, which
/// has the peer's number in its name, receiving queues by the worker, in the order of the peers.
fn policies(process: usize, network: &Network) -> SpillPolicyFn {
    let network = network.clone();
    let receivers = AtomicUsize::new(0);
    Arc::new(move || -> (Box<dyn SpillPolicy>, Box<dyn SpillPolicy>) {
        let thread = std::thread::current();
        let peer = thread
            .name()
            .and_then(|name| name.strip_prefix(SENDER_THREAD))
            .and_then(|peer| peer.parse().ok());
        match peer {
            Some(peer) => (network.sending(process, peer), Box::new(Untouched)),
            None => {
                let number = receivers.fetch_add(1, Ordering::Relaxed);
                let peer = if number >= process { number + 1 } else { number };
                (Box::new(Untouched), network.receiving(peer, process))
            }
        }
    })
}

/// Memory as it is needed: thousands of clusters are made in a simulation, and most send little.
fn small_slabs() -> BytesRefill {
    let logic = |size: usize| -> Box<dyn DerefMut<Target = [u8]> + Send> { Box::new(vec![0u8; size]) };
    BytesRefill { logic: Arc::new(logic), limit: Some(1) }
}
