//! Generated tables, and queries over them. Every relation has the columns `k INT` and `v BIGINT`, so that each can stand
//! wherever another stands.

use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Write;
use std::path::Path;

/// What happens to a row of the changelog: another key and value, or it goes.
type Change = (u8, Option<(Option<u8>, i16)>);

/// The content of the tables.
#[derive(Debug, Clone)]
pub struct Data {
    changes: Vec<Change>,
    rows: Vec<(Option<u8>, Option<i16>)>,
    events: Vec<(u8, i16, u16)>,
}

impl Data {
    /// Some content; keys meet often, and may be NULL.
    pub fn any() -> impl Strategy<Value = Data> {
        let key = || prop_oneof![1 => Just(None), 9 => (0..6_u8).prop_map(Some)];
        let value = || -20..20_i16;
        let change = (0..12_u8, prop_oneof![1 => Just(None), 3 => (key(), value()).prop_map(Some)]);
        let row = (key(), prop_oneof![1 => Just(None), 6 => value().prop_map(Some)]);
        let event = (0..5_u8, value(), 0..60_u16);
        (vec(change, 0..60), vec(row, 0..25), vec(event, 0..40)).prop_map(|(changes, rows, events)| Data {
            changes,
            rows,
            events,
        })
    }

    /// Writes the tables into `folder` and defines them.
    pub fn tables(&self, folder: &Path) -> String {
        let mut changes = String::new();
        let mut current = [None; 12];
        let json = |id: u8, row: Option<(Option<u8>, i16)>| match row {
            Some((k, v)) => {
                let k = k.map_or("null".to_owned(), |k| k.to_string());
                format!("{{\"id\":{id},\"k\":{k},\"v\":{v}}}")
            }
            None => "null".to_owned(),
        };
        for (id, after) in &self.changes {
            let before = &mut current[usize::from(*id)];
            let op = match (*before, after) {
                (None, None) => continue,
                (None, Some(_)) => "c",
                (Some(_), None) => "d",
                (Some(_), Some(_)) => "u",
            };
            let (old, new) = (json(*id, *before), json(*id, *after));
            writeln!(changes, "{{\"before\":{old},\"after\":{new},\"op\":\"{op}\"}}").expect("a line");
            *before = *after;
        }
        let text = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
        let mut rows = String::new();
        for (k, v) in &self.rows {
            writeln!(rows, "{},{}", text(k.map(i64::from)), text(v.map(i64::from))).expect("a line");
        }
        let mut events = String::new();
        for (k, v, second) in &self.events {
            writeln!(events, "{k},{v},2024-01-01 00:00:{second:02}").expect("a line");
        }
        let table = |name: &str, columns: &str, format: &str, content: &str| {
            let path = folder.join(name);
            std::fs::write(&path, content).expect("a file");
            format!(
                "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = '{format}');\n",
                path.display()
            )
        };
        let csv = "csv', 'csv.null-literal' = '";
        [
            table("l", "id INT, k INT, v BIGINT, PRIMARY KEY (id) NOT ENFORCED", "debezium-json", &changes),
            table("r", "k INT, v BIGINT", csv, &rows),
            table(
                "e",
                "k INT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' HOUR",
                csv,
                &events,
            ),
        ]
        .concat()
    }
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    (0..texts.len()).prop_map(|index| texts[index])
}

const LEAVES: [&str; 8] = [
    "SELECT k, v FROM l",
    "SELECT k, v FROM l WHERE v > 0",
    "SELECT id AS k, v FROM l",
    "SELECT k, v FROM r",
    "SELECT k, v FROM e",
    "SELECT k, SUM(v) AS v FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(ts), INTERVAL '10' SECOND)) \
     GROUP BY k, window_start, window_end",
    "SELECT k, COUNT(*) AS v FROM TABLE(HOP(TABLE e, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) \
     GROUP BY k, window_start, window_end",
    "SELECT k, MAX(v) AS v FROM TABLE(SESSION(TABLE e PARTITION BY k, DESCRIPTOR(ts), INTERVAL '3' SECOND)) \
     GROUP BY k, window_start, window_end",
];

const CONDITIONS: [&str; 5] =
    ["v > 3", "k IS NOT NULL", "k IN (1, 2, 4) OR v IS NULL", "NOT (v < 0 AND k > 2)", "MOD(v, 3) <> 0"];

const AGGREGATES: [&str; 10] = [
    "COUNT(*)",
    "COUNT(v)",
    "SUM(v)",
    "MIN(v)",
    "MAX(v)",
    "COUNT(DISTINCT v)",
    "SUM(DISTINCT v)",
    "SUM(v) FILTER (WHERE v > 0)",
    "AVG(v)",
    "MAX(v) - MIN(v)",
];

const JOINS: [&str; 4] = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"];

const SETS: [&str; 6] = ["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"];

/// A query with the columns `k` and `v`.
pub fn relation() -> impl Strategy<Value = String> {
    let leaf = one_of(&LEAVES).prop_map(str::to_owned);
    leaf.prop_recursive(3, 8, 2, |inner| {
        let pair = || (inner.clone(), inner.clone());
        prop_oneof![
            (inner.clone(), one_of(&CONDITIONS))
                .prop_map(|(from, condition)| format!("SELECT k, v FROM ({from}) WHERE {condition}")),
            (inner.clone(), one_of(&AGGREGATES))
                .prop_map(|(from, aggregate)| format!("SELECT k, {aggregate} AS v FROM ({from}) GROUP BY k")),
            (inner.clone(), one_of(&AGGREGATES)).prop_map(|(from, aggregate)| format!(
                "SELECT k, {aggregate} AS v FROM ({from}) GROUP BY k HAVING COUNT(*) > 1"
            )),
            (inner.clone(), one_of(&AGGREGATES)).prop_map(|(from, aggregate)| format!(
                // Over no rows at all, a stream has no result, and bounded data has one.
                "SELECT CAST(COUNT(k) AS INT) AS k, {aggregate} AS v FROM ({from}) HAVING COUNT(*) > 0"
            )),
            inner.clone().prop_map(|from| format!("SELECT DISTINCT k, v FROM ({from})")),
            (pair(), one_of(&JOINS)).prop_map(|((left, right), join)| format!(
                "SELECT COALESCE(a.k, b.k) AS k, COALESCE(a.v, 100) - COALESCE(b.v, 7) AS v FROM ({left}) a {join} \
                 ({right}) b ON a.k = b.k"
            )),
            (pair(), one_of(&JOINS)).prop_map(|((left, right), join)| format!(
                "SELECT a.k, b.v FROM ({left}) a {join} ({right}) b ON a.k = b.k AND a.v < b.v"
            )),
            pair().prop_map(|(left, right)| format!("SELECT k, v FROM ({left}) WHERE k IN (SELECT k FROM ({right}))")),
            pair().prop_map(|(left, right)| format!(
                "SELECT k, v FROM ({left}) a WHERE NOT EXISTS (SELECT * FROM ({right}) b WHERE a.k = b.k AND b.v > a.v)"
            )),
            pair().prop_map(|(left, right)| format!(
                "SELECT k, v FROM ({left}) WHERE k NOT IN (SELECT k FROM ({right}))"
            )),
            (pair(), one_of(&SETS)).prop_map(|((left, right), set)| format!(
                "SELECT k, v FROM ({left}) {set} SELECT k, v FROM ({right})"
            )),
            (inner.clone(), 1..3_u8, one_of(&["v DESC", "v, k", "v DESC NULLS LAST"])).prop_map(
                |(from, limit, order)| format!(
                    "SELECT k, v FROM (SELECT k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY {order}) AS n FROM \
                     ({from})) WHERE n <= {limit}"
                )
            ),
            pair().prop_map(|(left, right)| format!(
                "SELECT k, v FROM ({left}) WHERE v >= (SELECT AVG(v) FROM ({right}))"
            )),
        ]
    })
}
