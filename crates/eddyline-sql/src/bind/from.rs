//! FROM: tables, views, sub-queries, joins, and the names that they bring.

use super::expr::{ExprBinder, not};
use super::query::{rename, unsorted};
use super::scope::{Scope, ScopeColumn};
use super::{Binder, subquery};
use crate::catalog::{ColumnSource, Object, TableDef, View};
use crate::expr::{Node, Typed};
use crate::parser::ast::{self, Alias, Hint, Ident, JoinCondition, ObjectName, TableRef};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::{Column, JoinKind, Op, Rel, TimeAttribute};
use crate::types::TypeKind;
use std::sync::Arc;

impl Binder<'_> {
    /// The relation of FROM and the names of its columns; a single row without columns if there is no FROM.
    pub(super) fn from<'s>(
        &self,
        from: &[TableRef],
        outer: Option<&'s Scope<'s>>,
    ) -> SqlResult<(Rel, Scope<'s>)> {
        let mut result: Option<(Rel, Scope<'_>)> = None;
        for table in from {
            result = Some(match result {
                None => self.table_ref(table, None, outer)?,
                Some(left) => {
                    self.join_next(left, table, ast::JoinKind::Inner, &JoinCondition::None, outer)?
                }
            });
        }
        match result {
            Some((rel, scope)) => Ok((rel, Scope { columns: scope.columns, outer })),
            None => Ok((
                Rel::new(Op::Values { rows: vec![Vec::new()] }, Vec::new()),
                Scope { columns: Vec::new(), outer },
            )),
        }
    }

    fn table_ref<'s>(
        &self,
        table: &TableRef,
        left: Option<(&Rel, &Scope<'_>)>,
        outer: Option<&'s Scope<'s>>,
    ) -> SqlResult<(Rel, Scope<'s>)> {
        match table {
            TableRef::Table { name, hints, system_time, alias } => {
                if let Some(time) = system_time {
                    return Err(SqlError::at(
                        time.span,
                        "FOR SYSTEM_TIME AS OF stands behind a table that is joined",
                    ));
                }
                let (rel, path) = self.table(name, hints)?;
                self.named(rel, path, alias.as_ref(), outer)
            }
            TableRef::Derived { lateral, query, alias } => {
                let rel = match (lateral, left) {
                    (true, Some((_, scope))) => {
                        let scope = Scope { columns: scope.columns.clone(), outer };
                        unsorted(self.query(query, Some(&scope))?)
                    }
                    _ => unsorted(self.query(query, outer)?),
                };
                self.named(rel, Vec::new(), alias.as_ref(), outer)
            }
            TableRef::Function { call, alias, span, .. } => {
                let rel = self.table_function(call, *span, outer)?;
                self.named(rel, Vec::new(), alias.as_ref(), outer)
            }
            TableRef::Unnest { span, .. } => {
                let one = Rel::new(Op::Values { rows: vec![Vec::new()] }, Vec::new());
                let (rel, scope) =
                    self.unnest((one, Scope { columns: Vec::new(), outer }), table, false, outer)?;
                let _ = span;
                Ok((rel, scope))
            }
            TableRef::Join { left, right, kind, condition, .. } => {
                let left = self.table_ref(left, left_none(), outer)?;
                self.join_next(left, right, *kind, condition, outer)
            }
        }
    }

    fn named<'s>(
        &self,
        rel: Rel,
        path: Vec<String>,
        alias: Option<&Alias>,
        outer: Option<&'s Scope<'s>>,
    ) -> SqlResult<(Rel, Scope<'s>)> {
        let Some(alias) = alias else {
            let scope = Scope::of(&rel, &path, outer);
            return Ok((self.living(rel, &path), scope));
        };
        let rel = rename(rel, &alias.columns, alias.name.span)?;
        let name = std::slice::from_ref(&alias.name.name);
        let scope = Scope::of(&rel, name, outer);
        Ok((self.living(rel, name), scope))
    }

    /// `rel`, which is called `name`, with what STATE_TTL says of it.
    fn living(&self, mut rel: Rel, name: &[String]) -> Rel {
        let Some(ttl_ms) = self.hinted_ttl_ms(name) else { return rel };
        match &mut *rel.op {
            Op::Scan { table, .. } => Arc::make_mut(table).state_ttl_ms = Some(ttl_ms),
            _ => rel.state_ttl_ms = Some(ttl_ms),
        }
        rel
    }

    /// The rows of a table or view, and its path.
    pub(super) fn table(&self, name: &ObjectName, hints: &[Hint]) -> SqlResult<(Rel, Vec<String>)> {
        if let [single] = name.as_slice()
            && let Some(rel) = self.ctes.borrow().iter().rev().find_map(|level| level.get(&single.name))
        {
            return Ok((rel.clone(), vec![single.name.clone()]));
        }
        let span = name[0].span.to(name[name.len() - 1].span);
        match self.catalogs.resolve_in(&self.home, name)? {
            Object::Table(table) => {
                let mut table = table.clone();
                let options = hints.iter().filter(|hint| hint.name.name.eq_ignore_ascii_case("OPTIONS"));
                let options: Vec<(String, String)> = options.flat_map(|hint| hint.options.clone()).collect();
                if !options.is_empty() {
                    Arc::make_mut(&mut table).options.extend(options);
                }
                let path = table.path.to_vec();
                Ok((self.scan(table).map_err(|error| error.or_at(span))?, path))
            }
            Object::View(view) => {
                let view: Arc<View> = view.clone();
                if self.views.borrow().contains(&view.path[2]) {
                    return Err(SqlError::at(span, format!("the view `{}` refers to itself", view.path[2])));
                }
                self.views.borrow_mut().push(view.path[2].clone());
                let bound = self.view(&view);
                self.views.borrow_mut().pop();
                let path = view.path.to_vec();
                bound.map(|rel| (rel, path)).map_err(|mut error| {
                    error.message = format!("view `{}`: {}", view.path[2], error.message);
                    error.span = Some(span);
                    error
                })
            }
        }
    }

    /// The rows of the table or view `name`, and its path.
    pub(crate) fn table_of(&self, name: &ObjectName) -> SqlResult<(Rel, Vec<String>)> {
        self.table(name, &[])
    }

    fn view(&self, view: &View) -> SqlResult<Rel> {
        let query = crate::parser::parse_query(&view.text)?;
        // Names in a view mean what they meant where it was made, and it knows no WITH around.
        let ctes = std::mem::take(&mut *self.ctes.borrow_mut());
        let home = Binder {
            catalogs: self.catalogs,
            home: view.home.clone(),
            context: self.context.clone(),
            batch: self.batch,
            ctes: Default::default(),
            views: self.views.clone(),
            ttls: Default::default(),
            notes: Default::default(),
        };
        let rel = home.query(&query, None);
        *self.ctes.borrow_mut() = ctes;
        let mut rel = rel?;
        for (column, name) in rel.columns.iter_mut().zip(&view.columns) {
            column.name.clone_from(name);
        }
        Ok(rel)
    }

    /// The rows of `table` with computed columns and time attributes.
    pub(crate) fn scan(&self, table: Arc<TableDef>) -> SqlResult<Rel> {
        let stored: Vec<Column> = table
            .stored_columns()
            .map(|column| Column::new(column.name.clone(), column.data_type.clone()))
            .collect();
        let stored = Rel::new(Op::Values { rows: Vec::new() }, stored);
        let scope = Scope::of(&stored, &table.path, None);
        let mut columns = Vec::new();
        let mut computed = Vec::new();
        for column in &table.columns {
            let mut result = Column::new(column.name.clone(), column.data_type.clone());
            computed.push(match &column.source {
                ColumnSource::Computed(expr) => {
                    let mut binder = ExprBinder::new(self, &scope, "a computed column");
                    let typed = binder.bind(expr)?;
                    if matches!(&*typed.node, Node::Call(function, _) if function.0.name == "PROCTIME") {
                        result.time = Some(TimeAttribute::Proctime);
                    }
                    result.data_type = typed.data_type.clone();
                    Some(typed)
                }
                _ => None,
            });
            columns.push(result);
        }
        let watermark = match &table.watermark {
            Some((name, expr)) => {
                let Some(place) = table.column(name) else {
                    return Err(SqlError::new(format!("the watermark is for `{name}`, which is no column")));
                };
                let all = Rel::new(Op::Values { rows: Vec::new() }, columns.clone());
                let scope = Scope::of(&all, &table.path, None);
                let typed = ExprBinder::new(self, &scope, "a watermark").bind(expr)?;
                if !columns[place].data_type.kind.is_timestamp() || !typed.data_type.kind.is_timestamp() {
                    return Err(SqlError::at(
                        expr.span,
                        format!("`{name}` and its watermark are timestamps of precision 3"),
                    ));
                }
                columns[place].time = Some(TimeAttribute::Rowtime);
                Some((place, typed))
            }
            None => None,
        };
        let needed = vec![true; columns.len()];
        Ok(Rel::new(Op::Scan { table, computed, watermark, needed }, columns))
    }

    fn join_next<'s>(
        &self,
        (left, left_scope): (Rel, Scope<'_>),
        table: &TableRef,
        kind: ast::JoinKind,
        condition: &JoinCondition,
        outer: Option<&'s Scope<'s>>,
    ) -> SqlResult<(Rel, Scope<'s>)> {
        let left_scope = Scope { columns: left_scope.columns, outer };
        if let TableRef::Unnest { .. } = table {
            let is_outer = match (kind, condition) {
                (ast::JoinKind::Inner, _) => false,
                (ast::JoinKind::Left, _) => true,
                _ => return Err(SqlError::new("UNNEST can be joined by CROSS, INNER and LEFT JOIN only")),
            };
            let (rel, scope) = self.unnest((left, left_scope), table, is_outer, outer)?;
            if let JoinCondition::On(on) = condition {
                let predicate = ExprBinder::new(self, &scope, "ON").condition(on)?;
                if is_outer && predicate.as_literal() != Some(&crate::row::Value::Bool(true)) {
                    return Err(SqlError::at(on.span, "LEFT JOIN UNNEST takes ON TRUE only"));
                }
                return Ok((rel.filter(predicate), scope));
            }
            return Ok((rel, scope));
        }
        if let TableRef::Table { name, hints, system_time: Some(time), alias } = table {
            let (rel, path) = self.table(name, hints)?;
            let right = self.named(rel, path, alias.as_ref(), outer)?;
            return self.temporal_join((left, left_scope), right, kind, time, condition, outer);
        }
        let lateral = matches!(table, TableRef::Derived { lateral: true, .. });
        let (right, right_scope) = self.table_ref(table, Some((&left, &left_scope)), outer)?;
        let width = left.columns.len();
        let mut scope = left_scope.clone().join(right_scope, width);
        let mut merged = Vec::new();
        let on = match condition {
            JoinCondition::None => None,
            JoinCondition::On(on) => {
                let both = Scope { columns: scope.columns.clone(), outer };
                let mut binder = ExprBinder::new(self, &both, "ON");
                let predicate = binder.condition(on)?;
                if !binder.found.subqueries.is_empty() {
                    if kind != ast::JoinKind::Inner || lateral {
                        return Err(SqlError::at(
                            on.span,
                            "a sub-query in ON is possible for an inner join only",
                        ));
                    }
                    let joined = left.join(right, JoinKind::Inner, None);
                    let rel = subquery::filter(joined, predicate, binder.found.subqueries)?;
                    return Ok((rel, Scope { columns: scope.columns, outer }));
                }
                Some(predicate)
            }
            JoinCondition::Using(names) => Some(self.using(&scope, width, names, &mut merged)?),
            JoinCondition::Natural => {
                let names = common_names(&scope, width);
                if names.is_empty() { None } else { Some(self.using(&scope, width, &names, &mut merged)?) }
            }
        };
        let on = on.filter(|on| on.as_literal() != Some(&crate::row::Value::Bool(true)));
        let kind = match kind {
            ast::JoinKind::Inner => JoinKind::Inner,
            ast::JoinKind::Left => JoinKind::Left,
            ast::JoinKind::Right => JoinKind::Right,
            ast::JoinKind::Full => JoinKind::Full,
            ast::JoinKind::Semi => JoinKind::Semi,
            ast::JoinKind::Anti => JoinKind::Anti,
        };
        let mut rel = if lateral {
            if kind != JoinKind::Inner && kind != JoinKind::Left {
                return Err(SqlError::new("LATERAL can be joined by CROSS, INNER and LEFT JOIN only"));
            }
            subquery::lateral(left, right, kind, on, Span::default())?
        } else {
            left.join(right, kind, on)
        };
        for column in &mut scope.columns {
            if column.index < rel.columns.len() {
                column.column = rel.columns[column.index].clone();
            }
        }
        if !kind.has_right() {
            scope.columns.truncate(width);
        }
        merge(&mut rel, &mut scope, &merged, kind);
        Ok((rel, Scope { columns: scope.columns, outer }))
    }

    /// The condition of USING; answers which columns become one.
    fn using(
        &self,
        scope: &Scope<'_>,
        width: usize,
        names: &[Ident],
        merged: &mut Vec<(usize, usize)>,
    ) -> SqlResult<Typed> {
        let mut parts = Vec::new();
        for name in names {
            let find = |is_right: bool| {
                let side = scope
                    .columns
                    .iter()
                    .filter(|column| (column.index >= width) == is_right && !column.merged);
                let mut found = side.filter(|column| column.column.name == name.name);
                match (found.next(), found.next()) {
                    (Some(column), None) => Ok(column.clone()),
                    (Some(_), Some(_)) => {
                        Err(SqlError::at(name.span, format!("column `{}` is ambiguous", name.name)))
                    }
                    _ => Err(SqlError::at(name.span, format!("column `{}` is not on both sides", name.name))),
                }
            };
            let (left, right): (ScopeColumn, ScopeColumn) = (find(false)?, find(true)?);
            merged.push((left.index, right.index));
            let typed = |column: &ScopeColumn| Typed::column(column.index, &column.column.data_type);
            parts.push(super::coerce::compare(
                crate::expr::Comparison::Equal,
                typed(&left),
                typed(&right),
                name.span,
                &self.context,
            )?);
        }
        Ok(Typed::and(parts))
    }

    fn unnest<'s>(
        &self,
        (left, left_scope): (Rel, Scope<'_>),
        table: &TableRef,
        is_outer: bool,
        outer: Option<&'s Scope<'s>>,
    ) -> SqlResult<(Rel, Scope<'s>)> {
        let TableRef::Unnest { exprs, ordinality, alias, span } = table else {
            return Err(SqlError::new("UNNEST was expected"));
        };
        let [expr] = exprs.as_slice() else {
            return Err(SqlError::at(*span, "UNNEST takes one array, map or multiset"));
        };
        let scope = Scope { columns: left_scope.columns.clone(), outer };
        let typed = ExprBinder::new(self, &scope, "UNNEST").bind(expr)?;
        let mut columns = match &typed.data_type.kind {
            TypeKind::Array(item) | TypeKind::Multiset(item) => match &item.kind {
                TypeKind::Row(fields) => fields
                    .iter()
                    .map(|field| Column::new(field.name.clone(), field.data_type.clone()))
                    .collect(),
                _ => vec![Column::new("EXPR$0", (**item).clone())],
            },
            TypeKind::Map(key, value) => {
                vec![Column::new("KEY", (**key).clone()), Column::new("VALUE", (**value).clone())]
            }
            kind => {
                return Err(SqlError::at(
                    *span,
                    format!("UNNEST takes an array, map or multiset, not {kind}"),
                ));
            }
        };
        if *ordinality {
            columns.push(Column::new("ORDINALITY", TypeKind::Int.not_null()));
        }
        for column in &mut columns {
            column.data_type.nullable |= is_outer;
        }
        if let Some(alias) = alias
            && !alias.columns.is_empty()
        {
            if alias.columns.len() != columns.len() {
                let counts = format!("{} names are given for {} columns", alias.columns.len(), columns.len());
                return Err(SqlError::at(alias.name.span, counts));
            }
            for (column, name) in columns.iter_mut().zip(&alias.columns) {
                column.name.clone_from(&name.name);
            }
        }
        let width = left.columns.len();
        let qualifier: Vec<String> = alias.iter().map(|alias| alias.name.name.clone()).collect();
        let mut scope = scope;
        for (number, column) in columns.iter().enumerate() {
            scope.columns.push(ScopeColumn {
                qualifier: qualifier.clone(),
                column: column.clone(),
                index: width + number,
                merged: false,
            });
        }
        let mut all = left.columns.clone();
        all.extend(columns);
        let rel =
            Rel::new(Op::Unnest { input: left, expr: typed, outer: is_outer, ordinality: *ordinality }, all);
        Ok((rel, Scope { columns: scope.columns, outer }))
    }
}

fn left_none<'a>() -> Option<(&'a Rel, &'a Scope<'a>)> {
    None
}

/// The names that both sides have, in the order of the left.
fn common_names(scope: &Scope<'_>, width: usize) -> Vec<Ident> {
    let right: Vec<&str> = scope
        .columns
        .iter()
        .filter(|column| column.index >= width)
        .map(|column| column.column.name.as_str())
        .collect();
    let left = scope.columns.iter().filter(|column| column.index < width && !column.merged);
    let common = left.filter(|column| right.contains(&column.column.name.as_str()));
    common.map(|column| Ident { name: column.column.name.clone(), span: Span::default() }).collect()
}

/// Columns of USING become one, which comes first.
fn merge(rel: &mut Rel, scope: &mut Scope<'_>, merged: &[(usize, usize)], kind: JoinKind) {
    let mut first = Vec::new();
    for (left, right) in merged {
        let hide = |scope: &mut Scope<'_>, index: usize| {
            scope
                .columns
                .iter_mut()
                .filter(|column| column.index == index)
                .for_each(|column| column.merged = true);
        };
        let shown = match kind {
            JoinKind::Right => {
                hide(scope, *left);
                *right
            }
            JoinKind::Full => {
                hide(scope, *left);
                hide(scope, *right);
                let name = rel.columns[*left].name.clone();
                let (a, b) = (rel.typed(*left), rel.typed(*right));
                let is_null = Typed::new(Node::IsNull(a.clone()), TypeKind::Boolean.not_null());
                let data_type = a.data_type.clone();
                let either = Node::Case { branches: vec![(not(is_null), a)], otherwise: b };
                let taken = std::mem::replace(rel, Rel::new(Op::Values { rows: Vec::new() }, Vec::new()));
                *rel = taken.append(vec![Typed::new(either, data_type)]);
                let index = rel.columns.len() - 1;
                rel.columns[index].name.clone_from(&name);
                let column = rel.columns[index].clone();
                scope.columns.push(ScopeColumn { qualifier: Vec::new(), column, index, merged: false });
                index
            }
            _ => {
                hide(scope, *right);
                *left
            }
        };
        first.push(shown);
    }
    if !first.is_empty() {
        scope.columns.sort_by_key(|column| match first.iter().position(|index| *index == column.index) {
            Some(place) => (0, place),
            None => (1, column.index),
        });
    }
}
