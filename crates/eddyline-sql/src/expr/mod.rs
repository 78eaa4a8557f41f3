//! Typed expressions: what the binder makes of a tree, and how they are computed over columns.

pub(crate) mod arithmetic;
mod cast;
mod compare;
pub(crate) mod decimals;
mod eval;
mod operand;
mod program;
#[cfg(test)]
mod tests;
pub(crate) mod text_format;
pub(crate) mod text_parse;

pub(crate) use cast::{cast_value, units_of_nanos};
pub(crate) use decimals::decimal as decimal_arithmetic;
pub(crate) use eval::{EvalContext, evaluate, evaluate_predicate, fold, without_nulls};
pub(crate) use program::{FilteredProgram, Program};

use crate::functions::Function;
use crate::row::Value;
use crate::types::SqlType;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// An expression over the columns of one relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Typed {
    pub(crate) node: Box<Node>,
    pub(crate) data_type: SqlType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    /// The comparison with its sides exchanged.
    pub(crate) fn swapped(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            same => same,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Arithmetic {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        }
    }
}

/// A function of the library, compared by name.
#[derive(Clone, Copy)]
pub(crate) struct FunctionRef(pub(crate) &'static Function);

impl std::fmt::Debug for FunctionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl PartialEq for FunctionRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for FunctionRef {}

impl Hash for FunctionRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Column(usize),
    /// A column of the query around, `depth` levels out; gone after sub-queries were made joins.
    Outer {
        depth: usize,
        column: usize,
    },
    Literal(Value),
    /// Both sides have the same type, or are date and interval.
    Arithmetic(Arithmetic, Typed, Typed),
    Negate(Typed),
    Compare(Comparison, Typed, Typed),
    /// `IS [NOT] DISTINCT FROM`
    Distinct {
        left: Typed,
        right: Typed,
        negated: bool,
    },
    And(Vec<Typed>),
    Or(Vec<Typed>),
    Not(Typed),
    IsNull(Typed),
    /// `IS TRUE`, `IS FALSE`
    IsTruth(Typed, bool),
    Cast {
        expr: Typed,
        is_try: bool,
    },
    Case {
        branches: Vec<(Typed, Typed)>,
        otherwise: Typed,
    },
    Coalesce(Vec<Typed>),
    Call(FunctionRef, Vec<Typed>),
    Row(Vec<Typed>),
    Array(Vec<Typed>),
    Map(Vec<Typed>),
    /// An element of an array (1-based) or the value of a map's key.
    Index(Typed, Typed),
    Field(Typed, usize),
    /// The result of aggregate call `n` of the query; gone after the query was bound.
    Aggregate(usize),
    /// The result of OVER call `n` of the query; gone after the query was bound.
    Over(usize),
    /// A sub-query by its number in the query; gone after sub-queries were made joins.
    Subquery(usize),
}

impl Typed {
    pub(crate) fn new(node: Node, data_type: SqlType) -> Self {
        Typed { node: Box::new(node), data_type }
    }

    pub(crate) fn column(column: usize, data_type: &SqlType) -> Self {
        Typed::new(Node::Column(column), data_type.clone())
    }

    pub(crate) fn literal(value: Value, data_type: SqlType) -> Self {
        Typed::new(Node::Literal(value), data_type)
    }

    pub(crate) fn bool(value: bool) -> Self {
        Typed::literal(Value::Bool(value), crate::types::TypeKind::Boolean.not_null())
    }

    pub(crate) fn as_column(&self) -> Option<usize> {
        match *self.node {
            Node::Column(column) => Some(column),
            _ => None,
        }
    }

    pub(crate) fn as_literal(&self) -> Option<&Value> {
        match &*self.node {
            Node::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// All of `conditions`; TRUE if there are none.
    pub(crate) fn and(conditions: Vec<Typed>) -> Typed {
        let mut flat = Vec::new();
        for condition in conditions {
            match *condition.node {
                Node::And(parts) => flat.extend(parts),
                node => flat.push(Typed { node: Box::new(node), data_type: condition.data_type }),
            }
        }
        match flat.len() {
            0 => Typed::bool(true),
            1 => flat.remove(0),
            _ => {
                let nullable = flat.iter().any(|part| part.data_type.nullable);
                Typed::new(Node::And(flat), crate::types::TypeKind::Boolean.with_nullability(nullable))
            }
        }
    }

    /// The conditions that all have to hold.
    pub(crate) fn conjuncts(self) -> Vec<Typed> {
        match *self.node {
            Node::And(parts) => parts.into_iter().flat_map(Typed::conjuncts).collect(),
            Node::Literal(Value::Bool(true)) => Vec::new(),
            node => vec![Typed { node: Box::new(node), data_type: self.data_type }],
        }
    }

    pub(crate) fn equal(left: Typed, right: Typed) -> Typed {
        let nullable = left.data_type.nullable || right.data_type.nullable;
        Typed::new(
            Node::Compare(Comparison::Equal, left, right),
            crate::types::TypeKind::Boolean.with_nullability(nullable),
        )
    }

    /// The parts of the expression.
    pub(crate) fn children(&self) -> Vec<&Typed> {
        match &*self.node {
            Node::Column(_)
            | Node::Outer { .. }
            | Node::Literal(_)
            | Node::Aggregate(_)
            | Node::Over(_)
            | Node::Subquery(_) => Vec::new(),
            Node::Arithmetic(_, a, b) | Node::Compare(_, a, b) | Node::Index(a, b) => vec![a, b],
            Node::Distinct { left, right, .. } => vec![left, right],
            Node::Negate(a) | Node::Not(a) | Node::IsNull(a) | Node::IsTruth(a, _) | Node::Field(a, _) => {
                vec![a]
            }
            Node::Cast { expr, .. } => vec![expr],
            Node::And(parts) | Node::Or(parts) | Node::Coalesce(parts) | Node::Call(_, parts) => {
                parts.iter().collect()
            }
            Node::Row(parts) | Node::Array(parts) | Node::Map(parts) => parts.iter().collect(),
            Node::Case { branches, otherwise } => {
                branches.iter().flat_map(|(when, then)| [when, then]).chain([otherwise]).collect()
            }
        }
    }

    fn children_mut(&mut self) -> Vec<&mut Typed> {
        match &mut *self.node {
            Node::Column(_)
            | Node::Outer { .. }
            | Node::Literal(_)
            | Node::Aggregate(_)
            | Node::Over(_)
            | Node::Subquery(_) => Vec::new(),
            Node::Arithmetic(_, a, b) | Node::Compare(_, a, b) | Node::Index(a, b) => vec![a, b],
            Node::Distinct { left, right, .. } => vec![left, right],
            Node::Negate(a) | Node::Not(a) | Node::IsNull(a) | Node::IsTruth(a, _) | Node::Field(a, _) => {
                vec![a]
            }
            Node::Cast { expr, .. } => vec![expr],
            Node::And(parts) | Node::Or(parts) | Node::Coalesce(parts) | Node::Call(_, parts) => {
                parts.iter_mut().collect()
            }
            Node::Row(parts) | Node::Array(parts) | Node::Map(parts) => parts.iter_mut().collect(),
            Node::Case { branches, otherwise } => {
                branches.iter_mut().flat_map(|(when, then)| [when, then]).chain([otherwise]).collect()
            }
        }
    }

    /// Replaces parts, outermost first: where `replace` answers an expression, it takes the part's place as it is.
    pub(crate) fn rewrite(&mut self, replace: &mut dyn FnMut(&Typed) -> Option<Typed>) {
        if let Some(new) = replace(self) {
            *self = new;
            return;
        }
        for child in self.children_mut() {
            child.rewrite(replace);
        }
    }

    /// The same expression over other columns: column `n` becomes `map(n)`.
    #[must_use]
    pub(crate) fn with_columns(mut self, map: &dyn Fn(usize) -> usize) -> Typed {
        self.rewrite(&mut |part| part.as_column().map(|column| Typed::column(map(column), &part.data_type)));
        self
    }

    /// The same expression with column `n` replaced by `exprs[n]`.
    #[must_use]
    pub(crate) fn over(mut self, exprs: &[Typed]) -> Typed {
        self.rewrite(&mut |part| part.as_column().map(|column| exprs[column].clone()));
        self
    }

    pub(crate) fn any(&self, holds: &dyn Fn(&Typed) -> bool) -> bool {
        holds(self) || self.children().into_iter().any(|child| child.any(holds))
    }

    /// The columns that are used.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        let mut columns = BTreeSet::new();
        self.collect_columns(&mut columns);
        columns
    }

    fn collect_columns(&self, columns: &mut BTreeSet<usize>) {
        columns.extend(self.as_column());
        for child in self.children() {
            child.collect_columns(columns);
        }
    }

    pub(crate) fn has_outer(&self) -> bool {
        self.any(&|part| matches!(*part.node, Node::Outer { .. }))
    }

    /// Whether it is the same whenever it is computed.
    pub(crate) fn is_deterministic(&self) -> bool {
        !self.any(&|part| matches!(&*part.node, Node::Call(function, _) if !function.0.deterministic))
    }

    /// Whether computing it may fail, so that it must not be computed for rows that do not need it.
    pub(crate) fn can_fail(&self) -> bool {
        self.any(&|part| match &*part.node {
            Node::Arithmetic(op, ..) => matches!(op, Arithmetic::Divide | Arithmetic::Modulo),
            Node::Cast { is_try, .. } => !is_try,
            Node::Call(..) | Node::Index(..) => true,
            _ => false,
        })
    }
}

/// A double as an unscaled decimal, rounded half away from zero; none if it does not fit.
pub(crate) fn decimal_of_float(value: f64, precision: u8, scale: u8) -> Option<i128> {
    text_parse::decimal(&format!("{value:e}"), precision, scale)
}
