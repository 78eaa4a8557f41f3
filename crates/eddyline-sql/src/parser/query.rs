//! Queries: SELECT, set operations, VALUES, WITH.

use super::Parser;
use super::ast::{
    Cte, Expr, ExprKind, GroupItem, Hint, Ident, ObjectName, Query, Select, SelectItem, SetExpr, SetOp,
    TableRef,
};
use super::expr::expr;
use super::lexer::TokenKind;
use super::span::SqlResult;

/// `SELECT * FROM name`
pub(super) fn query_of_table(name: ObjectName) -> Query {
    let span = name.first().map(|part| part.span).unwrap_or_default();
    let body = SetExpr::Table(name);
    Query { with: Vec::new(), body, order_by: Vec::new(), limit: None, offset: None, span }
}

impl Parser<'_> {
    pub(super) fn query(&mut self) -> SqlResult<Query> {
        self.nested(Parser::query_here)
    }

    fn query_here(&mut self) -> SqlResult<Query> {
        let start = self.span();
        let with = if self.take_word("WITH") { self.list(Parser::cte)? } else { Vec::new() };
        let body = self.set_expr(0)?;
        let mut query = Query { with, body, order_by: Vec::new(), limit: None, offset: None, span: start };
        if self.take_words(&["ORDER", "BY"]) {
            query.order_by = self.list(Parser::order_item)?;
        }
        loop {
            if query.limit.is_none() && self.take_word("LIMIT") {
                if !self.take_word("ALL") {
                    query.limit = Some(self.expr()?);
                }
            } else if query.offset.is_none() && self.take_word("OFFSET") {
                query.offset = Some(self.expr()?);
                if !self.take_word("ROWS") {
                    self.take_word("ROW");
                }
            } else if query.limit.is_none() && self.take_word("FETCH") {
                if !self.take_word("FIRST") {
                    self.expect_word("NEXT")?;
                }
                let one = || expr(ExprKind::Literal(super::ast::Literal::Number("1".into())), start);
                query.limit =
                    Some(if self.is_word("ROW") || self.is_word("ROWS") { one() } else { self.expr()? });
                if !self.take_word("ROWS") {
                    self.expect_word("ROW")?;
                }
                self.expect_word("ONLY")?;
            } else {
                break;
            }
        }
        query.span = start.to(self.last_span());
        Ok(query)
    }

    fn cte(&mut self) -> SqlResult<Cte> {
        let name = self.ident("a name for the query")?;
        let columns = if self.is_symbol("(") {
            self.parenthesised(|parser| parser.ident("a column"))?
        } else {
            Vec::new()
        };
        self.expect_word("AS")?;
        self.expect_symbol("(")?;
        let query = self.query()?;
        self.expect_symbol(")")?;
        Ok(Cte { name, columns, query })
    }

    /// UNION and EXCEPT bind less than INTERSECT.
    fn set_expr(&mut self, least: u8) -> SqlResult<SetExpr> {
        let mut left = self.set_operand()?;
        let mut terms = 0;
        loop {
            let (op, precedence) = if self.is_word("UNION") {
                (SetOp::Union, 1)
            } else if self.is_word("EXCEPT") || self.is_word("MINUS") {
                (SetOp::Except, 1)
            } else if self.is_word("INTERSECT") {
                (SetOp::Intersect, 2)
            } else {
                return Ok(left);
            };
            if precedence < least {
                return Ok(left);
            }
            terms += 1;
            if terms > 2_000 {
                return Err(self.unexpected("the end of the query: it has too many parts"));
            }
            let span = self.span();
            self.advance();
            let all = self.take_word("ALL");
            self.take_word("DISTINCT");
            let right = self.nested(|parser| parser.set_expr(precedence + 1))?;
            left = SetExpr::SetOp { op, all, left: Box::new(left), right: Box::new(right), span };
        }
    }

    fn set_operand(&mut self) -> SqlResult<SetExpr> {
        if self.take_symbol("(") {
            let query = self.query()?;
            self.expect_symbol(")")?;
            return Ok(SetExpr::Query(Box::new(query)));
        }
        if self.is_word("SELECT") {
            return self.select().map(|select| SetExpr::Select(Box::new(select)));
        }
        if self.is_word("VALUES") {
            let span = self.span();
            self.advance();
            let rows = self.list(Parser::expr)?;
            return Ok(SetExpr::Values(rows, span.to(self.last_span())));
        }
        if self.take_word("TABLE") {
            return Ok(SetExpr::Table(self.object_name("a table")?));
        }
        Err(self.unexpected("a query"))
    }

    fn select(&mut self) -> SqlResult<Select> {
        let start = self.span();
        self.expect_word("SELECT")?;
        let hints = self.hints()?;
        let distinct = self.take_word("DISTINCT");
        if !distinct {
            self.take_word("ALL");
        }
        let items = self.list(Parser::select_item)?;
        let from: Vec<TableRef> =
            if self.take_word("FROM") { self.list(Parser::table_ref)? } else { Vec::new() };
        let filter = if self.take_word("WHERE") { Some(self.expr()?) } else { None };
        let group_by = if self.take_words(&["GROUP", "BY"]) {
            self.take_word("DISTINCT");
            self.list(Parser::group_item)?
        } else {
            Vec::new()
        };
        let having = if self.take_word("HAVING") { Some(self.expr()?) } else { None };
        let windows = if self.take_word("WINDOW") {
            self.list(|parser| {
                let name = parser.ident("a window's name")?;
                parser.expect_word("AS")?;
                Ok((name, parser.window_spec()?))
            })?
        } else {
            Vec::new()
        };
        let qualify = if self.take_word("QUALIFY") { Some(self.expr()?) } else { None };
        let span = start.to(self.last_span());
        Ok(Select { hints, distinct, items, from, filter, group_by, having, windows, qualify, span })
    }

    fn select_item(&mut self) -> SqlResult<SelectItem> {
        let start = self.span();
        if self.take_symbol("*") {
            return Ok(SelectItem::Star(Vec::new(), start));
        }
        if let Some(qualifier) = self.attempt(|parser| {
            let mut parts = vec![parser.ident("a table")?];
            loop {
                parser.expect_symbol(".")?;
                if parser.take_symbol("*") {
                    return Ok(parts);
                }
                parts.push(parser.any_ident("a table")?);
            }
        }) {
            return Ok(SelectItem::Star(qualifier, start.to(self.last_span())));
        }
        let item = self.expr()?;
        let alias = if self.take_word("AS") {
            Some(self.any_ident("a name for the column")?)
        } else if self.begins_alias() {
            Some(self.ident("a name for the column")?)
        } else {
            None
        };
        Ok(SelectItem::Expr(item, alias))
    }

    /// Whether a name without AS stands here.
    pub(super) fn begins_alias(&self) -> bool {
        match self.peek() {
            TokenKind::Word(_, true) => true,
            TokenKind::Word(word, false) => {
                let begins_windows = word.eq_ignore_ascii_case("WINDOW") && self.is_word_at(2, "AS");
                !begins_windows && !super::is_reserved(word)
            }
            _ => false,
        }
    }

    fn group_item(&mut self) -> SqlResult<GroupItem> {
        if self.take_words(&["GROUPING", "SETS"]) {
            return Ok(GroupItem::Sets(self.parenthesised(Parser::grouping_set)?));
        }
        for word in ["ROLLUP", "CUBE"] {
            if self.is_word(word) && self.is_symbol_at(1, "(") {
                self.advance();
                let sets = self.parenthesised(Parser::grouping_set)?;
                return Ok(if word == "CUBE" { GroupItem::Cube(sets) } else { GroupItem::Rollup(sets) });
            }
        }
        if self.is_symbol("(") && self.is_symbol_at(1, ")") {
            self.advance();
            self.advance();
            return Ok(GroupItem::Sets(vec![Vec::new()]));
        }
        Ok(GroupItem::Expr(self.expr()?))
    }

    /// `(a, b)`, `()` or `a`
    fn grouping_set(&mut self) -> SqlResult<Vec<Expr>> {
        if !self.is_symbol("(") {
            return Ok(vec![self.expr()?]);
        }
        if self.is_symbol_at(1, ")") {
            self.advance();
            self.advance();
            return Ok(Vec::new());
        }
        let inner = self.expr()?;
        Ok(match *inner.kind {
            ExprKind::Row(items) => items,
            kind => vec![Expr { kind: Box::new(kind), span: inner.span }],
        })
    }

    /// `/*+ NAME(…), NAME(…) */`
    pub(super) fn hints(&mut self) -> SqlResult<Vec<Hint>> {
        let mut hints = Vec::new();
        while *self.peek() == TokenKind::HintStart {
            self.advance();
            while *self.peek() != TokenKind::HintEnd {
                let name = self.any_ident("a hint")?;
                let mut hint = Hint { name, options: Vec::new(), names: Vec::new() };
                if self.take_symbol("(") {
                    while !self.take_symbol(")") {
                        self.hint_argument(&mut hint)?;
                        self.take_symbol(",");
                    }
                }
                hints.push(hint);
                self.take_symbol(",");
                if self.at_end() {
                    return Err(self.unexpected("the end of the hint, `*/`"));
                }
            }
            self.advance();
        }
        Ok(hints)
    }

    fn hint_argument(&mut self, hint: &mut Hint) -> SqlResult<()> {
        let text = match self.peek().clone() {
            TokenKind::Text(text) | TokenKind::Number(text) => {
                self.advance();
                text
            }
            _ => {
                let parts: Vec<Ident> = self.object_name("an argument of the hint")?;
                parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".")
            }
        };
        if self.take_symbol("=") {
            let value = match self.peek().clone() {
                TokenKind::Text(value) | TokenKind::Number(value) | TokenKind::Word(value, _) => value,
                _ => return Err(self.unexpected("a value")),
            };
            self.advance();
            hint.options.push((text, value));
        } else {
            hint.names.push(text);
        }
        Ok(())
    }
}
