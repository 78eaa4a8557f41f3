//! JSON: reading texts by a path, and making texts.
//!
//! The parser hands on the clauses of a call as texts behind its arguments (`NULL ON EMPTY`, `WITH CONDITIONAL ARRAY
//! WRAPPER`). A clause with a value is two arguments: its name (`RETURNING`, `DEFAULT ON EMPTY`, `DEFAULT ON ERROR`) and
//! the value, which for RETURNING is a NULL of that type.

mod build;
mod clauses;
mod document;
mod path;
mod query;

use super::{Argument, CallInfo, Function, Resolved};

pub(super) const FAMILIES: [&[Function]; 2] = [build::FUNCTIONS, query::FUNCTIONS];
