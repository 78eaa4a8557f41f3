//! Bringing a job graph to life on one worker.

use super::WorkerConfig;
use crate::context::InstanceInfo;
use crate::driver::{PeerChannel, PeerPacket};
use crate::exchange::{ExchangePact, HoldList};
use crate::graph::{Edge, Job, Node, NodeFactory, NodeKind, Partitioning};
use crate::instance::{Body, Instance};
use crate::latency::LatencyRecorder;
use crate::loops::{LoopEnds, LoopHead, LoopTail};
use crate::operator_task::{OperatorTask, PullInput, TaskInput};
use crate::outputs::{NoEmitter, OutEdge, Outputs, ReportContainer, downgrade};
use crate::packet::Packet;
use crate::partition::PartitionerSetup;
use crate::shared::{CutLog, WorkerShared, managed_share};
use crate::snapshots::{PartIo, Snapshots};
use crate::source_task::SourceTask;
use crate::stages::Chain;
use crate::watchdog::Watchdog;
use crate::watermarks::WatermarkTable;
use eddyline_core::{Account, Error, EventTime, KeyGroupRange, Tick};
use eddyline_protocol::FailureReport;
use eddyline_state::RestoreSource;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::{Scope, Stream};
use timely::progress::operate::FrontierInterest;
use timely::scheduling::{Activator, SyncActivator};
use timely::worker::Worker;

/// Wakes a task from any thread.
struct TaskWaker(SyncActivator);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        // An error means that the worker is gone: then there is nobody to wake.
        let _ = self.0.activate();
    }
}

type PacketStream<'s> = Stream<'s, u64, Packet>;
type ReportStream<'s> = Stream<'s, u64, ReportContainer>;

struct Builder<'a, 's> {
    config: &'a WorkerConfig,
    job: &'a Job,
    shared: Rc<WorkerShared>,
    scope: Scope<'s, u64>,
    start: Tick,
    streams: BTreeMap<usize, PacketStream<'s>>,
    reports: Vec<(usize, ReportStream<'s>)>,
    /// Tasks to be woken when a side stream moves on.
    dependents: Vec<Activator>,
    account_base: Vec<usize>,
    failure: Option<FailureReport>,
}

/// Builds the dataflow of a job on `timely`.
pub(super) fn build(
    timely: &mut Worker,
    config: &WorkerConfig,
    watchdog: Arc<Watchdog>,
    io: Box<dyn PartIo>,
) -> Result<(Rc<WorkerShared>, PeerChannel), FailureReport> {
    let job = config.job.clone();
    let (peers, worker) = (timely.peers(), timely.index());
    check_parallelism(&job, peers).map_err(|error| FailureReport::from(&error))?;
    let start = config.restored.as_ref().map_or(1, |restored| restored.manifest.tick);
    let (accounts, account_base) = make_accounts(&job, config);
    let shared = Rc::new(make_shared(config, (worker, peers), start, accounts, watchdog, io));
    *shared.node_names.borrow_mut() = job.graph.nodes.iter().map(|node| node.name.clone()).collect();
    let inner = timely.clone();
    timely.dataflow::<u64, _, _>(|scope| {
        let mut builder = Builder {
            config,
            job: &job,
            shared: shared.clone(),
            scope,
            start,
            streams: BTreeMap::new(),
            reports: Vec::new(),
            dependents: Vec::new(),
            account_base,
            failure: None,
        };
        for node in &job.graph.nodes {
            builder.add_node(node);
        }
        let address = builder.add_watermark_table();
        let channel = inner.allocate::<PeerPacket>(inner.new_identifier(), address);
        match builder.failure {
            Some(failure) => Err(failure),
            None => {
                let names = shared.instances.borrow();
                let names = names.iter().map(|i| (i.borrow().info.name.clone(), i.borrow().info.uid.clone()));
                shared.watchdog.set_names(names.collect());
                Ok((shared.clone(), channel))
            }
        }
    })
}

fn check_parallelism(job: &Job, peers: usize) -> Result<(), Error> {
    match job.graph.nodes.iter().find(|node| node.parallelism as usize > peers) {
        None if (job.graph.max_parallelism as usize) < peers => Err(Error::config(format!(
            "the job has {} key groups but {peers} workers",
            job.graph.max_parallelism
        ))
        .with_hint("run fewer workers or raise pipeline.max-parallelism")),
        None => Ok(()),
        Some(node) => Err(Error::config(format!(
            "operator `{}` wants {} instances, but the job runs with {peers} workers",
            node.name, node.parallelism
        ))
        .with_hint("run the job with more workers (-p), or lower the operator's parallelism")),
    }
}

fn make_accounts(job: &Job, config: &WorkerConfig) -> (Vec<Arc<Account>>, Vec<usize>) {
    let (mut accounts, mut base) = (Vec::new(), Vec::new());
    for node in &job.graph.nodes {
        base.push(accounts.len());
        for port in 0..node.outputs {
            let side = if port == 0 { String::new() } else { format!(" (side output {port})") };
            accounts.push(Account::new(format!("`{}`{side}", node.name), config.limits.edge_bytes / 2));
        }
    }
    (accounts, base)
}

pub(crate) fn make_shared(
    config: &WorkerConfig,
    (worker, peers): (usize, usize),
    start: Tick,
    accounts: Vec<Arc<Account>>,
    watchdog: Arc<Watchdog>,
    io: Box<dyn PartIo>,
) -> WorkerShared {
    let mut limits = config.limits;
    if config.on_event {
        limits.batch_rows = 1;
    }
    let holders = config.job.graph.nodes.iter().filter(|node| node.holds_input).count();
    let mut loops = BTreeMap::new();
    for node in config.job.graph.nodes.iter().filter(|node| node.kind == NodeKind::LoopHead) {
        loops.insert(node.loop_id.unwrap_or_default(), Rc::new(LoopEnds::default()));
    }
    WorkerShared {
        worker,
        peers,
        clock: config.clock.clone(),
        services: config.services.clone(),
        limits,
        managed_bytes: managed_share(limits.memory_bytes, holders),
        strict_order: config.on_event || config.tick_per_batch,
        known_tick: Cell::new(start),
        cuts: RefCell::new(CutLog::default()),
        end_tick: Cell::new(None),
        shutdown: Cell::new(false),
        sources_stopped: Cell::new(false),
        drain: Cell::new(false),
        stop_requested: Cell::new(false),
        need_tick: Cell::new(false),
        sources_open: Cell::new(0),
        watermarks: RefCell::new(WatermarkTable::default()),
        holds: HoldList::default(),
        exchange_failure: Rc::default(),
        pool: Account::new("all outputs", limits.pool_bytes / 2),
        stash: Account::new("what waits for a cut", limits.pool_bytes / 2),
        kept: Account::new("what operators keep", 0),
        accounts,
        credits: RefCell::default(),
        instances: RefCell::default(),
        snapshots: RefCell::new(Snapshots::new(io, worker as u32, config.snapshot_entries_per_turn)),
        loops: RefCell::new(loops),
        on_tick: RefCell::default(),
        watchdog,
        latency: RefCell::new(LatencyRecorder::default()),
        failure: RefCell::default(),
        records_in: Cell::new(0),
        records_out: Cell::new(0),
        loop_activity: Cell::new(0),
        reaches: RefCell::default(),
        node_names: RefCell::default(),
        sinks: RefCell::default(),
    }
}

impl<'s> Builder<'_, 's> {
    fn instances_of(&self, node: &Node) -> u32 {
        if node.parallelism == 0 { self.shared.peers as u32 } else { node.parallelism }
    }

    fn add_node(&mut self, node: &Node) {
        let mut operator = OperatorBuilder::new(node.name.clone(), self.scope);
        let address = operator.operator_info().address;
        let mut inputs = Vec::new();
        for edge in self.job.graph.inputs_of(node.id) {
            inputs.push(self.add_input(&mut operator, node, edge));
        }
        for input in 0..inputs.len() {
            let stateless = node.kind == NodeKind::Stage;
            let interest = if stateless { FrontierInterest::Never } else { FrontierInterest::Always };
            operator.set_notify_for(input, interest);
        }
        let outputs = self.add_outputs(&mut operator, node);
        let activator = self.shared_activator(&address);
        let waker =
            Waker::from(Arc::new(TaskWaker(self.scope.worker().sync_activator_for(address.to_vec()))));
        let active = (self.shared.worker as u32) < self.instances_of(node);
        let instance = if active && self.failure.is_none() { self.make_instance(node, waker) } else { None };
        self.install(operator, node, instance, inputs, outputs, activator);
    }

    fn shared_activator(&self, address: &Rc<[usize]>) -> Activator {
        self.scope.activator_for(address.clone())
    }

    fn add_input(&mut self, operator: &mut OperatorBuilder<'s, u64>, node: &Node, edge: &Edge) -> TaskInput {
        let spec = &self.job.edges[edge.id];
        let stream =
            self.streams.remove(&edge.id).expect("invariant: senders are built before their receivers");
        let pull: PullInput = if edge.partitioning == Partitioning::Forward {
            let mut handle = operator.new_input(stream, Pipeline);
            Box::new(move |take| {
                handle.for_each(|capability, packet| take(capability, std::mem::take(packet)))
            })
        } else {
            let pact = ExchangePact {
                partitioner: spec.partitioner.clone(),
                setup: PartitionerSetup {
                    senders: self.instances_of(&self.job.graph.nodes[edge.from]) as usize,
                    targets: self.instances_of(node) as usize,
                    max_parallelism: self.job.graph.max_parallelism,
                    worker: self.shared.worker,
                    rows_max: self.shared.limits.batch_rows,
                },
                holds: self.shared.holds.clone(),
                clock: self.shared.clock.clone(),
                failure: self.shared.exchange_failure.clone(),
            };
            let mut handle = operator.new_input(stream, pact);
            Box::new(move |take| {
                handle.for_each(|capability, packet| take(capability, std::mem::take(packet)))
            })
        };
        TaskInput { pull, decode: spec.decode, input: edge.input }
    }

    fn add_outputs(&mut self, operator: &mut OperatorBuilder<'s, u64>, node: &Node) -> Outputs {
        let mut edges = Vec::new();
        for edge in self.job.graph.outputs_of(node.id) {
            let (output, stream) = operator.new_output::<Packet>();
            self.streams.insert(edge.id, stream);
            let broadcast = (edge.partitioning == Partitioning::Broadcast)
                .then(|| self.instances_of(&self.job.graph.nodes[edge.to]));
            edges.push(OutEdge { output: OutputBuilder::from(output), port: edge.output, broadcast });
        }
        let reports = node.generates_watermarks.then(|| {
            let (output, stream) = operator.new_output::<ReportContainer>();
            self.reports.push((node.id, stream));
            self.shared.watermarks.borrow_mut().add(node.id, self.instances_of(node) as usize);
            OutputBuilder::from(output)
        });
        let base = self.account_base[node.id];
        let accounts = (base..base + node.outputs)
            .map(|number| (number as u32, self.shared.accounts[number].clone()))
            .collect();
        Outputs { edges, reports, accounts }
    }

    fn make_instance(&mut self, node: &Node, waker: Waker) -> Option<(Rc<RefCell<Instance>>, EventTime)> {
        let instances = self.instances_of(node);
        let index = self.shared.worker as u32;
        let max_parallelism = self.job.graph.max_parallelism;
        let info = InstanceInfo {
            uid: node.uid.as_str().into(),
            name: node.name.as_str().into(),
            instance: index,
            parallelism: instances,
            max_parallelism,
            key_groups: KeyGroupRange::of_instance(max_parallelism, instances, index),
            attempt: self.config.attempt,
            worker: self.shared.worker,
        };
        let body = self.make_body(node, index);
        let number = self.shared.instances.borrow().len();
        let mut instance = Instance::new(number, node.id, info, body, waker);
        match self.start_instance(&mut instance) {
            Ok(floor) => {
                let instance = Rc::new(RefCell::new(instance));
                self.shared.instances.borrow_mut().push(instance.clone());
                self.shared.reaches.borrow_mut().push(self.start);
                if node.kind == NodeKind::Sink {
                    self.shared.sinks.borrow_mut().push(number);
                }
                Some((instance, floor))
            }
            Err(failure) => {
                self.failure.get_or_insert(failure);
                None
            }
        }
    }

    fn make_body(&self, node: &Node, index: u32) -> Body {
        match &self.job.factories[node.id] {
            NodeFactory::Source(make) => Body::Source(make()),
            NodeFactory::Operator(make) => Body::Operator(make()),
            NodeFactory::Stages(makes) => {
                Body::Operator(Box::new(Chain::new(makes.iter().map(|make| make()).collect())))
            }
            NodeFactory::LoopEnd => {
                let ends = self.shared.loops.borrow()[&node.loop_id.unwrap_or_default()].clone();
                let limit = self.shared.limits.pool_bytes as usize;
                if node.kind == NodeKind::LoopHead {
                    let edge = self.job.graph.inputs_of(node.id)[0].id;
                    let decode = self.job.edges[edge].decode;
                    Body::Operator(Box::new(LoopHead::new(ends, decode, index, limit)))
                } else {
                    Body::Operator(Box::new(LoopTail::new(ends)))
                }
            }
        }
    }

    /// Opens an instance and restores its states; answers its watermark floor.
    fn start_instance(&self, instance: &mut Instance) -> Result<EventTime, FailureReport> {
        let at = (EventTime::MIN, self.start);
        instance.call(&self.shared, &mut NoEmitter, at, |body, context| match body {
            Body::Operator(operator) => operator.open(context),
            Body::Source(source) => source.open(context),
        })?;
        let restored = self.config.restored.as_ref();
        let InstanceInfo { uid, instance: index, parallelism, .. } = instance.info.clone();
        let mut source = restored
            .filter(|restored| restored.manifest.operators.iter().any(|operator| *operator.uid == *uid))
            .map(|restored| {
                RestoreSource::new(restored.reader.clone(), &restored.manifest, &uid, index, parallelism)
            });
        let floor = instance.restore(source.as_mut()).map_err(|error| {
            FailureReport::from(&error)
                .with_operator(instance.info.name.to_string(), Some(instance.info.uid.to_string()))
        })?;
        instance.call(&self.shared, &mut NoEmitter, (floor, self.start), |body, context| match body {
            Body::Operator(operator) => operator.restored(context),
            Body::Source(source) => source.restored(context),
        })?;
        Ok(floor)
    }

    fn install(
        &mut self,
        operator: OperatorBuilder<'s, u64>,
        node: &Node,
        instance: Option<(Rc<RefCell<Instance>>, EventTime)>,
        inputs: Vec<TaskInput>,
        outputs: Outputs,
        activator: Activator,
    ) {
        let (shared, start) = (self.shared.clone(), self.start);
        let Some((instance, floor)) = instance else {
            // No instance here: nothing comes in, nothing goes out.
            let mut inputs = inputs;
            operator.build(move |_| {
                let _outputs = outputs;
                move |_| inputs.iter_mut().for_each(|input| (input.pull)(&mut |_, packet| drop(packet)))
            });
            return;
        };
        if node.kind == NodeKind::Source {
            shared.sources_open.set(shared.sources_open.get() + 1);
            shared.snapshots.borrow_mut().add_participant();
            shared.on_tick.borrow_mut().push(activator.clone());
            operator.build(move |held| {
                let mut task = SourceTask::new(shared, instance, outputs, held, activator, (floor, start));
                move |_| task.schedule()
            });
            return;
        }
        let stateless = node.kind == NodeKind::Stage;
        if !stateless {
            shared.snapshots.borrow_mut().add_participant();
            shared.on_tick.borrow_mut().push(activator.clone());
        }
        let generators = self.job.graph.generators_before(node.id);
        let watches = node.uses_watermarks || node.generates_watermarks;
        if watches {
            self.dependents.push(activator.clone());
        }
        let holds_in = self.loops_held_by(node, &instance);
        let flags = (node.uses_watermarks, node.generates_watermarks, stateless, node.kind == NodeKind::Sink);
        operator.build(move |mut held| {
            downgrade(&mut held, start);
            let at = (floor, start);
            let mut task =
                OperatorTask::new(shared, instance, inputs, outputs, held, generators, flags, activator, at);
            task.holds_in = holds_in;
            move |frontiers| task.schedule(frontiers)
        });
    }

    /// The loops in whose body `node` may keep records beyond a tick: asynchronous calls and the like, which is what
    /// makes them generate watermarks.
    fn loops_held_by(&self, node: &Node, instance: &Rc<RefCell<Instance>>) -> Vec<Rc<LoopEnds>> {
        if node.kind != NodeKind::Operator || !node.generates_watermarks {
            return Vec::new();
        }
        let around = self.job.graph.loops_around(node.id);
        let loops = self.shared.loops.borrow();
        let held: Vec<Rc<LoopEnds>> = around.iter().filter_map(|number| loops.get(number).cloned()).collect();
        for ends in &held {
            ends.holders.borrow_mut().push(instance.clone());
        }
        held
    }

    /// The operator that takes the watermark reports of all generators in; answers its address.
    fn add_watermark_table(&mut self) -> Rc<[usize]> {
        let mut operator = OperatorBuilder::new("watermarks".to_owned(), self.scope);
        let address = operator.operator_info().address;
        let mut inputs = Vec::new();
        for (node, stream) in std::mem::take(&mut self.reports) {
            let by_target =
                Exchange::new(|(target, _): &(u32, crate::watermarks::Report)| u64::from(*target));
            inputs.push((node, operator.new_input(stream, by_target)));
        }
        for input in 0..inputs.len() {
            operator.set_notify_for(input, FrontierInterest::Always);
        }
        let (shared, dependents) = (self.shared.clone(), std::mem::take(&mut self.dependents));
        operator.build(move |_| {
            move |frontiers| {
                let mut news = false;
                let mut table = shared.watermarks.borrow_mut();
                for ((node, input), frontier) in inputs.iter_mut().zip(frontiers) {
                    input.for_each(|_, reports| {
                        for (_, report) in reports.drain(..) {
                            table.insert(report);
                        }
                    });
                    news |= table.advance(*node, frontier.frontier().first().copied().unwrap_or(Tick::MAX));
                }
                if news {
                    dependents.iter().for_each(Activator::activate);
                }
            }
        });
        address
    }
}
