//! The names that an expression may use.

use crate::expr::{Node, Typed};
use crate::parser::ast::Ident;
use crate::parser::span::{SqlError, SqlResult, nearest};
use crate::plan::{Column, Rel};
use crate::types::TypeKind;

#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// The path of the table: its alias, or catalog, database and name.
    pub(crate) qualifier: Vec<String>,
    pub(crate) column: Column,
    /// Its place in the relation.
    pub(crate) index: usize,
    /// Joined by USING or NATURAL: not found by its bare name, not part of `*`.
    pub(crate) merged: bool,
}

/// The columns of FROM, and those of the query around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope<'a> {
    pub(crate) columns: Vec<ScopeColumn>,
    pub(crate) outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// The columns of `rel`, all of one table.
    pub(crate) fn of(rel: &Rel, qualifier: &[String], outer: Option<&'a Scope<'a>>) -> Self {
        let columns = rel.columns.iter().enumerate().map(|(index, column)| ScopeColumn {
            qualifier: qualifier.to_vec(),
            column: column.clone(),
            index,
            merged: false,
        });
        Scope { columns: columns.collect(), outer }
    }

    /// The columns of this and, `by` places on, of `other`.
    pub(crate) fn join(mut self, other: Scope<'_>, by: usize) -> Self {
        self.columns.extend(other.columns.into_iter().map(|mut column| {
            column.index += by;
            column
        }));
        self
    }

    /// What `parts` names: a column, or a field within one.
    pub(crate) fn resolve(&self, parts: &[Ident]) -> SqlResult<Typed> {
        let mut depth = 0;
        let mut scope = Some(self);
        while let Some(current) = scope {
            if let Some(found) = current.resolve_here(parts, depth)? {
                return Ok(found);
            }
            depth += 1;
            scope = current.outer;
        }
        Err(self.unknown(parts))
    }

    fn resolve_here(&self, parts: &[Ident], depth: usize) -> SqlResult<Option<Typed>> {
        // The longest qualifier first; what follows the column are fields.
        for at in (0..parts.len()).rev() {
            let (qualifier, name) = (&parts[..at], &parts[at]);
            let found: Vec<&ScopeColumn> =
                self.columns.iter().filter(|column| column.answers_to(qualifier, &name.name)).collect();
            match found.as_slice() {
                [] => {}
                [one] => {
                    let data_type = one.column.data_type.clone();
                    let node = if depth == 0 {
                        Node::Column(one.index)
                    } else {
                        Node::Outer { depth, column: one.index }
                    };
                    let mut typed = Typed::new(node, data_type);
                    for field in &parts[at + 1..] {
                        typed = field_of(typed, field)?;
                    }
                    return Ok(Some(typed));
                }
                _ => {
                    let places: Vec<String> = found.iter().map(|column| column.qualifier.join(".")).collect();
                    return Err(SqlError::at(name.span, format!("column `{}` is ambiguous", name.name))
                        .hint(format!("say of which table: {}", places.join(", "))));
                }
            }
        }
        Ok(None)
    }

    fn unknown(&self, parts: &[Ident]) -> SqlError {
        let Some(name) = parts.last() else { return SqlError::new("a column is expected") };
        let span = parts[0].span.to(name.span);
        let whole: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let error = SqlError::at(span, format!("there is no column `{}`", whole.join(".")));
        let mut names: Vec<&str> = self.columns.iter().map(|column| column.column.name.as_str()).collect();
        names.dedup();
        match nearest(&name.name, names.iter().copied()) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None if names.is_empty() => error,
            None => error.hint(format!("the columns here are {}", names.join(", "))),
        }
    }

    /// The columns of `*` or `qualifier.*`.
    pub(crate) fn star(&self, qualifier: &[Ident]) -> Vec<&ScopeColumn> {
        let wanted = |column: &&ScopeColumn| {
            if qualifier.is_empty() { !column.merged } else { column.belongs_to(qualifier) }
        };
        self.columns.iter().filter(wanted).collect()
    }
}

impl ScopeColumn {
    /// Whether `qualifier` is the end of the table's path.
    fn belongs_to(&self, qualifier: &[Ident]) -> bool {
        let path = &self.qualifier;
        qualifier.len() <= path.len()
            && path[path.len() - qualifier.len()..]
                .iter()
                .zip(qualifier)
                .all(|(own, wanted)| *own == wanted.name)
    }

    fn answers_to(&self, qualifier: &[Ident], name: &str) -> bool {
        self.column.name == name
            && if qualifier.is_empty() { !self.merged } else { self.belongs_to(qualifier) }
    }
}

/// A field of a row.
pub(crate) fn field_of(row: Typed, field: &Ident) -> SqlResult<Typed> {
    let TypeKind::Row(fields) = &row.data_type.kind else {
        return Err(SqlError::at(
            field.span,
            format!("{} has no field `{}`: it is not a ROW", row.data_type.kind, field.name),
        ));
    };
    match fields.iter().position(|known| known.name == field.name) {
        Some(place) => {
            let mut data_type = fields[place].data_type.clone();
            data_type.nullable |= row.data_type.nullable;
            Ok(Typed::new(Node::Field(row, place), data_type))
        }
        None => {
            let error = SqlError::at(field.span, format!("the ROW has no field `{}`", field.name));
            Err(match nearest(&field.name, fields.iter().map(|known| known.name.as_str())) {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error,
            })
        }
    }
}
