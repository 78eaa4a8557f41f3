//! Small jobs of many shapes, on the runtime's own interface.

mod calls;
mod catalogue;
mod rows;
mod rules;
mod sink;
mod source;
mod steps;
mod timers;
mod windows;

pub use catalogue::catalogue_input;
pub use rows::{Event, Kind, Outcome, event_of, rule_of, split_number};
pub use sink::{OUTPUT_DIRECTORY, read_visible};

use crate::scenario::{Branch, Input, MAX_PARALLELISM, Scenario, Terminal, Transform};
use crate::world::Disk;
use eddyline_core::Result;
use eddyline_core::batch::decode_rows;
use eddyline_runtime::Services;
use eddyline_runtime::graph::{Job, JobBuilder, NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::partition::{rebalance, rows_by_key};

/// The name of every simulated job.
pub const JOB: &str = "simulated";

/// The job of `scenario`, writing to `disk`, and what is lent to its operators.
///
/// # Errors
/// If the graph is not in order.
pub fn build_job(scenario: &Scenario, disk: &Disk) -> Result<(Job, Services)> {
    if let Some(job) = scenario.catalogue {
        return catalogue::build(job, scenario, disk);
    }
    let mut job = JobBuilder::new(JOB, MAX_PARALLELISM);
    let input = scenario.input;
    let sources: Vec<NodeHandle> = (0..2)
        .map(|source| {
            job.add_source(NodeSpec::named(format!("source {source}")), move || {
                source::SplitSource::new(input, source)
            })
        })
        .collect();
    let needs_rules = scenario.branches.iter().any(|branch| branch.terminal == Terminal::Rules);
    let rules = needs_rules.then(|| {
        job.add_source(NodeSpec::named("rules").with_parallelism(1), move || rules::RuleSource::new(input))
    });
    let mut ends = Vec::new();
    for (number, branch) in scenario.branches.iter().enumerate() {
        let mut open: Vec<NodeHandle> = sources[..branch.sources].to_vec();
        for (step, transform) in branch.transforms.iter().enumerate() {
            open = vec![add_transform(&mut job, &open, *transform, (number, step), input)];
        }
        ends.push(add_terminal(&mut job, &open, branch, number as u32, rules));
    }
    let disk = disk.clone();
    let sink = job.add_sink(NodeSpec::named("sink"), move || sink::FileSink::<Outcome>::new(disk.clone()));
    for end in ends {
        job.connect((end, 0), (sink, 0), Partitioning::Rebalance, Some(rebalance()), decode_rows::<Outcome>);
    }
    Ok((job.build()?, Services::default()))
}

fn by_key() -> Option<eddyline_runtime::partition::PartitionerFactory> {
    Some(rows_by_key(|event: &Event| event.key))
}

fn add_transform(
    job: &mut JobBuilder,
    from: &[NodeHandle],
    transform: Transform,
    (branch, step): (usize, usize),
    input: Input,
) -> NodeHandle {
    let name = |kind: &str| format!("{kind} {branch}.{step}");
    let decode = decode_rows::<Event>;
    match transform {
        Transform::Rebalance => {
            let stage = job.add_stage(NodeSpec::named(name("step")), || steps::Unchanged);
            from.iter().for_each(|node| {
                job.connect((*node, 0), (stage, 0), Partitioning::Rebalance, Some(rebalance()), decode);
            });
            stage
        }
        Transform::Calls => {
            let spec = NodeSpec::named(name("calls")).with_watermarks().generating_watermarks();
            let calls = job.add_operator(spec, move || calls::Calls::new(input.seed));
            from.iter()
                .for_each(|node| job.connect((*node, 0), (calls, 0), Partitioning::Hash, by_key(), decode));
            calls
        }
        Transform::Loop => {
            let head = job.add_loop_head(NodeSpec::named(name("loop head")));
            from.iter()
                .for_each(|node| job.connect((*node, 0), (head, 0), Partitioning::Forward, None, decode));
            let body = job.add_operator(NodeSpec::named(name("loop body")).with_outputs(2), || steps::Rounds);
            job.connect((head, 0), (body, 0), Partitioning::Hash, by_key(), decode);
            let tail = job.add_loop_tail(head, NodeSpec::named(name("loop tail")));
            job.connect((body, 1), (tail, 0), Partitioning::Forward, None, decode);
            body
        }
    }
}

fn add_terminal(
    job: &mut JobBuilder,
    from: &[NodeHandle],
    branch: &Branch,
    number: u32,
    rules: Option<NodeHandle>,
) -> NodeHandle {
    let name = |kind: &str| NodeSpec::named(format!("{kind} {number}"));
    let node = match branch.terminal {
        Terminal::Records => job.add_operator(name("records"), move || steps::Records { branch: number }),
        Terminal::Windows => {
            job.add_operator(name("windows").with_watermarks(), move || windows::Windows::new(number))
        }
        Terminal::Timers => {
            job.add_operator(name("timers").with_watermarks(), move || timers::Timers::new(number))
        }
        Terminal::Rules => job.add_operator(name("apply rules"), move || rules::ApplyRules::new(number)),
    };
    for before in from {
        job.connect((*before, 0), (node, 0), Partitioning::Hash, by_key(), decode_rows::<Event>);
    }
    if let (Terminal::Rules, Some(rules)) = (branch.terminal, rules) {
        let anywhere = Some(rebalance());
        job.connect((rules, 0), (node, 1), Partitioning::Broadcast, anywhere, decode_rows::<rules::Rule>);
    }
    node
}
