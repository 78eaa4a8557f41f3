//! The mesh comes up, in any order, and says clearly why when it does not.

use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::common::{Job, check_all_connected, observer, start};
use eddyline_core::ErrorKind;
use eddyline_mesh::{Mesh, Secret, TlsMode};

#[test]
fn all_processes_are_connected_to_all_others() {
    for tls in [TlsMode::Auto, TlsMode::Always, TlsMode::Never] {
        let mut job = Job::new(4, tls);
        let threads: Vec<_> = [2, 0, 3, 1].map(|process| (process, job.start(process))).into();
        let mut meshes: Vec<_> =
            threads.into_iter().map(|(process, thread)| (process, thread.join().unwrap().unwrap())).collect();
        meshes.sort_by_key(|(process, _)| *process);
        for (_, streams) in &meshes {
            assert!(streams.iter().flatten().all(|stream| stream.is_encrypted() == (tls == TlsMode::Always)));
        }
        check_all_connected(meshes.into_iter().map(|(_, streams)| streams).collect());
    }
}

#[test]
fn a_single_process_needs_no_network() {
    let mut job = Job::new(1, TlsMode::Auto);
    job.addresses = vec!["nowhere".into()];
    assert_eq!(Mesh::connect(job.config(0)).unwrap().len(), 1);
}

#[test]
fn a_process_waits_for_one_that_listens_later() {
    let mut job = Job::new(2, TlsMode::Auto);
    drop(job.take_listener(0));
    let one = job.start(1);
    // Without a listener: process 0 binds the address from the list itself.
    let mut config = crate::common::Job::new(1, TlsMode::Auto).config(0);
    config.listener = None;
    config.addresses = job.addresses.clone();
    config.secret = job.secret.clone();
    let zero = Mesh::connect(config).unwrap();
    check_all_connected(vec![zero, one.join().unwrap().unwrap()]);
}

#[test]
fn a_port_in_use_is_told_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut job = Job::new(2, TlsMode::Auto);
    job.addresses[0] = taken.local_addr().unwrap().to_string();
    drop(job.take_listener(0));
    let mut config = job.config(1);
    config.process = 0;
    config.listener = None;
    let error = Mesh::connect(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(error.message(), "the address to listen on is in use");
    assert!(error.detail().unwrap().contains(&job.addresses[0]), "{error}");
    assert!(error.hint().unwrap().contains("another port"), "{}", error.report());
}

#[test]
fn an_address_that_cannot_be_one_ends_it_at_once() {
    for wrong in ["localhost", "127.0.0.1:", "127.0.0.1:70000", ":80", "127.0.0.1:0", ""] {
        let mut job = Job::new(2, TlsMode::Auto);
        job.addresses[0] = wrong.into();
        let error = Mesh::connect(job.config(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
        assert!(error.report().contains(&format!("{wrong:?}")), "{}", error.report());
    }
}

#[test]
fn a_name_that_does_not_resolve_is_told_after_the_time_out() {
    let mut job = Job::new(2, TlsMode::Auto);
    job.addresses[0] = "no such host:2101".into();
    let mut config = job.config(1);
    config.connect_timeout = Duration::from_millis(200);
    let error = Mesh::connect(config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.detail().unwrap().contains("cannot resolve an address"), "{}", error.report());
    assert!(error.detail().unwrap().contains("no such host:2101"), "{}", error.report());
}

#[test]
fn who_is_missing_is_told_after_the_time_out() {
    let mut job = Job::new(3, TlsMode::Auto);
    drop(job.take_listener(0));
    let mut config = job.config(1);
    config.connect_timeout = Duration::from_millis(100);
    let error = Mesh::connect(config).unwrap_err();
    let detail = error.detail().unwrap();
    assert!(detail.contains(&format!("process 0 at {}: cannot connect", job.addresses[0])), "{detail}");
    assert!(detail.contains(&format!("process 2 at {} has not connected", job.addresses[2])), "{detail}");
}

#[test]
fn a_wrong_secret_fails_both_and_disturbs_nobody() {
    for tls in [TlsMode::Never, TlsMode::Always] {
        let mut job = Job::new(2, tls);
        let (observer, refused) = observer();
        let mut config = job.config(0);
        config.observer = Some(observer);
        let zero = start(config);
        let mut config = Job::new(1, tls).config(0);
        (config.process, config.listener, config.addresses) = (1, None, job.addresses.clone());
        let error = Mesh::connect(config).unwrap_err();
        assert_eq!(error.message(), "refused by the peer: the proof of the shared secret is not valid");
        assert!(refused.recv().unwrap().error.message().contains("proof of the shared secret"));
        let one = Mesh::connect(job.config(1)).unwrap();
        check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
    }
}

#[test]
fn a_refused_peer_shows_in_the_error_of_a_time_out() {
    let mut job = Job::new(2, TlsMode::Auto);
    let mut config = job.config(0);
    config.connect_timeout = Duration::from_secs(2);
    let zero = start(config);
    let mut config = job.config(1);
    config.secret = Secret::random().unwrap();
    Mesh::connect(config).unwrap_err();
    let error = zero.join().unwrap().unwrap_err();
    assert!(error.detail().unwrap().contains("proof of the shared secret is not valid"), "{error}");
}

#[test]
fn an_old_attempt_is_refused_and_the_right_one_joins() {
    let mut job = Job::new(2, TlsMode::Auto);
    let zero = job.start(0);
    let mut config = job.config(1);
    config.attempt = 4;
    assert_eq!(Mesh::connect(config).unwrap_err().kind(), ErrorKind::Cancelled);
    let mut config = Job::new(1, TlsMode::Auto).config(0);
    (config.process, config.listener) = (1, None);
    (config.addresses, config.secret) = (job.addresses.clone(), job.secret.clone());
    let one = Mesh::connect(config).unwrap();
    check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
}

#[test]
fn a_process_waits_until_the_older_attempt_has_ended() {
    let mut job = Job::new(2, TlsMode::Auto);
    let (observer, refused) = observer();
    let listener = job.take_listener(0);
    let mut old = job.config(1);
    (old.process, old.attempt, old.observer) = (0, 4, Some(observer));
    old.listener = Some(listener.try_clone().unwrap());
    old.connect_timeout = Duration::from_secs(1);
    let old = start(old);
    let mut config = Job::new(1, TlsMode::Auto).config(0);
    (config.process, config.listener) = (1, None);
    (config.addresses, config.secret) = (job.addresses.clone(), job.secret.clone());
    let one = start(config);
    assert!(refused.recv().unwrap().error.message().contains("newer"));
    drop(listener);
    old.join().unwrap().unwrap_err();
    // The old attempt is gone, and with it its port: the new process 0 takes it.
    let mut config = Job::new(1, TlsMode::Auto).config(0);
    config.listener = None;
    (config.addresses, config.secret) = (job.addresses.clone(), job.secret.clone());
    let zero = Mesh::connect(config).unwrap();
    check_all_connected(vec![zero, one.join().unwrap().unwrap()]);
}

#[test]
fn a_second_process_of_the_same_index_is_refused() {
    let mut job = Job::new(3, TlsMode::Auto);
    let zero = job.start(0);
    let (sender, results) = channel();
    for listener in [Some(job.take_listener(2)), None] {
        let mut config = Job::new(1, TlsMode::Auto).config(0);
        (config.process, config.listener) = (2, listener);
        (config.addresses, config.secret) = (job.addresses.clone(), job.secret.clone());
        let sender = sender.clone();
        thread::spawn(move || sender.send(Mesh::connect(config)));
    }
    // Nobody answers as process 1 yet, so only the refused one can have ended.
    let error = results.recv().unwrap().unwrap_err();
    assert_eq!(error.message(), "refused by the peer: the process index is taken");
    let one = job.start(1);
    let two = results.recv().unwrap().unwrap();
    check_all_connected(vec![zero.join().unwrap().unwrap(), one.join().unwrap().unwrap(), two]);
}

#[test]
fn addresses_in_another_order_are_told() {
    let mut job = Job::new(3, TlsMode::Auto);
    let _zero = job.start(0);
    let _one = job.start(1);
    let mut config = job.config(2);
    config.addresses.swap(0, 1);
    let error = Mesh::connect(config).unwrap_err();
    assert_eq!(error.message(), "refused a peer: the process index does not fit");
    assert!(error.hint().unwrap().contains("same list of addresses"), "{}", error.report());
}
