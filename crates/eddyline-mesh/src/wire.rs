//! The bytes of the handshake.
//!
//! A frame is `EDDY`, a kind (1 byte), the length of the body (2 bytes, big endian) and the body (at most
//! [`BODY_LENGTH_MAX`] bytes). The header and the place of the version in `Hello` never change, so that two versions
//! can at least tell each other so. Parsing any bytes gives a message or an error, never a panic, and never allocates
//! more than the limit.

use std::io::{self, Read, Write};

use crate::handshake::{Identity, Role};

/// The version of the handshake and of everything said after it; raised when either changes.
pub(crate) const PROTOCOL_VERSION: u16 = 1;

/// The first bytes of every frame; no TLS record begins like this.
pub(crate) const MAGIC: [u8; 4] = *b"EDDY";

/// The longest body of a handshake frame, in bytes.
pub(crate) const BODY_LENGTH_MAX: usize = 512;

/// The longest job id, in bytes.
pub(crate) const JOB_LENGTH_MAX: usize = 256;

/// The length of the header, in bytes.
const HEADER_LENGTH: usize = 7;

/// Why a side refuses the other: told to the other side, so it says nothing a stranger could use. Only
/// `Malformed`, `Version`, `NotProven`, `TlsRequired`, `TlsUnexpected` and `Busy` are told before the peer has proven
/// that it knows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed = 1,
    Version = 2,
    NotProven = 3,
    WrongJob = 4,
    AttemptOld = 5,
    AttemptNew = 6,
    WrongRole = 7,
    WrongProcess = 8,
    Duplicate = 9,
    TlsRequired = 10,
    TlsUnexpected = 11,
    Busy = 12,
}

impl Refusal {
    const ALL: [Refusal; 12] = [
        Refusal::Malformed,
        Refusal::Version,
        Refusal::NotProven,
        Refusal::WrongJob,
        Refusal::AttemptOld,
        Refusal::AttemptNew,
        Refusal::WrongRole,
        Refusal::WrongProcess,
        Refusal::Duplicate,
        Refusal::TlsRequired,
        Refusal::TlsUnexpected,
        Refusal::Busy,
    ];

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| *refusal as u8 == code)
    }
}

/// One message of the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// The first of each side; of another version only the version is understood, the nonce is then zero.
    Hello { version: u16, nonce: [u8; 32] },
    /// Who the sender is, and the proof of it.
    Claim { identity: Identity, proof: [u8; 32] },
    /// The initiator's last word: it has accepted the other side, too.
    Done,
    /// The end: the sender refuses.
    Refuse(Refusal),
}

impl Message {
    /// The whole frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Message::Hello { version, nonce } => (1, [&version.to_be_bytes()[..], nonce].concat()),
            Message::Claim { identity, proof } => (2, [&proof[..], &encode_identity(identity)].concat()),
            Message::Done => (3, Vec::new()),
            Message::Refuse(refusal) => (4, vec![*refusal as u8]),
        };
        debug_assert!(body.len() <= BODY_LENGTH_MAX, "identities are checked before they are sent");
        let length = body.len() as u16;
        [&MAGIC[..], &[kind], &length.to_be_bytes(), &body].concat()
    }

    /// The message of kind `kind` with body `body`, if it is one.
    pub(crate) fn decode(kind: u8, body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let message = match kind {
            1 => {
                let version = fields.u16()?;
                if version != PROTOCOL_VERSION {
                    // What follows is for that version to know.
                    return Some(Message::Hello { version, nonce: [0; 32] });
                }
                Message::Hello { version, nonce: fields.array()? }
            }
            2 => Message::Claim { proof: fields.array()?, identity: fields.identity()? },
            3 => Message::Done,
            4 => Message::Refuse(Refusal::from_code(fields.u8()?)?),
            _ => return None,
        };
        fields.0.is_empty().then_some(message)
    }
}

/// The bytes of an identity: role, process, processes, attempt, job (the rest).
pub(crate) fn encode_identity(identity: &Identity) -> Vec<u8> {
    let mut bytes = vec![identity.role as u8];
    bytes.extend(identity.process.to_be_bytes());
    bytes.extend(identity.processes.to_be_bytes());
    bytes.extend(identity.attempt.to_be_bytes());
    bytes.extend(identity.job.as_bytes());
    bytes
}

/// Writes one message as one write.
pub(crate) fn write_message(stream: &mut impl Write, message: &Message) -> io::Result<()> {
    stream.write_all(&message.encode())?;
    stream.flush()
}

/// Reads one message; `InvalidData` if the bytes are not one.
pub(crate) fn read_message(stream: &mut impl Read) -> io::Result<Message> {
    let mut header = [0; HEADER_LENGTH];
    stream.read_exact(&mut header)?;
    let [m0, m1, m2, m3, kind, high, low] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if [m0, m1, m2, m3] != MAGIC || length > BODY_LENGTH_MAX {
        return Err(malformed());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Message::decode(kind, &body).ok_or_else(malformed)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the bytes received are not an Eddyline handshake")
}

/// Takes fields off the front of a body.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn identity(&mut self) -> Option<Identity> {
        let role = Role::from_code(self.u8()?)?;
        let (process, processes) = (self.u32()?, self.u32()?);
        let attempt = self.array().map(u64::from_be_bytes)?;
        let job = std::str::from_utf8(self.0).ok().filter(|job| job.len() <= JOB_LENGTH_MAX)?.to_owned();
        self.0 = &[];
        Some(Identity { job, attempt, role, process, processes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn examples() -> Vec<Message> {
        let identity =
            Identity { job: "jöb".into(), attempt: 7, role: Role::Worker, process: 3, processes: 4 };
        let mut messages = vec![
            Message::Hello { version: PROTOCOL_VERSION, nonce: [9; 32] },
            Message::Claim { identity, proof: [8; 32] },
            Message::Done,
        ];
        messages.extend(Refusal::ALL.map(Message::Refuse));
        messages
    }

    #[test]
    fn every_message_is_read_as_written() {
        for message in examples() {
            assert_eq!(read_message(&mut &message.encode()[..]).unwrap(), message);
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        for message in examples() {
            let bytes = message.encode();
            for length in 0..bytes.len() {
                assert!(read_message(&mut &bytes[..length]).is_err(), "{message:?} cut to {length}");
            }
        }
    }

    #[test]
    fn an_oversized_body_is_refused_before_it_is_read() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([2, 0xff, 0xff]);
        assert_eq!(read_message(&mut &bytes[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read_message(&mut &bytes[..]);
        }

        #[test]
        fn random_bodies_never_panic(kind in 0u8..6, body in proptest::collection::vec(any::<u8>(), 0..512)) {
            if let Some(message) = Message::decode(kind, &body) {
                // What was understood is written in the same way, or is of another version.
                let known = !matches!(message, Message::Hello { version, .. } if version != PROTOCOL_VERSION);
                prop_assert!(!known || message.encode()[HEADER_LENGTH..] == body[..]);
            }
        }

        #[test]
        fn flipped_bits_never_panic(which in 0usize..15, position in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let mut bytes = examples()[which].encode();
            let position = position.index(bytes.len());
            bytes[position] ^= 1 << bit;
            let _ = read_message(&mut &bytes[..]);
        }
    }
}
