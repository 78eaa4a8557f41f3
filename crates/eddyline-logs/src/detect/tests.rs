//! The detectors on made-up behaviour, each in a job of its own.

use super::hosts::HostDetector;
use super::spike::SpikeDetector;
use super::*;
use eddyline::{Environment, WatermarkStrategy};
use std::time::Duration;

const MINUTE: i64 = 60_000;

fn strategy<T: eddyline_core::Data>() -> WatermarkStrategy<T> {
    WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5))
}

fn hosts(signals: Vec<Signal>) -> Vec<Alert> {
    let environment = Environment::new();
    let items = signals.into_iter().map(|signal| (signal.clone(), signal.time)).collect();
    let alerts = environment
        .from_collection_with(items, strategy())
        .key_by(|signal| signal.host.clone())
        .process(|| HostDetector::new(DetectionSettings::default()))
        .collect();
    environment.execute("hosts").unwrap();
    alerts.rows()
}

fn spikes(pulses: Vec<(i64, u64, u64)>) -> Vec<Alert> {
    let environment = Environment::new();
    let pulse = |(slice, lines, errors)| {
        let samples = if errors > 0 { vec![format!("503 at {slice}")] } else { Vec::new() };
        (Pulse { slice, lines, errors, samples }, slice)
    };
    let alerts = environment
        .from_collection_with(pulses.into_iter().map(pulse).collect(), strategy())
        .key_by(|_| ())
        .process(|| SpikeDetector::new(DetectionSettings::default(), 5_000))
        .collect();
    environment.execute("spikes").unwrap();
    alerts.rows()
}

fn signal(time: i64, kind: SignalKind) -> Signal {
    Signal { host: "h".into(), time, kind, line: format!("line of {time}") }
}

#[test]
fn failed_logins_and_a_success_are_a_break_in() {
    let mut signals: Vec<_> = (0..12).map(|number| signal(number * 5_000, SignalKind::LoginFailed)).collect();
    signals.push(signal(61_000, SignalKind::LoginSucceeded));
    // Order does not matter.
    signals.swap(3, 9);
    let alerts = hosts(signals);
    let (first, last) = (&alerts[0], &alerts[alerts.len() - 1]);
    assert_eq!((first.kind, first.severity, first.revision), (AlertKind::BruteForce, Severity::Warning, 0));
    assert_eq!((last.severity, last.count, last.closed), (Severity::Critical, 12, Some(61_000)));
    assert!(last.message.contains("succeeded"), "{}", last.message);
    assert_eq!(last.evidence.last().map(String::as_str), Some("line of 61000"));
    assert!(alerts.iter().all(|alert| alert.id == first.id));
}

#[test]
fn a_forgetful_user_is_no_attack() {
    let mut signals: Vec<_> = (0..9).map(|number| signal(number * 5_000, SignalKind::LoginFailed)).collect();
    signals.push(signal(50_000, SignalKind::LoginSucceeded));
    // Others are far apart.
    signals.extend((1..30).map(|number| signal(number * 6 * MINUTE, SignalKind::LoginFailed)));
    assert_eq!(hosts(signals), []);
}

#[test]
fn many_missing_paths_in_a_session_are_a_scanner() {
    let missing = |number: i64, path_hash| signal(number * 1_000, SignalKind::NotFound { path_hash });
    let scanner = hosts((0..50).map(|number| missing(number, number as u64)).collect());
    assert_eq!(scanner[0].kind, AlertKind::Scanner);
    let last = &scanner[scanner.len() - 1];
    assert_eq!((last.count, last.opened, last.closed), (50, 0, Some(49_000)));
    let same = hosts((0..500).map(|number| missing(number, number as u64 % 10)).collect());
    assert_eq!(same, []);
    // One an hour is no session.
    let slow = hosts((0..50).map(|number| missing(number * 3_600, number as u64)).collect());
    assert_eq!(slow, []);
}

#[test]
fn a_burst_of_errors_is_a_spike_and_it_ends() {
    let slices = |from: i64, to: i64| (from..to).map(|number| number * 10_000);
    let mut pulses: Vec<_> = slices(0, 360).map(|slice| (slice, 20, 0)).collect();
    pulses.extend(slices(360, 378).map(|slice| (slice, 20, 8)));
    pulses.extend(slices(378, 500).map(|slice| (slice, 20, 0)));
    let alerts = spikes(pulses);
    let (first, last) = (&alerts[0], &alerts[alerts.len() - 1]);
    assert_eq!((first.kind, first.opened), (AlertKind::ErrorSpike, 3_600_000));
    assert_eq!(alerts.iter().filter(|alert| alert.revision == 0).count(), 1);
    assert!(last.closed.is_some_and(|closed| closed < 3_600_000 + 6 * MINUTE), "{last:?}");
    assert!(!first.evidence.is_empty());
}

#[test]
fn what_is_usual_is_no_spike() {
    // One in five fails, always.
    let usual = (0..1_000).map(|number| (number * 10_000, 20, 4)).collect();
    assert_eq!(spikes(usual), []);
    // Nothing is known yet.
    assert_eq!(spikes((0..4).map(|number| (number * 10_000, 20, 20)).collect()), []);
}
