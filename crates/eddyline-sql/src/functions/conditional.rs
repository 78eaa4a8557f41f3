//! IF, NULLIF, IFNULL, GREATEST, LEAST and the like. COALESCE and CASE are expressions of their own.

use super::{Argument, Function, Resolved, arity};
use crate::row::Value;
use crate::types::{TypeKind, common_type_of};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::rows("IF", resolve_if, |args, _| {
        Ok(if matches!(args[0], Value::Bool(true)) { args[1].clone() } else { args[2].clone() })
    }),
    Function::rows("NULLIF", resolve_nullif, |args, _| {
        Ok(if !args[0].is_null() && args[0] == args[1] { Value::Null } else { args[0].clone() })
    }),
    Function::rows("IFNULL", resolve_ifnull, |args, _| {
        Ok(if args[0].is_null() { args[1].clone() } else { args[0].clone() })
    }),
    Function::strict("GREATEST", resolve_common, |args, _| {
        Ok(args.iter().max().cloned().unwrap_or(Value::Null))
    }),
    Function::strict("LEAST", resolve_common, |args, _| {
        Ok(args.iter().min().cloned().unwrap_or(Value::Null))
    }),
];

fn common(arguments: &[Argument]) -> Result<crate::types::SqlType, String> {
    common_type_of(arguments.iter().map(|argument| &argument.data_type))
        .ok_or_else(|| "takes arguments that have a type in common".to_owned())
}

fn resolve_if(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 3..=3)?;
    let result = common(&arguments[1..])?;
    let condition = TypeKind::Boolean.with_nullability(arguments[0].data_type.nullable);
    Ok(Resolved { params: vec![condition, result.clone(), result.clone()], result })
}

fn resolve_nullif(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 2..=2)?;
    let both = common(arguments)?;
    Ok(Resolved { params: vec![both.clone(), both.clone()], result: both.as_nullable() })
}

fn resolve_ifnull(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 2..=2)?;
    let both = common(arguments)?;
    let result =
        both.kind.clone().with_nullability(arguments.iter().all(|argument| argument.data_type.nullable));
    Ok(Resolved { params: vec![both.clone(), both], result })
}

fn resolve_common(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=usize::MAX)?;
    let result = common(arguments)?;
    Ok(Resolved { params: vec![result.clone(); arguments.len()], result })
}
