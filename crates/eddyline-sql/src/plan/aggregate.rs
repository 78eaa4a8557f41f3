//! Aggregate functions: which there are, what they take and give.

use crate::row::SortOrder;
use crate::types::{SqlType, TypeKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AggregateFunction {
    Count,
    Sum,
    /// SUM that is 0 without rows.
    Sum0,
    Avg,
    Min,
    Max,
    StddevPop,
    StddevSamp,
    VarPop,
    VarSamp,
    FirstValue,
    LastValue,
    ListAgg,
    Collect,
    ArrayAgg,
    /// The value of a sub-query that may give one row at most.
    SingleValue,
    ApproxCountDistinct,
    JsonObjectAgg,
    JsonArrayAgg,
    /// Of values, at a share or an array of shares, each value so often as a third argument says.
    Percentile,
}

/// An aggregate call over columns of its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AggregateCall {
    pub(crate) function: AggregateFunction,
    pub(crate) args: Vec<usize>,
    pub(crate) distinct: bool,
    pub(crate) filter: Option<usize>,
    pub(crate) order: Vec<SortOrder>,
    /// JSON_OBJECTAGG and the like: whether NULLs are left out; FIRST_VALUE and LAST_VALUE: whether they are ignored.
    pub(crate) ignore_nulls: bool,
    pub(crate) result: SqlType,
}

impl AggregateFunction {
    /// The names by which they are called, in order.
    pub(crate) const NAMES: [&str; 19] = [
        "APPROX_COUNT_DISTINCT",
        "ARRAY_AGG",
        "AVG",
        "COLLECT",
        "COUNT",
        "FIRST_VALUE",
        "JSON_ARRAYAGG",
        "JSON_OBJECTAGG",
        "LAST_VALUE",
        "LISTAGG",
        "MAX",
        "MIN",
        "PERCENTILE",
        "STDDEV_POP",
        "STDDEV_SAMP",
        "SUM",
        "VARIANCE",
        "VAR_POP",
        "VAR_SAMP",
    ];

    pub(crate) fn find(name: &str) -> Option<AggregateFunction> {
        use AggregateFunction::*;
        Some(match name.to_ascii_uppercase().as_str() {
            "COUNT" => Count,
            "SUM" => Sum,
            "SUM0" | "$SUM0" => Sum0,
            "AVG" => Avg,
            "MIN" => Min,
            "MAX" => Max,
            "STDDEV_POP" => StddevPop,
            "STDDEV_SAMP" | "STDDEV" => StddevSamp,
            "VAR_POP" => VarPop,
            "VAR_SAMP" | "VARIANCE" => VarSamp,
            "FIRST_VALUE" => FirstValue,
            "LAST_VALUE" => LastValue,
            "LISTAGG" => ListAgg,
            "COLLECT" => Collect,
            "ARRAY_AGG" => ArrayAgg,
            "SINGLE_VALUE" => SingleValue,
            "APPROX_COUNT_DISTINCT" => ApproxCountDistinct,
            "JSON_OBJECTAGG" => JsonObjectAgg,
            "JSON_ARRAYAGG" => JsonArrayAgg,
            "PERCENTILE" => Percentile,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        use AggregateFunction::*;
        match self {
            Count => "COUNT",
            Sum => "SUM",
            Sum0 => "$SUM0",
            Avg => "AVG",
            Min => "MIN",
            Max => "MAX",
            StddevPop => "STDDEV_POP",
            StddevSamp => "STDDEV_SAMP",
            VarPop => "VAR_POP",
            VarSamp => "VAR_SAMP",
            FirstValue => "FIRST_VALUE",
            LastValue => "LAST_VALUE",
            ListAgg => "LISTAGG",
            Collect => "COLLECT",
            ArrayAgg => "ARRAY_AGG",
            SingleValue => "SINGLE_VALUE",
            ApproxCountDistinct => "APPROX_COUNT_DISTINCT",
            JsonObjectAgg => "JSON_OBJECTAGG",
            JsonArrayAgg => "JSON_ARRAYAGG",
            Percentile => "PERCENTILE",
        }
    }

    /// The type of its result over arguments of `types`, or what it takes instead. `grouped` says that no group is
    /// without rows.
    pub(crate) fn result(
        self,
        types: &[SqlType],
        grouped: bool,
        has_filter: bool,
    ) -> Result<SqlType, String> {
        use AggregateFunction::*;
        let count = types.len();
        let expect = |wanted: std::ops::RangeInclusive<usize>| {
            if wanted.contains(&count) { Ok(()) } else { Err(format!("does not take {count} arguments")) }
        };
        let nullable = |data_type: &SqlType| data_type.nullable || !grouped || has_filter;
        let first = types.first();
        let numeric = || match first {
            Some(first) if first.kind.is_numeric() || first.kind == TypeKind::Null => Ok(first),
            Some(first) => Err(format!("takes a number, not {}", first.kind)),
            None => Err("takes an argument".to_owned()),
        };
        match self {
            Count | ApproxCountDistinct => Ok(TypeKind::BigInt.not_null()),
            Sum | Sum0 => {
                expect(1..=1)?;
                let first = numeric()?;
                let kind = match &first.kind {
                    TypeKind::Decimal(_, scale) => TypeKind::Decimal(38, *scale),
                    kind => kind.clone(),
                };
                Ok(kind.with_nullability(self == Sum && nullable(first)))
            }
            Avg => {
                expect(1..=1)?;
                let first = numeric()?;
                let kind = match &first.kind {
                    TypeKind::Decimal(_, scale) => TypeKind::Decimal(38, (*scale).max(6)),
                    kind => kind.clone(),
                };
                Ok(kind.with_nullability(nullable(first)))
            }
            StddevPop | StddevSamp | VarPop | VarSamp => {
                expect(1..=1)?;
                let first = numeric()?;
                let kind = match &first.kind {
                    TypeKind::Decimal(_, scale) => TypeKind::Decimal(38, (*scale).max(6)),
                    kind => kind.clone(),
                };
                Ok(kind.with_nullability(nullable(first) || matches!(self, StddevSamp | VarSamp)))
            }
            Min | Max | SingleValue => {
                expect(1..=1)?;
                let first = first.ok_or("takes an argument")?;
                if self != SingleValue && matches!(first.kind, TypeKind::Map(..) | TypeKind::Multiset(_)) {
                    return Err(format!("takes values that can be ordered, not {}", first.kind));
                }
                Ok(first.kind.clone().with_nullability(nullable(first)))
            }
            FirstValue | LastValue => {
                expect(1..=2)?;
                Ok(types[0].as_nullable())
            }
            ListAgg => {
                expect(1..=2)?;
                if types.iter().any(|data_type| !data_type.kind.is_text() && data_type.kind != TypeKind::Null)
                {
                    return Err("takes text".into());
                }
                Ok(TypeKind::STRING.nullable())
            }
            Collect => {
                expect(1..=1)?;
                let item = types[0].kind.clone().not_null();
                Ok(TypeKind::Multiset(Box::new(item)).with_nullability(!grouped))
            }
            ArrayAgg => {
                expect(1..=1)?;
                Ok(TypeKind::Array(Box::new(types[0].clone())).nullable())
            }
            Percentile => {
                expect(2..=3)?;
                numeric()?;
                let share = &types[1].kind;
                match share {
                    TypeKind::Array(item) if item.kind.is_numeric() => {
                        Ok(TypeKind::Array(Box::new(TypeKind::Double.nullable())).nullable())
                    }
                    kind if kind.is_numeric() => Ok(TypeKind::Double.nullable()),
                    kind => Err(format!("takes a share or an array of shares, not {kind}")),
                }
            }
            JsonObjectAgg => {
                expect(2..=2)?;
                Ok(TypeKind::VarChar(2000).not_null())
            }
            JsonArrayAgg => {
                expect(1..=1)?;
                Ok(TypeKind::VarChar(2000).not_null())
            }
        }
    }
}
