//! From a TCP connection to a proven one: TLS if it applies, then the handshake, all by one deadline.
//!
//! Whether there is TLS follows from each side's own mode and addresses. When the two sides do not agree, they say so
//! in plain handshake frames: these and TLS records differ in their first byte, at which each side looks first.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use eddyline_core::Result;
use rustls::Connection;

use crate::deadline::{Deadline, DeadlineSocket};
use crate::handshake::{Binding, Failure, Identity, Objection, Party, initiate, respond};
use crate::secret::Secret;
use crate::stream::MeshStream;
use crate::tls::{TlsKeys, TlsMode, exporter};
use crate::wire::{MAGIC, Message, Refusal, read_message, write_message};

/// How long one handshake may take in all.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a refused peer is given to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// How many bytes of a refused peer are thrown away so that it can read why; then the connection is cut.
const REFUSAL_DRAIN_LENGTH_MAX: u64 = 64 << 10;

/// The first byte of a TLS handshake record.
const TLS_RECORD: u8 = 0x16;

/// What all connections of one endpoint have in common.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) secret: Secret,
    mode: TlsMode,
    keys: TlsKeys,
    handshake_timeout: Duration,
}

impl Terms {
    /// Terms with a fresh TLS key; no handshake takes longer than `timeout` or [`HANDSHAKE_TIMEOUT`].
    pub(crate) fn new(secret: Secret, mode: TlsMode, timeout: Duration) -> Result<Self> {
        Ok(Terms {
            secret,
            mode,
            keys: TlsKeys::generate()?,
            handshake_timeout: timeout.min(HANDSHAKE_TIMEOUT),
        })
    }

    fn uses_tls(&self, socket: &TcpStream) -> io::Result<bool> {
        Ok(self.mode.applies(socket.local_addr()?, socket.peer_addr()?))
    }
}

/// Opens the channel on a connection this side has made; `accept` judges who is at the other end.
pub(crate) fn open_connecting(
    socket: TcpStream,
    terms: &Terms,
    identity: &Identity,
    accept: impl FnOnce(&Identity) -> Result<(), Objection>,
) -> Result<(MeshStream, Identity), Failure> {
    socket.set_nodelay(true)?;
    let mut line = Line::new(&socket, Deadline::after(terms.handshake_timeout));
    let result = connect_tls(&mut line, terms)
        .and_then(|binding| initiate(&mut line, &Party { secret: &terms.secret, identity, binding }, accept));
    let tls = line.finish(result.as_ref().err());
    let peer = result?;
    Ok((hand_out(socket, tls)?, peer))
}

/// Opens the channel on a connection this side has accepted; `admit` judges who is at the other end.
pub(crate) fn open_accepting<T>(
    socket: TcpStream,
    terms: &Terms,
    identity: &Identity,
    admit: impl FnOnce(&Identity) -> Result<T, Objection>,
) -> Result<(MeshStream, Identity, T), Failure> {
    socket.set_nodelay(true)?;
    let mut line = Line::new(&socket, Deadline::after(terms.handshake_timeout));
    let result = accept_tls(&mut line, terms)
        .and_then(|binding| respond(&mut line, &Party { secret: &terms.secret, identity, binding }, admit));
    let tls = line.finish(result.as_ref().err());
    let (peer, place) = result?;
    Ok((hand_out(socket, tls)?, peer, place))
}

/// Tells a peer that there is no room for it now, without waiting for anything.
pub(crate) fn turn_away(mut socket: &TcpStream) {
    let _ = socket.set_nonblocking(true);
    let _ = socket.write(&Message::Refuse(Refusal::Busy).encode());
    let _ = socket.shutdown(Shutdown::Write);
}

fn hand_out(socket: TcpStream, tls: Option<Connection>) -> Result<MeshStream, Failure> {
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(None)?;
    Ok(match tls {
        Some(connection) => MeshStream::tls(socket, connection),
        None => MeshStream::plain(socket),
    })
}

fn connect_tls(line: &mut Line<'_>, terms: &Terms) -> Result<Binding, Failure> {
    if !terms.uses_tls(line.socket)? {
        return Ok(None);
    }
    let mut tls = terms.keys.connecting().map_err(Failure::Local)?;
    while tls.wants_write() {
        tls.write_tls(&mut line.raw)?;
    }
    if line.raw.peek_byte()? == Some(MAGIC[0]) {
        return match read_message(&mut line.raw)? {
            Message::Refuse(code) => Err(Failure::Refused(code)),
            _ => Err(Failure::Objected(Objection::new(Refusal::TlsRequired, "it answers without TLS"))),
        };
    }
    line.start_tls(tls)
}

fn accept_tls(line: &mut Line<'_>, terms: &Terms) -> Result<Binding, Failure> {
    let first = line.raw.peek_byte()?;
    match (terms.uses_tls(line.socket)?, first) {
        (_, None) => Err(Failure::Io(io::ErrorKind::UnexpectedEof.into())),
        (true, Some(TLS_RECORD)) => {
            let tls = terms.keys.accepting().map_err(Failure::Local)?;
            line.start_tls(tls)
        }
        (false, Some(TLS_RECORD)) => {
            let detail = "it starts TLS, this process does not use it here";
            Err(Failure::Objected(Objection::new(Refusal::TlsUnexpected, detail)))
        }
        (true, Some(_)) => {
            let detail = "it does not start TLS, this process requires it here";
            Err(Failure::Objected(Objection::new(Refusal::TlsRequired, detail)))
        }
        // If it is no frame, reading it will say so.
        (false, Some(_)) => Ok(None),
    }
}

/// The bytes of the handshake: through TLS once that has started.
struct Line<'a> {
    socket: &'a TcpStream,
    raw: DeadlineSocket<'a>,
    tls: Option<Connection>,
}

impl<'a> Line<'a> {
    fn new(socket: &'a TcpStream, deadline: Deadline) -> Self {
        Line { socket, raw: DeadlineSocket::new(socket, deadline), tls: None }
    }

    /// Finishes the TLS handshake and gives the value that stands for this connection.
    fn start_tls(&mut self, mut tls: Connection) -> Result<Binding, Failure> {
        while tls.is_handshaking() {
            tls.complete_io(&mut self.raw)?;
        }
        let binding = exporter(&tls).map_err(Failure::Local)?;
        self.tls = Some(tls);
        Ok(binding)
    }

    /// Ends the handshake: on success gives back TLS; otherwise lets the peer read why, and cuts the connection.
    fn finish(mut self, failure: Option<&Failure>) -> Option<Connection> {
        if let Some(failure) = failure {
            if let Failure::Objected(objection) = failure {
                self.raw = DeadlineSocket::new(self.socket, Deadline::after(REFUSAL_TIMEOUT));
                // Nothing depends on the peer hearing it: it is refused all the same.
                let _ = refuse(self, objection.code);
            } else {
                let _ = self.socket.shutdown(Shutdown::Both);
            }
            return None;
        }
        self.tls
    }
}

/// Says why, then reads on until the peer has closed: closing over unread bytes would take back what was said.
fn refuse(mut line: Line<'_>, code: Refusal) -> io::Result<()> {
    write_message(&mut line, &Message::Refuse(code))?;
    if let Some(tls) = &mut line.tls {
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut line.raw)?;
        }
    }
    line.socket.shutdown(Shutdown::Write)?;
    io::copy(&mut line.raw.take(REFUSAL_DRAIN_LENGTH_MAX), &mut io::sink())?;
    line.socket.shutdown(Shutdown::Both)
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.raw.read(buffer) };
        while tls.wants_read() {
            if tls.complete_io(&mut self.raw)?.0 == 0 {
                break;
            }
        }
        tls.reader().read(buffer)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.raw.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.raw)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
