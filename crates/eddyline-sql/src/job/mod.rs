//! From a relational plan to a job graph.

mod aggregates;
mod joins;
mod ranks;
mod translate;
mod uid;
mod values;

pub(crate) use translate::{Target, Translator};
