//! From trees to relational plans: names are resolved, types are given, sub-queries become joins.

mod aggregate;
mod call;
mod coerce;
mod decorrelate;
mod expr;
mod from;
mod functions;
mod over;
mod query;
mod scope;
mod select;
mod subquery;
mod window;

pub(crate) use aggregate::window_of;
pub(crate) use coerce::{cast_to, store_as};

use crate::catalog::Catalogs;
use crate::expr::{EvalContext, Typed};
use crate::parser::ast::{Hint, Query};
use crate::parser::span::{SqlError, SqlResult};
use crate::plan::Rel;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// What the binder needs of the session.
pub(crate) struct Binder<'a> {
    pub(crate) catalogs: &'a Catalogs,
    pub(crate) context: EvalContext,
    /// Whether the query is over bounded data and gives final results only.
    pub(crate) batch: bool,
    /// Where names of fewer parts than three are looked up.
    home: (String, String),
    ctes: RefCell<Vec<BTreeMap<String, Rel>>>,
    views: RefCell<Vec<String>>,
    /// Things that the user should know, as unknown hints.
    pub(crate) notes: RefCell<Vec<String>>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(catalogs: &'a Catalogs, context: EvalContext, batch: bool) -> Self {
        Binder {
            catalogs,
            home: catalogs.current.clone(),
            context,
            batch,
            ctes: RefCell::default(),
            views: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// The plan of a whole query.
    pub(crate) fn bind(&self, query: &Query) -> SqlResult<Rel> {
        let rel = self.query(query, None)?;
        if let Some(outer) = find_outer(&rel) {
            return Err(SqlError::new(format!(
                "a correlated sub-query of this form is not supported ({outer:?})"
            )));
        }
        Ok(rel)
    }

    /// Hints that are known and change nothing here, or that are not known.
    fn note_hints(&self, hints: &[Hint]) {
        const KNOWN: [&str; 9] = [
            "OPTIONS",
            "BROADCAST",
            "SHUFFLE_HASH",
            "SHUFFLE_MERGE",
            "NEST_LOOP",
            "LOOKUP",
            "STATE_TTL",
            "MULTI_JOIN",
            "ALIAS",
        ];
        for hint in hints {
            if !KNOWN.iter().any(|known| hint.name.name.eq_ignore_ascii_case(known)) {
                self.notes
                    .borrow_mut()
                    .push(format!("hint `{}` is not known and has no effect", hint.name.name));
            }
        }
    }
}

/// An expression that still speaks of a query around.
fn find_outer(rel: &Rel) -> Option<Typed> {
    let own = expressions(rel).into_iter().find(|expr| expr.has_outer()).cloned();
    own.or_else(|| rel.inputs().into_iter().find_map(find_outer))
}

/// The expressions of an operation.
pub(crate) fn expressions(rel: &Rel) -> Vec<&Typed> {
    use crate::plan::Op;
    match &*rel.op {
        Op::Project { exprs, .. } => exprs.iter().collect(),
        Op::Filter { predicate, .. } => vec![predicate],
        Op::Join { condition, .. } => condition.iter().collect(),
        Op::Unnest { expr, .. } => vec![expr],
        Op::Expand { projections, .. } => projections.iter().flatten().collect(),
        _ => Vec::new(),
    }
}
