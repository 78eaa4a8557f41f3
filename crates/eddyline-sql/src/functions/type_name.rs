//! TYPEOF.

use super::signature::{Takes, mismatch};
use super::{Argument, Function, Resolved, arity};
use crate::row::Value;
use crate::types::{SqlType, TypeKind};

pub(super) const FUNCTIONS: &[Function] = &[Function::rows("TYPEOF", resolve_typeof, |args, info| {
    let given = &info.params[0];
    let name = if args.get(1) == Some(&Value::Bool(true)) { full_name(given) } else { given.to_string() };
    Ok(Value::Text(name))
})];

/// Anything, and whether the name has to be one that a catalog can keep.
fn resolve_typeof(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 1..=2)?;
    if let Some(flag) = arguments.get(1)
        && flag.data_type.kind != TypeKind::Boolean
    {
        return Err(mismatch(arguments, &[Takes::Anything, Takes::Boolean]));
    }
    let params = arguments.iter().map(|argument| argument.data_type.clone()).collect();
    Ok(Resolved { params, result: TypeKind::STRING.not_null() })
}

/// The name without short forms.
fn full_name(given: &SqlType) -> String {
    let suffix = if given.nullable { "" } else { " NOT NULL" };
    let kind = match &given.kind {
        TypeKind::VarChar(u32::MAX) | &TypeKind::JSON_TEXT => "VARCHAR(2147483647)".to_owned(),
        TypeKind::VarBinary(u32::MAX) => "VARBINARY(2147483647)".to_owned(),
        TypeKind::TimestampLtz(precision) => format!("TIMESTAMP({precision}) WITH LOCAL TIME ZONE"),
        TypeKind::Array(item) => format!("ARRAY<{}>", full_name(item)),
        TypeKind::Multiset(item) => format!("MULTISET<{}>", full_name(item)),
        TypeKind::Map(key, value) => format!("MAP<{}, {}>", full_name(key), full_name(value)),
        TypeKind::Row(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|field| format!("`{}` {}", field.name, full_name(&field.data_type)))
                .collect();
            format!("ROW<{}>", fields.join(", "))
        }
        kind => kind.to_string(),
    };
    kind + suffix
}
