//! Control links carry messages both ways, and say who is gone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::common::LONG;
use eddyline_core::ErrorKind;
use eddyline_mesh::{ControlConfig, ControlLink, ControlListener, Refused, Role, Secret, TlsMode};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Command {
    Start { job: String },
    Beat(u64),
    Blob(String),
}

const MODES: [TlsMode; 2] = [TlsMode::Never, TlsMode::Always];

struct Supervisor {
    listener: ControlListener,
    refused: Receiver<Refused>,
    config: ControlConfig,
}

impl Supervisor {
    fn new(tls: TlsMode) -> Self {
        let mut config = ControlConfig::new("job", 3, 0, 4, Secret::random().unwrap());
        config.tls = tls;
        config.connect_timeout = LONG;
        let (observer, refused) = crate::common::observer();
        config.observer = Some(observer);
        let listener = ControlListener::bind("127.0.0.1:0", &config).unwrap();
        Supervisor { listener, refused, config }
    }

    fn address(&self) -> String {
        self.listener.local_address().to_string()
    }

    fn worker(&self, process: usize) -> ControlConfig {
        ControlConfig { process, observer: None, ..self.config.clone() }
    }

    /// Both ends of a link to worker `process`: the supervisor's, the worker's.
    fn link(&self, process: usize) -> (ControlLink, ControlLink) {
        let worker = ControlLink::connect(&self.address(), &self.worker(process)).unwrap();
        (self.listener.accept(LONG).unwrap().unwrap(), worker)
    }
}

#[test]
fn messages_go_both_ways_and_the_ends_know_each_other() {
    for tls in MODES {
        let supervisor = Supervisor::new(tls);
        let (mut here, mut there) = supervisor.link(2);
        assert_eq!((here.peer().role, here.peer().process, here.peer().attempt), (Role::Worker, 2, 3));
        assert_eq!(there.peer().role, Role::Supervisor);
        let start = Command::Start { job: "wörds".into() };
        here.send(&start).unwrap();
        assert_eq!(there.recv::<Command>().unwrap(), Some(start));
        there.send(&Command::Beat(7)).unwrap();
        assert_eq!(here.recv::<Command>().unwrap(), Some(Command::Beat(7)));
    }
}

#[test]
fn the_halves_serve_two_threads_each_even_when_both_directions_are_full() {
    for tls in MODES {
        let supervisor = Supervisor::new(tls);
        let (here, there) = supervisor.link(0);
        let mut threads = Vec::new();
        for (mut sender, mut receiver) in [here.split(), there.split()] {
            threads.push(thread::spawn(move || {
                for number in 0..40 {
                    sender.send(&Command::Blob("x".repeat(1 << 20))).unwrap();
                    sender.send(&Command::Beat(number)).unwrap();
                }
            }));
            threads.push(thread::spawn(move || {
                for number in 0..40 {
                    assert!(
                        matches!(receiver.recv().unwrap(), Some(Command::Blob(text)) if text.len() == 1 << 20)
                    );
                    assert_eq!(receiver.recv().unwrap(), Some(Command::Beat(number)));
                }
            }));
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_closed_link_is_the_end_of_messages_on_both_sides() {
    for tls in MODES {
        let supervisor = Supervisor::new(tls);
        let (here, mut there) = supervisor.link(1);
        let (sender, mut receiver) = here.split();
        let (ready, started) = channel();
        let waiting = thread::spawn(move || {
            ready.send(()).unwrap();
            receiver.recv::<Command>()
        });
        started.recv().unwrap();
        sender.close();
        assert_eq!(waiting.join().unwrap().unwrap(), None);
        assert_eq!(there.recv::<Command>().unwrap(), None);
        drop(there);
        let (here, mut there) = supervisor.link(3);
        drop(here);
        assert_eq!(there.recv::<Command>().unwrap(), None);
    }
}

#[test]
fn errors_name_the_peer() {
    for tls in MODES {
        let supervisor = Supervisor::new(tls);
        let (mut here, mut there) = supervisor.link(2);
        there.send(&"not a command").unwrap();
        let error = here.recv::<Command>().unwrap_err();
        assert_eq!(error.message(), "a control message cannot be understood");
        assert!(error.detail().unwrap().contains("worker process 2 of job job, attempt 3"), "{error}");
        // The link goes on with the next message.
        there.send(&Command::Beat(1)).unwrap();
        assert_eq!(here.recv::<Command>().unwrap(), Some(Command::Beat(1)));
        drop(there);
        let error = loop {
            if let Err(error) = here.send(&Command::Beat(2)) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.detail().unwrap().contains("worker process 2"), "{error}");
    }
}

#[test]
fn a_message_that_is_too_long_is_not_sent_and_the_link_goes_on() {
    let supervisor = Supervisor::new(TlsMode::Never);
    let (mut here, mut there) = supervisor.link(0);
    let error = here.send(&Command::Blob("x".repeat(64 << 20))).unwrap_err();
    assert!(error.detail().unwrap().contains("are allowed"), "{error}");
    here.send(&Command::Beat(1)).unwrap();
    assert_eq!(there.recv::<Command>().unwrap(), Some(Command::Beat(1)));
}

#[test]
fn a_wrong_secret_is_refused_on_both_sides() {
    for tls in MODES {
        let supervisor = Supervisor::new(tls);
        let mut config = supervisor.worker(0);
        config.secret = Secret::random().unwrap();
        let error = ControlLink::connect(&supervisor.address(), &config).err().unwrap();
        assert_eq!(error.message(), "refused by the peer: the proof of the shared secret is not valid");
        assert!(supervisor.refused.recv().unwrap().error.message().contains("proof of the shared secret"));
        supervisor.link(0);
    }
}

#[test]
fn after_the_next_attempt_has_begun_the_old_one_is_refused() {
    let supervisor = Supervisor::new(TlsMode::Never);
    let (_here, _there) = supervisor.link(0);
    let too_late = ControlLink::connect(&supervisor.address(), &supervisor.worker(1)).unwrap();
    supervisor.listener.set_attempt(4, 2).unwrap();
    let error = ControlLink::connect(&supervisor.address(), &supervisor.worker(2)).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(supervisor.refused.recv().unwrap().error.message().contains("its attempt is over"));
    let mut config = supervisor.worker(0);
    (config.attempt, config.processes) = (4, 2);
    let _worker = ControlLink::connect(&supervisor.address(), &config).unwrap();
    // Process 0 of the old attempt is still linked: its place there is another one.
    let link = supervisor.listener.accept(LONG).unwrap().unwrap();
    assert_eq!((link.peer().attempt, link.peer().process), (4, 0));
    let mut too_late = too_late;
    assert_eq!(too_late.recv::<Command>().unwrap(), None);
    assert_eq!(supervisor.listener.set_attempt(5, 0).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn a_worker_index_is_taken_until_its_link_is_dropped() {
    let supervisor = Supervisor::new(TlsMode::Never);
    let (here, _there) = supervisor.link(1);
    let error = ControlLink::connect(&supervisor.address(), &supervisor.worker(1)).err().unwrap();
    assert_eq!(error.message(), "refused by the peer: the process index is taken");
    assert!(supervisor.refused.recv().unwrap().error.message().contains("the process index is taken"));
    drop(here);
    supervisor.link(1);
}

#[test]
fn accept_gives_up_and_a_worker_that_finds_nobody_too() {
    let supervisor = Supervisor::new(TlsMode::Never);
    assert!(supervisor.listener.accept(Duration::from_millis(10)).unwrap().is_none());
    let mut config = supervisor.worker(0);
    config.connect_timeout = Duration::from_millis(100);
    let address = supervisor.address();
    drop(supervisor);
    let error = ControlLink::connect(&address, &config).err().unwrap();
    assert_eq!(error.message(), "cannot connect to the supervisor in time");
    assert!(error.detail().unwrap().contains(&address), "{error}");
}

#[test]
fn dropping_the_listener_breaks_off_unfinished_handshakes_and_frees_the_port() {
    let supervisor = Supervisor::new(TlsMode::Never);
    let address = supervisor.address();
    let mut silent = TcpStream::connect(&address).unwrap();
    silent.write_all(b"EDDY\x01\x00\x22\x00\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    silent.read_exact(&mut [0; 41]).unwrap();
    let config = supervisor.config.clone();
    drop(supervisor);
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)));
    ControlListener::bind(&address, &config).unwrap();
}

#[test]
fn a_mesh_port_and_a_control_port_are_not_mixed_up() {
    let supervisor = Supervisor::new(TlsMode::Never);
    let addresses = vec![supervisor.address(), String::new(), String::new(), "127.0.0.1:1".into()];
    let mut config = eddyline_mesh::MeshConfig::new("job", 3, 3, addresses, supervisor.config.secret.clone());
    config.connect_timeout = LONG;
    config.addresses[1] = supervisor.address();
    config.addresses[2] = supervisor.address();
    let error = eddyline_mesh::Mesh::connect(config).unwrap_err();
    assert_eq!(error.message(), "refused by the peer: the roles do not fit");
}
