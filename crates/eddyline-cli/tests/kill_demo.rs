//! The demo as a newcomer sees it: planted incidents raise alerts, and those that are over close.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn ask(address: &str, target: &str) -> serde_json::Value {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(format!("GET {target} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
#[ignore = "takes a minute and a half"]
fn planted_incidents_raise_alerts_and_close_them() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_eddyline"))
        .args(["logs", "--json", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = said.by_ref().map_while(Result::ok).find_map(|line| {
        let rest = line.split("http://").nth(1)?;
        Some(rest.split('/').next()?.to_owned())
    });
    let address = address.expect("the page's address");
    // Somebody has to read on what is said.
    std::thread::spawn(move || said.for_each(drop));
    let begun = Instant::now();
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    while begun.elapsed() < Duration::from_secs(180) && closed.len() < 3 {
        let alerts = ask(&address, "/v1/alerts");
        for alert in alerts["alerts"].as_array().unwrap() {
            let kind = alert["kind"].as_str().unwrap().to_owned();
            let seen = if alert["closed"].is_null() { &mut opened } else { &mut closed };
            if !seen.contains(&kind) {
                println!("{:.1} s: {} {}", begun.elapsed().as_secs_f64(), alert["message"], alert["closed"]);
                seen.push(kind);
            }
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
    let status = ask(&address, "/v1/status");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(closed.len() >= 3, "opened {opened:?}, closed {closed:?}, {status}");
    assert!(status["latency"]["count"].as_u64() > Some(0), "{status}");
}
