//! What each format reads, and how formats are told apart.

use super::*;
use std::sync::Arc;

const MAY_17: EventTime = 1_431_857_103_000;

fn reader(zone: Zone) -> LineReader {
    let options = ReadOptions { zone, reference_ms: MAY_17 + 90 * 86_400_000, ..ReadOptions::default() };
    LineReader::new(Arc::new(options))
}

#[track_caller]
fn check(line: &str, format: Format, expected: (EventTime, Level, &str, &str, u16)) {
    let mut reader = reader(Zone::Utc);
    let fields = reader.read(line.as_bytes()).unwrap_or_else(|unparsed| panic!("{line}: {unparsed}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (host, path) = (text(&fields.host), text(&fields.path));
    assert_eq!((fields.time, fields.level, &*host, &*path, fields.status), expected, "{line}");
    assert_eq!(reader.format(), Some(format));
}

#[test]
fn each_format_is_found_and_read() {
    let (info, error) = (Level::Info, Level::Error);
    check(
        r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a?b HTTP/1.1" 200 5 "-" "x" 0.250"#,
        Format::Access,
        (MAY_17, info, "1.2.3.4", "/a", 200),
    );
    check(
        r#"2015/05/17 10:05:03 [error] 31#31: *5 open() "/x" failed, client: ::1, server: a, request: "GET /x?y HTTP/1.1", host: "a""#,
        Format::NginxError,
        (MAY_17, error, "::1", "/x", 0),
    );
    check(
        "[Sun May 17 10:05:03.123456 2015] [core:error] [pid 9:tid 8] [client 10.0.0.1:4711] AH00126: Invalid URI",
        Format::ApacheError,
        (MAY_17 + 123, error, "10.0.0.1", "", 0),
    );
    check(
        "[Sun May 17 10:05:03 2015] [notice] caught SIGTERM",
        Format::ApacheError,
        (MAY_17, Level::Notice, "", "", 0),
    );
    check(
        r#"{"ts":1431857103.0,"request":{"remote_ip":"::1","method":"GET","uri":"/a?b"},"status":503,"duration":0.5}"#,
        Format::Json,
        (MAY_17, info, "::1", "/a", 503),
    );
    check(
        "May 17 10:05:03 web sshd[7]: Failed password for root from 9.8.7.6 port 22 ssh2",
        Format::Syslog3164,
        (MAY_17, info, "9.8.7.6", "", 0),
    );
    check(
        "<11>May  7 10:05:03 web cron: x",
        Format::Syslog3164,
        (MAY_17 - 10 * 86_400_000, error, "", "", 0),
    );
    check(
        "<165>1 2015-05-17T12:05:03.250+02:00 web app 7 ID47 - hello",
        Format::Syslog5424,
        (MAY_17 + 250, Level::Notice, "", "", 0),
    );
}

#[test]
fn a_file_keeps_its_format_until_many_lines_say_otherwise() {
    let mut reader = reader(Zone::Utc);
    let access = br#"h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5"#;
    assert!(reader.read(b"nonsense").is_err());
    assert!(reader.read(access).is_ok());
    for _ in 0..FOREIGN_RUN_MAX {
        assert_eq!(
            reader.read(b"May 17 10:05:03 web cron: x").unwrap_err().reason,
            Reason::MissingOpeningBracket
        );
    }
    assert!(reader.read(b"May 17 10:05:03 web cron: x").is_ok());
    assert_eq!(reader.format(), Some(Format::Syslog3164));
    let forced = ReadOptions { format: Some(Format::Json), ..ReadOptions::default() };
    let mut forced = LineReader::new(Arc::new(forced));
    assert!((0..100).all(|_| forced.read(access).is_err()));
}

#[test]
fn zones_apply_where_the_line_has_none() {
    let line = |time: &str| format!("2015/{time} [warn] 1#1: x");
    let time = |zone: &str, line: &str| {
        reader(Zone::named(zone).unwrap()).read(line.as_bytes()).map(|fields| fields.time).unwrap()
    };
    assert_eq!(time("+02:00", &line("05/17 12:05:03")), MAY_17);
    if let Err(error) = Zone::named("Europe/Berlin") {
        println!("skipped: {}", error.report());
        return;
    }
    assert_eq!(time("Europe/Berlin", &line("05/17 12:05:03")), MAY_17);
    // The clock leaps from 2:00 to 3:00 on 29 March, and shows 2:30 twice on 25 October.
    let hour = 3_600_000;
    let leap = time("Europe/Berlin", &line("03/29 01:59:59"));
    assert_eq!(time("Europe/Berlin", &line("03/29 03:00:00")), leap + 1_000);
    assert_eq!(time("Europe/Berlin", &line("03/29 02:30:00")), leap + 1_000 + hour / 2);
    let before = time("Europe/Berlin", &line("10/25 01:30:00"));
    assert_eq!(time("Europe/Berlin", &line("10/25 02:30:00")), before + hour);
    assert_eq!(time("Europe/Berlin", &line("10/25 03:30:00")), before + 3 * hour);
}

#[test]
fn years_are_found_across_new_year() {
    let new_year = 1_451_606_400_000; // 2016-01-01
    let options = ReadOptions { reference_ms: new_year + 60_000, ..ReadOptions::default() };
    let mut reader = LineReader::new(Arc::new(options));
    let mut time = |line: &str| reader.read(line.as_bytes()).map(|fields| fields.time).unwrap();
    assert_eq!(time("Dec 31 23:59:59 web a: x"), new_year - 1_000);
    assert_eq!(time("Jan  1 00:00:30 web a: x"), new_year + 30_000);
    // The last leap year before was 2012.
    assert_eq!(time("Feb 29 00:00:00 web a: x"), 1_330_473_600_000);
}

#[test]
fn logins_are_recognised() {
    let login = |line: &str| reader(Zone::Utc).read(line.as_bytes()).unwrap().login;
    let post = |path: &str, status: u16| {
        login(&format!(r#"h - - [17/May/2015:10:05:03 +0000] "POST {path} HTTP/1.1" {status} 5"#))
    };
    assert_eq!(post("/login", 401), Some(Login::Failed));
    assert_eq!(post("/login", 302), Some(Login::Succeeded));
    assert_eq!(post("/basket", 302), None);
    assert_eq!(
        login("May 17 10:05:03 web sshd[7]: Accepted publickey for a from 1.1.1.1 port 2"),
        Some(Login::Succeeded)
    );
    let hidden = "May 17 10:05:03 web sshd[7]: Invalid user from 9.9.9.9 from 1.1.1.1";
    assert_eq!(&*reader(Zone::Utc).read(hidden.as_bytes()).unwrap().host, b"1.1.1.1");
}

#[test]
fn nothing_panics_on_cut_and_odd_lines() {
    let lines: [&[u8]; 6] = [
        br#"2015/05/17 10:05:03 [error] 31#31: *5 x, client: ::1, request: "GET /x HTTP/1.1""#,
        b"[Sun May 17 10:05:03.123456 2015] [core:error] [client 10.0.0.1:4711] AH00126",
        br#"{"time":"17/May/2015:10:05:03 +0000","remote_addr":"::1","status":"200","request":"GET / HTTP/1.1"}"#,
        b"<13>May 17 10:05:03 web sshd[7]: Failed password for root from 9.8.7.6 port 22",
        b"<165>1 2015-05-17T12:05:03.250+02:00 web app 7 ID47 - hello",
        b"\x00\x01\xfe\xff <<<>>> [[[ {{{",
    ];
    for line in lines {
        for end in 0..=line.len() {
            let _ = reader(Zone::Utc).read(&line[..end]);
            let mut odd = line.to_vec();
            if let Some(byte) = odd.get_mut(end) {
                *byte ^= 0x95;
            }
            let _ = reader(Zone::Utc).read(&odd);
        }
    }
}
