//! Functions whose arguments have a grammar of their own.

use super::Parser;
use super::ast::{Call, Expr, ExprKind, Literal};
use super::expr::expr;
use super::lexer::TokenKind;
use super::span::SqlResult;

impl Parser<'_> {
    fn symbol_expr(&mut self, symbol: &str) -> Expr {
        expr(ExprKind::Symbol(symbol.to_owned()), self.last_span())
    }

    /// A unit of time as an argument.
    fn unit_argument(&mut self) -> SqlResult<Expr> {
        match self.peek().clone() {
            TokenKind::Word(word, _) => {
                self.advance();
                Ok(self.symbol_expr(&word.to_ascii_uppercase()))
            }
            TokenKind::Text(text) => {
                self.advance();
                Ok(self.symbol_expr(&text.to_ascii_uppercase()))
            }
            _ => Err(self.unexpected("a unit of time")),
        }
    }

    pub(super) fn timestamp_call(&mut self, _word: &str) -> SqlResult<ExprKind> {
        let name = self.any_ident("a function")?;
        self.expect_symbol("(")?;
        let mut args = vec![self.unit_argument()?];
        while self.take_symbol(",") {
            args.push(self.expr()?);
        }
        self.expect_symbol(")")?;
        Ok(ExprKind::Call(Call::plain(name, args)))
    }

    pub(super) fn special_call(&mut self, word: &str) -> SqlResult<ExprKind> {
        let name = self.any_ident("a function")?;
        self.expect_symbol("(")?;
        let args = match word {
            "EXTRACT" => {
                let unit = self.unit_argument()?;
                self.expect_word("FROM")?;
                vec![unit, self.expr()?]
            }
            "TRIM" => self.trim_arguments()?,
            "POSITION" => {
                let mut args = vec![self.primary_operand()?];
                self.expect_word("IN")?;
                args.push(self.expr()?);
                if self.take_word("FROM") {
                    args.push(self.expr()?);
                }
                args
            }
            "SUBSTRING" => self.separated(&["FROM", "FOR"])?,
            "OVERLAY" => self.separated(&["PLACING", "FROM", "FOR"])?,
            // CEIL and FLOOR
            _ => {
                let mut args = vec![self.expr()?];
                if self.take_word("TO") {
                    args.push(self.unit_argument()?);
                }
                while self.take_symbol(",") {
                    args.push(self.expr()?);
                }
                args
            }
        };
        self.expect_symbol(")")?;
        let call = self.behind_call(Call::plain(name, args))?;
        Ok(ExprKind::Call(call))
    }

    /// `first, second, …` with keywords or commas between.
    fn separated(&mut self, keywords: &[&str]) -> SqlResult<Vec<Expr>> {
        let mut args = vec![self.expr()?];
        loop {
            if self.take_symbol(",") || keywords.iter().any(|keyword| self.take_word(keyword)) {
                args.push(self.expr()?);
            } else {
                return Ok(args);
            }
        }
    }

    /// `[LEADING | TRAILING | BOTH] [what] FROM text`, or `text`: gives side, what, text.
    fn trim_arguments(&mut self) -> SqlResult<Vec<Expr>> {
        let mut side = "BOTH";
        let mut is_long = false;
        for word in ["LEADING", "TRAILING", "BOTH"] {
            if self.take_word(word) {
                (side, is_long) = (word, true);
                break;
            }
        }
        let side = self.symbol_expr(side);
        let blank = expr(ExprKind::Literal(Literal::Text(" ".into())), self.last_span());
        if is_long && self.take_word("FROM") {
            return Ok(vec![side, blank, self.expr()?]);
        }
        let first = self.expr()?;
        if self.take_word("FROM") {
            return Ok(vec![side, first, self.expr()?]);
        }
        Ok(vec![side, blank, first])
    }

    /// The JSON functions; what they say of types, wrappers and errors becomes symbols behind the arguments. Where a
    /// clause has a value, it follows its symbol.
    pub(super) fn json_call(&mut self, word: &str) -> SqlResult<ExprKind> {
        let name = self.any_ident("a function")?;
        self.expect_symbol("(")?;
        let mut call = Call::plain(name, Vec::new());
        match word {
            "JSON_OBJECT" | "JSON_OBJECTAGG" => self.json_pairs(&mut call)?,
            "JSON_ARRAY" | "JSON_ARRAYAGG" => {
                if !self.is_symbol(")") && !self.is_word_at(1, "ON") {
                    call.args = self.list(Parser::expr)?;
                }
            }
            _ => call.args = self.list(Parser::expr)?,
        }
        while !self.is_symbol(")") {
            self.json_clause(&mut call)?;
        }
        self.expect_symbol(")")?;
        Ok(ExprKind::Call(self.behind_call(call)?))
    }

    /// `[KEY] key VALUE value`, `key : value`, with commas between.
    fn json_pairs(&mut self, call: &mut Call) -> SqlResult<()> {
        if self.is_symbol(")") || self.is_word_at(1, "ON") {
            return Ok(());
        }
        loop {
            if self.is_word("KEY") && !self.is_word_at(1, "VALUE") && !self.is_symbol_at(1, ":") {
                self.advance();
            }
            call.args.push(self.expr()?);
            if !self.take_word("VALUE") && !self.take_symbol(":") {
                self.expect_symbol(",")?;
            }
            call.args.push(self.expr()?);
            if !self.take_symbol(",") {
                return Ok(());
            }
        }
    }

    /// `(start, end) OVERLAPS (start, end)`, behind the first pair: a call with four arguments.
    pub(super) fn overlaps(&mut self, first: &Expr) -> SqlResult<Option<ExprKind>> {
        let ExprKind::Row(one) = &*first.kind else { return Ok(None) };
        if one.len() != 2 || !self.is_word("OVERLAPS") || !self.is_symbol_at(1, "(") {
            return Ok(None);
        }
        let name = self.any_ident("OVERLAPS")?;
        let other = self.parenthesised(Parser::expr)?;
        if other.len() != 2 {
            return Err(self.unexpected("two points of time behind OVERLAPS"));
        }
        let args = one.iter().cloned().chain(other).collect();
        Ok(Some(ExprKind::Call(Call::plain(name, args))))
    }

    fn json_clause(&mut self, call: &mut Call) -> SqlResult<()> {
        if self.take_word("RETURNING") {
            let target = self.data_type()?;
            let null = expr(ExprKind::Literal(Literal::Null), self.last_span());
            let cast = expr(ExprKind::Cast { expr: null, target, is_try: false }, self.last_span());
            let word = self.symbol_expr("RETURNING");
            call.args.extend([word, cast]);
            return Ok(());
        }
        let mut words = Vec::new();
        if self.take_word("DEFAULT") {
            let value = self.expr()?;
            self.expect_word("ON")?;
            let when = self.any_ident("EMPTY or ERROR")?.name.to_ascii_uppercase();
            let word = self.symbol_expr(&format!("DEFAULT ON {when}"));
            call.args.extend([word, value]);
            return Ok(());
        }
        const ENDS: [&str; 5] = ["EMPTY", "ERROR", "NULL", "WRAPPER", "KEYS"];
        loop {
            let word = self.any_ident("a clause of a JSON function")?.name.to_ascii_uppercase();
            let is_end = !words.is_empty() && ENDS.contains(&word.as_str());
            words.push(word);
            // `EMPTY ARRAY ON ERROR` goes on behind its first word.
            if is_end && !self.is_word("ON") {
                break;
            }
            if words.len() > 8 || self.is_symbol(")") {
                break;
            }
        }
        let symbol = self.symbol_expr(&words.join(" "));
        call.args.push(symbol);
        Ok(())
    }
}
