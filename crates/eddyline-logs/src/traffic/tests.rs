//! The promises of the traffic model.

use super::*;
use crate::parse::parse_line;
use crate::reference;

const START: EventTime = 1_780_000_000_000;

fn log(seed: u64, rate: u64, count: usize) -> Vec<TrafficLine> {
    TrafficModel::new(seed, START, rate).take(count).collect()
}

#[test]
fn the_same_seed_gives_the_same_log_everywhere() {
    assert_eq!(log(1, 50, 500), log(1, 50, 500));
    assert_ne!(log(1, 50, 5), log(2, 50, 5));
    let text: Vec<u8> = log(42, 100, 2_000).into_iter().flat_map(|line| line.line).collect();
    // If this fails after a wanted change of the model, take the new number; otherwise the model is not portable.
    assert_eq!(eddyline_core::stable_hash(&text), 16_987_983_261_114_622_471);
}

#[test]
fn lines_say_what_the_model_did() {
    for line in log(3, 200, 20_000) {
        match (parse_line(&line.line), line.access) {
            (Ok(parsed), Some(access)) => {
                assert_eq!(
                    crate::LogEvent::from(&parsed),
                    crate::LogEvent {
                        time: access.time,
                        host: access.host,
                        path: access.path,
                        status: access.status,
                        bytes: access.bytes,
                    }
                );
            }
            (Err(_), None) => {}
            (parsed, access) => panic!("{parsed:?} of {access:?}"),
        }
    }
}

#[test]
fn truth_and_reference_agree() {
    for seed in 0..8 {
        // At one line a second 20,000 lines are hours: visitors leave, come back, and join sessions.
        let lines = log(seed, 1 + seed * seed, 20_000);
        let truth = TrafficTruth::of(&lines);
        let (summary, windows) = reference::summarise(lines.iter().map(|line| &line.line));
        assert_eq!(summary, truth.summary(), "seed {seed}");
        assert_eq!(windows, truth.windows(), "seed {seed}");
        assert!(summary.sessions > 100 && summary.unparsed > 0, "seed {seed}: {}", summary.to_json());
    }
}

#[test]
fn sessions_join_in_any_order() {
    let line = |time: EventTime| {
        let access = Access { time, host: "a".into(), path: "/".into(), status: 200, bytes: 1 };
        TrafficLine { written: time, line: Vec::new(), access: Some(access) }
    };
    let gap = crate::SESSION_GAP_MS;
    // Two apart, then the one that bridges them exactly, then one just beyond.
    let truth = TrafficTruth::of(&[line(0), line(2 * gap), line(gap), line(3 * gap + 1)]);
    let sessions: Vec<_> =
        truth.windows().sessions.iter().map(|one| (one.start, one.end, one.requests)).collect();
    assert_eq!(sessions, [(0, 2 * gap, 3), (3 * gap + 1, 3 * gap + 1, 1)]);
}

#[test]
fn disorder_is_bounded_and_writing_is_ordered() {
    let lines = log(5, 1_000, 50_000);
    assert!(lines.is_sorted_by_key(|line| line.written));
    let behind =
        lines.iter().filter_map(|line| line.access.as_ref().map(|access| line.written - access.time));
    let (least, most) = behind.fold((i64::MAX, 0), |(least, most), one| (least.min(one), most.max(one)));
    assert!(least >= 0 && most <= DISORDER_MS_MAX && most > 4_000, "{least} to {most}");
}

#[test]
fn a_day_has_a_shape_and_the_rate_asked_for() {
    let day_start = START - START.rem_euclid(DAY_MS);
    let mut hours = [0_u64; 24];
    for line in TrafficModel::new(9, day_start, 2).take_while(|line| line.written < day_start + DAY_MS) {
        hours[((line.written - day_start) / HOUR_MS) as usize] += 1;
    }
    let total: u64 = hours.iter().sum();
    assert!((160_000..186_000).contains(&total), "{total} lines of 172,800");
    assert!(hours[20] > 5 * hours[5], "{hours:?}");
}

#[test]
fn popularity_is_steep_and_incidents_happen() {
    // About a day.
    let lines = log(11, 2, 170_000);
    let (summary, windows) = reference::summarise(lines.iter().map(|line| &line.line));
    let top = &summary.highlights.top_paths;
    assert_eq!(top[0].path, "/");
    assert!(top[0].count > 3 * top[5].count);
    let (_, worst) = summary.highlights.worst_minute().expect("an incident");
    assert!(worst.server_errors() * 5 > worst.total(), "{worst:?}");
    assert!(windows.sessions.iter().any(|session| session.requests > 10));
    assert!((0.0001..0.05).contains(&summary.error_rate()), "{}", summary.error_rate());
}
