//! From a relational plan to a job graph.

mod translate;
mod uid;

pub(crate) use translate::{Target, Translator};
