//! The words that mean something in a session: for completion.

use super::Session;
use crate::bind::Binder;
use crate::catalog::{Database, Object};
use crate::parser::ast::Ident;
use crate::parser::span::Span;
use crate::plan::AggregateFunction;

/// A table or view, and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTable {
    /// Its name.
    pub name: String,
    /// The names of its columns; none for a view that cannot be understood any more.
    pub columns: Vec<String>,
}

/// All words that mean something, each list in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Words of the language.
    pub keywords: Vec<&'static str>,
    /// Functions and aggregates, in upper case.
    pub functions: Vec<&'static str>,
    /// Tables and views of the current database.
    pub tables: Vec<KnownTable>,
    /// Databases of the current catalog.
    pub databases: Vec<String>,
    /// Catalogs.
    pub catalogs: Vec<String>,
    /// Keys of options that SET takes.
    pub options: Vec<String>,
}

impl Session {
    /// The words that mean something now.
    pub fn vocabulary(&self) -> Vocabulary {
        let aggregates = AggregateFunction::NAMES.iter().copied();
        let mut functions: Vec<&str> = crate::functions::names().chain(aggregates).collect();
        functions.sort_unstable();
        functions.dedup();
        let (catalog, database) = &self.catalogs.current;
        let objects = self.catalogs.database(catalog, database).map(|found| self.known_tables(found));
        let databases = self.catalogs.catalogs.get(catalog);
        Vocabulary {
            keywords: crate::parser::keywords(),
            functions,
            tables: objects.unwrap_or_default(),
            databases: databases.map(|found| found.keys().cloned().collect()).unwrap_or_default(),
            catalogs: self.catalogs.catalogs.keys().cloned().collect(),
            options: self.options.keys(),
        }
    }

    fn known_tables(&self, database: &Database) -> Vec<KnownTable> {
        let columns = |name: &str, object: &Object| match object {
            Object::Table(table) => table.columns.iter().map(|column| column.name.clone()).collect(),
            Object::View(_) => {
                let name = vec![Ident { name: name.to_owned(), span: Span::default() }];
                let context = self.context().ok();
                let binder = context.map(|context| Binder::new(&self.catalogs, context, self.options.batch));
                let rel = binder.and_then(|binder| binder.table_of(&name).ok().map(|(rel, _)| rel));
                let names = rel.map(|rel| rel.columns.iter().map(|column| column.name.clone()).collect());
                names.unwrap_or_default()
            }
        };
        let known = |(name, object): (&String, &Object)| KnownTable {
            name: name.clone(),
            columns: columns(name, object),
        };
        database.objects.iter().map(known).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::{OutputFormat, Session};

    #[test]
    fn tables_views_and_their_columns_are_known() {
        let mut session = Session::new();
        let script = "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'datagen'); CREATE VIEW v AS SELECT a AS c FROM t;";
        session.run_script(script, OutputFormat::Table, &mut Vec::new()).unwrap();
        let known = session.vocabulary();
        let tables: Vec<(&str, Vec<&str>)> = known
            .tables
            .iter()
            .map(|table| (table.name.as_str(), table.columns.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(tables, [("t", vec!["a", "b"]), ("v", vec!["c"])]);
        assert!(known.functions.contains(&"COUNT") && known.functions.contains(&"UPPER"));
        assert!(known.options.iter().any(|key| key == "sql-client.execution.result-mode"));
    }
}
