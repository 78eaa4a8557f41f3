//! The simulation keeps what it promises: it repeats itself, jobs survive, and bugs are found.

use eddyline_catalogue::CATALOGUE;
use eddyline_runtime::deterministic::Bug;
use eddyline_simulation::command::find_planted;
use eddyline_simulation::scenario::Scenario;
use eddyline_simulation::{run_scenario, run_seed};

/// Seeds within which every planted bug has to be found.
const SEEDS_MAX: u64 = 1_000;

#[test]
fn a_seed_repeats_itself_bit_for_bit() {
    for seed in 0..25 {
        let (first, second) = (run_seed(seed, false), run_seed(seed, false));
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.digest, 0);
    }
}

#[test]
fn jobs_survive_what_seeds_do_to_them() {
    for seed in 1_000..1_060 {
        let report = run_seed(seed, false);
        assert_eq!(report.failure, None, "eddyline-simulation --seeds 1 --first-seed {seed} --trace");
        // What collects bounded data has the final cut only.
        let is_bounded = Scenario::from_seed(seed).catalogue.is_some_and(|job| job.is_bounded);
        assert!(report.counts.cuts >= if is_bounded { 1 } else { 5 }, "seed {seed}");
        assert!(report.faults.values().sum::<u64>() >= 3, "seed {seed}");
    }
}

#[test]
fn every_job_of_the_catalogue_survives_some_seeds() {
    for (number, job) in (0u64..).zip(CATALOGUE) {
        for seed in 2_000 + number * 10..2_006 + number * 10 {
            let report = run_scenario(Scenario::from_seed(seed).with_catalogue(*job), false);
            let again =
                format!("eddyline-simulation --seeds 1 --first-seed {seed} --job {} --trace", job.name);
            assert_eq!(report.failure, None, "{again}");
        }
    }
}

fn must_be_found(bug: Bug) {
    let found = find_planted(bug, 0, SEEDS_MAX);
    let (seed, failure) =
        found.unwrap_or_else(|| panic!("{} not found within {SEEDS_MAX} seeds", bug.name()));
    println!("{} found by seed {seed}: {failure}", bug.name());
}

#[test]
fn a_lost_stash_is_found() {
    must_be_found(Bug::LostStash);
}

#[test]
fn an_early_commit_is_found() {
    must_be_found(Bug::EarlyCommit);
}

#[test]
fn a_missing_fence_is_found() {
    must_be_found(Bug::MissingFence);
}

#[test]
fn a_watermark_reset_is_found() {
    must_be_found(Bug::WatermarkReset);
}

#[test]
fn a_lost_timer_is_found() {
    must_be_found(Bug::LostTimer);
}

#[test]
fn a_dropped_record_in_flight_is_found() {
    must_be_found(Bug::DroppedInFlight);
}
