//! A job of the catalogue, to be killed. Usage: `[OPTION…] -- OUT JOB SEED`.

use eddyline::{Environment, Error, NodeSpec, Result};
use eddyline_catalogue::CatalogueJob;
use eddyline_connectors::sink::FileSink;
use eddyline_tests::workload::catalogue_input;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    eddyline_tests::log_to_stderr();
    eddyline_tests::report(run())
}

fn run() -> Result<()> {
    let environment = Environment::from_args()?;
    let arguments = environment.arguments();
    let usage = || Error::config("usage: [OPTION…] -- OUT JOB SEED");
    let [out, job, seed] = arguments.as_slice() else { return Err(usage()) };
    let job = CatalogueJob::named(job).ok_or_else(usage)?;
    let input = catalogue_input(seed.parse().map_err(|_| usage())?);
    let encode = |line: &String, bytes: &mut Vec<u8>| {
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    };
    let sink = FileSink::new(Path::new(out), encode).suffix(".txt");
    let lines = (job.describe)(&environment, &input);
    lines.add_sink_operator(NodeSpec::named("lines"), move || sink.operator());
    environment.execute(job.name).map(drop)
}
