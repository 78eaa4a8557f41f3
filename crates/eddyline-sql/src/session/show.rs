//! Statements that show what is defined.

use super::Session;
use super::result::ScriptOutput;
use crate::catalog::{ColumnSource, Object, TableDef};
use crate::parser::ast::{ObjectKind, ObjectName, ShowKind, Statement};
use crate::parser::span::{SqlError, SqlResult};
use eddyline_core::Result;

impl Session {
    pub(super) fn show(
        &self,
        statement: &Statement,
        script: &str,
        output: &mut ScriptOutput<'_>,
    ) -> Result<()> {
        let (names, rows) = self.shown(statement).map_err(|error| error.into_error(script))?;
        output.table(&names, &rows)
    }

    fn shown(&self, statement: &Statement) -> SqlResult<(Vec<String>, Vec<Vec<String>>)> {
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        match statement {
            Statement::Describe { name } => self.columns(name, None),
            Statement::DescribeCatalog { name } => {
                Ok((named(&["info name", "info value"]), self.described_catalog(name)?))
            }
            Statement::ShowColumns { name, like } => self.columns(name, like.as_ref()),
            Statement::ShowCreate { kind, name } => {
                let text = match (kind, self.catalogs.resolve(name)?) {
                    (ObjectKind::View, Object::View(view)) => {
                        format!("CREATE VIEW {} AS\n{}", quoted(&view.path), view.text)
                    }
                    (ObjectKind::Table, Object::Table(table)) => table.definition.clone(),
                    _ => {
                        return Err(SqlError::at(
                            name[0].span,
                            "this is of the other kind: a table or a view",
                        ));
                    }
                };
                Ok((named(&["result"]), vec![vec![text]]))
            }
            Statement::Show { kind, from, like } => {
                let (title, all) = self.names(*kind, from.as_ref())?;
                let passes = |name: &String| {
                    like.as_ref().is_none_or(|(pattern, negated)| matches(pattern, name) != *negated)
                };
                Ok((named(&[title]), all.into_iter().filter(passes).map(|name| vec![name]).collect()))
            }
            _ => Err(SqlError::new("this statement shows nothing")),
        }
    }

    fn names(&self, kind: ShowKind, from: Option<&ObjectName>) -> SqlResult<(&'static str, Vec<String>)> {
        let (catalog, database) = match from.map(Vec::as_slice) {
            None => self.catalogs.current.clone(),
            Some([database]) => (self.catalogs.current.0.clone(), database.name.clone()),
            Some([catalog, database, ..]) => (catalog.name.clone(), database.name.clone()),
            Some([]) => self.catalogs.current.clone(),
        };
        let objects = |views_only: bool| -> SqlResult<Vec<String>> {
            let Some(found) = self.catalogs.database(&catalog, &database) else {
                return Err(SqlError::new(format!("there is no database `{database}`")));
            };
            let wanted = |object: &Object| !views_only || matches!(object, Object::View(_));
            Ok(found
                .objects
                .iter()
                .filter(|(_, object)| wanted(object))
                .map(|(name, _)| name.clone())
                .collect())
        };
        Ok(match kind {
            ShowKind::Tables => ("table name", objects(false)?),
            ShowKind::Views => ("view name", objects(true)?),
            ShowKind::Databases => {
                let name = from.map_or(&self.catalogs.current.0, |from| &from[0].name);
                let databases = self.catalogs.catalogs.get(name);
                (
                    "database name",
                    databases.map(|databases| databases.keys().cloned().collect()).unwrap_or_default(),
                )
            }
            ShowKind::Catalogs => ("catalog name", self.catalogs.catalogs.keys().cloned().collect()),
            ShowKind::CurrentDatabase => ("current database name", vec![self.catalogs.current.1.clone()]),
            ShowKind::CurrentCatalog => ("current catalog name", vec![self.catalogs.current.0.clone()]),
            ShowKind::Functions => {
                ("function name", crate::functions::names().map(str::to_lowercase).collect())
            }
            ShowKind::Jobs => ("job id", Vec::new()),
        })
    }

    /// The columns of a table or view, as DESCRIBE shows them.
    fn columns(
        &self,
        name: &ObjectName,
        like: Option<&(String, bool)>,
    ) -> SqlResult<(Vec<String>, Vec<Vec<String>>)> {
        let titles =
            ["name", "type", "null", "key", "extras", "watermark", "comment"].map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = match self.catalogs.resolve(name)? {
            Object::Table(table) => table.columns.iter().map(|column| describe(table, column)).collect(),
            Object::View(_) => {
                let binder = crate::bind::Binder::new(&self.catalogs, self.context()?, self.options.batch);
                let (rel, _) = binder.table_of(name)?;
                rel.columns
                    .iter()
                    .map(|column| {
                        let nullable = column.data_type.nullable.to_string().to_uppercase();
                        vec![
                            column.name.clone(),
                            column.data_type.kind.to_string(),
                            nullable,
                            String::new(),
                            String::new(),
                            String::new(),
                        ]
                    })
                    .collect()
            }
        };
        let passes =
            |row: &Vec<String>| like.is_none_or(|(pattern, negated)| matches(pattern, &row[0]) != *negated);
        Ok((titles, rows.into_iter().filter(passes).collect()))
    }
}

fn describe(table: &TableDef, column: &crate::catalog::TableColumn) -> Vec<String> {
    let key = if table.primary_key.contains(&column.name) {
        format!("PRI({})", table.primary_key.join(", "))
    } else {
        String::new()
    };
    let extras = match &column.source {
        ColumnSource::Physical => String::new(),
        ColumnSource::Computed(_) => "AS computed".to_owned(),
        ColumnSource::Metadata { key, is_virtual } => {
            format!("METADATA FROM '{key}'{}", if *is_virtual { " VIRTUAL" } else { "" })
        }
    };
    let watermark = match &table.watermark {
        Some((name, _)) if *name == column.name => "yes".to_owned(),
        _ => String::new(),
    };
    let nullable = column.data_type.nullable.to_string().to_uppercase();
    let comment = column.comment.clone().unwrap_or_default();
    vec![column.name.clone(), column.data_type.kind.to_string(), nullable, key, extras, watermark, comment]
}

fn quoted(path: &[String; 3]) -> String {
    path.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".")
}

/// SQL's LIKE, for names.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let mut reachable = vec![false; name.len() + 1];
    reachable[0] = true;
    for wanted in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            match wanted {
                '%' => next[at] = reachable[..=at].iter().any(|reached| *reached),
                _ if at > 0 => next[at] = reachable[at - 1] && (wanted == '_' || wanted == name[at - 1]),
                _ => {}
            }
        }
        reachable = next;
    }
    reachable[name.len()]
}
