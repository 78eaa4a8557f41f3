//! What statements show and leave behind: catalogs that are kept, plans with changes and keys, and what can be folded.

use eddyline_sql::{OutputFormat, Session, SqlMode};
use std::path::Path;

fn run_in(session: &mut Session, script: &str, format: OutputFormat) -> Result<String, String> {
    let mut out = Vec::new();
    let result = session.run_script(script, format, &mut out);
    result.map(|()| String::from_utf8(out).expect("UTF-8")).map_err(|error| error.report())
}

fn json(session: &mut Session, script: &str) -> Result<String, String> {
    run_in(session, script, OutputFormat::Json)
}

fn table(script: &str) -> Result<String, String> {
    run_in(&mut Session::new(), script, OutputFormat::Table)
}

fn catalog(place: &Path) -> String {
    format!("CREATE CATALOG kept WITH ('type' = 'filesystem', 'path' = '{}');", place.display())
}

#[test]
fn a_catalog_in_a_directory_survives_the_session() {
    let place = tempfile::tempdir().expect("a folder");
    let (root, data) = (place.path().join("catalog"), place.path().join("data.csv"));
    std::fs::write(&data, "1,a\n2,b\n").expect("a file");
    let with = format!("('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}')", data.display());
    let script = format!(
        "{} USE CATALOG kept; CREATE DATABASE sales; USE sales;
         CREATE TABLE orders (id INT, `the name` STRING, twice AS id * 2) WITH {with};
         ALTER TABLE orders RENAME `the name` TO name;
         ALTER TABLE orders RENAME TO bought;
         CREATE TEMPORARY TABLE gone (id INT) WITH {with};
         CREATE TABLE plain (id INT, name STRING COMMENT 'it''s', PRIMARY KEY (id) NOT ENFORCED) WITH {with};
         CREATE TABLE alike LIKE plain;
         CREATE VIEW v (n, s) AS SELECT twice, name FROM bought WHERE id > 1;
         CREATE TEMPORARY VIEW w AS SELECT 1;
         CREATE TABLE dropped (id INT) WITH {with}; DROP TABLE dropped;",
        catalog(&root)
    );
    json(&mut Session::new(), &script).expect("definitions");
    let mut session = Session::new();
    json(&mut session, &catalog(&root)).expect("a catalog");
    assert_eq!(json(&mut session, "SELECT * FROM kept.sales.v;").expect("rows"), "{\"n\":4,\"s\":\"b\"}\n");
    let tables = run_in(&mut session, "SHOW TABLES FROM kept.sales;", OutputFormat::Table).expect("names");
    for (name, is_there) in [("alike", true), ("bought", true), ("plain", true), ("v", true), ("gone", false)]
    {
        assert_eq!(tables.contains(&format!(" {name} |")), is_there, "{name}: {tables}");
    }
    assert!(!tables.contains("dropped") && !tables.contains(" w |"), "{tables}");
    let shown = run_in(&mut session, "DESCRIBE kept.sales.alike;", OutputFormat::Table).expect("columns");
    assert!(shown.contains("PRI(id)") && shown.contains("it's"), "{shown}");
    // It can be changed further, and be read once more.
    json(&mut session, "ALTER TABLE kept.sales.bought RENAME TO sold;").expect("a change");
    let mut session = Session::new();
    let rows = json(&mut session, &format!("{} SELECT twice, name FROM kept.sales.sold;", catalog(&root)));
    assert_eq!(rows.as_deref(), Ok("{\"twice\":2,\"name\":\"a\"}\n{\"twice\":4,\"name\":\"b\"}\n"));
}

#[test]
fn catalogs_are_shown_and_described_and_damage_is_told() {
    let place = tempfile::tempdir().expect("a folder");
    let script = format!(
        "{} USE CATALOG kept; SHOW CURRENT CATALOG; SHOW CURRENT DATABASE; SHOW CATALOGS; SHOW DATABASES;
         DESCRIBE CATALOG kept;",
        catalog(place.path())
    );
    let shown = table(&script).expect("names");
    for expected in ["kept |", "default |", "default_catalog |", "filesystem |", "option:path |"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let refused = |script: &str, expected: &str| {
        let error = table(script).expect_err("an error");
        assert!(error.contains(expected), "{error}");
    };
    refused("CREATE CATALOG c WITH ('type' = 'filesystem');", "needs the option 'path'");
    refused("CREATE CATALOG c WITH ('type' = 'hive');", "a catalog of type `hive` is not supported");
    refused("DESCRIBE CATALOG nowhere;", "there is no catalog `nowhere`");
    refused("CREATE CATALOG c WITH ('type' = 'generic_in_memory', 'pth' = 'x');", "has no option 'pth'");
    refused(&format!("{} USE CATALOG kept; DROP CATALOG kept;", catalog(place.path())), "is in use");
    let watermarked = "CREATE TABLE a (t TIMESTAMP(3), WATERMARK FOR t AS t) WITH ('connector' = 'datagen');";
    let like = format!("{watermarked} {} CREATE TABLE kept.`default`.b LIKE a;", catalog(place.path()));
    refused(&like, "cannot take computed columns or a watermark over");
    std::fs::write(place.path().join("catalog.json"), "{").expect("a file");
    refused(&catalog(place.path()), "cannot be understood");
    std::fs::write(place.path().join("catalog.json"), r#"{"version":9,"databases":{}}"#).expect("a file");
    refused(&catalog(place.path()), "it is of version 9");
}

#[test]
fn a_global_aggregate_over_nothing_has_its_row_on_a_stream_too() {
    let endless = "CREATE TABLE t (k STRING, v INT) WITH ('connector' = 'datagen');";
    for (query, expected) in [
        (
            "SELECT COUNT(*) AS c, SUM(v) AS s, MAX(k) AS m FROM t WHERE 1 = 0",
            "{\"c\":0,\"s\":null,\"m\":null}\n",
        ),
        ("SELECT COUNT(*) + 1 AS c FROM t WHERE v > 0 AND FALSE", "{\"c\":1}\n"),
        ("SELECT k, COUNT(*) AS c FROM t WHERE FALSE GROUP BY k", ""),
        ("SELECT a.k FROM t a JOIN t b ON a.k = b.k AND 1 = 2", ""),
        ("SELECT v FROM t WHERE NULL", ""),
        (
            "SELECT COUNT(*) AS c FROM (SELECT k FROM t WHERE FALSE UNION ALL SELECT k FROM t WHERE 1 > 2)",
            "{\"c\":0}\n",
        ),
    ] {
        for mode in [SqlMode::Streaming, SqlMode::Batch] {
            let mut session = Session::new();
            session.set_mode(mode);
            assert_eq!(
                json(&mut session, &format!("{endless} {query};")).as_deref(),
                Ok(expected),
                "{query}"
            );
        }
    }
}

const TABLES: &str = "
    CREATE TABLE orders (id INT, customer INT, amount INT, PRIMARY KEY (id) NOT ENFORCED)
        WITH ('connector' = 'filesystem', 'format' = 'debezium-json', 'path' = '/nowhere/orders');
    CREATE TABLE customers (id INT, name STRING, PRIMARY KEY (id) NOT ENFORCED)
        WITH ('connector' = 'filesystem', 'format' = 'debezium-json', 'path' = '/nowhere/customers');
    CREATE TABLE totals (name STRING, total INT, PRIMARY KEY (name) NOT ENFORCED) WITH ('connector' = 'print');";

fn plan(query: &str) -> String {
    table(&format!("{TABLES} EXPLAIN CHANGELOG_MODE {query};")).expect("a plan")
}

#[test]
fn plans_show_changes_and_upsert_keys_of_each_edge() {
    let joined = plan("SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer = c.id");
    let line =
        |plan: &str, name: &str| plan.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(line(&joined, "orders]").contains("changelogMode=[I,UB,UA,D], upsertKeys=[[id]]"), "{joined}");
    // The rows of an order meet by customer: its changes may come from several instances.
    assert!(line(&joined, "Join(").ends_with("upsertKeys=[]"), "{joined}");
    let grouped = plan("SELECT customer, COUNT(*) FROM orders GROUP BY customer");
    assert!(line(&grouped, "GroupAggregate").contains("upsertKeys=[[customer]]"), "{grouped}");
    let ranked = plan(
        "SELECT customer, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY amount) AS n \
         FROM orders) WHERE n <= 3",
    );
    assert!(line(&ranked, "Rank(").contains("upsertKeys=[[customer, $w0]]"), "{ranked}");
    let written = plan("INSERT INTO totals SELECT name, COUNT(*) FROM customers GROUP BY name");
    assert!(line(&written, "Sink(").contains("primaryKey=[name], fields=[name, total]"), "{written}");
    assert!(line(&written, "GroupAggregate").contains("upsertKeys=[[name]]"), "{written}");
    let appended = plan("SELECT 1");
    assert!(line(&appended, "Values").ends_with("changelogMode=[I]"), "{appended}");
}

#[test]
fn rows_come_to_sinks_so_that_changes_of_a_key_stay_in_order() {
    let edges = |set: &str, query: &str| {
        let script = format!("{TABLES} SET 'parallelism.default' = '2'; {set} EXPLAIN {query};");
        let plan = table(&script).expect("a plan");
        plan.lines().skip_while(|line| !line.contains("Sink: totals")).collect::<Vec<_>>().join("\n")
    };
    let same = "INSERT INTO totals SELECT name, CAST(COUNT(*) AS INT) FROM customers GROUP BY name";
    let other =
        "INSERT INTO totals SELECT c.name, o.amount FROM orders o JOIN customers c ON o.customer = c.id";
    let keyed = |plan: &str| plan.to_lowercase().contains("hash");
    assert!(!keyed(&edges("", same)), "{}", edges("", same));
    assert!(keyed(&edges("", other)), "{}", edges("", other));
    assert!(keyed(&edges("SET 'table.exec.sink.keyed-shuffle' = 'FORCE';", same)));
    assert!(!keyed(&edges("SET 'table.exec.sink.keyed-shuffle' = 'NONE';", other)));
    let error = table("SET 'table.exec.sink.keyed-shuffle' = 'SOMETIMES';").expect_err("an error");
    assert!(error.contains("AUTO, FORCE, NONE"), "{error}");
}
