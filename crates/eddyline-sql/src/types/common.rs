//! The type that several values have in common.

use super::{RowField, SqlType, TypeKind};

/// The least restrictive type of `one` and `other`, if there is one: Flink's (Calcite's) rules.
pub(crate) fn common_type(one: &SqlType, other: &SqlType) -> Option<SqlType> {
    let nullable = one.nullable || other.nullable;
    common_kind(&one.kind, &other.kind).map(|kind| kind.with_nullability(nullable))
}

/// The least restrictive type of all of `types`.
pub(crate) fn common_type_of<'a>(types: impl IntoIterator<Item = &'a SqlType>) -> Option<SqlType> {
    let mut types = types.into_iter();
    let first = types.next()?.clone();
    types.try_fold(first, |common, next| common_type(&common, next))
}

fn common_kind(one: &TypeKind, other: &TypeKind) -> Option<TypeKind> {
    use TypeKind::*;
    if one == other {
        return Some(one.clone());
    }
    Some(match (one, other) {
        (Null, kind) | (kind, Null) => kind.clone(),
        (a, b) if a.is_numeric() && b.is_numeric() => common_numeric(a, b),
        (a, b) if a.is_text() && b.is_text() => common_text(a, b),
        (a, b) if a.is_bytes() && b.is_bytes() => common_bytes(a, b),
        (Time(a), Time(b)) => Time(*a.max(b)),
        (Timestamp(a), Timestamp(b)) => Timestamp(*a.max(b)),
        (TimestampLtz(a), TimestampLtz(b)) => TimestampLtz(*a.max(b)),
        (Timestamp(a), TimestampLtz(b)) | (TimestampLtz(b), Timestamp(a)) => TimestampLtz(*a.max(b)),
        (Date, Timestamp(p)) | (Timestamp(p), Date) => Timestamp(*p),
        (Date, TimestampLtz(p)) | (TimestampLtz(p), Date) => TimestampLtz(*p),
        (Array(a), Array(b)) => Array(Box::new(common_type(a, b)?)),
        (Multiset(a), Multiset(b)) => Multiset(Box::new(common_type(a, b)?)),
        (Map(k1, v1), Map(k2, v2)) => Map(Box::new(common_type(k1, k2)?), Box::new(common_type(v1, v2)?)),
        (Row(a), Row(b)) if a.len() == b.len() => {
            let fields = a.iter().zip(b).map(|(one, other)| {
                let data_type = common_type(&one.data_type, &other.data_type)?;
                Some(RowField { name: one.name.clone(), data_type })
            });
            Row(fields.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn common_numeric(one: &TypeKind, other: &TypeKind) -> TypeKind {
    use TypeKind::*;
    let rank = |kind: &TypeKind| match kind {
        TinyInt => 0,
        SmallInt => 1,
        Int => 2,
        _ => 3,
    };
    if *one == Double || *other == Double {
        return Double;
    }
    if *one == Float || *other == Float {
        // A decimal does not fit a FLOAT; whole numbers do, as Flink sees it.
        let exact = if *one == Float { other } else { one };
        return if matches!(exact, Decimal(..)) { Double } else { Float };
    }
    if one.is_integer() && other.is_integer() {
        return if rank(one) >= rank(other) { one.clone() } else { other.clone() };
    }
    let ((p1, s1), (p2, s2)) = (one.as_decimal().unwrap_or((38, 0)), other.as_decimal().unwrap_or((38, 0)));
    let scale = s1.max(s2);
    let whole = (p1 - s1).max(p2 - s2);
    Decimal((whole + scale).min(38), scale.min(38))
}

fn common_text(one: &TypeKind, other: &TypeKind) -> TypeKind {
    use TypeKind::*;
    let length = |kind: &TypeKind| match kind {
        Char(length) | VarChar(length) => *length,
        _ => 0,
    };
    let longest = length(one).max(length(other));
    match (one, other) {
        (Char(a), Char(b)) if a == b => Char(*a),
        // Texts of several lengths are not padded.
        _ => VarChar(longest),
    }
}

fn common_bytes(one: &TypeKind, other: &TypeKind) -> TypeKind {
    use TypeKind::*;
    let length = |kind: &TypeKind| match kind {
        Binary(length) | VarBinary(length) => *length,
        _ => 0,
    };
    VarBinary(length(one).max(length(other)))
}

/// Whether a value of `from` may stand where `to` is wanted, without a CAST being written.
pub(crate) fn implicitly_castable(from: &TypeKind, to: &TypeKind) -> bool {
    use TypeKind::*;
    if from == to {
        return true;
    }
    match (from, to) {
        (Null, _) => true,
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (a, b) if a.is_text() && b.is_text() => true,
        (a, b) if a.is_bytes() && b.is_bytes() => true,
        (Date, Timestamp(_) | TimestampLtz(_)) => true,
        (Timestamp(_) | TimestampLtz(_), Timestamp(_) | TimestampLtz(_)) => true,
        (Time(_), Time(_)) => true,
        (Array(a), Array(b)) | (Multiset(a), Multiset(b)) => implicitly_castable(&a.kind, &b.kind),
        (Map(k1, v1), Map(k2, v2)) => {
            implicitly_castable(&k1.kind, &k2.kind) && implicitly_castable(&v1.kind, &v2.kind)
        }
        (Row(a), Row(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(one, other)| implicitly_castable(&one.data_type.kind, &other.data_type.kind))
        }
        _ => false,
    }
}
