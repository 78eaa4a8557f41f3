//! The shell of `eddyline sql` on a terminal: a pseudo-terminal, and a hand that types.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect
#![cfg(feature = "sql")]

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const PROMPT: &str = "Eddyline SQL> ";

/// A terminal with a shell in it.
struct Terminal {
    keys: File,
    output: Receiver<Vec<u8>>,
    /// What was written and not waited for yet, without commands for the terminal.
    seen: String,
    raw: Vec<u8>,
    shell: Child,
}

impl Terminal {
    fn start(directory: &Path, arguments: &[&str]) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        tcsetwinsize(&keys, Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let side = || {
            let flags = OFlags::NOCTTY.bits() as i32;
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(&name).unwrap()
        };
        let shell = Command::new(env!("CARGO_BIN_EXE_eddyline"))
            .arg("sql")
            .args(arguments)
            .current_dir(directory)
            .env("XDG_DATA_HOME", directory.join("data"))
            .env("TERM", "xterm-256color")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let keys = File::from(keys);
        let (sender, output) = channel();
        let mut reader = keys.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // The terminal is gone when the shell is.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut terminal = Terminal { keys, output, seen: String::new(), raw: Vec::new(), shell };
        terminal.until(PROMPT);
        terminal
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for `wanted`; answers what was written before it.
    fn until(&mut self, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            if let Some(place) = self.seen.find(wanted) {
                let before = self.seen[..place].to_owned();
                self.seen.drain(..place + wanted.len());
                return before;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("`{wanted}` never came after:\n{}", self.seen);
            };
            self.raw.extend(bytes);
            self.seen.push_str(&plain(&mut self.raw));
        }
    }

    /// Types a statement, waits for `wanted` and the next prompt; answers what was written in between.
    fn run(&mut self, statement: &str, wanted: &str) -> String {
        self.press(statement);
        self.press("\r");
        let before = self.until(wanted);
        before + &self.until(PROMPT)
    }

    fn quit(mut self) {
        self.press("QUIT\r");
        assert!(self.shell.wait().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Takes what is whole out of `raw`: text without colours, a blank where the cursor was moved.
fn plain(raw: &mut Vec<u8>) -> String {
    let whole = match std::str::from_utf8(raw) {
        Ok(_) => raw.len(),
        Err(error) => error.valid_up_to(),
    };
    let text = String::from_utf8(raw[..whole].to_vec()).unwrap();
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some(place) = rest.find('\x1b') {
        shown.push_str(&rest[..place]);
        let command = &rest[place..];
        let end = command.char_indices().skip(2).find(|(_, letter)| letter.is_ascii_alphabetic());
        let Some((end, letter)) = end else {
            // The command is not whole yet.
            let left = raw.len() - command.len() - (raw.len() - whole);
            raw.drain(..left);
            return shown;
        };
        if matches!(letter, 'H' | 'C' | 'G' | 'd') {
            shown.push(' ');
        }
        rest = &command[end + 1..];
    }
    shown.push_str(rest);
    raw.drain(..whole);
    shown
}

#[test]
fn statements_are_edited_completed_run_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(directory.path(), &[]);
    assert!(terminal.run("SELECT 1 + 1 AS two;", "1 row in set").contains("| two |"));
    // A statement of several lines is run when its semicolon has come.
    terminal.press("SELECT 'a'\r");
    terminal.press("  || 'b' AS joined;\r");
    let shown = terminal.until("1 row in set");
    assert!(shown.contains("|     ab |"), "{shown}");
    terminal.until(PROMPT);
    // Names of tables and columns are completed.
    terminal.run("CREATE TABLE orders (id BIGINT, price INT) WITH ('connector' = 'datagen');", "OK");
    assert!(terminal.run("DESCRIBE ord\t;", "price").contains("BIGINT"));
    // What is wrong is told with its line, and the shell goes on.
    let wrong = terminal.run("SELECT LOWR('A');", "did you mean `LOWER`?");
    assert!(wrong.contains("line 1, column 8") && wrong.contains("^^^^"), "{wrong}");
    let wrong = terminal.run("SELECT prise FROM orders;", "did you mean `price`?");
    assert!(wrong.contains("^^^^^"), "{wrong}");
    // Ctrl-C gives up what was typed.
    terminal.press("SELECT nonsense\x03");
    terminal.until(PROMPT);
    terminal.run("HELP", "Statements end with a semicolon");
    terminal.quit();
    // The next session has the statements of this one, and nobody else can read them.
    let history = directory.path().join("data/eddyline/sql-history");
    assert_eq!(std::fs::metadata(&history).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&history).unwrap().contains("AS two;"));
    let mut terminal = Terminal::start(directory.path(), &[]);
    terminal.press("\x12two");
    assert!(terminal.run("", "1 row in set").contains("| two |"));
    terminal.quit();
}

#[test]
fn a_query_without_end_is_live_and_cancelled_without_leaving_the_shell() {
    let directory = tempfile::tempdir().unwrap();
    let init = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '200',
          'fields.n.min' = '0', 'fields.n.max' = '8');
        CREATE TABLE nowhere (n BIGINT) WITH ('connector' = 'blackhole');
        CREATE VIEW counted AS SELECT n % 3 AS rest, COUNT(*) AS total FROM numbers GROUP BY n % 3;";
    std::fs::write(directory.path().join("init.sql"), init).unwrap();
    let mut terminal = Terminal::start(directory.path(), &["-i", "init.sql"]);
    for (leave, mode) in [("q", "table"), ("\x03", "changelog")] {
        terminal.run(&format!("SET 'sql-client.execution.result-mode' = '{mode}';"), "OK");
        terminal.press("SELECT * FROM counted;\r");
        terminal.until("total");
        if mode == "table" {
            terminal.press("c");
        }
        // Groups are updated, so rows are taken back.
        terminal.until("-U");
        terminal.press(leave);
        let shown = terminal.until("cancelled)");
        assert!(shown.contains("3 rows from "), "{shown}");
        terminal.until(PROMPT);
    }
    terminal.run("SET 'sql-client.execution.result-mode' = 'tableau';", "OK");
    terminal.press("SELECT n FROM numbers;\r");
    terminal.until("| +I |");
    terminal.press("\x03");
    terminal.until("Received a total of ");
    terminal.until(PROMPT);
    // Writing can be cancelled too.
    terminal.press("INSERT INTO nowhere SELECT * FROM numbers;\r");
    terminal.until("Ctrl-C cancels");
    terminal.press("\x03");
    terminal.until("cancelled)");
    terminal.until(PROMPT);
    assert!(
        terminal.run("SELECT 'still here' AS answer;", "Received a total of 1 row").contains("still here")
    );
    terminal.quit();
}
