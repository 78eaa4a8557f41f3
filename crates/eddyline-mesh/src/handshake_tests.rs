//! Tests of single handshakes, both sides in view.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::*;
use crate::channel::{Terms, open_accepting, open_connecting};
use crate::tls::TlsMode;

const TIMEOUT: Duration = Duration::from_secs(20);

fn identity(process: u32) -> Identity {
    Identity { job: "job".into(), attempt: 5, role: Role::Mesh, process, processes: 2 }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (connecting, listener.accept().unwrap().0)
}

/// Runs both sides; gives what each saw.
fn meet(
    initiator: (&Secret, TlsMode, Identity),
    acceptor: (&Secret, TlsMode, Identity),
) -> (Result<Identity>, Result<Identity>) {
    let (connecting, accepted) = pair();
    let terms = Terms::new(initiator.0.clone(), initiator.1, TIMEOUT).unwrap();
    let own = initiator.2;
    let thread = thread::spawn(move || {
        open_connecting(connecting, &terms, &own, |peer| own.compare(peer))
            .map(|(_, peer)| peer)
            .map_err(|failure| failure.into_error("acceptor"))
    });
    let terms = Terms::new(acceptor.0.clone(), acceptor.1, TIMEOUT).unwrap();
    let there = open_accepting(accepted, &terms, &acceptor.2, |peer| acceptor.2.compare(peer))
        .map(|(_, peer, ())| peer)
        .map_err(|failure| failure.into_error("initiator"));
    (thread.join().unwrap(), there)
}

fn check_refused(mode: TlsMode, peer: Identity, here: &str, there: &str) {
    let secret = Secret::random().unwrap();
    let (initiator, acceptor) = meet((&secret, mode, peer), (&secret, mode, identity(0)));
    assert_eq!(initiator.unwrap_err().message(), there);
    assert_eq!(acceptor.unwrap_err().message(), here);
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let secret = Secret::random().unwrap();
    for mode in [TlsMode::Never, TlsMode::Always] {
        let (initiator, acceptor) = meet((&secret, mode, identity(1)), (&secret, mode, identity(0)));
        assert_eq!(initiator.unwrap(), identity(0));
        assert_eq!(acceptor.unwrap(), identity(1));
    }
}

#[test]
fn a_wrong_secret_is_refused_and_nothing_else_is_told() {
    let stranger = Identity { job: "other".into(), attempt: 4, ..identity(1) };
    for mode in [TlsMode::Never, TlsMode::Always] {
        for peer in [identity(1), stranger.clone()] {
            let (initiator, acceptor) = meet(
                (&Secret::random().unwrap(), mode, peer),
                (&Secret::random().unwrap(), mode, identity(0)),
            );
            let (initiator, acceptor) = (initiator.unwrap_err(), acceptor.unwrap_err());
            let reason = "the proof of the shared secret is not valid";
            assert_eq!(initiator.message(), format!("refused by the peer: {reason}"));
            assert_eq!(acceptor.message(), format!("refused a peer: {reason}"));
            assert_eq!(initiator.detail(), Some("acceptor"), "the stranger learned something");
        }
    }
}

#[test]
fn another_job_attempt_or_size_is_refused_on_both_sides() {
    for mode in [TlsMode::Never, TlsMode::Always] {
        let peer = Identity { job: "other".into(), ..identity(1) };
        check_refused(
            mode,
            peer,
            "refused a peer: the job ids differ",
            "refused by the peer: the job ids differ",
        );
        let peer = Identity { attempt: 4, ..identity(1) };
        check_refused(
            mode,
            peer,
            "refused a peer: its attempt is over",
            "refused by the peer: this attempt is over",
        );
        let reason = "the attempts differ: the connecting one is newer";
        let peer = Identity { attempt: 6, ..identity(1) };
        check_refused(
            mode,
            peer,
            &format!("refused a peer: {reason}"),
            &format!("refused by the peer: {reason}"),
        );
        let reason = "the process index does not fit";
        let peer = Identity { processes: 3, ..identity(1) };
        check_refused(
            mode,
            peer,
            &format!("refused a peer: {reason}"),
            &format!("refused by the peer: {reason}"),
        );
    }
}

#[test]
fn an_old_attempt_is_told_that_it_is_over() {
    let secret = Secret::random().unwrap();
    let old = Identity { attempt: 4, ..identity(1) };
    let (initiator, _) = meet((&secret, TlsMode::Never, old), (&secret, TlsMode::Never, identity(0)));
    assert_eq!(initiator.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn different_tls_modes_are_told_on_both_sides() {
    let secret = Secret::random().unwrap();
    for (mine, others, reason) in [
        (TlsMode::Always, TlsMode::Never, "TLS is not expected"),
        (TlsMode::Never, TlsMode::Always, "TLS is required"),
    ] {
        let (initiator, acceptor) = meet((&secret, mine, identity(1)), (&secret, others, identity(0)));
        assert_eq!(initiator.unwrap_err().message(), format!("refused by the peer: {reason}"));
        assert_eq!(acceptor.unwrap_err().message(), format!("refused a peer: {reason}"));
    }
}

#[test]
fn another_version_is_told_on_both_sides() {
    let (mut connecting, accepted) = pair();
    write_message(&mut connecting, &Message::Hello { version: 99, nonce: [0; 32] }).unwrap();
    let terms = Terms::new(Secret::random().unwrap(), TlsMode::Never, TIMEOUT).unwrap();
    let told = thread::spawn(move || read_message(&mut connecting).unwrap());
    let failure = open_accepting(accepted, &terms, &identity(0), |_| Ok(())).unwrap_err();
    let error = failure.into_error("initiator");
    assert_eq!(error.message(), "refused a peer: protocol versions differ");
    assert!(error.detail().unwrap().contains("version 99"), "{error}");
    assert_eq!(told.join().unwrap(), Message::Refuse(Refusal::Version));
}

#[test]
fn a_proof_sent_back_to_its_maker_is_refused() {
    let (connecting, mut accepted) = pair();
    // The attacker answers with the initiator's own messages.
    let mirror = thread::spawn(move || {
        for _ in 0..2 {
            let message = read_message(&mut accepted).unwrap();
            write_message(&mut accepted, &message).unwrap();
        }
        read_message(&mut accepted).unwrap()
    });
    let terms = Terms::new(Secret::random().unwrap(), TlsMode::Never, TIMEOUT).unwrap();
    let failure = open_connecting(connecting, &terms, &identity(1), |_| Ok(())).unwrap_err();
    assert_eq!(
        failure.into_error("mirror").message(),
        "refused a peer: the proof of the shared secret is not valid"
    );
    assert_eq!(mirror.join().unwrap(), Message::Refuse(Refusal::NotProven));
}

#[test]
fn an_acceptor_that_knows_nothing_is_refused() {
    let (connecting, mut accepted) = pair();
    let impostor = thread::spawn(move || {
        read_message(&mut accepted).unwrap();
        write_message(&mut accepted, &Message::Hello { version: PROTOCOL_VERSION, nonce: [7; 32] }).unwrap();
        read_message(&mut accepted).unwrap();
        write_message(&mut accepted, &Message::Claim { identity: identity(0), proof: [7; 32] }).unwrap();
        read_message(&mut accepted).unwrap()
    });
    let terms = Terms::new(Secret::random().unwrap(), TlsMode::Never, TIMEOUT).unwrap();
    let failure = open_connecting(connecting, &terms, &identity(1), |_| Ok(())).unwrap_err();
    assert_eq!(
        failure.into_error("impostor").message(),
        "refused a peer: the proof of the shared secret is not valid"
    );
    assert_eq!(impostor.join().unwrap(), Message::Refuse(Refusal::NotProven));
}

#[test]
fn a_configuration_that_cannot_work_is_told_before_anything_is_sent() {
    for wrong in [
        Identity { job: String::new(), ..identity(0) },
        Identity { job: "x".repeat(257), ..identity(0) },
        Identity { process: 2, ..identity(0) },
    ] {
        assert_eq!(wrong.check().unwrap_err().kind(), ErrorKind::Config);
    }
    identity(1).check().unwrap();
}
