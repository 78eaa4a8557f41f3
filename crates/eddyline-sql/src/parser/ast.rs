//! What a script says, as a tree. Names are as written; nothing is resolved yet.

use super::span::Span;
use crate::types::{Interval, SqlType};

/// A name in a script.
#[derive(Debug, Clone)]
pub(crate) struct Ident {
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// A name of one or more parts: `catalog.database.table`.
pub(crate) type ObjectName = Vec<Ident>;

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Box<ExprKind>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    Date(String),
    Time(String),
    Timestamp(String),
    Interval(Interval),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Plus,
    Minus,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum BinaryOp {
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

#[derive(Debug, Clone)]
pub(crate) enum IsTest {
    Null,
    True,
    False,
    Unknown,
    DistinctFrom(Expr),
    /// `IS JSON [VALUE | SCALAR | ARRAY | OBJECT]`
    Json(String),
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Name(ObjectName),
    Literal(Literal),
    Unary(UnaryOp, Expr),
    Binary(BinaryOp, Expr, Expr),
    Is {
        expr: Expr,
        test: IsTest,
        negated: bool,
    },
    Between {
        expr: Expr,
        low: Expr,
        high: Expr,
        negated: bool,
        symmetric: bool,
    },
    InList {
        expr: Expr,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        expr: Expr,
        query: Box<Query>,
        negated: bool,
    },
    Like {
        expr: Expr,
        pattern: Expr,
        escape: Option<Expr>,
        negated: bool,
        similar: bool,
    },
    Exists(Box<Query>),
    Scalar(Box<Query>),
    /// `expr op ALL | ANY (query | list)`
    Quantified {
        expr: Expr,
        op: BinaryOp,
        all: bool,
        query: Box<Query>,
    },
    Case {
        operand: Option<Expr>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Expr>,
    },
    Cast {
        expr: Expr,
        target: SqlType,
        is_try: bool,
    },
    Call(Call),
    Row(Vec<Expr>),
    Array(Vec<Expr>),
    Map(Vec<Expr>),
    /// `ARRAY(query)`
    ArrayQuery,
    Index(Expr, Expr),
    Field(Expr, Ident),
    /// A word that a function takes as it is: `SECOND`, `LEADING`, `NULL ON ERROR`.
    Symbol(String),
    Descriptor(Vec<Ident>),
    Table(TableArgument),
    /// `name => value`
    Named(Ident, Expr),
}

/// A table as the argument of a function.
#[derive(Debug, Clone)]
pub(crate) struct TableArgument {
    pub(crate) query: Box<Query>,
    pub(crate) partition_by: Vec<Expr>,
    pub(crate) order_by: Vec<OrderItem>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) name: ObjectName,
    pub(crate) args: Vec<Expr>,
    /// `f(*)`
    pub(crate) star: bool,
    pub(crate) distinct: bool,
    /// `WITHIN GROUP (ORDER BY …)` or `ORDER BY` among the arguments.
    pub(crate) order_by: Vec<OrderItem>,
    pub(crate) filter: Option<Expr>,
    pub(crate) ignore_nulls: Option<bool>,
    pub(crate) over: Option<Over>,
}

#[derive(Debug, Clone)]
pub(crate) enum Over {
    Named(Ident),
    Spec(WindowSpec),
}

#[derive(Debug, Clone)]
pub(crate) struct WindowSpec {
    pub(crate) base: Option<Ident>,
    pub(crate) partition_by: Vec<Expr>,
    pub(crate) order_by: Vec<OrderItem>,
    pub(crate) frame: Option<Frame>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) rows: bool,
    pub(crate) start: Bound,
    pub(crate) end: Bound,
}

#[derive(Debug, Clone)]
pub(crate) enum Bound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

#[derive(Debug, Clone)]
pub(crate) struct OrderItem {
    pub(crate) expr: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: Option<bool>,
}

#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) with: Vec<Cte>,
    pub(crate) body: SetExpr,
    pub(crate) order_by: Vec<OrderItem>,
    pub(crate) limit: Option<Expr>,
    pub(crate) offset: Option<Expr>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Cte {
    pub(crate) name: Ident,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOp {
    Union,
    Intersect,
    Except,
}

#[derive(Debug, Clone)]
pub(crate) enum SetExpr {
    Select(Box<Select>),
    Query(Box<Query>),
    SetOp { op: SetOp, all: bool, left: Box<SetExpr>, right: Box<SetExpr>, span: Span },
    Values(Vec<Expr>, Span),
    Table(ObjectName),
}

#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) hints: Vec<Hint>,
    pub(crate) distinct: bool,
    pub(crate) items: Vec<SelectItem>,
    pub(crate) from: Vec<TableRef>,
    pub(crate) filter: Option<Expr>,
    pub(crate) group_by: Vec<GroupItem>,
    pub(crate) having: Option<Expr>,
    pub(crate) windows: Vec<(Ident, WindowSpec)>,
    pub(crate) qualify: Option<Expr>,
    pub(crate) span: Span,
}

/// `NAME(arguments)` in a hint comment.
#[derive(Debug, Clone)]
pub(crate) struct Hint {
    pub(crate) name: Ident,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) names: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum SelectItem {
    Expr(Expr, Option<Ident>),
    Star(ObjectName, Span),
}

#[derive(Debug, Clone)]
pub(crate) enum GroupItem {
    Expr(Expr),
    Sets(Vec<Vec<Expr>>),
    Rollup(Vec<Vec<Expr>>),
    Cube(Vec<Vec<Expr>>),
}

#[derive(Debug, Clone)]
pub(crate) struct Alias {
    pub(crate) name: Ident,
    pub(crate) columns: Vec<Ident>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    Anti,
}

#[derive(Debug, Clone)]
pub(crate) enum JoinCondition {
    None,
    On(Expr),
    Using(Vec<Ident>),
    Natural,
}

#[derive(Debug, Clone)]
pub(crate) enum TableRef {
    Table { name: ObjectName, hints: Vec<Hint>, system_time: Option<Expr>, alias: Option<Alias> },
    Derived { lateral: bool, query: Box<Query>, alias: Option<Alias> },
    Function { call: Call, alias: Option<Alias>, span: Span },
    Unnest { exprs: Vec<Expr>, ordinality: bool, alias: Option<Alias>, span: Span },
    Join { left: Box<TableRef>, right: Box<TableRef>, kind: JoinKind, condition: JoinCondition },
}

#[derive(Debug, Clone)]
pub(crate) struct Insert {
    pub(crate) table: ObjectName,
    pub(crate) hints: Vec<Hint>,
    pub(crate) partition: Vec<(Ident, Expr)>,
    pub(crate) columns: Vec<Ident>,
    pub(crate) overwrite: bool,
    pub(crate) query: Query,
}

#[derive(Debug, Clone)]
pub(crate) enum ColumnKind {
    Physical(SqlType),
    Computed(Expr),
    Metadata { data_type: SqlType, key: Option<String>, is_virtual: bool },
}

#[derive(Debug, Clone)]
pub(crate) struct ColumnDef {
    pub(crate) name: Ident,
    pub(crate) kind: ColumnKind,
    pub(crate) comment: Option<String>,
    pub(crate) is_key: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct LikeClause {
    pub(crate) table: ObjectName,
    /// `(INCLUDING | EXCLUDING | OVERWRITING, what)`, in upper case.
    pub(crate) rules: Vec<(String, String)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct TableBody {
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) watermark: Option<(Ident, Expr)>,
    pub(crate) primary_key: Option<Vec<Ident>>,
}

#[derive(Debug, Clone)]
pub(crate) struct CreateTable {
    pub(crate) name: ObjectName,
    pub(crate) temporary: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) body: TableBody,
    pub(crate) partitioned_by: Vec<Ident>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) like: Option<LikeClause>,
    pub(crate) source: Option<Query>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Table,
    View,
    Database,
    Catalog,
    Function,
}

#[derive(Debug, Clone)]
pub(crate) enum AlterTable {
    Rename(Ident),
    RenameColumn(Ident, Ident),
    SetOptions(Vec<(String, String)>),
    ResetOptions(Vec<String>),
    Add(TableBody),
    Modify(TableBody),
    DropColumns(Vec<Ident>),
    DropPrimaryKey,
    DropWatermark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShowKind {
    Tables,
    Views,
    Databases,
    Catalogs,
    Functions,
    CurrentDatabase,
    CurrentCatalog,
    Jobs,
}

#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Query(Query),
    Insert(Insert),
    InsertSet(Vec<Insert>),
    CreateTable(Box<CreateTable>),
    CreateView {
        name: ObjectName,
        temporary: bool,
        if_not_exists: bool,
        columns: Vec<Ident>,
        query: Query,
        text: String,
    },
    CreateDatabase {
        name: ObjectName,
        if_not_exists: bool,
    },
    CreateCatalog {
        name: Ident,
        if_not_exists: bool,
        options: Vec<(String, String)>,
    },
    CreateFunction {
        name: ObjectName,
        span: Span,
    },
    Drop {
        kind: ObjectKind,
        name: ObjectName,
        if_exists: bool,
        cascade: bool,
    },
    AlterTable {
        name: ObjectName,
        if_exists: bool,
        change: AlterTable,
    },
    AlterView {
        name: ObjectName,
        rename: Option<Ident>,
        query: Option<(Query, String)>,
    },
    Describe {
        name: ObjectName,
    },
    DescribeCatalog {
        name: Ident,
    },
    Show {
        kind: ShowKind,
        from: Option<ObjectName>,
        like: Option<(String, bool)>,
    },
    ShowColumns {
        name: ObjectName,
        like: Option<(String, bool)>,
    },
    ShowCreate {
        kind: ObjectKind,
        name: ObjectName,
    },
    Use {
        kind: ObjectKind,
        name: ObjectName,
    },
    Set(Option<(String, String)>),
    Reset(Option<String>),
    Explain {
        details: Vec<String>,
        statement: Box<Statement>,
    },
}
