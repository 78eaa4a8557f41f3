//! What stands behind FROM: tables, joins, functions, sub-queries.

use super::Parser;
use super::ast::{Alias, Call, Expr, ExprKind, JoinCondition, JoinKind, TableArgument, TableRef};
use super::span::{SqlError, SqlResult};

impl Parser<'_> {
    pub(super) fn table_ref(&mut self) -> SqlResult<TableRef> {
        self.nested(|parser| {
            let mut left = parser.table_factor()?;
            let mut joins = 0;
            while let Some((kind, natural)) = parser.join_kind()? {
                joins += 1;
                if joins > 500 {
                    return Err(parser.unexpected("fewer than 500 joins"));
                }
                let right = parser.table_factor()?;
                let condition = if let Some(condition) = natural {
                    condition
                } else if parser.take_word("ON") {
                    JoinCondition::On(parser.expr()?)
                } else if parser.take_word("USING") {
                    JoinCondition::Using(parser.parenthesised(|parser| parser.ident("a column"))?)
                } else {
                    return Err(parser.unexpected("`ON` or `USING`"));
                };
                left = TableRef::Join { left: Box::new(left), right: Box::new(right), kind, condition };
            }
            Ok(left)
        })
    }

    /// The kind of join that begins here; with its condition if it needs none.
    fn join_kind(&mut self) -> SqlResult<Option<(JoinKind, Option<JoinCondition>)>> {
        if self.take_words(&["CROSS", "JOIN"]) {
            return Ok(Some((JoinKind::Inner, Some(JoinCondition::None))));
        }
        let natural = self.is_word("NATURAL");
        if natural {
            self.advance();
        }
        let condition = natural.then_some(JoinCondition::Natural);
        let kind = if self.take_word("JOIN") {
            return Ok(Some((JoinKind::Inner, condition)));
        } else if self.take_word("INNER") {
            JoinKind::Inner
        } else if self.is_word("LEFT") || self.is_word("RIGHT") || self.is_word("FULL") {
            let kind = if self.take_word("LEFT") {
                JoinKind::Left
            } else if self.take_word("RIGHT") {
                JoinKind::Right
            } else {
                self.advance();
                JoinKind::Full
            };
            self.take_word("OUTER");
            match () {
                () if kind == JoinKind::Left && self.take_word("SEMI") => JoinKind::Semi,
                () if kind == JoinKind::Left && self.take_word("ANTI") => JoinKind::Anti,
                () => kind,
            }
        } else if natural {
            return Err(self.unexpected("`JOIN`"));
        } else {
            return Ok(None);
        };
        self.expect_word("JOIN")?;
        Ok(Some((kind, condition)))
    }

    fn table_factor(&mut self) -> SqlResult<TableRef> {
        let start = self.span();
        let lateral = self.take_word("LATERAL");
        if self.is_word("TABLE") && self.is_symbol_at(1, "(") {
            self.advance();
            self.expect_symbol("(")?;
            if self.begins_query() {
                let query = Box::new(self.query()?);
                self.expect_symbol(")")?;
                return Ok(TableRef::Derived { lateral, query, alias: self.alias()? });
            }
            let call = self.table_function()?;
            self.expect_symbol(")")?;
            return self.function(call, start);
        }
        if self.take_word("UNNEST") {
            let exprs = self.parenthesised(Parser::expr)?;
            let ordinality = self.take_words(&["WITH", "ORDINALITY"]);
            let alias = self.alias()?;
            return Ok(TableRef::Unnest { exprs, ordinality, alias, span: start.to(self.last_span()) });
        }
        if self.is_symbol("(") {
            if self.begins_query() {
                // `(SELECT …) UNION …` in parentheses begins a query, too; joins in parentheses do not.
                if let Some(query) = self.attempt(|parser| {
                    parser.expect_symbol("(")?;
                    let query = parser.query()?;
                    parser.expect_symbol(")")?;
                    Ok(query)
                }) {
                    let alias = self.alias()?;
                    return self.behind_table(TableRef::Derived { lateral, query: Box::new(query), alias });
                }
                // Again, for the error.
                if !self.is_symbol_at(1, "(") {
                    self.expect_symbol("(")?;
                    self.query()?;
                    self.expect_symbol(")")?;
                }
            }
            self.expect_symbol("(")?;
            let inner = self.table_ref()?;
            self.expect_symbol(")")?;
            return Ok(inner);
        }
        let name = self.object_name("a table")?;
        if self.is_symbol("(") {
            let call = self.call_of_tables(name)?;
            return self.function(call, start);
        }
        let hints = self.hints()?;
        let system_time = if self.take_words(&["FOR", "SYSTEM_TIME", "AS", "OF"]) {
            Some(self.primary_operand()?)
        } else {
            None
        };
        let mut alias = self.alias()?;
        let more = self.hints()?;
        if alias.is_none() {
            alias = self.alias()?;
        }
        let hints = hints.into_iter().chain(more).collect();
        self.behind_table(TableRef::Table { name, hints, system_time, alias })
    }

    fn function(&mut self, call: Call, start: super::span::Span) -> SqlResult<TableRef> {
        let alias = self.alias()?;
        Ok(TableRef::Function { call, alias, span: start.to(self.last_span()) })
    }

    /// Clauses that may follow a table and are not supported.
    fn behind_table(&mut self, table: TableRef) -> SqlResult<TableRef> {
        for word in ["MATCH_RECOGNIZE", "TABLESAMPLE", "PIVOT", "UNPIVOT"] {
            if self.is_word(word) {
                return Err(SqlError::at(self.span(), format!("{word} is not supported")));
            }
        }
        Ok(table)
    }

    fn table_function(&mut self) -> SqlResult<Call> {
        let name = self.object_name("a function")?;
        self.call_of_tables(name)
    }

    /// A call whose arguments may be queries in parentheses.
    fn call_of_tables(&mut self, name: super::ast::ObjectName) -> SqlResult<Call> {
        let mut call = self.call(name)?;
        for argument in &mut call.args {
            into_table(argument);
        }
        Ok(call)
    }

    fn alias(&mut self) -> SqlResult<Option<Alias>> {
        let name = if self.take_word("AS") {
            self.any_ident("a name for the table")?
        } else if self.begins_alias() {
            self.ident("a name for the table")?
        } else {
            return Ok(None);
        };
        let columns = if self.is_symbol("(") {
            self.parenthesised(|parser| parser.any_ident("a column"))?
        } else {
            Vec::new()
        };
        Ok(Some(Alias { name, columns }))
    }
}

/// A query in parentheses among the arguments of a table function is a table.
fn into_table(argument: &mut Expr) {
    match argument.kind.as_mut() {
        ExprKind::Named(_, value) => into_table(value),
        ExprKind::Scalar(query) => {
            let query = query.clone();
            *argument.kind =
                ExprKind::Table(TableArgument { query, partition_by: Vec::new(), order_by: Vec::new() });
        }
        _ => {}
    }
}
