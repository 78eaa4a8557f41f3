//! Calls of the function library.

use super::coerce::cast_to;
use super::expr::ExprBinder;
use crate::expr::{FunctionRef, Node, Typed, fold};
use crate::functions::{self, Argument};
use crate::parser::span::{Span, SqlError, SqlResult, nearest};
use crate::plan::AggregateFunction;
use crate::row::Value;

impl ExprBinder<'_, '_> {
    /// A call of the function `name`; computed at once if it is constant.
    pub(super) fn library_call(&self, name: &str, args: Vec<Typed>, span: Span) -> SqlResult<Typed> {
        let Some(function) = functions::find(name) else {
            let error = SqlError::at(span, format!("there is no function `{name}`"));
            let aggregates = AggregateFunction::NAMES;
            return Err(match nearest(name, functions::names().chain(aggregates)) {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error.hint("SHOW FUNCTIONS lists them"),
            });
        };
        let arguments: Vec<Argument> = args
            .iter()
            .map(|arg| Argument { data_type: arg.data_type.clone(), literal: arg.as_literal().cloned() })
            .collect();
        let resolved = (function.resolve)(&arguments).map_err(|what| {
            let given: Vec<String> =
                arguments.iter().map(|argument| argument.data_type.kind.to_string()).collect();
            SqlError::at(span, format!("{} {what}", function.name))
                .hint(format!("it was given ({})", given.join(", ")))
        })?;
        let context = &self.binder.context;
        let args: Vec<Typed> = args
            .into_iter()
            .zip(&resolved.params)
            .map(|(arg, param)| cast_to(arg, &param.kind, context))
            .collect();
        let is_constant = function.deterministic && args.iter().all(|arg| arg.as_literal().is_some());
        let call = Typed::new(Node::Call(FunctionRef(function), args), resolved.result);
        if is_constant {
            return match fold(&call, context) {
                Ok(value) => Ok(Typed::literal(value, call.data_type)),
                Err(_) => Ok(call),
            };
        }
        Ok(call)
    }

    /// COALESCE, an expression of its own since it must not compute what it does not need.
    pub(super) fn coalesce(&self, args: Vec<Typed>, span: Span) -> SqlResult<Typed> {
        let common = crate::types::common_type_of(args.iter().map(|arg| &arg.data_type))
            .ok_or_else(|| SqlError::at(span, "the arguments of COALESCE have no type in common"))?;
        let nullable = args.iter().all(|arg| arg.data_type.nullable);
        let context = &self.binder.context;
        let mut parts: Vec<Typed> = Vec::new();
        for arg in args {
            if arg.as_literal() == Some(&Value::Null) {
                continue;
            }
            let always = !arg.data_type.nullable;
            parts.push(cast_to(arg, &common.kind, context));
            if always {
                break;
            }
        }
        Ok(match parts.len() {
            0 => Typed::literal(Value::Null, common),
            1 => parts.remove(0),
            _ => Typed::new(Node::Coalesce(parts), common.kind.with_nullability(nullable)),
        })
    }
}

/// Whether `name` is an aggregate function.
pub(super) fn aggregate(name: &str) -> Option<AggregateFunction> {
    AggregateFunction::find(name)
}
