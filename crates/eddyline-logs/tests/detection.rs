//! Planted incidents are found, and little else is: over 50 seeds, a day of traffic each, through the whole job.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline::Environment;
use eddyline_logs::detect::{Alert, AlertKind};
use eddyline_logs::job::LogJob;
use eddyline_logs::traffic::{Incident, IncidentTraffic};
use std::io::{BufWriter, Write};

const SEEDS: u64 = 50;
/// Midnight.
const START: i64 = 1_779_926_400_000;
const MINUTE: i64 = 60_000;
/// Lines per second.
const RATE: u64 = 1;

fn alerts_of(seed: u64, workers: u32) -> (Vec<Alert>, Vec<Incident>) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let traffic = IncidentTraffic::new(seed, START, RATE, 1);
    let incidents = traffic.incidents();
    let mut file = BufWriter::new(std::fs::File::create(&log).unwrap());
    for line in traffic {
        file.write_all(&line.line).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.into_inner().unwrap();
    let environment = Environment::new();
    environment.set_parallelism(workers);
    let watch = LogJob::new(vec![log]).describe(&environment).unwrap();
    environment.execute("detection").unwrap();
    (watch.board.alerts(), incidents)
}

/// Whether an alert is about an incident.
fn is_about(alert: &Alert, incident: &Incident) -> bool {
    let about = incident.host.is_empty() || alert.subject == incident.host;
    let (opened, closed) = (alert.opened, alert.closed.unwrap_or(i64::MAX));
    alert.kind == incident.kind
        && about
        && opened <= incident.end + MINUTE
        && closed >= incident.start - MINUTE
}

#[test]
fn planted_incidents_raise_alerts_and_little_else_does() {
    let (mut planted, mut found, mut wrong) = (0, 0, 0);
    for seed in 0..SEEDS {
        let (alerts, incidents) = alerts_of(seed, 1 + (seed % 2) as u32);
        planted += incidents.len();
        for incident in &incidents {
            let raised = alerts.iter().any(|alert| is_about(alert, incident));
            found += usize::from(raised);
            if !raised {
                println!("seed {seed}: missed {incident:?}");
            }
        }
        for alert in &alerts {
            if !incidents.iter().any(|incident| is_about(alert, incident)) {
                wrong += 1;
                println!("seed {seed}: false {alert:?}");
            }
            assert!(!alert.is_open(), "all input has ended: {alert:?}");
            assert!(!alert.evidence.is_empty() || alert.kind == AlertKind::SilentSource, "{alert:?}");
        }
        let got_in = |alert: &&Alert| alert.kind == AlertKind::BruteForce;
        assert!(alerts.iter().filter(got_in).all(|alert| alert.message.contains("succeeded")), "seed {seed}");
    }
    let recall = found as f64 / planted as f64;
    let wrong_a_day = f64::from(wrong) / SEEDS as f64;
    println!(
        "{found} of {planted} incidents found (recall {recall:.3}), {wrong_a_day:.2} false alerts a day"
    );
    assert!(recall >= 0.95, "{recall}");
    assert!(wrong_a_day <= 1.0, "{wrong_a_day}");
}
