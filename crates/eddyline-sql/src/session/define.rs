//! Statements that define, change and remove.

use super::Session;
use super::catalogs::statement_of;
use super::result::ScriptOutput;
use crate::bind::Binder;
use crate::catalog::{ColumnSource, Database, Object, TableColumn, TableDef, View};
use crate::connector::{HostRef, HostTable, HostType};
use crate::parser::ast::{
    AlterTable, ColumnKind, CreateTable, Ident, Insert, LikeClause, ObjectKind, ObjectName, Statement,
    TableBody,
};
use crate::parser::span::{Span, SqlError, SqlResult};
use crate::types::TypeKind;
use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

fn span_of(name: &ObjectName) -> Span {
    name[0].span.to(name[name.len() - 1].span)
}

impl Session {
    /// Defines a table of the current database whose rows the program has.
    ///
    /// # Errors
    /// Of kind `Config` if there is a table of that name.
    ///
    /// # Examples
    /// ```
    /// use eddyline_sql::{HostTable, HostType, HostValue, OutputFormat, Session, TakeRow};
    ///
    /// struct Weekdays;
    ///
    /// impl HostTable for Weekdays {
    ///     fn columns(&self) -> Vec<(&'static str, HostType)> {
    ///         vec![("number", HostType::Whole), ("name", HostType::Text)]
    ///     }
    ///
    ///     fn scan(&self, take: &mut TakeRow<'_>) -> eddyline::Result<()> {
    ///         for (number, name) in (1_i64..).zip(["Monday", "Tuesday", "Wednesday"]) {
    ///             if take(&[number.into(), name.into()]).is_break() {
    ///                 break;
    ///             }
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut session = Session::new();
    /// session.add_table("weekdays", std::sync::Arc::new(Weekdays))?;
    /// let mut shown = Vec::new();
    /// session.run_script("SELECT name FROM weekdays WHERE number = 2;", OutputFormat::Csv, &mut shown)?;
    /// assert_eq!(String::from_utf8_lossy(&shown), "name\nTuesday\n");
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn add_table(&mut self, name: &str, table: Arc<dyn HostTable>) -> Result<()> {
        let ident = vec![Ident { name: name.to_owned(), span: Span::default() }];
        let describe = |error: SqlError| error.into_error("");
        let path = self.catalogs.path(&ident).map_err(describe)?;
        if self.catalogs.object(&path).is_some() {
            return Err(Error::config(format!("`{name}` exists already")));
        }
        let column = |(name, kind): (&str, HostType)| TableColumn {
            name: name.to_owned(),
            data_type: kind.kind().nullable(),
            source: ColumnSource::Physical,
            comment: None,
        };
        let definition = TableDef {
            path: path.clone(),
            columns: table.columns().into_iter().map(column).collect(),
            watermark: None,
            primary_key: Vec::new(),
            partition_keys: Vec::new(),
            options: BTreeMap::new(),
            state_ttl_ms: None,
            temporary: true,
            definition: format!("`{name}` is a table of the program"),
            host: Some(HostRef(table)),
        };
        let database = self.catalogs.database_mut(&path, &ident).map_err(describe)?;
        database.objects.insert(name.to_owned(), Object::Table(Arc::new(definition)));
        Ok(())
    }

    pub(super) fn create_table(
        &mut self,
        create: &CreateTable,
        text: &str,
        script: &str,
        output: &mut ScriptOutput<'_>,
    ) -> Result<()> {
        let created = self.define_table(create, text).map_err(|error| error.into_error(script))?;
        self.save_catalogs()?;
        let (true, Some(query)) = (created, &create.source) else { return Ok(()) };
        let insert = Insert {
            table: create.name.clone(),
            hints: Vec::new(),
            partition: Vec::new(),
            columns: Vec::new(),
            overwrite: false,
            query: query.clone(),
        };
        self.insert(&[insert], script, output)
    }

    /// Defines a table; answers whether it was not there before.
    pub(super) fn define_table(&mut self, create: &CreateTable, text: &str) -> SqlResult<bool> {
        let path = self.catalogs.path(&create.name)?;
        let span = span_of(&create.name);
        if self.catalogs.object(&path).is_some() {
            if create.if_not_exists {
                return Ok(false);
            }
            return Err(SqlError::at(span, format!("`{}` exists already", path[2]))
                .hint("use IF NOT EXISTS, or drop it first"));
        }
        let mut table = TableDef {
            path: path.clone(),
            columns: Vec::new(),
            watermark: None,
            primary_key: Vec::new(),
            partition_keys: create.partitioned_by.iter().map(|column| column.name.clone()).collect(),
            options: create.options.iter().cloned().collect(),
            state_ttl_ms: None,
            temporary: create.temporary,
            definition: text.to_owned(),
            host: None,
        };
        if let Some(like) = &create.like {
            self.like(&mut table, like)?;
        }
        if let Some(query) = &create.source {
            let binder = Binder::new(&self.catalogs, self.context()?, self.options.batch);
            for column in binder.bind(query)?.columns {
                let kind = match column.data_type.kind {
                    TypeKind::Null => TypeKind::STRING.nullable(),
                    kind => kind.with_nullability(column.data_type.nullable),
                };
                table.columns.push(TableColumn {
                    name: column.name,
                    data_type: kind,
                    source: ColumnSource::Physical,
                    comment: None,
                });
            }
        }
        add_body(&mut table, &create.body)?;
        self.complete(&mut table, span)?;
        if self.is_kept(&path[0]) && !create.temporary && (create.like.is_some() || create.source.is_some()) {
            table.definition = statement_of(&table).ok_or_else(|| {
                SqlError::at(
                    span,
                    "a table that is kept cannot take computed columns or a watermark over from another",
                )
                .hint("write its columns out, or make it TEMPORARY")
            })?;
        }
        let database = self.catalogs.database_mut(&path, &create.name)?;
        database.objects.insert(path[2].clone(), Object::Table(Arc::new(table)));
        Ok(true)
    }

    /// Takes over from another table what LIKE says.
    fn like(&self, table: &mut TableDef, like: &LikeClause) -> SqlResult<()> {
        let Object::Table(other) = self.catalogs.resolve(&like.table)? else {
            return Err(SqlError::at(span_of(&like.table), "LIKE takes over from a table"));
        };
        let rule = |what: &str, default: &str| -> String {
            let own = like.rules.iter().rev().find(|(_, of)| of == what);
            let all = like.rules.iter().rev().find(|(_, of)| of == "ALL");
            own.or(all).map_or(default.to_owned(), |(how, _)| how.clone())
        };
        for column in &other.columns {
            let what = match column.source {
                ColumnSource::Physical => None,
                ColumnSource::Computed(_) => Some("GENERATED"),
                ColumnSource::Metadata { .. } => Some("METADATA"),
            };
            if what.is_none_or(|what| rule(what, "INCLUDING") != "EXCLUDING") {
                table.columns.push(column.clone());
            }
        }
        if rule("WATERMARKS", "INCLUDING") != "EXCLUDING" {
            table.watermark.clone_from(&other.watermark);
        }
        if rule("CONSTRAINTS", "INCLUDING") != "EXCLUDING" {
            table.primary_key.clone_from(&other.primary_key);
        }
        if rule("PARTITIONS", "INCLUDING") != "EXCLUDING" && table.partition_keys.is_empty() {
            table.partition_keys.clone_from(&other.partition_keys);
        }
        if rule("OPTIONS", "OVERWRITING") != "EXCLUDING" {
            let own = std::mem::take(&mut table.options);
            table.options = other.options.clone();
            table.options.extend(own);
        }
        Ok(())
    }

    /// Checks a definition, and gives computed columns their types.
    fn complete(&self, table: &mut TableDef, span: Span) -> SqlResult<()> {
        for (number, column) in table.columns.iter().enumerate() {
            if table.columns[..number].iter().any(|other| other.name == column.name) {
                return Err(SqlError::at(span, format!("column `{}` is defined twice", column.name)));
            }
        }
        for name in table.primary_key.iter().chain(&table.partition_keys) {
            if table.column(name).is_none() {
                return Err(SqlError::at(span, format!("there is no column `{name}` for the key")));
            }
        }
        let keys = table.primary_key.clone();
        for column in table.columns.iter_mut().filter(|column| keys.contains(&column.name)) {
            column.data_type.nullable = false;
        }
        let binder = Binder::new(&self.catalogs, self.context()?, self.options.batch);
        let rel = binder.scan(Arc::new(table.clone()))?;
        for (column, bound) in table.columns.iter_mut().zip(&rel.columns) {
            column.data_type = bound.data_type.clone();
        }
        Ok(())
    }

    /// All other definitions.
    pub(super) fn define(&mut self, statement: &Statement, text: &str) -> SqlResult<()> {
        match statement {
            Statement::CreateView { name, temporary, if_not_exists, columns, query, text } => {
                let path = self.catalogs.path(name)?;
                if self.catalogs.object(&path).is_some() {
                    if *if_not_exists {
                        return Ok(());
                    }
                    return Err(SqlError::at(span_of(name), format!("`{}` exists already", path[2])));
                }
                let rel = Binder::new(&self.catalogs, self.context()?, self.options.batch).bind(query)?;
                if !columns.is_empty() && columns.len() != rel.columns.len() {
                    let counts =
                        format!("{} names are given for {} columns", columns.len(), rel.columns.len());
                    return Err(SqlError::at(span_of(name), counts));
                }
                let view = View {
                    path: path.clone(),
                    columns: columns.iter().map(|column| column.name.clone()).collect(),
                    text: text.clone(),
                    home: self.catalogs.current.clone(),
                    temporary: *temporary,
                };
                self.catalogs
                    .database_mut(&path, name)?
                    .objects
                    .insert(path[2].clone(), Object::View(Arc::new(view)));
                Ok(())
            }
            Statement::AlterView { name, rename, query } => {
                let path = self.catalogs.path(name)?;
                let Some(Object::View(view)) = self.catalogs.object(&path) else {
                    return Err(SqlError::at(span_of(name), format!("there is no view `{}`", path[2])));
                };
                let mut view = View::clone(view);
                if let Some((query, text)) = query {
                    Binder::new(&self.catalogs, self.context()?, self.options.batch).bind(query)?;
                    view.text.clone_from(text);
                }
                let database = self.catalogs.database_mut(&path, name)?;
                database.objects.remove(&path[2]);
                if let Some(new) = rename {
                    view.path[2].clone_from(&new.name);
                }
                database.objects.insert(view.path[2].clone(), Object::View(Arc::new(view)));
                Ok(())
            }
            Statement::CreateDatabase { name, if_not_exists } => self.create_database(name, *if_not_exists),
            Statement::CreateCatalog { name, if_not_exists, options } => {
                self.create_catalog(name, *if_not_exists, options)
            }
            Statement::CreateFunction { name, span } => {
                let name = &name[name.len() - 1].name;
                Err(SqlError::at(
                    *span,
                    format!("function `{name}`: functions of one's own are not supported"),
                ))
            }
            Statement::Drop { kind, name, if_exists, cascade, .. } => {
                self.drop_object(*kind, name, *if_exists, *cascade)
            }
            Statement::AlterTable { name, if_exists, change } => {
                self.alter_table(name, *if_exists, change, text)
            }
            Statement::Use { kind, name } => self.use_object(*kind, name),
            _ => Err(SqlError::new("this statement is not supported here")),
        }
    }

    fn create_database(&mut self, name: &ObjectName, if_not_exists: bool) -> SqlResult<()> {
        let (catalog, database) = match name.as_slice() {
            [database] => (self.catalogs.current.0.clone(), database.name.clone()),
            [catalog, database] => (catalog.name.clone(), database.name.clone()),
            _ => return Err(SqlError::at(span_of(name), "a database has a name of one or two parts")),
        };
        let Some(databases) = self.catalogs.catalogs.get_mut(&catalog) else {
            return Err(SqlError::at(span_of(name), format!("there is no catalog `{catalog}`")));
        };
        if databases.contains_key(&database) {
            if if_not_exists {
                return Ok(());
            }
            return Err(SqlError::at(span_of(name), format!("the database `{database}` exists already")));
        }
        databases.insert(database, Database::default());
        Ok(())
    }

    fn drop_object(
        &mut self,
        kind: ObjectKind,
        name: &ObjectName,
        if_exists: bool,
        cascade: bool,
    ) -> SqlResult<()> {
        let missing = |what: &str| {
            let last = &name[name.len() - 1];
            if if_exists {
                Ok(())
            } else {
                Err(SqlError::at(span_of(name), format!("there is no {what} `{}`", last.name)))
            }
        };
        match kind {
            ObjectKind::Table | ObjectKind::View => {
                let path = self.catalogs.path(name)?;
                let wanted = kind == ObjectKind::View;
                match self.catalogs.object(&path) {
                    Some(Object::View(_)) if wanted => {}
                    Some(Object::Table(_)) if !wanted => {}
                    _ => return missing(if wanted { "view" } else { "table" }),
                }
                self.catalogs.database_mut(&path, name)?.objects.remove(&path[2]);
                Ok(())
            }
            ObjectKind::Database => {
                let (catalog, database) = match name.as_slice() {
                    [database] => (self.catalogs.current.0.clone(), database.name.clone()),
                    [catalog, database] => (catalog.name.clone(), database.name.clone()),
                    _ => return missing("database"),
                };
                let Some(databases) = self.catalogs.catalogs.get_mut(&catalog) else {
                    return missing("database");
                };
                match databases.get(&database) {
                    None => missing("database"),
                    Some(found) if !found.objects.is_empty() && !cascade => {
                        Err(SqlError::at(span_of(name), format!("the database `{database}` is not empty"))
                            .hint("drop it with CASCADE"))
                    }
                    Some(_) => {
                        databases.remove(&database);
                        Ok(())
                    }
                }
            }
            ObjectKind::Catalog if self.catalogs.current.0 == name[0].name => {
                Err(SqlError::at(span_of(name), format!("the catalog `{}` is in use", name[0].name))
                    .hint("USE another one first"))
            }
            ObjectKind::Catalog if self.forget_catalog(&name[0].name) => Ok(()),
            ObjectKind::Catalog => missing("catalog"),
            ObjectKind::Function => missing("function"),
        }
    }

    fn use_object(&mut self, kind: ObjectKind, name: &ObjectName) -> SqlResult<()> {
        let span = span_of(name);
        if kind == ObjectKind::Catalog {
            let Some(databases) = self.catalogs.catalogs.get(&name[0].name) else {
                return Err(SqlError::at(span, format!("there is no catalog `{}`", name[0].name)));
            };
            let default =
                self.catalogs.defaults.get(&name[0].name).filter(|name| databases.contains_key(*name));
            let first = default.or_else(|| databases.keys().next()).cloned().unwrap_or_default();
            self.catalogs.current = (name[0].name.clone(), first);
            return Ok(());
        }
        let (catalog, database) = match name.as_slice() {
            [database] => (self.catalogs.current.0.clone(), database.name.clone()),
            [catalog, database] => (catalog.name.clone(), database.name.clone()),
            _ => return Err(SqlError::at(span, "a database has a name of one or two parts")),
        };
        if self.catalogs.database(&catalog, &database).is_none() {
            return Err(SqlError::at(span, format!("there is no database `{database}`")));
        }
        self.catalogs.current = (catalog, database);
        Ok(())
    }

    fn alter_table(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        change: &AlterTable,
        text: &str,
    ) -> SqlResult<()> {
        let path = self.catalogs.path(name)?;
        let mut table = match self.catalogs.object(&path) {
            Some(Object::Table(table)) => TableDef::clone(table),
            _ if if_exists => return Ok(()),
            _ => return Err(SqlError::at(span_of(name), format!("there is no table `{}`", path[2]))),
        };
        let no_column =
            |column: &Ident| SqlError::at(column.span, format!("there is no column `{}`", column.name));
        match change {
            AlterTable::Rename(new) => table.path[2].clone_from(&new.name),
            AlterTable::SetOptions(options) => table.options.extend(options.iter().cloned()),
            AlterTable::ResetOptions(keys) => table.options.retain(|key, _| !keys.contains(key)),
            AlterTable::RenameColumn(old, new) => {
                let place = table.column(&old.name).ok_or_else(|| no_column(old))?;
                table.columns[place].name.clone_from(&new.name);
                for key in table
                    .primary_key
                    .iter_mut()
                    .chain(&mut table.partition_keys)
                    .filter(|key| **key == old.name)
                {
                    key.clone_from(&new.name);
                }
            }
            AlterTable::DropColumns(columns) => {
                for column in columns {
                    let place = table.column(&column.name).ok_or_else(|| no_column(column))?;
                    table.columns.remove(place);
                }
            }
            AlterTable::DropPrimaryKey => table.primary_key.clear(),
            AlterTable::DropWatermark => table.watermark = None,
            AlterTable::Add(body) => add_body(&mut table, body)?,
            AlterTable::Modify(body) => {
                for column in &body.columns {
                    let place = table.column(&column.name.name).ok_or_else(|| no_column(&column.name))?;
                    let mut single = TableDef { columns: Vec::new(), ..table.clone() };
                    add_body(
                        &mut single,
                        &TableBody { columns: vec![column.clone()], ..TableBody::default() },
                    )?;
                    table.columns[place] = single.columns.remove(0);
                }
                let rest = TableBody { columns: Vec::new(), ..body.clone() };
                add_body(&mut table, &rest)?;
            }
        }
        self.complete(&mut table, span_of(name))?;
        let _ = write!(table.definition, ";\n{text}");
        let database = self.catalogs.database_mut(&path, name)?;
        database.objects.remove(&path[2]);
        database.objects.insert(table.path[2].clone(), Object::Table(Arc::new(table)));
        Ok(())
    }
}

/// Adds the columns, the watermark and the key that `body` defines.
fn add_body(table: &mut TableDef, body: &TableBody) -> SqlResult<()> {
    for column in &body.columns {
        let (data_type, source) = match &column.kind {
            ColumnKind::Physical(data_type) => (data_type.clone(), ColumnSource::Physical),
            ColumnKind::Computed(expr) => (TypeKind::Null.nullable(), ColumnSource::Computed(expr.clone())),
            ColumnKind::Metadata { data_type, key, is_virtual } => {
                let key = key.clone().unwrap_or_else(|| column.name.name.clone());
                (data_type.clone(), ColumnSource::Metadata { key, is_virtual: *is_virtual })
            }
        };
        let comment = column.comment.clone();
        table.columns.push(TableColumn { name: column.name.name.clone(), data_type, source, comment });
    }
    if let Some((column, expr)) = &body.watermark {
        table.watermark = Some((column.name.clone(), expr.clone()));
    }
    if let Some(key) = &body.primary_key {
        table.primary_key = key.iter().map(|column| column.name.clone()).collect();
    }
    Ok(())
}
