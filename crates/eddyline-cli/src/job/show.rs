//! What is known of jobs, for people and for programs.

use eddyline_core::{Error, Result};
use eddyline_protocol::control::JobSummary;
use eddyline_runtime::attempt::control::ControlClient;

/// Lists jobs, a line each.
pub(super) fn list(jobs: &[ControlClient], json: bool) -> Result<()> {
    if json {
        return jobs.iter().try_for_each(|job| status(&job.summary, true));
    }
    if jobs.is_empty() {
        println!("no job is running");
        return Ok(());
    }
    let wide = jobs.iter().map(|job| job.summary.job.len()).max().unwrap_or(0).max(3);
    println!(
        "{:<wide$}  {:>7}  {:<10}  {:>7}  {:>11}  {:>12}",
        "job", "process", "state", "workers", "checkpoints", "records in"
    );
    for JobSummary { job, pid, state, parallelism, checkpoints, records_in, .. } in
        jobs.iter().map(|job| &job.summary)
    {
        println!(
            "{job:<wide$}  {pid:>7}  {state:<10}  {parallelism:>7}  {checkpoints:>11}  {records_in:>12}"
        );
    }
    Ok(())
}

/// Shows one job.
pub(super) fn status(job: &JobSummary, json: bool) -> Result<()> {
    if json {
        let text = serde_json::to_string(job)
            .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))?;
        println!("{text}");
        return Ok(());
    }
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    let last =
        job.last_checkpoint.map_or_else(|| "none yet".to_owned(), |id| format!("number {id} is the newest"));
    let rows = [
        ("job", job.job.clone()),
        ("process", job.pid.to_string()),
        ("state", job.state.clone()),
        ("attempt", format!("{}, restarted {} times", job.attempt, job.restarts)),
        ("workers", job.parallelism.to_string()),
        ("checkpoints", format!("{}; {last}", job.checkpoints)),
        ("kept in", or(&job.checkpoint_dir, "nowhere")),
        ("savepoints in", or(&job.savepoint_dir, "wherever it is said")),
        ("records", format!("{} read, {} to sinks", job.records_in, job.records_out)),
        ("watermark", job.watermark_ms.map_or_else(|| "none yet".to_owned(), |ms| format!("{ms} ms"))),
        ("waits for", or(&job.held_by, "nothing")),
    ];
    for (name, value) in rows {
        println!("{name:<14} {value}");
    }
    Ok(())
}
