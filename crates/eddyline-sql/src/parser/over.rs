//! What stands behind OVER: partitions, orders and frames.

use super::Parser;
use super::ast::{Bound, Frame, WindowSpec};
use super::expr::ADD;
use super::span::SqlResult;

impl Parser<'_> {
    pub(super) fn window_spec(&mut self) -> SqlResult<WindowSpec> {
        let start = self.span();
        self.expect_symbol("(")?;
        let begins = self.is_word("PARTITION")
            || self.is_word("ORDER")
            || self.is_word("ROWS")
            || self.is_word("RANGE");
        let base = if begins || self.is_symbol(")") { None } else { Some(self.ident("a window's name")?) };
        let partition_by =
            if self.take_words(&["PARTITION", "BY"]) { self.list(Parser::expr)? } else { Vec::new() };
        let order_by =
            if self.take_words(&["ORDER", "BY"]) { self.list(Parser::order_item)? } else { Vec::new() };
        let frame = if self.is_word("ROWS") || self.is_word("RANGE") { Some(self.frame()?) } else { None };
        self.expect_symbol(")")?;
        Ok(WindowSpec { base, partition_by, order_by, frame, span: start.to(self.last_span()) })
    }

    fn frame(&mut self) -> SqlResult<Frame> {
        let rows = self.take_word("ROWS");
        if !rows {
            self.expect_word("RANGE")?;
        }
        if self.take_word("BETWEEN") {
            let start = self.bound()?;
            self.expect_word("AND")?;
            let end = self.bound()?;
            return Ok(Frame { rows, start, end });
        }
        Ok(Frame { rows, start: self.bound()?, end: Bound::CurrentRow })
    }

    fn bound(&mut self) -> SqlResult<Bound> {
        if self.take_words(&["CURRENT", "ROW"]) {
            return Ok(Bound::CurrentRow);
        }
        if self.take_words(&["UNBOUNDED", "PRECEDING"]) {
            return Ok(Bound::UnboundedPreceding);
        }
        if self.take_words(&["UNBOUNDED", "FOLLOWING"]) {
            return Ok(Bound::UnboundedFollowing);
        }
        let distance = self.expr_above(ADD)?;
        if self.take_word("PRECEDING") {
            Ok(Bound::Preceding(distance))
        } else {
            self.expect_word("FOLLOWING")?;
            Ok(Bound::Following(distance))
        }
    }
}
