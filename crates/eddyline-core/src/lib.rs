//! The vocabulary every other Eddyline crate speaks.
//!
//! Here live the notions of time ([`Tick`], [`EventTime`]), of data ([`Record`], [`Batch`], [`Data`]), of keys
//! ([`Key`], [`KeyGroupRange`]), of memory accounting ([`Account`]) and of failure ([`Error`]).
//!
//! **Architecture invariant:** this crate knows nothing of Timely, of threads, of files or of the network.

extern crate self as eddyline_core;

pub mod account;
pub mod batch;
pub mod clock;
#[cfg(feature = "arrow")]
mod columnar;
pub mod data;
pub mod error;
mod error_from;
pub mod key;
pub mod time;

pub use account::{Account, Reservation};
pub use batch::{AnyRows, Batch, Body, Record};
pub use clock::{Clock, ManualClock, SystemClock};
pub use data::{Data, DataType, DecodeError, Field, Reader, Value};
pub use eddyline_derive::Data;
pub use error::{Error, ErrorKind, Result};
pub use key::{Key, KeyGroup, KeyGroupRange, key_group_of, stable_hash};
pub use time::{EventTime, Tick, WATERMARK_MAX, WATERMARK_MIN};
