//! What the parser reads, and how it explains what it cannot.

use super::*;

const COMBINED: &str = r#"83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1 HTTP/1.1" 200 203023 "http://e.org/" "Mozilla/5.0 (\"odd\")""#;

#[track_caller]
fn check_unparsed(line: &str, reason: Reason, column: usize) {
    assert_eq!(parse_line(line.as_bytes()), Err(Unparsed { reason, column }), "{line}");
}

/// The valid line with `from` replaced by `to` is unparsed, at the byte where `at` begins in the result.
#[track_caller]
fn check_edit(from: &str, to: &str, reason: Reason, at: &str) {
    assert!(COMBINED.contains(from), "{from} is in the line");
    let line = COMBINED.replacen(from, to, 1);
    let column = if at.is_empty() { line.len() } else { line.find(at).expect("the marked place") };
    check_unparsed(&line, reason, column + 1);
}

#[test]
fn reads_combined_format() {
    let line = parse_line(COMBINED.as_bytes()).expect("a valid line");
    let request = Request::Line { method: b"GET", path: b"/a/b.png?x=1", protocol: b"HTTP/1.1" };
    let expected = LogLine {
        host: b"83.149.9.216",
        ident: b"-",
        user: b"-",
        time: 1_431_857_103_000,
        request,
        status: 200,
        bytes: 203_023,
        referer: Some(b"http://e.org/"),
        agent: Some(br#"Mozilla/5.0 (\"odd\")"#),
    };
    assert_eq!(line, expected);
    assert_eq!(line.request.resource(), b"/a/b.png");
}

#[test]
fn reads_common_format_line_ends_and_further_fields() {
    let common = r#"::1 id ada lovelace [17/May/2015:10:05:03 +0000] "PUT / HTTP/2.0" 304 -"#;
    for line in [common.to_string(), format!("{common}\n"), format!("{common}\r\n")] {
        let line = parse_line(line.as_bytes()).expect("a valid line");
        assert_eq!((line.ident, line.user), (&b"id"[..], &b"ada lovelace"[..]));
        assert_eq!((line.status, line.bytes, line.referer, line.agent), (304, 0, None, None));
    }
    let further = format!(r#"{COMBINED} 0.012 "10.0.0.1""#);
    assert_eq!(parse_line(further.as_bytes()), parse_line(COMBINED.as_bytes()));
}

#[test]
fn odd_requests_are_kept_raw() {
    let malformed: [&[u8]; 7] =
        [b"-", b"", b"\\x16\\x03\\x01", b"GET", b"GET ", b" / HTTP/1.1", b"G?T / HTTP/1.1"];
    for raw in malformed {
        assert_eq!(Request::parse(raw), Request::Malformed(raw));
        assert_eq!(Request::parse(raw).resource(), raw);
    }
    let request = |path, protocol| Request::Line { method: b"GET", path, protocol };
    assert_eq!(Request::parse(b"GET /"), request(b"/", b""));
    assert_eq!(Request::parse(b"GET /a b HTTP/1.0"), request(b"/a b", b"HTTP/1.0"));
    assert_eq!(Request::parse(b"GET /a b"), request(b"/a b", b""));
    let line = COMBINED.replace("GET /a/b.png?x=1 HTTP/1.1", "-");
    assert_eq!(parse_line(line.as_bytes()).expect("a valid line").request, Request::Malformed(b"-"));
}

#[test]
fn bytes_that_are_not_utf8_are_tolerated_in_path_and_agent() {
    let line = b"h - - [17/May/2015:10:05:03 +0000] \"GET /\xff\xfe HTTP/1.1\" 200 1 \"-\" \"\x80agent\xc3\"";
    let line = parse_line(line).expect("a valid line");
    assert_eq!((line.request.resource(), line.agent), (&b"/\xff\xfe"[..], Some(&b"\x80agent\xc3"[..])));
}

#[test]
fn backslashes_before_a_quote_are_counted() {
    let line = COMBINED.replace(r#"(\"odd\")"#, r"\\");
    assert_eq!(parse_line(line.as_bytes()).expect("a valid line").agent, Some(&br"Mozilla/5.0 \\"[..]));
    check_edit(r#"(\"odd\")""#, r#"\""#, Reason::MissingClosingQuote, "");
}

#[test]
fn unparsed_lines_say_what_and_where() {
    check_unparsed("", Reason::EmptyLine, 1);
    check_unparsed("\r\n", Reason::EmptyLine, 1);
    check_unparsed(" - - [", Reason::MissingField, 1);
    check_unparsed("host", Reason::MissingField, 5);
    check_unparsed("host ", Reason::MissingField, 6);
    check_unparsed("host - - 17/May/2015", Reason::MissingOpeningBracket, 10);
    check_unparsed("höst - - [", Reason::BinaryGarbage, 2);
    check_unparsed("host - \u{1}\u{2} [17/May/2015", Reason::BinaryGarbage, 8);
    check_unparsed(&"x".repeat(LINE_BYTES_MAX + 1), Reason::LineTooLong, LINE_BYTES_MAX + 1);
    check_edit("17/May", "31/Apr", Reason::ImpossibleTime, "31/Apr");
    check_edit("17/May", "17/Mai", Reason::MalformedTime, "Mai");
    check_edit("[17/May/2015", "[2015-05-17", Reason::MalformedTime, "2015-05-17");
    check_edit("17/May/2015:10:05:03 +0000", "17/May/2015", Reason::MalformedTime, "17/May");
    check_edit("+0000]", "+0000", Reason::MissingClosingBracket, r#" "GET"#);
    check_edit("] \"GET", "]\"GET", Reason::MissingSpace, "\"GET");
    check_edit("\"GET", "GET", Reason::MissingOpeningQuote, "GET");
    check_edit(" 200 ", " OK ", Reason::StatusNotANumber, "OK");
    check_edit(" 200 ", " 2x0 ", Reason::StatusNotANumber, "x0");
    check_edit(" 200 ", " 600 ", Reason::StatusOutOfRange, "600");
    check_edit(" 200 ", " 20 ", Reason::StatusOutOfRange, "20 ");
    check_edit("203023", "20a", Reason::BytesNotANumber, "a \"http");
    check_edit("203023", "-5", Reason::BytesNotANumber, "-5");
    check_edit("203023", "99999999999999999999", Reason::BytesOutOfRange, "9999");
    check_edit("\"http:", "http:", Reason::MissingOpeningQuote, "http:");
    let cut = &COMBINED[..COMBINED.len() - 1];
    check_unparsed(cut, Reason::MissingClosingQuote, cut.len() + 1);
    let without_agent = &COMBINED[..COMBINED.find(" \"Moz").expect("an agent")];
    check_unparsed(without_agent, Reason::MissingField, without_agent.len() + 1);
}

#[test]
fn every_cut_of_a_line_is_unparsed_within_the_line() {
    let common_end = COMBINED.find(" \"http").expect("a referer");
    let bytes_start = COMBINED.find("203023").expect("a byte count");
    for end in 0..COMBINED.len() {
        let parsed = parse_line(&COMBINED.as_bytes()[..end]);
        // A line cut within or behind its byte count is a valid one of Common Log Format.
        if (bytes_start + 1..=common_end).contains(&end) {
            assert!(parsed.is_ok(), "cut at {end}");
        } else {
            assert!(parsed.expect_err("a cut line").column <= end + 1, "cut at {end}");
        }
    }
}
