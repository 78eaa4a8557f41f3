//! The connection that is handed out: a TCP socket, or TLS over one, that two threads may use at once.
//!
//! A [`MeshStream`] behaves as a `TcpStream` does: clones share the connection, one clone may read while another
//! writes, and neither waits for the other. For TLS that needs care, since reading and writing share one state:
//!
//! * The state is locked only to turn bytes into other bytes, never during a read or write of the socket.
//! * A reader holds the *incoming* lock, reads the socket, then locks the state to decrypt.
//! * A writer holds the *outgoing* lock, locks the state to encrypt, unlocks it, then writes the socket; the outgoing
//!   lock keeps the records of several writers in order.
//! * A reader never takes the outgoing lock. So however full both directions are, a reader can always go on, and with
//!   it the other side's writer. What TLS itself wants to say in answer to something read (a key update) is sent with
//!   the next write, as RFC 8446 § 4.6.3 allows.
//!
//! End of stream: the peer's `shutdown` (or drop of its last clone) reads as 0 bytes. A TLS connection that ends
//! without it is an error of kind `UnexpectedEof`: somebody cut it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::Connection;

/// How much plaintext one write encrypts, in bytes: four full TLS records.
const WRITE_LENGTH_MAX: usize = 64 << 10;

/// How much is read from the socket at once, in bytes.
const READ_LENGTH: usize = 64 << 10;

/// How long the last record ("I close") may wait for room in the socket.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// A proven connection to one process; clones share it.
pub struct MeshStream(Kind);

enum Kind {
    Plain(TcpStream),
    Tls(Arc<TlsLink>),
}

impl MeshStream {
    pub(crate) fn plain(socket: TcpStream) -> Self {
        MeshStream(Kind::Plain(socket))
    }

    pub(crate) fn tls(socket: TcpStream, connection: Connection) -> Self {
        MeshStream(Kind::Tls(Arc::new(TlsLink::new(socket, connection))))
    }

    /// Another handle of the same connection.
    ///
    /// # Errors
    /// Those of [`TcpStream::try_clone`].
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(MeshStream(match &self.0 {
            Kind::Plain(socket) => Kind::Plain(socket.try_clone()?),
            Kind::Tls(link) => Kind::Tls(link.clone()),
        }))
    }

    /// Ends one or both directions for all clones, as [`TcpStream::shutdown`]; `Write` waits for a write in progress,
    /// `Both` breaks it off.
    ///
    /// # Errors
    /// Those of [`TcpStream::shutdown`].
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match &self.0 {
            Kind::Plain(socket) => socket.shutdown(how),
            Kind::Tls(link) => link.shutdown(how),
        }
    }

    /// Lets reads and writes of all clones fail with `WouldBlock` instead of waiting. After a write under TLS, `flush`
    /// until it succeeds: bytes that were taken may still wait for room in the socket.
    ///
    /// # Errors
    /// Those of [`TcpStream::set_nonblocking`].
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket().set_nonblocking(nonblocking)
    }

    /// Limits how long a write may wait for room; the connection is of no use after a write has failed so.
    ///
    /// # Errors
    /// Those of [`TcpStream::set_write_timeout`].
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_write_timeout(timeout)
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// Those of [`TcpStream::peer_addr`].
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// Whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, Kind::Tls(_))
    }

    fn socket(&self) -> &TcpStream {
        match &self.0 {
            Kind::Plain(socket) => socket,
            Kind::Tls(link) => &link.socket,
        }
    }
}

impl std::fmt::Debug for MeshStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MeshStream").field("encrypted", &self.is_encrypted()).finish_non_exhaustive()
    }
}

impl Read for MeshStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.read(buffer),
            Kind::Tls(link) => link.read(buffer),
        }
    }
}

impl Write for MeshStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.write(bytes),
            Kind::Tls(link) => link.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(socket) => socket.flush(),
            Kind::Tls(link) => lock(&link.outgoing).drain_to(&link.socket),
        }
    }
}

/// TLS over a socket. Order of locks: incoming before connection, outgoing before connection, never both of the first.
struct TlsLink {
    socket: TcpStream,
    connection: Mutex<Connection>,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    read_is_shut: AtomicBool,
}

impl TlsLink {
    fn new(socket: TcpStream, mut connection: Connection) -> Self {
        // Writes are cut to WRITE_LENGTH_MAX and emptied at once, so TLS's own buffer needs no limit.
        connection.set_buffer_limit(None);
        TlsLink {
            socket,
            connection: Mutex::new(connection),
            incoming: Mutex::new(Incoming::new()),
            outgoing: Mutex::new(Outgoing::default()),
            read_is_shut: AtomicBool::new(false),
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut incoming = lock(&self.incoming);
        loop {
            if let Some(count) = incoming.decrypt(&mut lock(&self.connection), buffer)? {
                return Ok(count);
            }
            if self.read_is_shut.load(Ordering::Acquire) {
                return Ok(0);
            }
            let ended = incoming.refill(&self.socket)? == 0;
            // A shutdown by this side also ends the wait, and is no cut.
            if ended && self.read_is_shut.load(Ordering::Acquire) {
                return Ok(0);
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        outgoing.drain_to(&self.socket)?;
        let taken = {
            let mut connection = lock(&self.connection);
            let taken = connection.writer().write(&bytes[..bytes.len().min(WRITE_LENGTH_MAX)])?;
            outgoing.collect(&mut connection)?;
            taken
        };
        match outgoing.drain_to(&self.socket) {
            // The bytes are taken; the rest goes out with the next write or flush.
            Err(error) if taken > 0 && error.kind() == io::ErrorKind::WouldBlock => Ok(taken),
            Err(error) => Err(error),
            Ok(()) => Ok(taken),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match how {
            Shutdown::Read => {}
            Shutdown::Write => self.say_goodbye(&mut lock(&self.outgoing)),
            Shutdown::Both => {
                // A writer that waits for room holds the lock; then the goodbye is left out, and the writer fails.
                if let Ok(mut outgoing) = self.outgoing.try_lock() {
                    // Without a limit this could wait for a peer that never reads again.
                    self.socket.set_write_timeout(Some(CLOSE_TIMEOUT))?;
                    self.say_goodbye(&mut outgoing);
                }
            }
        }
        if how != Shutdown::Write {
            self.read_is_shut.store(true, Ordering::Release);
        }
        self.socket.shutdown(how)
    }

    /// Tells the peer that no more bytes follow; if it is gone already, nobody needs to know.
    fn say_goodbye(&self, outgoing: &mut Outgoing) {
        if outgoing.is_closed {
            return;
        }
        outgoing.is_closed = true;
        let mut connection = lock(&self.connection);
        connection.send_close_notify();
        let collected = outgoing.collect(&mut connection);
        drop(connection);
        if collected.is_ok() {
            let _ = outgoing.drain_to(&self.socket);
        }
    }
}

impl Drop for TlsLink {
    fn drop(&mut self) {
        // As with a TCP socket, dropping the last handle is a clean end, not a cut.
        if self.socket.set_write_timeout(Some(CLOSE_TIMEOUT)).is_ok() {
            self.say_goodbye(&mut lock(&self.outgoing));
        }
    }
}

/// Bytes read from the socket and not yet decrypted.
struct Incoming {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    has_ended: bool,
}

impl Incoming {
    fn new() -> Self {
        Incoming { bytes: vec![0; READ_LENGTH].into(), start: 0, end: 0, has_ended: false }
    }

    /// Decrypts into `buffer`; `None` if more bytes from the socket are needed.
    fn decrypt(&mut self, connection: &mut Connection, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done.map(Some),
            }
            if self.start == self.end && !self.has_ended {
                return Ok(None);
            }
            let mut rest = &self.bytes[self.start..self.end];
            let taken = connection.read_tls(&mut rest)?;
            self.start += taken;
            connection
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if taken == 0 && !self.has_ended {
                return Err(io::Error::other("invariant: TLS takes bytes while it has no plaintext"));
            }
        }
    }

    /// Waits for bytes from the socket; 0 at its end.
    fn refill(&mut self, mut socket: &TcpStream) -> io::Result<usize> {
        (self.start, self.end) = (0, 0);
        self.end = socket.read(&mut self.bytes)?;
        self.has_ended = self.end == 0;
        Ok(self.end)
    }
}

/// Encrypted bytes on their way to the socket.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    start: usize,
    is_closed: bool,
}

impl Outgoing {
    /// Takes over what TLS has to send.
    fn collect(&mut self, connection: &mut Connection) -> io::Result<()> {
        while connection.wants_write() {
            connection.write_tls(&mut self.bytes)?;
        }
        Ok(())
    }

    /// Writes everything to the socket, or keeps what did not fit.
    fn drain_to(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        while self.start < self.bytes.len() {
            match socket.write(&self.bytes[self.start..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.start += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.start = 0;
        Ok(())
    }
}

/// A panic elsewhere does not make the bytes wrong: each step leaves them whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
