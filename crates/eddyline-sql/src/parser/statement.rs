//! Statements that are not queries, except for those that define things.

use super::Parser;
use super::ast::{Insert, ObjectKind, ShowKind, Statement};
use super::lexer::TokenKind;
use super::span::{SqlError, SqlResult};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> SqlResult<Statement> {
        let TokenKind::Word(word, false) = self.peek().clone() else {
            if self.begins_query() {
                return self.query().map(Statement::Query);
            }
            return Err(self.unexpected("a statement"));
        };
        match word.to_ascii_uppercase().as_str() {
            "SELECT" | "WITH" | "VALUES" => self.query().map(Statement::Query),
            "TABLE" => self.query().map(Statement::Query),
            "INSERT" => self.insert().map(Statement::Insert),
            "EXECUTE" => {
                self.advance();
                if self.take_words(&["STATEMENT", "SET"]) {
                    return self.statement_set();
                }
                self.statement()
            }
            "BEGIN" if self.is_word_at(1, "STATEMENT") => {
                self.expect_words(&["BEGIN", "STATEMENT", "SET"])?;
                self.expect_symbol(";")?;
                self.inserts_until_end()
            }
            "CREATE" => self.create(),
            "DROP" => self.drop(),
            "ALTER" => self.alter(),
            "DESCRIBE" | "DESC" => {
                self.advance();
                if self.is_word("CATALOG") && !self.is_symbol_at(1, ".") {
                    self.advance();
                    self.take_word("EXTENDED");
                    return Ok(Statement::DescribeCatalog { name: self.ident("a catalog")? });
                }
                self.take_word("EXTENDED");
                Ok(Statement::Describe { name: self.object_name("a table")? })
            }
            "SHOW" => self.show(),
            "USE" => {
                self.advance();
                let kind = if self.take_word("CATALOG") { ObjectKind::Catalog } else { ObjectKind::Database };
                Ok(Statement::Use { kind, name: self.object_name("a name")? })
            }
            "SET" => self.set(),
            "RESET" => {
                self.advance();
                if self.at_end() || self.is_symbol(";") {
                    return Ok(Statement::Reset(None));
                }
                Ok(Statement::Reset(Some(self.option_key()?)))
            }
            "EXPLAIN" => self.explain(),
            _ => Err(SqlError::at(
                self.span(),
                format!("`{word}` does not begin a statement that is supported"),
            )),
        }
    }

    fn insert(&mut self) -> SqlResult<Insert> {
        self.expect_word("INSERT")?;
        let overwrite = self.take_word("OVERWRITE");
        if !overwrite {
            self.expect_word("INTO")?;
        }
        self.take_word("TABLE");
        let table = self.object_name("a table")?;
        let hints = self.hints()?;
        let partition = if self.take_word("PARTITION") {
            self.parenthesised(|parser| {
                let column = parser.any_ident("a column")?;
                parser.expect_symbol("=")?;
                Ok((column, parser.expr()?))
            })?
        } else {
            Vec::new()
        };
        let columns = if self.is_symbol("(") && !self.begins_query() {
            self.parenthesised(|parser| parser.any_ident("a column"))?
        } else {
            Vec::new()
        };
        let query = self.query()?;
        Ok(Insert { table, hints, partition, columns, overwrite, query })
    }

    fn statement_set(&mut self) -> SqlResult<Statement> {
        self.expect_word("BEGIN")?;
        self.inserts_until_end()
    }

    fn inserts_until_end(&mut self) -> SqlResult<Statement> {
        let mut inserts = Vec::new();
        loop {
            while self.take_symbol(";") {}
            if self.take_word("END") {
                return Ok(Statement::InsertSet(inserts));
            }
            inserts.push(self.insert()?);
            if !self.is_symbol(";") && !self.is_word("END") {
                return Err(self.unexpected("`;` or `END`"));
            }
        }
    }

    fn explain(&mut self) -> SqlResult<Statement> {
        self.expect_word("EXPLAIN")?;
        let mut details = Vec::new();
        if self.take_words(&["PLAN", "FOR"]) {
            let statement = Box::new(self.statement()?);
            return Ok(Statement::Explain { details, statement });
        }
        for word in ["ESTIMATED_COST", "CHANGELOG_MODE", "PLAN_ADVICE", "JSON_EXECUTION_PLAN"] {
            if self.is_word(word) {
                self.advance();
                details.push(word.to_owned());
                while self.take_symbol(",") {
                    details.push(self.any_ident("what to explain")?.name.to_ascii_uppercase());
                }
                break;
            }
        }
        if self.take_words(&["STATEMENT", "SET"]) {
            let statement = Box::new(self.statement_set()?);
            return Ok(Statement::Explain { details, statement });
        }
        Ok(Statement::Explain { details, statement: Box::new(self.statement()?) })
    }

    /// A key of SET and RESET: in quotes, or words with dots and dashes.
    fn option_key(&mut self) -> SqlResult<String> {
        if let TokenKind::Text(text) = self.peek() {
            let text = text.clone();
            self.advance();
            return Ok(text);
        }
        let mut key = self.any_ident("an option")?.name;
        loop {
            let separator = if self.is_symbol(".") {
                "."
            } else if self.is_symbol("-") {
                "-"
            } else {
                return Ok(key);
            };
            self.advance();
            key.push_str(separator);
            key.push_str(&self.any_ident("an option")?.name);
        }
    }

    fn set(&mut self) -> SqlResult<Statement> {
        self.expect_word("SET")?;
        if self.at_end() || self.is_symbol(";") {
            return Ok(Statement::Set(None));
        }
        let key = self.option_key()?;
        self.expect_symbol("=")?;
        let value = match self.peek().clone() {
            TokenKind::Text(text) | TokenKind::Number(text) | TokenKind::Word(text, _) => text,
            _ => return Err(self.unexpected("the option's value")),
        };
        self.advance();
        Ok(Statement::Set(Some((key, value))))
    }

    fn show(&mut self) -> SqlResult<Statement> {
        self.expect_word("SHOW")?;
        if self.take_word("CREATE") {
            let kind = if self.take_word("VIEW") {
                ObjectKind::View
            } else {
                self.expect_word("TABLE")?;
                ObjectKind::Table
            };
            return Ok(Statement::ShowCreate { kind, name: self.object_name("a table")? });
        }
        if self.take_word("COLUMNS") {
            if !self.take_word("FROM") {
                self.expect_word("IN")?;
            }
            let name = self.object_name("a table")?;
            return Ok(Statement::ShowColumns { name, like: self.show_filter()? });
        }
        self.take_word("USER");
        self.take_word("FULL");
        let kinds = [
            ("TABLES", ShowKind::Tables),
            ("VIEWS", ShowKind::Views),
            ("DATABASES", ShowKind::Databases),
            ("CATALOGS", ShowKind::Catalogs),
            ("FUNCTIONS", ShowKind::Functions),
            ("JOBS", ShowKind::Jobs),
        ];
        if self.take_word("CURRENT") {
            let kind = if self.take_word("DATABASE") {
                ShowKind::CurrentDatabase
            } else {
                self.expect_word("CATALOG")?;
                ShowKind::CurrentCatalog
            };
            return Ok(Statement::Show { kind, from: None, like: None });
        }
        for (word, kind) in kinds {
            if self.take_word(word) {
                let from = if self.take_word("FROM") || self.take_word("IN") {
                    Some(self.object_name("a database")?)
                } else {
                    None
                };
                return Ok(Statement::Show { kind, from, like: self.show_filter()? });
            }
        }
        Err(self.unexpected("what to show"))
    }

    /// `[NOT] LIKE | ILIKE 'pattern'`
    fn show_filter(&mut self) -> SqlResult<Option<(String, bool)>> {
        let negated = self.take_word("NOT");
        if self.take_word("LIKE") || self.take_word("ILIKE") {
            return Ok(Some((self.text_literal("a pattern")?, negated)));
        }
        if negated { Err(self.unexpected("`LIKE`")) } else { Ok(None) }
    }
}
