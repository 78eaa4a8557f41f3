//! Calls: of aggregates, over windows, of the library, and of what only looks like a function.

use super::aggregate::AggregateSpec;
use super::expr::ExprBinder;
use super::functions;
use crate::expr::{Node, Typed};
use crate::parser::ast::{Call, Expr, ExprKind, OrderItem};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::plan::AggregateFunction;
use crate::row::Value;
use crate::types::TypeKind;

impl ExprBinder<'_, '_> {
    pub(super) fn call(&mut self, call: &Call, span: Span) -> SqlResult<Typed> {
        let name = call.name.last().map(|part| part.name.to_ascii_uppercase()).unwrap_or_default();
        if call.over.is_some() {
            return self.over_call(call, &name, span);
        }
        if let Some(function) = functions::aggregate(&name) {
            return self.aggregate_call(function, call, span);
        }
        if call.filter.is_some() || call.distinct || call.star || !call.order_by.is_empty() {
            return Err(SqlError::at(span, format!("`{name}` is not an aggregate function")));
        }
        match name.as_str() {
            "GROUPING" | "GROUPING_ID" | "GROUP_ID" => return self.grouping_call(&name, call, span),
            "ROW_NUMBER" | "RANK" | "DENSE_RANK" | "LAG" | "LEAD" | "NTILE" | "PERCENT_RANK"
            | "CUME_DIST" => {
                return Err(SqlError::at(span, format!("{name} needs an OVER clause"))
                    .hint(format!("write {name}(…) OVER (PARTITION BY … ORDER BY …)")));
            }
            _ => {}
        }
        let args = self.bind_all(&call.args)?;
        match name.as_str() {
            "COALESCE" if !args.is_empty() => self.coalesce(args, span),
            "ARRAY" => self.array(args, span),
            "MAP" if args.len() % 2 == 0 => self.map(args, span),
            "ROW" => Ok(super::expr::row_of(args)),
            "TYPEOF" if !args.is_empty() => {
                let text = args[0].data_type.to_string();
                Ok(Typed::literal(Value::Text(text), TypeKind::STRING.not_null()))
            }
            "CURRENT_DATABASE" if args.is_empty() => {
                let name = self.binder.catalogs.current.1.clone();
                Ok(Typed::literal(Value::Text(name), TypeKind::STRING.not_null()))
            }
            "CURRENT_WATERMARK" => Err(SqlError::at(span, "CURRENT_WATERMARK is not supported")),
            _ => self.library_call(&name, args, span),
        }
    }

    fn aggregate_call(&mut self, function: AggregateFunction, call: &Call, span: Span) -> SqlResult<Typed> {
        let Some(aggregates) = self.found.aggregates.take() else {
            return Err(SqlError::at(span, format!("{} cannot aggregate", self.found.place))
                .hint("aggregates belong into SELECT, HAVING or ORDER BY, and not into one another"));
        };
        let spec = self.aggregate_spec(function, call, span);
        let mut aggregates = aggregates;
        let spec = match spec {
            Ok(spec) => spec,
            Err(error) => {
                self.found.aggregates = Some(aggregates);
                return Err(error);
            }
        };
        let number = match aggregates.iter().position(|known| *known == spec) {
            Some(number) => number,
            None => {
                aggregates.push(spec.clone());
                aggregates.len() - 1
            }
        };
        self.found.aggregates = Some(aggregates);
        Ok(Typed::new(Node::Aggregate(number), spec.result))
    }

    /// The call with its arguments bound; inside them, no aggregate is allowed.
    pub(super) fn aggregate_spec(
        &mut self,
        function: AggregateFunction,
        call: &Call,
        span: Span,
    ) -> SqlResult<AggregateSpec> {
        if call.star && function != AggregateFunction::Count {
            return Err(SqlError::at(span, format!("{} does not take `*`", function.name())));
        }
        let place = std::mem::replace(&mut self.found.place, "an argument of an aggregate function");
        let mut ignore_nulls = call.ignore_nulls.unwrap_or(matches!(
            function,
            AggregateFunction::FirstValue | AggregateFunction::LastValue | AggregateFunction::JsonArrayAgg
        ));
        let mut args = Vec::new();
        for arg in &call.args {
            match &*arg.kind {
                ExprKind::Symbol(words) if words == "ABSENT ON NULL" => ignore_nulls = true,
                ExprKind::Symbol(words) if words == "NULL ON NULL" => ignore_nulls = false,
                _ => args.push(self.bind(arg)?),
            }
        }
        let filter = call.filter.as_ref().map(|filter| self.bind(filter)).transpose()?;
        let order = self.order_items(&call.order_by)?;
        self.found.place = place;
        let types: Vec<_> = args.iter().map(|arg| arg.data_type.clone()).collect();
        let result = function
            .result(&types, self.found_grouped(), filter.is_some())
            .map_err(|what| SqlError::at(span, format!("{} {what}", function.name())))?;
        let distinct = call.distinct
            && !matches!(
                function,
                AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::ApproxCountDistinct
            );
        Ok(AggregateSpec { function, args, distinct, filter, order, ignore_nulls, result })
    }

    pub(super) fn order_items(&mut self, items: &[OrderItem]) -> SqlResult<Vec<(Typed, bool, bool)>> {
        items
            .iter()
            .map(|item| {
                let typed = self.bind(&item.expr)?;
                // As in Flink, NULL is the smallest value.
                Ok((typed, item.descending, item.nulls_first.unwrap_or(!item.descending)))
            })
            .collect()
    }

    /// GROUPING and GROUPING_ID become bits of the column that says of which grouping set a row is.
    fn grouping_call(&mut self, name: &str, call: &Call, span: Span) -> SqlResult<Typed> {
        let args: Vec<Typed> = call.args.iter().map(|arg: &Expr| self.bind(arg)).collect::<SqlResult<_>>()?;
        if self.found.aggregates.is_none() || args.is_empty() && name != "GROUP_ID" {
            return Err(SqlError::at(
                span,
                format!("{name} belongs into a query with GROUP BY and takes grouped columns"),
            ));
        }
        self.grouping_bits(args, span)
    }
}
