//! What the shell shows and proposes, without a terminal.

use super::complete::candidates;
use super::line::coloured;
use super::page;
use super::screen::{View, draw};
use super::terminal::Key;
use eddyline::Result;
use eddyline_sql::{JobProgress, LiveRows, OutputFormat, Session, Watcher};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::ops::ControlFlow;

fn session() -> Session {
    let mut session = Session::new();
    let script = "CREATE TABLE orders (id BIGINT, price INT, `order` STRING) WITH ('connector' = 'datagen');
        CREATE TABLE items (item_id BIGINT, weight INT) WITH ('connector' = 'datagen');";
    session.run_script(script, OutputFormat::Table, &mut Vec::new()).unwrap();
    session
}

/// What may stand at the end of `text`, or where it has a `|`.
fn proposed(text: &str) -> Vec<String> {
    let at = text.find('|').unwrap_or(text.len());
    candidates(&session().vocabulary(), &text.replace('|', ""), at).1
}

#[test]
fn what_may_come_next_is_proposed() {
    assert_eq!(proposed("SEL"), ["SELECT"]);
    assert_eq!(proposed("sel"), ["select"]);
    assert_eq!(proposed("SELECT 1; dro"), ["drop"]);
    assert_eq!(proposed("SELECT * FROM or"), ["orders"]);
    assert_eq!(proposed("INSERT INTO "), ["items", "orders"]);
    // Columns come first.
    assert_eq!(proposed("SELECT pric| FROM orders"), ["price"]);
    assert_eq!(proposed("SELECT pri| FROM orders")[0], "price");
    assert_eq!(
        proposed("SELECT o.| FROM orders AS o JOIN items i ON i.item_id = o.id"),
        ["id", "price", "`order`"]
    );
    assert_eq!(proposed("SELECT i.wei| FROM orders AS o JOIN items i"), ["weight"]);
    assert!(proposed("SELECT cou").contains(&"count".to_owned()));
    assert!(proposed("SELECT REGEXP_EX").contains(&"REGEXP_EXTRACT".to_owned()));
    assert_eq!(proposed("SET 'sql-client.execution.res"), ["sql-client.execution.result-mode'"]);
    assert_eq!(proposed("USE def"), ["default_database"]);
    assert!(proposed("SELECT 'pri").is_empty() && proposed("SELECT 1 -- pri").is_empty());
    assert_eq!(candidates(&session().vocabulary(), "SELECT price FROM orders", 10).0, 7);
}

#[test]
fn colours_do_not_change_what_is_written() {
    let text = "SELECT COUNT(*), 'it''s' FROM `t` -- all\nWHERE é > 1.5";
    let shown = coloured(text);
    assert!(shown.contains("\x1b[1;34mSELECT\x1b[0m") && shown.contains("\x1b[32m'it''s'\x1b[0m"), "{shown}");
    let plain: String = shown
        .split('\x1b')
        .enumerate()
        .map(
            |(number, part)| {
                if number == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) }
            },
        )
        .collect();
    assert_eq!(plain, text);
}

/// Draws every look at a query, and presses keys.
struct Drawn {
    terminal: Terminal<TestBackend>,
    view: View,
    keys: Vec<Key>,
    frames: Vec<String>,
    written: Vec<u8>,
}

impl Watcher for Drawn {
    fn look(&mut self, _progress: &JobProgress, _rows: Option<&LiveRows>) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }

    fn ended(&mut self, progress: &JobProgress, rows: Option<&LiveRows>, _cancelled: bool) -> Result<()> {
        let rows = rows.expect("a query");
        let keys = std::mem::take(&mut self.keys);
        for pressed in std::iter::once(Key::Other).chain(keys) {
            assert!(self.view.press(pressed, rows).is_continue());
            self.terminal.draw(|frame| draw(frame, &mut self.view, rows, progress, true)).unwrap();
            self.frames.push(self.terminal.backend().to_string());
        }
        assert!(self.view.press(Key::Leave, rows).is_break());
        page::table(rows, 8, &mut self.written).unwrap();
        let mut tableau = page::Tableau::begin(rows, 8, &mut self.written).unwrap();
        tableau.go_on(rows, &mut self.written).unwrap();
        tableau.end(&mut self.written).unwrap();
        Ok(())
    }
}

fn drawn(statement: &str, keys: &[Key]) -> (Vec<String>, String) {
    let terminal = Terminal::new(TestBackend::new(60, 8)).unwrap();
    let view = View::new(false, 30);
    let mut watcher = Drawn { terminal, view, keys: keys.to_vec(), frames: Vec::new(), written: Vec::new() };
    Session::new().run_watched(statement, &mut Vec::new(), &mut watcher).unwrap();
    (watcher.frames, String::from_utf8(watcher.written).unwrap())
}

#[test]
fn a_result_is_scrolled_and_shown_as_changelog() {
    let rows: Vec<String> = (0..20).map(|number| format!("({number}, 'name {number}')")).collect();
    let statement = format!("SELECT * FROM (VALUES {}) AS t(n, name);", rows.join(", "));
    let (frames, _) = drawn(&statement, &[Key::PageDown, Key::End, Key::Home, Key::Right, Key::Changelog]);
    assert!(frames[0].contains("20 rows") && frames[0].contains("name 0") && !frames[0].contains("name 9"));
    assert!(frames[1].contains("name 5") && frames[1].contains("name 9"), "{}", frames[1]);
    assert!(frames[2].contains("name 19") && frames[2].contains("name 15"), "{}", frames[2]);
    assert!(frames[3].contains("name 0"), "{}", frames[3]);
    assert!(
        frames[4].contains("name") && !frames[4].lines().nth(1).unwrap().contains(" n "),
        "{}",
        frames[4]
    );
    assert!(frames[5].contains("changelog") && frames[5].contains("+I") && frames[5].contains("name 19"));
}

#[test]
fn written_rows_are_cut_and_have_no_commands_for_terminals() {
    let statement = "SELECT * FROM (VALUES ('a long text', U&'\\001b[2J')) AS t(first, second);";
    let (_, written) = drawn(statement, &[]);
    assert!(written.contains("a long …") && written.contains("\u{fffd}[2J"), "{written}");
    assert!(written.contains("| op |") && written.contains("| +I |"), "{written}");
    assert!(!written.contains('\x1b'));
    assert_eq!(
        (page::grouped(1_234_567), page::grouped(12), page::counted(1, "row")),
        ("1,234,567".into(), "12".into(), "1 row".into())
    );
}
