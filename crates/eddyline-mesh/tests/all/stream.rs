//! A stream behaves as a TCP stream does, encrypted or not, with a reader and a writer at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use crate::common::{Job, connected_pair};
use eddyline_mesh::{Mesh, MeshStream, TlsMode};

const MODES: [TlsMode; 2] = [TlsMode::Never, TlsMode::Always];

/// How often the bytes of a test repeat: a prime, so that no buffer's length is a multiple of it.
const PERIOD: usize = 999_983;

/// Two periods of bytes that depend on `seed`, so that a slice of one period can begin anywhere.
fn pattern(seed: u64) -> Vec<u8> {
    let byte = |position: usize| {
        ((position as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).wrapping_add(seed) as u8
    };
    (0..2 * PERIOD).map(|position| byte(position % PERIOD)).collect()
}

fn write_pattern(mut stream: MeshStream, seed: u64, length: usize) {
    let pattern = pattern(seed);
    let mut position = 0;
    while position < length {
        // Lengths around the sizes of TLS records and of internal buffers.
        let count = [1, 100_000, 16_384, 70_001, 333][position % 5].min(length - position);
        stream.write_all(&pattern[position % PERIOD..][..count]).unwrap();
        position += count;
    }
    stream.flush().unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
}

fn read_pattern(mut stream: MeshStream, seed: u64, length: usize) {
    let pattern = pattern(seed);
    let mut buffer = vec![0; 256 << 10];
    let mut position = 0;
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        assert!(buffer[..count] == pattern[position % PERIOD..][..count], "wrong bytes after {position}");
        position += count;
    }
    assert_eq!(position, length);
}

#[test]
fn a_hundred_megabytes_go_both_ways_at_once() {
    const LENGTH: usize = 100 << 20;
    for tls in MODES {
        let (left, right) = connected_pair(tls);
        let start = Instant::now();
        let mut threads = Vec::new();
        for (seed, from, to) in [(3, &left, &right), (5, &right, &left)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            threads.push(thread::spawn(move || write_pattern(from, seed, LENGTH)));
            threads.push(thread::spawn(move || read_pattern(to, seed, LENGTH)));
        }
        for thread in threads {
            thread.join().unwrap();
        }
        let megabytes_per_second = 2.0 * 100.0 / start.elapsed().as_secs_f64();
        println!("TLS {tls:?}: {megabytes_per_second:.0} MB/s, sum of both directions, contents checked");
    }
}

#[test]
fn a_reader_goes_on_while_the_writer_beside_it_waits() {
    const LENGTH: usize = 32 << 20;
    for tls in MODES {
        let (left, right) = connected_pair(tls);
        // Nobody reads at the right end yet, so this writer fills the connection and waits.
        let clone = left.try_clone().unwrap();
        let blocked = thread::spawn(move || write_pattern(clone, 1, LENGTH));
        let clone = right.try_clone().unwrap();
        let other = thread::spawn(move || write_pattern(clone, 2, LENGTH));
        read_pattern(left.try_clone().unwrap(), 2, LENGTH);
        other.join().unwrap();
        read_pattern(right, 1, LENGTH);
        blocked.join().unwrap();
    }
}

#[test]
fn shutdown_ends_a_waiting_reader_and_a_waiting_writer() {
    for tls in MODES {
        let (left, right) = connected_pair(tls);
        let mut reader = left.try_clone().unwrap();
        let reader = thread::spawn(move || reader.read(&mut [0; 10]));
        let mut writer = left.try_clone().unwrap();
        let (sender, progress) = channel();
        let writer = thread::spawn(move || {
            loop {
                match writer.write(&[7; 65_536]) {
                    Ok(count) => sender.send(count).unwrap(),
                    Err(error) => return error,
                }
            }
        });
        progress.recv().unwrap();
        left.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0);
        assert_eq!(writer.join().unwrap().kind(), ErrorKind::BrokenPipe);
        drop(right);
    }
}

#[test]
fn dropping_the_last_clone_is_a_clean_end() {
    for tls in MODES {
        let (left, mut right) = connected_pair(tls);
        let mut clone = left.try_clone().unwrap();
        drop(left);
        clone.write_all(b"last words").unwrap();
        drop(clone);
        let mut text = String::new();
        right.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
    }
}

#[test]
fn a_nonblocking_stream_does_not_wait_and_loses_nothing() {
    for tls in MODES {
        let (mut left, mut right) = connected_pair(tls);
        left.set_nonblocking(true).unwrap();
        assert_eq!(left.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut written = 0;
        let sent = &pattern(9)[..PERIOD];
        loop {
            match left.write(&sent[written % sent.len()..]) {
                Ok(count) => written += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            right.read_to_end(&mut received).unwrap();
            received
        });
        left.set_nonblocking(false).unwrap();
        left.flush().unwrap();
        left.shutdown(Shutdown::Write).unwrap();
        let received = reader.join().unwrap();
        assert_eq!(received.len(), written);
        assert!(received.chunks(sent.len()).all(|chunk| chunk == &sent[..chunk.len()]));
    }
}

#[test]
fn a_tls_connection_that_somebody_cuts_is_no_clean_end() {
    let mut job = Job::new(2, TlsMode::Always);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = job.addresses[0].clone();
    let zero = job.start(0);
    let mut config = job.config(1);
    config.addresses[0] = proxy.local_addr().unwrap().to_string();
    let (cut, wait) = channel::<()>();
    let attacker = thread::spawn(move || {
        let (client, _) = proxy.accept().unwrap();
        let server = TcpStream::connect(target).unwrap();
        for (from, to) in [(&client, &server), (&server, &client)] {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
        }
        wait.recv().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    });
    let mut one = Mesh::connect(config).unwrap().swap_remove(0).unwrap();
    let mut zero = zero.join().unwrap().unwrap().swap_remove(1).unwrap();
    zero.write_all(b"x").unwrap();
    one.read_exact(&mut [0]).unwrap();
    cut.send(()).unwrap();
    assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    attacker.join().unwrap();
}
