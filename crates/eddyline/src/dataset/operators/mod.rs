//! The operators behind [`DataSet`](crate::DataSet): they collect their input, and give results at its end.

mod aggregate;
mod blocking;
mod count;
mod first;
mod group;
mod range;
mod sort;

pub(super) use aggregate::{
    AggregateBody, Combine, CombineBody, FirstRows, KeepFirst, Partial, WithAggregator, WithReduce,
};
pub(super) use blocking::{BlockingOperator, Body, Out};
pub(super) use count::{CountBody, SumBody};
pub(super) use first::FirstBody;
pub(super) use group::GroupBody;
pub(super) use range::{RangeBody, Routed, SampleBody};
pub(super) use sort::SortBody;
