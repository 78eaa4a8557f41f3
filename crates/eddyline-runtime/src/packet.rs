//! The one container that Timely moves for Eddyline.
//!
//! Within a process a [`Packet`] is the batch itself. Between processes it is a header and the batch's encoded
//! records; whoever receives it knows the type of its edge and decodes them ([`Packet::open`]), because Timely's
//! `from_bytes` has no context. Progress tracking counts rows, so a header carries their number.

use crate::shared::{Credit, WorkerShared};
use eddyline_core::batch::DecodeRows;
use eddyline_core::{Batch, Body, Error, Reader, Result};
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

/// What a packet that came from another process owes its sender: the bytes it was counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The worker that counts the bytes.
    pub(crate) sender: u32,
    /// The account there.
    pub(crate) account: u32,
    /// The bytes to give back.
    pub(crate) bytes: u64,
}

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Here(Batch),
    Wire(Wire),
}

#[derive(Clone)]
struct Wire {
    rows: u32,
    kind: u32,
    created_micros: u64,
    origin: Origin,
    payload_bytes: usize,
    payload: Bytes,
}

/// A batch on its way.
#[derive(Default)]
pub(crate) struct Packet {
    content: Content,
    /// For broadcast edges: the one worker this copy is for.
    pub(crate) target: Option<u32>,
    /// The account the batch's bytes are on, at its sender.
    pub(crate) account: u32,
    /// The worker that sends it.
    pub(crate) sender: u32,
    encoded: OnceCell<Vec<u8>>,
    shipped: Cell<bool>,
}

const KIND_ROWS: u32 = 0;
#[cfg(feature = "arrow")]
const KIND_ARROW: u32 = 1;
const HEADER_BYTES: usize = 48;

impl Packet {
    pub(crate) fn new(batch: Batch, sender: u32, account: u32) -> Self {
        Packet::of(Content::Here(batch), None, sender, account)
    }

    fn of(content: Content, target: Option<u32>, sender: u32, account: u32) -> Self {
        Packet { content, target, account, sender, encoded: OnceCell::new(), shipped: Cell::new(false) }
    }

    /// Takes the packet for the receiving operator: the batch, decoded if it came from elsewhere, and what is owed
    /// to its sender.
    pub(crate) fn open(mut self, decode: DecodeRows) -> Result<(Batch, Option<Origin>)> {
        match std::mem::take(&mut self.content) {
            Content::Empty => Ok((Batch::default(), None)),
            Content::Here(batch) => Ok((batch, None)),
            Content::Wire(wire) => {
                let batch = decode_wire(&wire, decode)?;
                if batch.len() != wire.rows as usize {
                    return Err(Error::network("a batch from another process has the wrong number of rows"));
                }
                Ok((batch, Some(wire.origin)))
            }
        }
    }

    /// The batch is going to wait for a cut: its sender must not wait for it. Takes the batch's bytes off its
    /// accounts and answers how many there are.
    pub(crate) fn settle(&mut self, shared: &Rc<WorkerShared>) -> usize {
        match &mut self.content {
            Content::Empty => 0,
            Content::Here(batch) => batch.take_reservation().map_or(0, |held| held.bytes()),
            Content::Wire(wire) => {
                drop(Credit::new(wire.origin, shared));
                wire.origin.bytes = 0;
                wire.payload_bytes
            }
        }
    }

    /// The batch, if it is here; partitioners take it apart.
    pub(crate) fn into_batch(mut self) -> Batch {
        match std::mem::take(&mut self.content) {
            Content::Here(batch) => batch,
            Content::Empty | Content::Wire(_) => Batch::default(),
        }
    }

    fn kind(&self) -> u32 {
        match &self.content {
            #[cfg(feature = "arrow")]
            Content::Here(Batch { body: Body::Arrow(_), .. }) => KIND_ARROW,
            _ => KIND_ROWS,
        }
    }

    fn encoded(&self) -> &[u8] {
        self.encoded.get_or_init(|| {
            let mut out = Vec::new();
            if let Content::Here(batch) = &self.content {
                match &batch.body {
                    Body::Empty => {}
                    Body::Rows(rows) => {
                        out.reserve(rows.memory_bytes());
                        rows.encode(&mut out);
                    }
                    #[cfg(feature = "arrow")]
                    Body::Arrow(columns) => crate::columnar::encode(columns, &mut out),
                }
            }
            out
        })
    }
}

fn decode_wire(wire: &Wire, decode: DecodeRows) -> Result<Batch> {
    #[cfg(feature = "arrow")]
    if wire.kind == KIND_ARROW {
        let columns = crate::columnar::decode(&wire.payload[..wire.payload_bytes])?;
        return Ok(Batch::new(Body::Arrow(columns), wire.created_micros));
    }
    if wire.kind != KIND_ROWS {
        return Err(Error::network(format!("a batch of unknown kind {} came in", wire.kind))
            .with_hint("run the same build of the program in every process"));
    }
    let mut reader = Reader::new(&wire.payload[..wire.payload_bytes]);
    let rows = decode(wire.rows as usize, &mut reader).map_err(|error| {
        Error::network(format!("a batch from another process cannot be decoded: {error}"))
    })?;
    Ok(Batch::new(Body::Rows(rows), wire.created_micros))
}

impl Drop for Packet {
    fn drop(&mut self) {
        // Bytes that went to another process stay counted here until that process gives them back.
        if self.shipped.get()
            && let Content::Here(batch) = &mut self.content
            && let Some(reservation) = batch.take_reservation()
        {
            let _ = reservation.forget();
        }
    }
}

impl Clone for Packet {
    fn clone(&self) -> Self {
        let content = match &self.content {
            Content::Empty => Content::Empty,
            Content::Here(batch) => Content::Here(batch.clone()),
            Content::Wire(wire) => Content::Wire(wire.clone()),
        };
        Packet::of(content, self.target, self.sender, self.account)
    }
}

impl Accountable for Packet {
    fn record_count(&self) -> i64 {
        match &self.content {
            Content::Empty => 0,
            Content::Here(batch) => batch.len() as i64,
            Content::Wire(wire) => i64::from(wire.rows),
        }
    }
}

fn round_up(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

impl ContainerBytes for Packet {
    fn from_bytes(mut bytes: Bytes) -> Self {
        let word = |at: usize| -> u64 {
            bytes.get(at * 8..at * 8 + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
        };
        let (rows, kind) = (word(0) as u32, (word(0) >> 32) as u32);
        let (sender, account) = (word(1) as u32, (word(1) >> 32) as u32);
        let (owed, created_micros, payload_bytes, target) = (word(2), word(3), word(4) as usize, word(5));
        bytes.extract_to(HEADER_BYTES.min(bytes.len()));
        let payload_bytes = payload_bytes.min(bytes.len());
        let origin = Origin { sender, account, bytes: owed };
        let wire = Wire { rows, kind, created_micros, origin, payload_bytes, payload: bytes };
        let target = u32::try_from(target).ok();
        Packet::of(Content::Wire(wire), target, sender, account)
    }

    fn length_in_bytes(&self) -> usize {
        HEADER_BYTES + round_up(self.encoded().len())
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        let (rows, created, owed) = match &self.content {
            Content::Here(batch) => {
                let owed = batch.reservation().map_or(0, |held| held.bytes() as u64);
                (batch.len() as u64, batch.created_micros, owed)
            }
            _ => (0, 0, 0),
        };
        let payload = self.encoded();
        let target = self.target.map_or(u64::MAX, u64::from);
        let words = [
            rows | (u64::from(self.kind()) << 32),
            u64::from(self.sender) | (u64::from(self.account) << 32),
            owed,
            created,
            payload.len() as u64,
            target,
        ];
        let mut write =
            |bytes: &[u8]| writer.write_all(bytes).expect("invariant: timely gives room for length_in_bytes");
        for word in words {
            write(&word.to_le_bytes());
        }
        write(payload);
        write(&[0u8; 8][..round_up(payload.len()) - payload.len()]);
        self.shipped.set(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eddyline_core::batch::decode_rows;
    use eddyline_core::{Account, Record, Reservation};
    use timely::bytes::arc::BytesMut;

    fn over_the_wire(packet: &Packet) -> Packet {
        let mut bytes = Vec::new();
        packet.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), packet.length_in_bytes());
        Packet::from_bytes(BytesMut::from(bytes).freeze())
    }

    #[test]
    fn a_packet_survives_the_wire_and_its_bytes_stay_counted() {
        let (edge, pool) = (Account::new("edge", 0), Account::new("pool", 0));
        let mut batch = Batch::from_rows(vec![Record::new("x".to_string(), 5)], 99);
        batch.reserve(Reservation::new(100, &edge, &pool));
        let packet = Packet::new(batch, 3, 7);
        let there = over_the_wire(&packet);
        drop(packet);
        assert_eq!(edge.bytes(), 100, "counted until the receiver gives them back");
        assert_eq!(there.record_count(), 1);
        let (mut batch, origin) = there.open(decode_rows::<String>).unwrap();
        assert_eq!(origin, Some(Origin { sender: 3, account: 7, bytes: 100 }));
        assert_eq!(batch.created_micros, 99);
        assert_eq!(batch.take_rows::<String>().unwrap(), vec![Record::new("x".to_string(), 5)]);
    }

    #[test]
    fn a_packet_that_stays_is_uncounted_when_dropped() {
        let (edge, pool) = (Account::new("edge", 0), Account::new("pool", 0));
        let mut batch = Batch::from_rows(vec![Record::new(1u8, 5)], 0);
        batch.reserve(Reservation::new(10, &edge, &pool));
        drop(Packet::new(batch, 0, 0));
        assert_eq!((edge.bytes(), pool.bytes()), (0, 0));
    }

    #[test]
    fn damaged_packets_are_errors() {
        let packet = Packet::new(Batch::from_rows(vec![Record::new("abc".to_string(), 5)], 0), 0, 0);
        let mut bytes = Vec::new();
        packet.into_bytes(&mut bytes);
        bytes.truncate(HEADER_BYTES + 9);
        let damaged = Packet::from_bytes(BytesMut::from(bytes).freeze());
        assert!(damaged.open(decode_rows::<String>).is_err());
    }
}
