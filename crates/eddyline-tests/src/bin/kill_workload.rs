//! The job that is killed: see `eddyline_tests::workload`. Usage: `[OPTION…] -- OUT SEED RECORDS-PER-SPLIT
//! RECORDS-PER-SECOND`.

use eddyline::Environment;
use eddyline_tests::workload::gate::Gate;
use eddyline_tests::workload::{WorkloadArguments, describe};
use std::process::ExitCode;

fn main() -> ExitCode {
    eddyline_tests::log_to_stderr();
    eddyline_tests::report(run())
}

fn run() -> eddyline::Result<()> {
    let environment = Environment::from_args()?;
    let arguments = WorkloadArguments::parse(&environment.arguments())?;
    describe(&environment, &arguments, &Gate::from_environment());
    environment.execute("kill-workload").map(drop)
}
