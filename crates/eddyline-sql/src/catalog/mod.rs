//! What scripts define: catalogs, databases, tables, views.

mod table;

pub(crate) use table::{ColumnSource, TableColumn, TableDef};

use crate::parser::ast::ObjectName;
use crate::parser::span::{SqlError, SqlResult, nearest};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const DEFAULT_CATALOG: &str = "default_catalog";
pub(crate) const DEFAULT_DATABASE: &str = "default_database";

/// A view: a query by its text, and the database in which its names are looked up.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) path: [String; 3],
    pub(crate) columns: Vec<String>,
    pub(crate) text: String,
    pub(crate) home: (String, String),
    /// Whether it is gone with the session, wherever it lies.
    pub(crate) temporary: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Object {
    Table(Arc<TableDef>),
    View(Arc<View>),
}

#[derive(Debug, Default)]
pub(crate) struct Database {
    pub(crate) objects: BTreeMap<String, Object>,
}

/// What CREATE CATALOG said.
#[derive(Debug, Default)]
pub(crate) struct CatalogInfo {
    pub(crate) options: Vec<(String, String)>,
    /// The directory in which it is kept.
    pub(crate) root: Option<PathBuf>,
    /// What was read or written last.
    pub(crate) saved: String,
}

/// All that is defined in a session.
#[derive(Debug)]
pub(crate) struct Catalogs {
    pub(crate) catalogs: BTreeMap<String, BTreeMap<String, Database>>,
    pub(crate) current: (String, String),
    /// What CREATE CATALOG said of each, and in which database USE CATALOG leads.
    pub(crate) infos: BTreeMap<String, CatalogInfo>,
    pub(crate) defaults: BTreeMap<String, String>,
}

impl Default for Catalogs {
    fn default() -> Self {
        let databases = BTreeMap::from([(DEFAULT_DATABASE.to_owned(), Database::default())]);
        Catalogs {
            catalogs: BTreeMap::from([(DEFAULT_CATALOG.to_owned(), databases)]),
            current: (DEFAULT_CATALOG.to_owned(), DEFAULT_DATABASE.to_owned()),
            infos: BTreeMap::new(),
            defaults: BTreeMap::from([(DEFAULT_CATALOG.to_owned(), DEFAULT_DATABASE.to_owned())]),
        }
    }
}

impl Catalogs {
    /// The whole path of a name of one to three parts.
    pub(crate) fn path(&self, name: &ObjectName) -> SqlResult<[String; 3]> {
        path_in(&self.current, name)
    }

    pub(crate) fn database(&self, catalog: &str, database: &str) -> Option<&Database> {
        self.catalogs.get(catalog)?.get(database)
    }

    /// The database that `name` lies in, to be changed.
    pub(crate) fn database_mut(&mut self, path: &[String; 3], name: &ObjectName) -> SqlResult<&mut Database> {
        let span = name[0].span;
        let Some(databases) = self.catalogs.get_mut(&path[0]) else {
            return Err(SqlError::at(span, format!("there is no catalog `{}`", path[0])));
        };
        databases
            .get_mut(&path[1])
            .ok_or_else(|| SqlError::at(span, format!("there is no database `{}`", path[1])))
    }

    pub(crate) fn object(&self, path: &[String; 3]) -> Option<&Object> {
        self.database(&path[0], &path[1])?.objects.get(&path[2])
    }

    /// What `name` stands for, or an error that says what else there is.
    pub(crate) fn resolve(&self, name: &ObjectName) -> SqlResult<&Object> {
        self.resolve_in(&self.current, name)
    }

    /// As [`Catalogs::resolve`], with names of fewer parts in the database `home`.
    pub(crate) fn resolve_in(&self, home: &(String, String), name: &ObjectName) -> SqlResult<&Object> {
        let path = path_in(home, name)?;
        self.object(&path).ok_or_else(|| {
            let span = name[0].span.to(name[name.len() - 1].span);
            let error = SqlError::at(span, format!("there is no table `{}`", path[2]));
            let Some(database) = self.database(&path[0], &path[1]) else {
                return error.hint(format!("there is no database `{}` either", path[1]));
            };
            let names: Vec<&str> = database.objects.keys().map(String::as_str).collect();
            match nearest(&path[2], names.iter().copied()) {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None if names.is_empty() => error.hint("CREATE TABLE defines one"),
                None => error.hint(format!("the tables here are {}", names.join(", "))),
            }
        })
    }
}

fn path_in((catalog, database): &(String, String), name: &ObjectName) -> SqlResult<[String; 3]> {
    let part = |number: usize| name[number].name.clone();
    match name.len() {
        1 => Ok([catalog.clone(), database.clone(), part(0)]),
        2 => Ok([catalog.clone(), part(0), part(1)]),
        3 => Ok([part(0), part(1), part(2)]),
        _ => Err(SqlError::at(name[0].span.to(name[name.len() - 1].span), "a name has at most three parts")),
    }
}
