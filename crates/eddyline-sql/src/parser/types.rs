//! Types as they are written.

use super::lexer::TokenKind;
use super::span::{SqlError, SqlResult};
use super::{Parser, is_reserved};
use crate::types::{RowField, SqlType, TypeKind};

impl Parser<'_> {
    /// A type with `NOT NULL` or `NULL` behind it.
    pub(super) fn data_type(&mut self) -> SqlResult<SqlType> {
        self.nested(|parser| {
            let kind = parser.type_kind()?;
            let mut result = parser.nullability(kind);
            loop {
                // `INT ARRAY` and `INT MULTISET` are other spellings of `ARRAY<INT>` and `MULTISET<INT>`.
                if parser.take_word("ARRAY") {
                    result = parser.nullability(TypeKind::Array(Box::new(result)));
                } else if parser.take_word("MULTISET") {
                    result = parser.nullability(TypeKind::Multiset(Box::new(result)));
                } else {
                    return Ok(result);
                }
            }
        })
    }

    fn nullability(&mut self, kind: TypeKind) -> SqlType {
        let nullable = if self.take_words(&["NOT", "NULL"]) {
            false
        } else {
            self.take_word("NULL");
            true
        };
        SqlType { kind, nullable }
    }

    fn length(&mut self, default: u32, most: u32) -> SqlResult<u32> {
        if !self.take_symbol("(") {
            return Ok(default);
        }
        let span = self.span();
        let length = self.integer("a length")?;
        if length == 0 || length > most {
            return Err(SqlError::at(span, format!("the length must be between 1 and {most}")));
        }
        self.expect_symbol(")")?;
        Ok(length)
    }

    fn precision(&mut self, default: u8, most: u8) -> SqlResult<u8> {
        if !self.take_symbol("(") {
            return Ok(default);
        }
        let span = self.span();
        let precision = self.integer("a precision")?;
        if precision > u32::from(most) {
            return Err(SqlError::at(span, format!("the precision must be between 0 and {most}")));
        }
        self.expect_symbol(")")?;
        Ok(precision as u8)
    }

    fn decimal(&mut self) -> SqlResult<TypeKind> {
        let (mut precision, mut scale) = (10, 0);
        if self.take_symbol("(") {
            let span = self.span();
            precision = self.integer("a precision")?;
            if self.take_symbol(",") {
                scale = self.integer("a scale")?;
            }
            self.expect_symbol(")")?;
            if precision == 0 || precision > 38 || scale > precision {
                return Err(SqlError::at(
                    span,
                    "a decimal has a precision between 1 and 38 and a scale between 0 and it",
                ));
            }
        }
        Ok(TypeKind::Decimal(precision as u8, scale as u8))
    }

    fn type_kind(&mut self) -> SqlResult<TypeKind> {
        let start = self.span();
        let TokenKind::Word(word, false) = self.peek().clone() else { return Err(self.unexpected("a type")) };
        let upper = word.to_ascii_uppercase();
        self.advance();
        Ok(match upper.as_str() {
            "BOOLEAN" => TypeKind::Boolean,
            "TINYINT" => TypeKind::TinyInt,
            "SMALLINT" => TypeKind::SmallInt,
            "INT" | "INTEGER" => TypeKind::Int,
            "BIGINT" => TypeKind::BigInt,
            "FLOAT" => TypeKind::Float,
            "DOUBLE" => {
                self.take_word("PRECISION");
                TypeKind::Double
            }
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal()?,
            "STRING" => TypeKind::VarChar(u32::MAX),
            "BYTES" => TypeKind::VarBinary(u32::MAX),
            "CHAR" | "CHARACTER" => {
                if self.take_word("VARYING") {
                    TypeKind::VarChar(self.length(1, i32::MAX as u32)?)
                } else {
                    TypeKind::Char(self.length(1, i32::MAX as u32)?)
                }
            }
            "VARCHAR" => match self.length(1, i32::MAX as u32)? {
                length if length == i32::MAX as u32 => TypeKind::VarChar(u32::MAX),
                length => TypeKind::VarChar(length),
            },
            "BINARY" => {
                if self.take_word("VARYING") {
                    TypeKind::VarBinary(self.length(1, i32::MAX as u32)?)
                } else {
                    TypeKind::Binary(self.length(1, i32::MAX as u32)?)
                }
            }
            "VARBINARY" => match self.length(1, i32::MAX as u32)? {
                length if length == i32::MAX as u32 => TypeKind::VarBinary(u32::MAX),
                length => TypeKind::VarBinary(length),
            },
            "DATE" => TypeKind::Date,
            "TIME" => {
                let precision = self.precision(0, 9)?;
                self.take_words(&["WITHOUT", "TIME", "ZONE"]);
                TypeKind::Time(precision)
            }
            "TIMESTAMP_LTZ" => TypeKind::TimestampLtz(self.precision(6, 9)?),
            "TIMESTAMP" => {
                let precision = self.precision(6, 9)?;
                if self.take_words(&["WITH", "LOCAL", "TIME", "ZONE"]) {
                    TypeKind::TimestampLtz(precision)
                } else if self.are_words(&["WITH", "TIME", "ZONE"]) {
                    return Err(self
                        .unexpected("another type: TIMESTAMP WITH TIME ZONE does not exist")
                        .hint("use TIMESTAMP_LTZ"));
                } else {
                    self.take_words(&["WITHOUT", "TIME", "ZONE"]);
                    TypeKind::Timestamp(precision)
                }
            }
            "INTERVAL" => self.interval_type()?,
            "ARRAY" => TypeKind::Array(Box::new(self.type_argument()?)),
            "MULTISET" => TypeKind::Multiset(Box::new(self.type_argument()?)),
            "MAP" => {
                self.expect_symbol("<")?;
                let key = self.data_type()?;
                self.expect_symbol(",")?;
                let value = self.data_type()?;
                self.expect_symbol(">")?;
                TypeKind::Map(Box::new(key), Box::new(value))
            }
            "ROW" => self.row_type()?,
            "VARIANT" | "RAW" => {
                return Err(SqlError::at(start, format!("the type {upper} is not supported")));
            }
            _ => return Err(SqlError::at(start, format!("`{word}` is not a type"))),
        })
    }

    fn type_argument(&mut self) -> SqlResult<SqlType> {
        self.expect_symbol("<")?;
        let argument = self.data_type()?;
        self.expect_symbol(">")?;
        Ok(argument)
    }

    fn row_type(&mut self) -> SqlResult<TypeKind> {
        let close = if self.take_symbol("<") {
            ">"
        } else {
            self.expect_symbol("(")?;
            ")"
        };
        if self.take_symbol(close) || self.take_symbol("<>") {
            return Ok(TypeKind::Row(Vec::new()));
        }
        let mut fields: Vec<RowField> = Vec::new();
        loop {
            let is_named = match (self.peek(), self.peek_at(1)) {
                (TokenKind::Word(_, true), _) => true,
                (TokenKind::Word(word, false), TokenKind::Word(next, _)) => {
                    // `ROW<INT NOT NULL>` has a type, `ROW<a INT>` a name first.
                    let is = |text: &str, keyword: &str| text.eq_ignore_ascii_case(keyword);
                    let ends_type = is(next, "NOT") || is(next, "NULL");
                    let is_double = is(word, "DOUBLE") && is(next, "PRECISION");
                    let can_be_name = !is_reserved(word) || is(word, "DATE");
                    can_be_name && !ends_type && !is_double
                }
                _ => false,
            };
            let name =
                if is_named { self.any_ident("a field's name")?.name } else { format!("f{}", fields.len()) };
            let data_type = self.data_type()?;
            if let TokenKind::Text(_) = self.peek() {
                self.advance();
            }
            fields.push(RowField { name, data_type });
            if !self.take_symbol(",") {
                break;
            }
        }
        self.expect_symbol(close)?;
        Ok(TypeKind::Row(fields))
    }

    fn interval_type(&mut self) -> SqlResult<TypeKind> {
        let start = self.span();
        let (first, second) = self.interval_units()?;
        let last = second.unwrap_or(first);
        match (first.is_months(), last.is_months()) {
            (true, true) => Ok(TypeKind::IntervalYearMonth),
            (false, false) => Ok(TypeKind::IntervalDaySecond),
            _ => Err(SqlError::at(start, "an interval is of years and months, or of days to seconds")),
        }
    }
}
