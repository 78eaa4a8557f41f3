//! The network of one job attempt: connections whose two ends have proven to each other who they are.
//!
//! [`Mesh::connect`] builds one connection between every two of the `P` processes of an attempt; [`control`] carries
//! framed messages between the supervisor and its workers. Both stand on the same two steps: a channel ([`tls`]:
//! encrypted unless both ends are on one machine) and a handshake ([`handshake`]: both sides prove that they know the
//! [`Secret`] and agree on job, attempt and process index).
//!
//! **Architecture invariants:** this crate knows nothing of Timely, of operators, of checkpoints. No connection leaves
//! it before its handshake has succeeded on both sides. A client that fails the handshake, however slowly, never
//! delays or disturbs another one. No secret is printed, and none crosses the network. Every wait has a limit.

mod acceptor;
mod channel;
mod connector;
pub mod control;
mod deadline;
pub mod handshake;
pub mod mesh;
mod roster;
pub mod secret;
pub mod stream;
pub mod tls;
mod wire;

pub use acceptor::{RefusalObserver, Refused};
pub use control::{ControlConfig, ControlLink, ControlListener, ControlReceiver, ControlSender};
pub use handshake::{Identity, Role};
pub use mesh::{Mesh, MeshConfig};
pub use secret::Secret;
pub use stream::MeshStream;
pub use tls::TlsMode;
