//! The page in a real browser (Chromium, driven by ChromeDriver): what it draws, and that it changes by itself.
//!
//! Skipped with a notice where `chromedriver` is missing (Debian: `apt-get install chromium chromium-driver`).

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

mod support;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{PATIENCE, Served, access};

/// A browser with one window.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// None where there is no driver.
    fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let started =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = match started {
            Ok(driver) => driver,
            Err(error) => {
                println!(
                    "skipped: no chromedriver ({error}); on Debian: apt-get install chromium chromium-driver"
                );
                return None;
            }
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            // The first line names the port that was asked for, which is 0; a later one the port it is.
            let text = line.split("on port ").nth(1)?;
            text.trim_end_matches('.').parse().ok().filter(|port| *port != 0)
        });
        let mut browser = Browser { driver, port: port.unwrap(), session: String::new(), _profile: profile };
        let directory = browser._profile.path().display();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            "--window-size=1280,1400".to_owned(),
            format!("--user-data-dir={directory}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let session = browser.call("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    /// A command of the WebDriver protocol.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body.as_bytes()).unwrap();
        let mut reader = BufReader::new(connection);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }

    fn open(&self, url: &str) {
        self.call("POST", &format!("/session/{}/url", self.session), &json!({"url": url}));
    }

    /// What a piece of JavaScript returns.
    fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.call("POST", &format!("/session/{}/execute/sync", self.session), &body)
    }

    /// Runs a piece of JavaScript until it returns true; answers how long that took.
    fn until(&self, script: &str) -> Duration {
        let begun = Instant::now();
        while self.run(script) != Value::Bool(true) {
            assert!(
                begun.elapsed() < PATIENCE,
                "never true: {script}\n{}",
                self.run("return document.body.innerText")
            );
            std::thread::park_timeout(Duration::from_millis(10));
        }
        begun.elapsed()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_draws_what_happens_as_it_happens() {
    let Some(browser) = Browser::start() else { return };
    let served = Served::start(None);
    let usual = |second: u32| {
        let status = [200, 200, 304, 404, 503][second as usize % 5];
        access(&format!("10.0.0.{}", second % 50), second, &format!("GET /page/{}", second % 7), status)
    };
    served.write(&(0..1_800).map(usual).collect::<Vec<_>>());
    browser.open(&format!("http://127.0.0.1:{}/", served.address().port()));
    browser.until("return document.getElementById('state').textContent === 'running'");
    browser.until("return document.getElementById('lines-total').textContent === '1,800'");
    // Plots, not tables of numbers only.
    browser.until("return document.querySelectorAll('#throughput polygon').length === 1");
    browser.until("return document.querySelectorAll('#statuses polygon').length === 4");
    browser.until("return Number(document.getElementById('throughput').dataset.points) >= 29");
    browser.until("return Number(document.getElementById('errors').dataset.points) >= 100");
    browser.until("return document.querySelectorAll('#top-path .row').length === 7");
    assert_eq!(
        browser.run("return document.querySelector('#alerts .alert.open') === null"),
        Value::Bool(true)
    );

    // A line is seen within a second of its writing.
    let mut slowest = Duration::ZERO;
    for number in 0..10 {
        let begun = Instant::now();
        served.write(&[access("10.9.9.9", 1_800 + number, &format!("GET /fresh/{number}"), 200)]);
        browser.until(&format!(
            "return document.getElementById('lines').textContent.includes('/fresh/{number} ')"
        ));
        slowest = slowest.max(begun.elapsed());
    }
    println!("slowest from written to seen: {:.3} s", slowest.as_secs_f64());
    assert!(slowest < Duration::from_millis(1_500), "{slowest:?}");

    // An alert comes by itself, and closes by itself.
    let begun = Instant::now();
    served.write(
        &(0..12).map(|second| access("6.6.6.6", 1_820 + second, "POST /login", 401)).collect::<Vec<_>>(),
    );
    browser.until("return document.querySelector('#alerts .alert.open[data-kind=brute-force]') !== null");
    println!("from the last line of an attack to the page: {:.3} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let text = browser.run("return document.querySelector('#alerts .alert').textContent");
    assert!(
        text.as_str().is_some_and(|text| text.contains("6.6.6.6") && text.contains("POST /login")),
        "{text}"
    );
    served.write(&[access("10.0.0.1", 7_200, "GET /", 200)]);
    browser.until("return document.querySelector('#alerts .alert.closed[data-kind=brute-force]') !== null");
    // Sessions are over by then, and are drawn.
    browser.until("return document.querySelectorAll('#sessions .row').length > 0");
    browser.until("return document.querySelectorAll('#session-plot polygon').length === 1");
    // What is asked for is shown.
    browser.run("const field = document.querySelector('input[name=status]'); field.value = '503'; field.dispatchEvent(new Event('input', { bubbles: true }))");
    browser.until("const rows = [...document.querySelectorAll('#lines pre')]; return rows.length === 15 && rows.every(row => row.textContent.includes('\" 503 '))");
    // SQL answers with a table, and with what is wrong and where.
    let ask = |query: &str| {
        browser.run(&format!(
            "document.querySelector('#sql textarea').value = \"{query}\"; document.querySelector('#sql button').click()"
        ));
    };
    ask("SELECT host, COUNT(*) AS failures FROM lines WHERE status = 401 GROUP BY host");
    browser.until("const cells = [...document.querySelectorAll('#sql-result td')].map(cell => cell.textContent); return cells.join(' ') === '6.6.6.6 12'");
    ask("SELECT hots FROM lines");
    browser.until("const facts = document.getElementById('sql-facts'); return facts.className === 'wrong' && facts.textContent.includes('did you mean `host`?') && document.querySelectorAll('#sql-result td').length === 0");
    assert_eq!(browser.run("return document.getElementById('trouble').textContent"), Value::from(""));
    if let Some(file) = std::env::var_os("EDDYLINE_SCREENSHOT") {
        let shot = browser.call("GET", &format!("/session/{}/screenshot", browser.session), &Value::Null);
        std::fs::write(file, shot.as_str().unwrap()).unwrap();
    }
}
