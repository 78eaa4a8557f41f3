//! Queries whose rows in flight are more than an edge may hold.

use eddyline_sql::{OutputFormat, Session, SqlMode};
use std::fmt::Write;

/// A join of a few wide rows with many narrow ones, ranked: each batch of the join fills its output many times.
#[test]
fn a_join_that_fills_its_output_within_a_batch_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let wide = "w".repeat(4_000);
    let mut items = String::new();
    (0..200).for_each(|number| writeln!(items, "{number},{wide}").expect("a line"));
    let mut offers = String::new();
    (0..20_000).for_each(|number| writeln!(offers, "{},{number}", number % 200).expect("a line"));
    std::fs::write(folder.path().join("items.csv"), items).expect("a file");
    std::fs::write(folder.path().join("offers.csv"), offers).expect("a file");
    let table = |name: &str, columns: &str| {
        format!(
            "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');",
            folder.path().join(format!("{name}.csv")).display()
        )
    };
    let query = "SELECT item, price FROM (SELECT i.*, o.price, ROW_NUMBER() OVER (PARTITION BY i.item ORDER BY o.price \
                 DESC) AS place FROM items i JOIN offers o ON i.item = o.item) WHERE place <= 1 AND CHAR_LENGTH(text) > 9;";
    let mut session = Session::new();
    session.set_mode(SqlMode::Streaming);
    let (items, offers) = (table("items", "item INT, text STRING"), table("offers", "item INT, price INT"));
    let mut out = Vec::new();
    session
        .run_script(&format!("{items}{offers}{query}"), OutputFormat::Json, &mut out)
        .expect("a query that ends");
    let text = String::from_utf8(out).expect("UTF-8");
    assert_eq!(text.lines().count(), 200);
    assert!(text.lines().any(|line| line == r#"{"item":199,"price":19999}"#), "{text}");
}
