//! State with a time to live: what is forgotten, when, and by what it is renewed, on a clock that the test moves.

use eddyline::Options;
use eddyline_core::{Clock, SystemClock};
use eddyline_runtime::StateBackendService;
use eddyline_sql::{OutputFormat, Session};
use eddyline_state::store::MemoryBackend;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long a line is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The system's clock, and so much later on the wall.
struct Shifted {
    system: SystemClock,
    micros: AtomicU64,
}

impl Clock for Shifted {
    fn monotonic_micros(&self) -> u64 {
        self.system.monotonic_micros()
    }

    fn wall_micros(&self) -> u64 {
        self.system.wall_micros() + self.micros.load(Ordering::SeqCst)
    }
}

/// Sends on each line that is written.
struct Lines {
    line: Vec<u8>,
    to: Sender<String>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8(std::mem::take(&mut self.line)).expect("UTF-8");
                let _ = self.to.send(line);
            } else {
                self.line.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What happens.
enum Step {
    /// A row comes to the first or second table, and these changes follow.
    Row(usize, &'static str, &'static [&'static str]),
    Minutes(u64),
}
use Step::{Minutes, Row};

/// Runs `query` over the tables `l` and `r` with columns `k`, `v` and the processing time `p`.
fn check(set: &str, query: &str, steps: &[Step], has_store: bool) {
    let listeners: Vec<TcpListener> =
        (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let mut script = format!("{set}\n");
    for (name, listener) in ["l", "r"].iter().zip(&listeners) {
        let port = listener.local_addr().expect("an address").port();
        script += &format!(
            "CREATE TABLE {name} (k STRING, v INT, p AS PROCTIME()) WITH ('connector' = 'socket', 'format' = 'csv', \
             'hostname' = '127.0.0.1', 'port' = '{port}');\n"
        );
    }
    script += query;
    let clock = Arc::new(Shifted { system: SystemClock::new(), micros: AtomicU64::new(0) });
    let mut options = Options::default();
    options.runtime.clock = clock.clone();
    if has_store {
        options.runtime.services.insert(Arc::new(StateBackendService(Arc::new(MemoryBackend::new(200)))));
    }
    let (to, lines) = channel();
    let running = std::thread::spawn(move || {
        let mut session = Session::with_options(options);
        session.run_script(&script, OutputFormat::Changelog, &mut Lines { line: Vec::new(), to })
    });
    let uses_right = query.contains(" r");
    let mut connections: Vec<TcpStream> = vec![listeners[0].accept().expect("a connection").0];
    if uses_right {
        connections.push(listeners[1].accept().expect("a connection").0);
    }
    for (number, step) in steps.iter().enumerate() {
        match step {
            Minutes(minutes) => drop(clock.micros.fetch_add(minutes * 60_000_000, Ordering::SeqCst)),
            Row(table, row, expected) => {
                writeln!(connections[*table], "{row}").expect("a connection");
                let found = expected.iter().map(|_| next(&lines)).collect::<Vec<_>>();
                assert_eq!(found, *expected, "step {number} of {query}, with a store: {has_store}");
            }
        }
    }
    drop(connections);
    running.join().expect("a thread").expect("a query that ends");
    assert_eq!(lines.try_recv().ok(), None, "nothing more comes of {query}");
}

/// A change as `+I a 1`.
fn next(lines: &Receiver<String>) -> String {
    let line = lines.recv_timeout(PATIENCE).expect("a line");
    let change: serde_json::Value = serde_json::from_str(&line).expect("a change");
    let row = change["row"].as_object().expect("a row");
    // The members of objects are in the order of their names.
    let values = row.values().map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    format!("{} {}", change["op"].as_str().expect("a kind"), values.collect::<Vec<_>>().join(" "))
}

const HOUR: &str = "SET 'table.exec.state.ttl' = '1 h';";

fn check_both(set: &str, query: &str, steps: &[Step]) {
    for has_store in [false, true] {
        check(set, query, steps, has_store);
    }
}

#[test]
fn groups_are_forgotten_when_nothing_came_for_their_time() {
    let steps = [
        Row(0, "a,1", &["+I a 1"]),
        Row(0, "a,2", &["-U a 1", "+U a 2"]),
        Minutes(59),
        Row(0, "a,3", &["-U a 2", "+U a 3"]),
        Minutes(59),
        Row(0, "b,3", &["+I b 1"]),
        Row(0, "a,3", &["-U a 3", "+U a 4"]),
        Minutes(61),
        Row(0, "a,4", &["+I a 1"]),
    ];
    check_both(HOUR, "SELECT k, COUNT(*) AS n FROM l GROUP BY k;", &steps);
    let forever = [Row(0, "a,1", &["+I a 1"]), Minutes(100_000), Row(0, "a,2", &["-U a 1", "+U a 2"])];
    check("", "SELECT k, COUNT(*) AS n FROM l GROUP BY k;", &forever, false);
    let hinted = "SELECT /*+ STATE_TTL('x' = '1 h') */ k, COUNT(*) AS n FROM l AS x WHERE v > 0 GROUP BY k;";
    let steps = [Row(0, "a,1", &["+I a 1"]), Minutes(61), Row(0, "a,2", &["+I a 1"])];
    check("", hinted, &steps, false);
}

#[test]
fn distinct_rows_come_again_and_distinct_values_count_again() {
    let steps = [Row(0, "a,1", &["+I a"]), Minutes(61), Row(0, "a,2", &["+I a"])];
    check_both(HOUR, "SELECT DISTINCT k FROM l;", &steps);
    let steps = [
        Row(0, "a,1", &["+I a 1"]),
        Row(0, "a,2", &["-U a 1", "+U a 2"]),
        Minutes(61),
        Row(0, "a,1", &["+I a 1"]),
    ];
    check_both(HOUR, "SELECT k, COUNT(DISTINCT v) AS n FROM l GROUP BY k;", &steps);
}

#[test]
fn the_first_row_is_not_renewed_by_those_that_it_keeps_out() {
    let first =
        "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS n FROM l) WHERE n = 1;";
    let steps = [
        Row(0, "a,1", &["+I a 1"]),
        Minutes(40),
        Row(0, "a,2", &[]),
        Row(0, "b,2", &["+I b 2"]),
        Minutes(30),
        Row(0, "a,3", &["+I a 3"]),
        Row(0, "b,3", &[]),
    ];
    check_both(HOUR, first, &steps);
    let largest = "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS n FROM l) WHERE n <= 1;";
    let steps = [
        Row(0, "a,5", &["+I a 5"]),
        Row(0, "a,6", &["-U a 5", "+U a 6"]),
        Minutes(61),
        Row(0, "a,1", &["+I a 1"]),
    ];
    check_both(HOUR, largest, &steps);
}

#[test]
fn running_sums_begin_anew() {
    let steps = [
        Row(0, "a,1", &["+I a 1"]),
        Minutes(30),
        Row(0, "a,2", &["+I a 3"]),
        Minutes(61),
        Row(0, "a,5", &["+I a 5"]),
    ];
    check_both(HOUR, "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY p) AS s FROM l;", &steps);
}

#[test]
fn each_side_of_a_join_has_its_own_time_and_each_row_its_own_age() {
    let query = "SELECT /*+ STATE_TTL('l' = '1 h', 'r' = '3 h') */ l.v AS a, r.v AS b FROM l FULL JOIN r ON l.k = r.k;";
    let steps = [
        Row(0, "a,1", &["+I 1 null"]),
        Row(1, "a,10", &["-D 1 null", "+I 1 10"]),
        Minutes(120),
        // The left row is forgotten, the right one is not, and is written as it gets a partner.
        Row(0, "a,2", &["+I 2 10"]),
        Minutes(30),
        Row(0, "a,3", &["+I 3 10"]),
        Minutes(40),
        Row(1, "a,20", &["+I 3 20"]),
        Minutes(120),
        Row(1, "a,30", &["+I null 30"]),
        Minutes(90),
        Row(0, "a,4", &["-D null 30", "+I 4 30"]),
    ];
    check_both("", query, &steps);
    // Pairs of `z` show that the rows before them were taken in.
    let inner = "SELECT l.v AS a, r.v AS b FROM l JOIN r ON l.k = r.k AND l.v < r.v;";
    let steps = [
        Row(1, "z,100", &[]),
        Row(0, "a,1", &[]),
        Row(0, "z,1", &["+I 1 100"]),
        Minutes(50),
        Row(0, "a,2", &[]),
        Row(0, "z,2", &["+I 2 100"]),
        Minutes(20),
        Row(1, "a,10", &["+I 2 10"]),
    ];
    check_both(HOUR, inner, &steps);
}

#[test]
fn wrong_times_and_tables_are_refused_and_growing_state_is_told() {
    let run = |script: &str| {
        let mut out = Vec::new();
        let result = Session::new().run_script(script, OutputFormat::Table, &mut out);
        result.map(|()| String::from_utf8(out).expect("UTF-8")).map_err(|error| error.report())
    };
    let error = run("SET 'table.exec.state.ttl' = 'soon';").unwrap_err();
    assert!(error.contains("`soon` is no length of time"), "{error}");
    let table = "CREATE TABLE t (k STRING, v INT) WITH ('connector' = 'datagen');";
    let hint = |hint: &str| run(&format!("{table} SELECT /*+ STATE_TTL({hint}) */ k FROM t;")).unwrap_err();
    assert!(hint("'x' = '1 d'").contains("STATE_TTL names `x`, which is no table of this query"));
    assert!(hint("'t' = '1 moon'").contains("'1 moon' is no length of time"));
    let explain = |set: &str, query: &str| run(&format!("{table} {set} EXPLAIN {query};")).expect("a plan");
    let query = "SELECT k, COUNT(*) FROM t GROUP BY k";
    let warning = "the state of GroupAggregate(groupBy=[k], select=[COUNT(*)]) grows without bound";
    assert!(explain("", query).contains(warning), "{}", explain("", query));
    assert!(!explain(HOUR, query).contains(warning));
    assert!(!explain("SET 'execution.runtime-mode' = 'batch';", "SELECT 1").contains(warning));
    assert!(!explain("", "SELECT COUNT(*) FROM t").contains("grows"));
}
