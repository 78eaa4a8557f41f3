//! The operators behind [`DataSet`](crate::DataSet): they collect their input, and give results at its end.

mod aggregate;
mod blocking;
mod broadcast_set;
mod co_group;
mod count;
mod first;
mod gate;
mod group;
mod hash_join;
mod index;
mod join;
mod partition;
mod product;
mod range;
mod sort;
#[cfg(test)]
mod tests;

pub(super) use aggregate::{
    AggregateBody, Combine, CombineBody, FirstRows, KeepFirst, Partial, WithAggregator, WithReduce,
};
pub(super) use blocking::{BlockingOperator, Body, Out};
pub(super) use broadcast_set::BroadcastSetBody;
pub(super) use co_group::CoGroupBody;
pub(super) use count::{CountBody, SumBody};
pub(super) use first::FirstBody;
pub(super) use gate::{GateBody, Gated};
pub(super) use group::GroupBody;
pub(super) use index::{IndexBody, SizeBody, UniqueBody};
pub(super) use join::{JoinBody, JoinFunction, JoinKeys, JoinKind, LocalStrategy};
pub(super) use partition::PartitionBody;
pub use partition::PartitionRows;
pub(super) use product::{CrossBody, PairFunction};
pub(super) use range::{RangeBody, Routed, SampleBody};
pub(super) use sort::SortBody;
