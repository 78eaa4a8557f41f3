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
mod temporal;
mod window;

pub(crate) use aggregate::window_of;
pub(crate) use coerce::{cast_to, store_as};

use crate::catalog::Catalogs;
use crate::connector::options::duration_millis;
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
    /// What STATE_TTL says of the tables of the queries that are being bound, by name: milliseconds, and whether the table
    /// was found.
    ttls: RefCell<Vec<BTreeMap<String, (i64, bool)>>>,
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
            ttls: RefCell::default(),
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

    /// The relation of FROM, with what STATE_TTL among `hints` says of its tables.
    fn with_ttl_hints<T>(&self, hints: &[Hint], from: impl FnOnce() -> SqlResult<T>) -> SqlResult<T> {
        let mut ttls = BTreeMap::new();
        for hint in hints.iter().filter(|hint| hint.name.name.eq_ignore_ascii_case("STATE_TTL")) {
            for (table, text) in &hint.options {
                let millis = duration_millis(text).and_then(|millis| i64::try_from(millis).ok());
                let millis = millis.ok_or_else(|| {
                    SqlError::at(
                        hint.name.span,
                        format!("STATE_TTL of `{table}`: '{text}' is no length of time"),
                    )
                    .hint("write a number and a unit, such as '12 h', or '0 s' for state that stays")
                })?;
                ttls.insert(table.clone(), (millis, false));
            }
        }
        self.ttls.borrow_mut().push(ttls);
        let result = from();
        let unused = self.ttls.borrow_mut().pop().unwrap_or_default();
        let result = result?;
        match unused.iter().find(|(_, (_, is_used))| !is_used) {
            Some((table, _)) => {
                let hint = hints.iter().find(|hint| hint.options.iter().any(|(name, _)| name == table));
                let span = hint.map_or_else(Default::default, |hint| hint.name.span);
                Err(SqlError::at(span, format!("STATE_TTL names `{table}`, which is no table of this query"))
                    .hint("give the alias or the name of a table, view or sub-query of FROM"))
            }
            None => Ok(result),
        }
    }

    /// What a hint says of the table called `path`: by its name, or by the whole path.
    fn hinted_ttl_ms(&self, path: &[String]) -> Option<i64> {
        let mut ttls = self.ttls.borrow_mut();
        let ttls = ttls.last_mut()?;
        let names = [path.last().cloned().unwrap_or_default(), path.join(".")];
        let (ttl_ms, is_used) =
            names.iter().find(|name| ttls.contains_key(*name)).and_then(|name| ttls.get_mut(name))?;
        *is_used = true;
        Some(*ttl_ms)
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
        Op::TemporalJoin { condition, .. } => vec![condition],
        Op::Unnest { expr, .. } => vec![expr],
        Op::Expand { projections, .. } => projections.iter().flatten().collect(),
        _ => Vec::new(),
    }
}
