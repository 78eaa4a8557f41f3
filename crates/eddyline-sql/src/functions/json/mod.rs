//! JSON: reading texts by a path, and making texts.
//!
//! The parser hands on the clauses of a call as texts behind its arguments (`NULL ON EMPTY`, `WITH CONDITIONAL ARRAY
//! WRAPPER`). Behind `RETURNING`, `DEFAULT ON EMPTY` and `DEFAULT ON ERROR` a value follows, which for RETURNING is a
//! NULL of the type.

mod build;
mod clauses;
mod document;
mod path;
mod query;

use super::{Argument, CallInfo, Function, Resolved};

pub(super) const FAMILIES: [&[Function]; 2] = [build::FUNCTIONS, query::FUNCTIONS];
