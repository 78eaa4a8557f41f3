//! Clients and men in the middle that do not know the secret get nowhere, and disturb nobody.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::common::{Job, check_all_connected, observer, recording_proxy, start};
use eddyline_core::Result;
use eddyline_mesh::{Mesh, MeshConfig, TlsMode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme,
};

/// Another try as process 1 of the job.
fn process_one(job: &Job) -> MeshConfig {
    let mut config = Job::new(1, job.tls).config(0);
    (config.process, config.listener) = (1, None);
    (config.addresses, config.secret) = (job.addresses.clone(), job.secret.clone());
    config
}

#[test]
fn recorded_bytes_prove_nothing_to_a_fresh_server() {
    for tls in [TlsMode::Never, TlsMode::Always] {
        let mut job = Job::new(2, tls);
        let (proxy, recording) = recording_proxy(job.addresses[0].clone());
        let zero = job.start(0);
        let mut config = process_one(&job);
        config.addresses[0] = proxy;
        let one = Mesh::connect(config).unwrap();
        check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
        let recorded = recording.join().unwrap();
        assert!(recorded.len() > 100);

        let mut fresh = Job::new(2, tls);
        fresh.secret = job.secret.clone();
        let (observer, refused) = observer();
        let mut config = fresh.config(0);
        config.observer = Some(observer);
        let zero = start(config);
        let mut replay = TcpStream::connect(&fresh.addresses[0]).unwrap();
        replay.write_all(&recorded).unwrap();
        let error = refused.recv().unwrap().error;
        if tls == TlsMode::Never {
            assert!(error.message().contains("proof of the shared secret is not valid"), "{error}");
        }
        let one = Mesh::connect(process_one(&fresh)).unwrap();
        check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
    }
}

/// Accepts any certificate, as an attacker would.
#[derive(Debug)]
struct AcceptAnything;

impl ServerCertVerifier for AcceptAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Passes on one frame of the handshake; false at the end.
fn relay_frame(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut header = [0; 7];
    if from.read_exact(&mut header).is_err() {
        return false;
    }
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[5], header[6]]))];
    from.read_exact(&mut body).unwrap();
    to.write_all(&[&header[..], &body].concat()).is_ok() && to.flush().is_ok()
}

/// Ends TLS on both sides and passes on the handshake word by word; gives back how many frames went through.
fn man_in_the_middle(listener: &TcpListener, target: &str) -> usize {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certified = rcgen::generate_simple_self_signed(["attacker".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAnything))
        .with_no_client_auth();
    let victim = listener.accept().unwrap().0;
    let mut victim = rustls::StreamOwned::new(ServerConnection::new(Arc::new(server)).unwrap(), victim);
    let name = ServerName::try_from("eddyline.invalid").unwrap();
    let target = TcpStream::connect(target).unwrap();
    let mut target = rustls::StreamOwned::new(ClientConnection::new(Arc::new(client), name).unwrap(), target);
    let mut frames = 0;
    while relay_frame(&mut victim, &mut target) && relay_frame(&mut target, &mut victim) {
        frames += 2;
    }
    frames
}

#[test]
fn a_man_in_the_middle_who_ends_tls_fails_on_both_sides() {
    let mut job = Job::new(2, TlsMode::Always);
    let (observer, refused) = observer();
    let mut config = job.config(0);
    config.observer = Some(observer);
    let zero = start(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = process_one(&job);
    config.addresses[0] = listener.local_addr().unwrap().to_string();
    let target = job.addresses[0].clone();
    let attacker = thread::spawn(move || man_in_the_middle(&listener, &target));
    let error = Mesh::connect(config).unwrap_err();
    assert_eq!(error.message(), "refused by the peer: the proof of the shared secret is not valid");
    let error = refused.recv().unwrap().error;
    assert_eq!(error.message(), "refused a peer: the proof of the shared secret is not valid");
    // It was in the middle indeed: both hellos, the claim and the refusal went through its hands.
    assert_eq!(attacker.join().unwrap(), 4);
    let one = Mesh::connect(process_one(&job)).unwrap();
    check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
}

#[test]
fn garbage_partial_and_silent_clients_disturb_nobody() {
    for tls in [TlsMode::Never, TlsMode::Always] {
        let mut job = Job::new(2, tls);
        let (observer, refused) = observer();
        let mut config = job.config(0);
        config.observer = Some(observer);
        let zero = start(config);
        let openings: [&[u8]; 7] = [
            b"",
            b"EDD",
            b"EDDY\x01\x00\x22\x00",
            b"EDDY\x02\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
            &[0x16, 3, 1, 0xff, 0xff],
            &[0; 5000],
        ];
        let clients: Vec<_> = openings
            .into_iter()
            .map(|opening| {
                let mut client = TcpStream::connect(&job.addresses[0]).unwrap();
                client.write_all(opening).unwrap();
                client
            })
            .collect();
        // At least the wrong magic and the zeroes are refused without waiting for more.
        for _ in 0..2 {
            assert!(refused.recv().unwrap().error.message().starts_with("refused a peer"));
        }
        let one = Mesh::connect(process_one(&job)).unwrap();
        check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
        drop(clients);
    }
}

#[test]
fn a_client_that_sends_byte_by_byte_is_cut_off() {
    let mut job = Job::new(2, TlsMode::Never);
    let (observer, refused) = observer();
    let mut config = job.config(0);
    config.observer = Some(observer);
    let zero = start(config);
    let mut client = TcpStream::connect(&job.addresses[0]).unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut sent = 0;
    for byte in b"EDDY\x01\x00\x22\x00\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        let _ = client.write_all(&[*byte]);
        sent += 1;
        match client.read(&mut [0; 64]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => break,
        }
    }
    assert!(sent < 20, "{sent} bytes were sent over more time than a handshake may take");
    assert_eq!(refused.recv().unwrap().error.message(), "the peer did not finish the handshake in time");
    let one = Mesh::connect(process_one(&job)).unwrap();
    check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
}

#[test]
fn an_initiator_that_dies_in_the_handshake_is_noticed() {
    let mut job = Job::new(2, TlsMode::Never);
    let (observer, refused) = observer();
    let mut config = job.config(0);
    config.observer = Some(observer);
    let zero = start(config);
    let mut client = TcpStream::connect(&job.addresses[0]).unwrap();
    client.write_all(b"EDDY\x01\x00\x22\x00\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
    client.read_exact(&mut [0; 41]).unwrap();
    drop(client);
    assert_eq!(
        refused.recv().unwrap().error.message(),
        "the peer closed the connection during the handshake"
    );
    let one = Mesh::connect(process_one(&job)).unwrap();
    check_all_connected(vec![zero.join().unwrap().unwrap(), one]);
}

#[test]
fn an_acceptor_that_dies_in_the_handshake_is_tried_again() {
    for tls in [TlsMode::Never, TlsMode::Always] {
        let mut job = Job::new(2, tls);
        let listener = job.take_listener(0);
        let one = start(process_one(&job));
        let (mut client, _) = listener.accept().unwrap();
        client.read_exact(&mut [0; 41]).unwrap();
        drop(client);
        let mut config = job.config(1);
        (config.process, config.listener) = (0, Some(listener));
        let zero = Mesh::connect(config).unwrap();
        check_all_connected(vec![zero, one.join().unwrap().unwrap()]);
    }
}

#[test]
fn more_clients_than_there_is_room_for_are_told_so_and_the_peer_gets_in() {
    let mut job = Job::new(2, TlsMode::Never);
    let zero = job.start(0);
    let silent: Vec<_> = (0..128).map(|_| TcpStream::connect(&job.addresses[0]).unwrap()).collect();
    let mut told = Vec::new();
    TcpStream::connect(&job.addresses[0]).unwrap().read_to_end(&mut told).unwrap();
    assert_eq!(told, b"EDDY\x04\x00\x01\x0c");
    let one = start(process_one(&job));
    drop(silent);
    check_all_connected(vec![zero.join().unwrap().unwrap(), one.join().unwrap().unwrap()]);
}
