//! Properties of the parser: what is written is read back, and nothing makes it panic.

use crate::support::{Dice, mutate};
use eddyline_logs::parse::days_from_civil;
use eddyline_logs::{LogEvent, Request, TrafficModel, parse_line};
use proptest::prelude::*;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Text within quotes as a server writes it: any bytes, with quotes and backslashes escaped.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let escape = |&byte: &u8| match byte {
        b'"' | b'\\' => vec![b'\\', byte],
        b'\n' => b"\\n".to_vec(),
        _ => vec![byte],
    };
    bytes.iter().flat_map(escape).collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        host in "[!-~]{1,30}",
        user in "[a-z-]{1,8}( [a-z]{1,8})?",
        (year, month, day) in (1_i64..=9999, 1_i64..=12, 1_i64..=28),
        (hour, minute, second) in (0_i64..24, 0_i64..60, 0_i64..60),
        (zone_hours, zone_minutes, east) in (0_i64..24, 0_i64..60, any::<bool>()),
        path in prop::collection::vec(any::<u8>(), 1..40),
        status in 100_u16..600,
        bytes in prop::option::of(any::<u64>()),
        tail in prop::option::of((prop::collection::vec(any::<u8>(), 0..20), prop::collection::vec(any::<u8>(), 0..60))),
    ) {
        let sign = if east { '+' } else { '-' };
        let month_name = MONTHS[month as usize - 1];
        let mut line = format!(
            "{host} - {user} [{day:02}/{month_name}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{zone_hours:02}{zone_minutes:02}] \"GET "
        ).into_bytes();
        let path = escaped(&path);
        line.extend_from_slice(&path);
        let size = bytes.map_or("-".to_string(), |bytes| bytes.to_string());
        line.extend_from_slice(format!(" HTTP/1.1\" {status} {size}").as_bytes());
        let tail = tail.map(|(referer, agent)| (escaped(&referer), escaped(&agent)));
        if let Some((referer, agent)) = &tail {
            line.extend_from_slice(b" \"");
            line.extend_from_slice(referer);
            line.extend_from_slice(b"\" \"");
            line.extend_from_slice(agent);
            line.push(b'"');
        }
        let parsed = parse_line(&line).expect("a valid line");
        let zone = (zone_hours * 60 + zone_minutes) * if east { 1 } else { -1 };
        let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - zone) * 60 + second;
        prop_assert_eq!(parsed.time, seconds * 1_000);
        prop_assert_eq!((parsed.host, parsed.user), (host.as_bytes(), user.as_bytes()));
        prop_assert_eq!(parsed.request, Request::Line { method: b"GET", path: &path, protocol: b"HTTP/1.1" });
        prop_assert_eq!((parsed.status, parsed.bytes), (status, bytes.unwrap_or(0)));
        prop_assert_eq!(parsed.referer, tail.as_ref().map(|(referer, _)| referer.as_slice()));
        prop_assert_eq!(parsed.agent, tail.as_ref().map(|(_, agent)| agent.as_slice()));
    }

    #[test]
    fn any_bytes_are_read_or_explained(line in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Err(unparsed) = parse_line(&line) {
            prop_assert!((1..=line.len() + 1).contains(&unparsed.column));
        }
    }
}

#[test]
fn random_edits_of_valid_lines_are_read_or_explained() {
    let mut dice = Dice::new(1);
    let (mut read, mut explained) = (0, 0);
    for line in TrafficModel::new(1, 0, 100).take(100_000) {
        let mut line = line.line;
        mutate(&mut line, &mut dice);
        match parse_line(&line) {
            Ok(parsed) => {
                let _ = LogEvent::from(&parsed);
                read += 1;
            }
            Err(unparsed) => {
                assert!((1..=line.len() + 1).contains(&unparsed.column), "{unparsed}");
                explained += 1;
            }
        }
    }
    assert!(read > 10_000 && explained > 10_000, "{read} read, {explained} explained");
}
