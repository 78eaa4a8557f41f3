//! What tests over the corpus share.

/// The tables of `script`: those that its first line names, or the usual ones.
pub fn tables_of(script: &str) -> &'static str {
    match script.lines().next().and_then(|line| line.strip_prefix("-- tables: ")) {
        None => include_str!("../flink/tables.sql"),
        Some("cases") => include_str!("../flink/cases.sql"),
        Some("shop") => include_str!("../flink/shop.sql"),
        Some("tpch") => include_str!("../flink/tpch.sql"),
        Some(other) => panic!("there are no tables `{other}`"),
    }
}
