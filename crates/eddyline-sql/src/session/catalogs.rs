//! Catalogs: those that last as long as the session, and those that are kept in a directory.
//!
//! # Contract
//! - A catalog of type `filesystem` is one file, `catalog.json` in its directory: its databases, and of each table the
//!   statements that define it, of each view its query. It is read when the catalog is created, and written anew, at
//!   once and as a whole, after each statement that changes it: either all of a statement is seen or nothing.
//! - Temporary tables and views are not kept. Two sessions that change one catalog overwrite each other's changes.

use super::Session;
use crate::catalog::{CatalogInfo, ColumnSource, Database, Object, TableDef, View};
use crate::parser::ast::{Ident, Statement};
use crate::parser::parse_script;
use crate::parser::span::{Span, SqlError, SqlResult};
use eddyline_core::{Error, Result};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "catalog.json";
const VERSION: u64 = 1;

impl Session {
    pub(super) fn create_catalog(
        &mut self,
        name: &Ident,
        if_not_exists: bool,
        options: &[(String, String)],
    ) -> SqlResult<()> {
        if self.catalogs.catalogs.contains_key(&name.name) {
            if if_not_exists {
                return Ok(());
            }
            return Err(SqlError::at(name.span, format!("the catalog `{}` exists already", name.name)));
        }
        let option =
            |wanted: &str| options.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        let root = match option("type") {
            Some("generic_in_memory") => None,
            Some("filesystem") => {
                let path = option("path").ok_or_else(|| {
                    SqlError::at(name.span, format!("the catalog `{}` needs the option 'path'", name.name))
                        .hint("give the directory in which it is kept: 'path' = '/data/catalog'")
                })?;
                Some(PathBuf::from(path.strip_prefix("file://").unwrap_or(path)))
            }
            kind => {
                let kind = kind.unwrap_or_default();
                return Err(SqlError::at(name.span, format!("a catalog of type `{kind}` is not supported"))
                    .hint("use 'type' = 'generic_in_memory', or 'filesystem' with a 'path'"));
            }
        };
        let known = ["type", "path", "default-database"];
        if let Some((key, _)) = options.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            return Err(SqlError::at(name.span, format!("a catalog has no option '{key}'"))
                .hint(format!("its options are {}", known.join(", "))));
        }
        let default = option("default-database").unwrap_or("default").to_owned();
        let databases = BTreeMap::from([(default.clone(), Database::default())]);
        self.catalogs.catalogs.insert(name.name.clone(), databases);
        let info = CatalogInfo { options: options.to_vec(), root: root.clone(), saved: String::new() };
        self.catalogs.infos.insert(name.name.clone(), info);
        self.catalogs.defaults.insert(name.name.clone(), default);
        if let Some(root) = root {
            let loaded = self.load_catalog(&name.name, &root);
            if loaded.is_err() {
                self.forget_catalog(&name.name);
            }
            return loaded.map_err(|error| error.or_at(name.span));
        }
        Ok(())
    }

    pub(super) fn forget_catalog(&mut self, name: &str) -> bool {
        self.catalogs.infos.remove(name);
        self.catalogs.defaults.remove(name);
        self.catalogs.catalogs.remove(name).is_some()
    }

    /// What DESCRIBE CATALOG shows.
    pub(super) fn described_catalog(&self, name: &Ident) -> SqlResult<Vec<Vec<String>>> {
        if !self.catalogs.catalogs.contains_key(&name.name) {
            return Err(SqlError::at(name.span, format!("there is no catalog `{}`", name.name)));
        }
        let row = |key: &str, value: &str| vec![key.to_owned(), value.to_owned()];
        let options =
            self.catalogs.infos.get(&name.name).map(|info| info.options.as_slice()).unwrap_or_default();
        let kind = options
            .iter()
            .find(|(key, _)| key == "type")
            .map_or("generic_in_memory", |(_, kind)| kind.as_str());
        let mut rows = vec![row("name", &name.name), row("type", kind), row("comment", "")];
        let others = options.iter().filter(|(key, _)| key != "type");
        rows.extend(others.map(|(key, value)| row(&format!("option:{key}"), value)));
        Ok(rows)
    }

    fn load_catalog(&mut self, name: &str, root: &Path) -> SqlResult<()> {
        let path = root.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(SqlError::new(format!(
                    "the catalog in {} cannot be read: {error}",
                    path.display()
                ))
                .hint("check the option 'path' and the rights of this user"));
            }
        };
        let damaged = |what: &str| {
            SqlError::new(format!("the catalog in {} cannot be understood: {what}", path.display()))
                .hint("put a copy of the file back, or move it away to begin with an empty catalog")
        };
        let json: Json = serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
        if json["version"].as_u64() != Some(VERSION) {
            return Err(damaged(&format!("it is of version {}, not {VERSION}", json["version"])));
        }
        let databases = json["databases"].as_object().ok_or_else(|| damaged("it has no databases"))?;
        let home = self.catalogs.current.clone();
        for (database, objects) in databases {
            let all = self.catalogs.catalogs.get_mut(name);
            all.expect("invariant: the catalog was just created").entry(database.clone()).or_default();
            self.catalogs.current = (name.to_owned(), database.clone());
            for (object, definition) in objects.as_object().into_iter().flatten() {
                let loaded = self.load_object(name, database, object, definition);
                if let Err(error) = loaded {
                    self.catalogs.current = home;
                    return Err(damaged(&format!("`{database}`.`{object}`: {}", error.message)));
                }
            }
        }
        self.catalogs.current = home;
        if let Some(info) = self.catalogs.infos.get_mut(name) {
            info.saved = text;
        }
        Ok(())
    }

    fn load_object(&mut self, catalog: &str, database: &str, name: &str, definition: &Json) -> SqlResult<()> {
        if let Some(text) = definition["table"].as_str() {
            return self.load_table(name, text);
        }
        let query =
            definition["view"].as_str().ok_or_else(|| SqlError::new("it is neither table nor view"))?;
        crate::parser::parse_query(query)?;
        let texts = |key: &str| {
            let items = definition[key].as_array().into_iter().flatten();
            items.filter_map(Json::as_str).map(str::to_owned).collect::<Vec<String>>()
        };
        let home = match texts("home").as_slice() {
            [database] => (catalog.to_owned(), database.clone()),
            [catalog, database] => (catalog.clone(), database.clone()),
            _ => return Err(SqlError::new("it has no home")),
        };
        let view = View {
            path: [catalog.to_owned(), database.to_owned(), name.to_owned()],
            columns: texts("columns"),
            text: query.to_owned(),
            home,
            temporary: false,
        };
        let databases = self.catalogs.catalogs.get_mut(catalog).and_then(|all| all.get_mut(database));
        let database = databases.expect("invariant: the database was just created");
        database.objects.insert(name.to_owned(), Object::View(Arc::new(view)));
        Ok(())
    }

    /// Runs the statements that define the table which is called `last` in the end.
    fn load_table(&mut self, last: &str, text: &str) -> SqlResult<()> {
        let ident = |name: &str| vec![Ident { name: name.to_owned(), span: Span::default() }];
        let statements = parse_script(text)?;
        // What a statement calls the table does not matter: the file says where it is.
        let mut name = last.to_owned();
        if statements.iter().any(|parsed| matches!(parsed.statement, Statement::AlterTable { .. })) {
            name = format!("\u{0}{last}");
        }
        let count = statements.len();
        for (number, parsed) in statements.into_iter().enumerate() {
            let own = &text[parsed.span.start as usize..parsed.span.end as usize];
            match parsed.statement {
                Statement::CreateTable(mut create) if number == 0 => {
                    create.name = ident(&name);
                    create.if_not_exists = false;
                    self.define_table(&create, own)?;
                }
                Statement::AlterTable { change, if_exists, .. } if number > 0 => {
                    if !matches!(change, crate::parser::ast::AlterTable::Rename(_)) {
                        let statement = Statement::AlterTable { name: ident(&name), if_exists, change };
                        self.define(&statement, own)?;
                    }
                }
                _ => {
                    return Err(SqlError::new(
                        "it is defined by another statement than CREATE and ALTER TABLE",
                    ));
                }
            }
        }
        if count == 0 {
            return Err(SqlError::new("it has no definition"));
        }
        if name != last {
            self.rename_loaded(&name, last, text)?;
        }
        Ok(())
    }

    /// Gives a loaded table its name, and the statements from which it was loaded.
    fn rename_loaded(&mut self, from: &str, to: &str, text: &str) -> SqlResult<()> {
        let (catalog, database) = self.catalogs.current.clone();
        let database = self.catalogs.catalogs.get_mut(&catalog).and_then(|all| all.get_mut(&database));
        let database = database.expect("invariant: the database was just created");
        let Some(Object::Table(table)) = database.objects.remove(from) else {
            return Err(SqlError::new("it has no definition"));
        };
        let mut table = TableDef::clone(&table);
        to.clone_into(&mut table.path[2]);
        text.clone_into(&mut table.definition);
        database.objects.insert(to.to_owned(), Object::Table(Arc::new(table)));
        Ok(())
    }

    /// Writes the catalogs that have changed and are kept in a directory.
    pub(super) fn save_catalogs(&mut self) -> Result<()> {
        let catalogs = &mut self.catalogs;
        for (name, info) in &mut catalogs.infos {
            let (Some(root), Some(databases)) = (&info.root, catalogs.catalogs.get(name)) else { continue };
            let objects = |database: &Database| -> Json {
                let kept = database.objects.iter().filter_map(|(object, definition)| {
                    kept(name, definition).map(|definition| (object.clone(), definition))
                });
                Json::Object(kept.collect())
            };
            let all = databases.iter().map(|(database, content)| (database.clone(), objects(content)));
            let json = json!({ "version": VERSION, "databases": Json::Object(all.collect()) });
            let text = format!("{json:#}\n");
            if text != info.saved {
                write(root, &text).map_err(|error| {
                    Error::output(format!("the catalog `{name}` cannot be written: {error}"))
                        .with_detail(root.join(FILE).display().to_string())
                        .with_hint("check the option 'path' and the rights of this user")
                })?;
                info.saved = text;
            }
        }
        Ok(())
    }

    /// Whether what is defined in the catalog is kept.
    pub(super) fn is_kept(&self, catalog: &str) -> bool {
        self.catalogs.infos.get(catalog).is_some_and(|info| info.root.is_some())
    }
}

/// What is kept of an object.
fn kept(catalog: &str, object: &Object) -> Option<Json> {
    match object {
        Object::Table(table) if table.temporary => None,
        Object::Table(table) => Some(json!({ "table": table.definition })),
        Object::View(view) if view.temporary => None,
        Object::View(view) => {
            let home = match &view.home {
                (own, database) if own == catalog => vec![database],
                (other, database) => vec![other, database],
            };
            Some(json!({ "view": view.text, "columns": view.columns, "home": home }))
        }
    }
}

/// Replaces the file as a whole.
fn write(root: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(root)?;
    let hidden = root.join(format!(".{FILE}.inprogress"));
    let mut file = File::create(&hidden)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&hidden, root.join(FILE))?;
    File::open(root)?.sync_all()
}

/// A statement that defines `table`, whose columns come from elsewhere; none if some are computed.
pub(super) fn statement_of(table: &TableDef) -> Option<String> {
    let quoted = |name: &String| format!("`{}`", name.replace('`', "``"));
    let list = |names: &[String]| names.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    if table.watermark.is_some() {
        return None;
    }
    let mut parts = Vec::new();
    for column in &table.columns {
        let mut part = format!("{} {}", quoted(&column.name), column.data_type);
        match &column.source {
            ColumnSource::Physical => {}
            ColumnSource::Metadata { key, is_virtual } => {
                let virtually = if *is_virtual { " VIRTUAL" } else { "" };
                let _ = write!(part, " METADATA FROM {}{virtually}", text(key));
            }
            ColumnSource::Computed(_) => return None,
        }
        if let Some(comment) = &column.comment {
            let _ = write!(part, " COMMENT {}", text(comment));
        }
        parts.push(part);
    }
    if !table.primary_key.is_empty() {
        parts.push(format!("PRIMARY KEY ({}) NOT ENFORCED", list(&table.primary_key)));
    }
    let mut made = format!("CREATE TABLE {} (\n  {}\n)", quoted(&table.path[2]), parts.join(",\n  "));
    if !table.partition_keys.is_empty() {
        let _ = write!(made, " PARTITIONED BY ({})", list(&table.partition_keys));
    }
    let options = table.options.iter().map(|(key, value)| format!("{} = {}", text(key), text(value)));
    let _ = write!(made, " WITH (\n  {}\n)", options.collect::<Vec<_>>().join(",\n  "));
    Some(made)
}
