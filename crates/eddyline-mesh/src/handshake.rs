//! Mutual proof that both sides know the secret and mean the same job attempt.
//!
//! Five messages; `I` opened the connection, `A` accepted it:
//!
//! ```text
//! I → A  Hello  version, nonce (32 fresh random bytes)
//! A → I  Hello  version, nonce (32 fresh random bytes)
//! I → A  Claim  identity of I, HMAC-SHA256(secret, transcript so far ‖ identity of I ‖ "initiator" ‖ channel)
//! A → I  Claim  identity of A, HMAC-SHA256(secret, transcript so far ‖ identity of A ‖ "acceptor"  ‖ channel)
//! I → A  Done
//! ```
//!
//! Instead of any of its messages a side may say `Refuse` with a reason and close. *Channel* is the TLS exporter of
//! the connection (see [`crate::tls`]), or the word that there is no TLS.
//!
//! Why this holds: each proof covers the nonce that its verifier has just made, so recorded bytes prove nothing later;
//! it covers the sender's part, so a proof cannot be sent back to its maker; it covers the channel, so it cannot be
//! carried over to another connection. Proofs are compared in constant time. Until the initiator has proven itself the
//! acceptor tells nothing of its job, attempt or index: a stranger learns only that its proof is not valid. `Done` is
//! there so that the acceptor, too, knows that it was accepted before it counts the connection.

use std::fmt;
use std::io::{self, Read, Write};

use eddyline_core::{Error, ErrorKind, Result};
use ring::hmac;

use crate::secret::{Secret, random_bytes};
use crate::wire::{
    JOB_LENGTH_MAX, Message, PROTOCOL_VERSION, Refusal, encode_identity, read_message, write_message,
};

/// What a peer is to the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// An end of a data connection between two processes.
    Mesh = 1,
    /// The supervisor's end of a control connection.
    Supervisor = 2,
    /// A worker process's end of a control connection.
    Worker = 3,
}

impl Role {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Role::Mesh, Role::Supervisor, Role::Worker].into_iter().find(|role| *role as u8 == code)
    }
}

/// Who one end of a connection is; proven by the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The id of the job.
    pub job: String,
    /// The number of the attempt; a later attempt has a greater number.
    pub attempt: u64,
    /// What this end is.
    pub role: Role,
    /// The index of the process, below `processes`; 0 for a supervisor.
    pub process: u32,
    /// How many processes the attempt has.
    pub processes: u32,
}

impl Identity {
    /// Checks what was configured, before anything is sent.
    pub(crate) fn check(&self) -> Result<()> {
        if self.job.is_empty() || self.job.len() > JOB_LENGTH_MAX {
            return Err(Error::config(format!("a job id must have 1 to {JOB_LENGTH_MAX} bytes"))
                .with_detail(format!("this one has {}", self.job.len())));
        }
        if self.process >= self.processes {
            return Err(Error::config("the process index is not below the number of processes")
                .with_detail(format!("process {} of {}", self.process, self.processes))
                .with_hint("processes are numbered from 0"));
        }
        Ok(())
    }

    /// What everyone of this attempt must share with `self`.
    pub(crate) fn compare(&self, peer: &Identity) -> Result<(), Objection> {
        if peer.job != self.job {
            let detail = format!("it is of job {:?}, this process of job {:?}", peer.job, self.job);
            return Err(Objection::new(Refusal::WrongJob, detail));
        }
        if peer.attempt != self.attempt {
            let code = if peer.attempt < self.attempt { Refusal::AttemptOld } else { Refusal::AttemptNew };
            let detail =
                format!("it is of attempt {}, this process of attempt {}", peer.attempt, self.attempt);
            return Err(Objection::new(code, detail));
        }
        if peer.processes != self.processes || peer.process >= peer.processes {
            let detail = format!(
                "it is process {} of {}, this attempt has {} processes",
                peer.process, peer.processes, self.processes
            );
            return Err(Objection::new(Refusal::WrongProcess, detail));
        }
        Ok(())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Mesh => write!(formatter, "process {}", self.process)?,
            Role::Worker => write!(formatter, "worker process {}", self.process)?,
            Role::Supervisor => formatter.write_str("supervisor")?,
        }
        write!(formatter, " of job {}, attempt {}", self.job, self.attempt)
    }
}

/// Why this side refuses the other: the code is told, the detail stays here.
#[derive(Debug)]
pub(crate) struct Objection {
    pub(crate) code: Refusal,
    pub(crate) detail: String,
}

impl Objection {
    pub(crate) fn new(code: Refusal, detail: impl Into<String>) -> Self {
        Objection { code, detail: detail.into() }
    }
}

/// How a handshake can fail.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The connection broke, or the peer was too slow.
    Io(io::Error),
    /// This side refuses the peer.
    Objected(Objection),
    /// The peer refuses this side.
    Refused(Refusal),
    /// This machine failed.
    Local(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => {
                Failure::Objected(Objection::new(Refusal::Malformed, error.to_string()))
            }
            _ => Failure::Io(error),
        }
    }
}

impl Failure {
    /// Whether another try may succeed without anybody changing the configuration.
    pub(crate) fn is_transient(&self) -> bool {
        // The peer says "too new" while it still belongs to the attempt before this one.
        matches!(self, Failure::Io(_) | Failure::Refused(Refusal::AttemptNew | Refusal::Busy))
    }

    /// The error for people; `peer` says which connection.
    pub(crate) fn into_error(self, peer: &str) -> Error {
        match self {
            Failure::Local(error) => error.with_detail(peer),
            Failure::Io(error) => {
                let message = match error.kind() {
                    io::ErrorKind::TimedOut => "the peer did not finish the handshake in time",
                    io::ErrorKind::UnexpectedEof => "the peer closed the connection during the handshake",
                    _ => "the connection broke during the handshake",
                };
                Error::network(message).with_detail(format!("{peer}: {error}"))
            }
            Failure::Objected(objection) => {
                let (kind, text, hint) = explain(objection.code, Side::Here);
                Error::new(kind, text).with_detail(format!("{peer}: {}", objection.detail)).with_hint(hint)
            }
            Failure::Refused(code) => {
                let (kind, text, hint) = explain(code, Side::There);
                Error::new(kind, text).with_detail(peer).with_hint(hint)
            }
        }
    }
}

/// Who refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    There,
}

/// Kind, message and hint of a refusal, as the side that refused or as the one that was refused.
fn explain(code: Refusal, side: Side) -> (ErrorKind, String, &'static str) {
    let subject = if side == Side::Here { "refused a peer" } else { "refused by the peer" };
    let network = ErrorKind::Network;
    let (kind, reason, hint) = match code {
        Refusal::Malformed => {
            (network, "not an Eddyline handshake", "check that the address is that of an Eddyline process")
        }
        Refusal::Version => {
            (network, "protocol versions differ", "run the same version of Eddyline everywhere")
        }
        Refusal::NotProven => (
            network,
            "the proof of the shared secret is not valid",
            "give all processes the same secret; if they have it, somebody is between them",
        ),
        Refusal::WrongJob => {
            (network, "the job ids differ", "check the addresses: another job listens on one")
        }
        Refusal::AttemptOld => match side {
            Side::Here => (network, "its attempt is over", "nothing to do: that process will end"),
            Side::There => {
                (ErrorKind::Cancelled, "this attempt is over", "nothing to do: a newer attempt runs")
            }
        },
        Refusal::AttemptNew => (
            network,
            "the attempts differ: the connecting one is newer",
            "wait until the older attempt has ended",
        ),
        Refusal::WrongRole => {
            (network, "the roles do not fit", "check the addresses: data and control ports are different")
        }
        Refusal::WrongProcess => (
            network,
            "the process index does not fit",
            "give all processes the same list of addresses and each its own place in it",
        ),
        Refusal::Duplicate => (
            network,
            "the process index is taken",
            "give each process its own index, and start each only once",
        ),
        Refusal::TlsRequired => (network, "TLS is required", "use the same TLS mode everywhere"),
        Refusal::TlsUnexpected => (network, "TLS is not expected", "use the same TLS mode everywhere"),
        Refusal::Busy => (network, "too many unfinished handshakes", "try again"),
    };
    (kind, format!("{subject}: {reason}"), hint)
}

/// The keying material of the TLS connection underneath; `None` without TLS.
pub(crate) type Binding = Option<[u8; 32]>;

/// What one side brings to the handshake.
pub(crate) struct Party<'a> {
    pub(crate) secret: &'a Secret,
    pub(crate) identity: &'a Identity,
    pub(crate) binding: Binding,
}

/// Runs the initiator's side; `accept` judges the proven identity of the acceptor.
pub(crate) fn initiate<S: Read + Write>(
    stream: &mut S,
    party: &Party<'_>,
    accept: impl FnOnce(&Identity) -> Result<(), Objection>,
) -> Result<Identity, Failure> {
    let key = party.secret.key();
    let hello = Message::Hello { version: PROTOCOL_VERSION, nonce: random_bytes().map_err(Failure::Local)? };
    write_message(stream, &hello)?;
    let peer_hello = receive_hello(stream)?;
    let mut transcript = Transcript::new(&hello, &peer_hello);
    let proof = transcript.prove(&key, "initiator", party.identity, &party.binding);
    let claim = Message::Claim { identity: party.identity.clone(), proof };
    write_message(stream, &claim)?;
    transcript.add(&claim);
    let (peer, proof) = receive_claim(stream)?;
    transcript.verify(&key, "acceptor", &peer, &party.binding, &proof)?;
    accept(&peer).map_err(Failure::Objected)?;
    write_message(stream, &Message::Done)?;
    Ok(peer)
}

/// Runs the acceptor's side; `admit` judges the proven identity of the initiator and may hold a place for it.
pub(crate) fn respond<S: Read + Write, T>(
    stream: &mut S,
    party: &Party<'_>,
    admit: impl FnOnce(&Identity) -> Result<T, Objection>,
) -> Result<(Identity, T), Failure> {
    let key = party.secret.key();
    let peer_hello = receive_hello(stream)?;
    let hello = Message::Hello { version: PROTOCOL_VERSION, nonce: random_bytes().map_err(Failure::Local)? };
    write_message(stream, &hello)?;
    let mut transcript = Transcript::new(&peer_hello, &hello);
    let (peer, peer_proof) = receive_claim(stream)?;
    transcript.verify(&key, "initiator", &peer, &party.binding, &peer_proof)?;
    let place = admit(&peer).map_err(Failure::Objected)?;
    transcript.add(&Message::Claim { identity: peer.clone(), proof: peer_proof });
    let proof = transcript.prove(&key, "acceptor", party.identity, &party.binding);
    write_message(stream, &Message::Claim { identity: party.identity.clone(), proof })?;
    match read_message(stream)? {
        Message::Done => Ok((peer, place)),
        other => Err(unexpected(&other)),
    }
}

fn receive_hello(stream: &mut impl Read) -> Result<Message, Failure> {
    match read_message(stream)? {
        hello @ Message::Hello { version: PROTOCOL_VERSION, .. } => Ok(hello),
        Message::Hello { version, .. } => {
            let detail = format!("it speaks version {version}, this process version {PROTOCOL_VERSION}");
            Err(Failure::Objected(Objection::new(Refusal::Version, detail)))
        }
        other => Err(unexpected(&other)),
    }
}

fn receive_claim(stream: &mut impl Read) -> Result<(Identity, [u8; 32]), Failure> {
    match read_message(stream)? {
        Message::Claim { identity, proof } => Ok((identity, proof)),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(message: &Message) -> Failure {
    match message {
        Message::Refuse(code) => Failure::Refused(*code),
        _ => Failure::Objected(Objection::new(Refusal::Malformed, "its messages come in the wrong order")),
    }
}

/// Everything said so far, in order; frames carry their own length, so no two transcripts read the same.
struct Transcript(Vec<u8>);

impl Transcript {
    fn new(initiator: &Message, acceptor: &Message) -> Self {
        let mut bytes = b"eddyline handshake\0".to_vec();
        bytes.extend(initiator.encode());
        bytes.extend(acceptor.encode());
        Transcript(bytes)
    }

    fn add(&mut self, message: &Message) {
        self.0.extend(message.encode());
    }

    /// What a proof of `identity` in the part `part` covers.
    fn covered(&self, part: &str, identity: &Identity, binding: &Binding) -> Vec<u8> {
        let identity = encode_identity(identity);
        let mut bytes = self.0.clone();
        bytes.extend((identity.len() as u32).to_be_bytes());
        bytes.extend(identity);
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend(part.as_bytes());
        match binding {
            Some(exporter) => {
                bytes.push(1);
                bytes.extend(exporter);
            }
            None => bytes.push(0),
        }
        bytes
    }

    fn prove(&self, key: &hmac::Key, part: &str, identity: &Identity, binding: &Binding) -> [u8; 32] {
        let tag = hmac::sign(key, &self.covered(part, identity, binding));
        tag.as_ref().try_into().expect("invariant: an HMAC-SHA256 has 32 bytes")
    }

    /// Compares in constant time.
    fn verify(
        &self,
        key: &hmac::Key,
        part: &str,
        identity: &Identity,
        binding: &Binding,
        proof: &[u8; 32],
    ) -> Result<(), Failure> {
        hmac::verify(key, &self.covered(part, identity, binding), proof).map_err(|_| {
            let detail = "it does not know the secret, or it is not the end of this very connection";
            Failure::Objected(Objection::new(Refusal::NotProven, detail))
        })
    }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
