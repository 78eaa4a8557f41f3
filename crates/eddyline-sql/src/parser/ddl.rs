//! Statements that define, change and remove tables, views, databases, catalogs and functions.

use super::Parser;
use super::ast::{
    AlterTable, ColumnDef, ColumnKind, CreateTable, Ident, LikeClause, ObjectKind, Query, Statement,
    TableBody,
};
use super::span::{SqlError, SqlResult};

impl Parser<'_> {
    pub(super) fn create(&mut self) -> SqlResult<Statement> {
        let start = self.span();
        self.expect_word("CREATE")?;
        if self.are_words(&["OR", "REPLACE"]) {
            return Err(SqlError::at(self.span(), "CREATE OR REPLACE is not supported").hint("drop it first"));
        }
        let temporary = self.take_word("TEMPORARY");
        self.take_word("SYSTEM");
        if self.take_word("TABLE") {
            return self.create_table(temporary);
        }
        if self.take_word("VIEW") {
            let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
            let name = self.object_name("a view")?;
            let columns = if self.is_symbol("(") {
                self.parenthesised(|parser| {
                    let column = parser.any_ident("a column")?;
                    if parser.take_word("COMMENT") {
                        parser.text_literal("a comment")?;
                    }
                    Ok(column)
                })?
            } else {
                Vec::new()
            };
            if self.take_word("COMMENT") {
                self.text_literal("a comment")?;
            }
            self.expect_word("AS")?;
            let (query, text) = self.query_and_text()?;
            return Ok(Statement::CreateView { name, temporary, if_not_exists, columns, query, text });
        }
        if self.take_word("DATABASE") {
            let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
            let name = self.object_name("a database")?;
            if self.take_word("COMMENT") {
                self.text_literal("a comment")?;
            }
            if self.take_word("WITH") {
                self.options()?;
            }
            return Ok(Statement::CreateDatabase { name, if_not_exists });
        }
        if self.take_word("CATALOG") {
            let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
            let name = self.ident("a catalog")?;
            if self.take_word("COMMENT") {
                self.text_literal("a comment")?;
            }
            let options = if self.take_word("WITH") { self.options()? } else { Vec::new() };
            return Ok(Statement::CreateCatalog { name, if_not_exists, options });
        }
        if self.take_word("FUNCTION") {
            self.take_words(&["IF", "NOT", "EXISTS"]);
            let name = self.object_name("a function")?;
            while !self.at_end() && !self.is_symbol(";") {
                self.advance();
            }
            return Ok(Statement::CreateFunction { name, span: start.to(self.last_span()) });
        }
        Err(self.unexpected("TABLE, VIEW, DATABASE, CATALOG or FUNCTION"))
    }

    /// A query and the text it was written as.
    fn query_and_text(&mut self) -> SqlResult<(Query, String)> {
        let start = self.span();
        let query = self.query()?;
        let text = self.text[start.start as usize..self.last_span().end as usize].to_owned();
        Ok((query, text))
    }

    fn create_table(&mut self, temporary: bool) -> SqlResult<Statement> {
        let if_not_exists = self.take_words(&["IF", "NOT", "EXISTS"]);
        let name = self.object_name("a table")?;
        let body = if self.is_symbol("(") { self.table_body()? } else { TableBody::default() };
        if self.take_word("COMMENT") {
            self.text_literal("a comment")?;
        }
        if self.is_word("DISTRIBUTED") {
            return Err(SqlError::at(self.span(), "DISTRIBUTED is not supported"));
        }
        let partitioned_by = if self.take_words(&["PARTITIONED", "BY"]) {
            self.parenthesised(|parser| parser.any_ident("a column"))?
        } else {
            Vec::new()
        };
        let options = if self.take_word("WITH") { self.options()? } else { Vec::new() };
        let like = if self.take_word("LIKE") { Some(self.like_clause()?) } else { None };
        let source = if self.take_word("AS") { Some(self.query()?) } else { None };
        let table =
            CreateTable { name, temporary, if_not_exists, body, partitioned_by, options, like, source };
        Ok(Statement::CreateTable(Box::new(table)))
    }

    fn like_clause(&mut self) -> SqlResult<LikeClause> {
        let table = self.object_name("a table")?;
        let mut rules = Vec::new();
        if self.take_symbol("(") {
            while !self.take_symbol(")") {
                let how = self.any_ident("INCLUDING, EXCLUDING or OVERWRITING")?.name.to_ascii_uppercase();
                let what = self.any_ident("what to include")?.name.to_ascii_uppercase();
                rules.push((how, what));
                self.take_symbol(",");
            }
        }
        Ok(LikeClause { table, rules })
    }

    /// `('key' = 'value', …)`
    fn options(&mut self) -> SqlResult<Vec<(String, String)>> {
        self.expect_symbol("(")?;
        if self.take_symbol(")") {
            return Ok(Vec::new());
        }
        let options = self.list(|parser| {
            let key = parser.text_literal("an option's name in quotes")?;
            parser.expect_symbol("=")?;
            Ok((key, parser.text_literal("the option's value in quotes")?))
        })?;
        self.expect_symbol(")")?;
        Ok(options)
    }

    fn table_body(&mut self) -> SqlResult<TableBody> {
        let mut body = TableBody::default();
        self.expect_symbol("(")?;
        if self.take_symbol(")") {
            return Ok(body);
        }
        loop {
            self.table_element(&mut body)?;
            if !self.take_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")")?;
        Ok(body)
    }

    fn table_element(&mut self, body: &mut TableBody) -> SqlResult<()> {
        if self.are_words(&["WATERMARK", "FOR"]) {
            self.advance();
            self.advance();
            let column = self.object_name("a column")?.remove(0);
            self.expect_word("AS")?;
            body.watermark = Some((column, self.expr()?));
            return Ok(());
        }
        if self.take_word("CONSTRAINT") {
            self.ident("a constraint's name")?;
        }
        if self.are_words(&["PRIMARY", "KEY"]) || self.is_word("UNIQUE") {
            if self.is_word("UNIQUE") {
                return Err(SqlError::at(self.span(), "UNIQUE is not supported")
                    .hint("use PRIMARY KEY … NOT ENFORCED"));
            }
            self.expect_words(&["PRIMARY", "KEY"])?;
            body.primary_key = Some(self.parenthesised(|parser| parser.any_ident("a column"))?);
            self.not_enforced()?;
            return Ok(());
        }
        let column = self.column()?;
        if column.is_key {
            body.primary_key = Some(vec![column.name.clone()]);
        }
        body.columns.push(column);
        Ok(())
    }

    fn not_enforced(&mut self) -> SqlResult<()> {
        if self.take_words(&["NOT", "ENFORCED"]) {
            return Ok(());
        }
        Err(self
            .unexpected("`NOT ENFORCED`")
            .hint("a primary key is a promise of whoever writes the data; it is never enforced"))
    }

    fn column(&mut self) -> SqlResult<ColumnDef> {
        let name = self.any_ident("a column")?;
        let mut is_key = false;
        let kind = if self.take_word("AS") {
            ColumnKind::Computed(self.expr()?)
        } else {
            let data_type = self.data_type()?;
            if self.take_word("METADATA") {
                let key =
                    if self.take_word("FROM") { Some(self.text_literal("a key in quotes")?) } else { None };
                ColumnKind::Metadata { data_type, key, is_virtual: self.take_word("VIRTUAL") }
            } else {
                if self.take_words(&["PRIMARY", "KEY"]) {
                    self.not_enforced()?;
                    is_key = true;
                }
                ColumnKind::Physical(data_type)
            }
        };
        let comment = if self.take_word("COMMENT") { Some(self.text_literal("a comment")?) } else { None };
        if self.take_word("FIRST") {
            return Err(SqlError::at(
                self.last_span(),
                "a place for a column (FIRST, AFTER) is not supported",
            ));
        }
        if self.is_word("AFTER") {
            return Err(SqlError::at(self.span(), "a place for a column (FIRST, AFTER) is not supported"));
        }
        Ok(ColumnDef { name, kind, comment, is_key })
    }

    pub(super) fn drop(&mut self) -> SqlResult<Statement> {
        self.expect_word("DROP")?;
        self.take_word("TEMPORARY");
        self.take_word("SYSTEM");
        let kind = self.object_kind()?;
        let if_exists = self.take_words(&["IF", "EXISTS"]);
        let name = self.object_name("a name")?;
        let cascade = self.take_word("CASCADE");
        if !cascade {
            self.take_word("RESTRICT");
        }
        Ok(Statement::Drop { kind, name, if_exists, cascade })
    }

    fn object_kind(&mut self) -> SqlResult<ObjectKind> {
        let kinds = [
            ("TABLE", ObjectKind::Table),
            ("VIEW", ObjectKind::View),
            ("DATABASE", ObjectKind::Database),
            ("CATALOG", ObjectKind::Catalog),
            ("FUNCTION", ObjectKind::Function),
        ];
        for (word, kind) in kinds {
            if self.take_word(word) {
                return Ok(kind);
            }
        }
        Err(self.unexpected("TABLE, VIEW, DATABASE, CATALOG or FUNCTION"))
    }

    pub(super) fn alter(&mut self) -> SqlResult<Statement> {
        self.expect_word("ALTER")?;
        if self.take_word("VIEW") {
            let name = self.object_name("a view")?;
            if self.take_words(&["RENAME", "TO"]) {
                let rename = Some(self.object_name("a name")?.remove(0));
                return Ok(Statement::AlterView { name, rename, query: None });
            }
            self.expect_word("AS")?;
            return Ok(Statement::AlterView { name, rename: None, query: Some(self.query_and_text()?) });
        }
        self.expect_word("TABLE")?;
        let if_exists = self.take_words(&["IF", "EXISTS"]);
        let name = self.object_name("a table")?;
        let change = self.table_change()?;
        Ok(Statement::AlterTable { name, if_exists, change })
    }

    fn table_change(&mut self) -> SqlResult<AlterTable> {
        if self.take_word("RENAME") {
            if self.take_word("TO") {
                let mut parts = self.object_name("a name")?;
                return Ok(AlterTable::Rename(parts.pop().ok_or_else(|| self.unexpected("a name"))?));
            }
            let old = self.any_ident("a column")?;
            self.expect_word("TO")?;
            return Ok(AlterTable::RenameColumn(old, self.any_ident("a column")?));
        }
        if self.take_word("SET") {
            return Ok(AlterTable::SetOptions(self.options()?));
        }
        if self.take_word("RESET") {
            return Ok(AlterTable::ResetOptions(
                self.parenthesised(|parser| parser.text_literal("an option"))?,
            ));
        }
        if self.take_word("ADD") {
            return self.elements().map(AlterTable::Add);
        }
        if self.take_word("MODIFY") {
            return self.elements().map(AlterTable::Modify);
        }
        self.expect_word("DROP")?;
        if self.take_words(&["PRIMARY", "KEY"]) || self.take_word("CONSTRAINT") {
            if !self.at_end() && !self.is_symbol(";") {
                self.any_ident("a constraint's name")?;
            }
            return Ok(AlterTable::DropPrimaryKey);
        }
        if self.take_word("WATERMARK") {
            return Ok(AlterTable::DropWatermark);
        }
        let columns: Vec<Ident> = if self.is_symbol("(") {
            self.parenthesised(|parser| parser.any_ident("a column"))?
        } else {
            vec![self.any_ident("a column")?]
        };
        Ok(AlterTable::DropColumns(columns))
    }

    /// Columns, keys and watermarks: several in parentheses, or one.
    fn elements(&mut self) -> SqlResult<TableBody> {
        if self.is_symbol("(") {
            return self.table_body();
        }
        self.take_word("COLUMN");
        let mut body = TableBody::default();
        self.table_element(&mut body)?;
        Ok(body)
    }
}
