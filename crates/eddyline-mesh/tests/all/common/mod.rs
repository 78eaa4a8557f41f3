//! What several tests of the network share.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eddyline_core::Result;
use eddyline_mesh::{Mesh, MeshConfig, MeshStream, RefusalObserver, Refused, Secret, TlsMode};

pub type Streams = Vec<Option<MeshStream>>;

/// Long enough to never pass in a test that succeeds.
pub const LONG: Duration = Duration::from_secs(60);

/// A job attempt on this machine, each process in a thread.
pub struct Job {
    pub secret: Secret,
    pub tls: TlsMode,
    pub addresses: Vec<String>,
    listeners: Vec<Option<TcpListener>>,
}

impl Job {
    pub fn new(processes: usize, tls: TlsMode) -> Self {
        let listeners: Vec<_> = (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
        let listeners = listeners.into_iter().map(Some).collect();
        Job { secret: Secret::random().unwrap(), tls, addresses, listeners }
    }

    pub fn take_listener(&mut self, process: usize) -> TcpListener {
        self.listeners[process].take().unwrap()
    }

    pub fn config(&mut self, process: usize) -> MeshConfig {
        let mut config = MeshConfig::new("job", 5, process, self.addresses.clone(), self.secret.clone());
        config.listener = self.listeners[process].take();
        config.tls = self.tls;
        config.connect_timeout = LONG;
        config
    }

    pub fn start(&mut self, process: usize) -> JoinHandle<Result<Streams>> {
        start(self.config(process))
    }
}

pub fn start(config: MeshConfig) -> JoinHandle<Result<Streams>> {
    thread::spawn(move || Mesh::connect(config))
}

/// A connected pair of two processes: the end of process 0, the end of process 1.
pub fn connected_pair(tls: TlsMode) -> (MeshStream, MeshStream) {
    let mut job = Job::new(2, tls);
    let zero = job.start(0);
    let one = Mesh::connect(job.config(1)).unwrap().swap_remove(0).unwrap();
    (zero.join().unwrap().unwrap().swap_remove(1).unwrap(), one)
}

pub fn observer() -> (RefusalObserver, Receiver<Refused>) {
    let (sender, receiver) = channel();
    (Arc::new(move |refused: &Refused| drop(sender.send(refused.clone()))), receiver)
}

/// Says a number each way over every connection and checks who answers.
pub fn check_all_connected(meshes: Vec<Streams>) {
    let threads: Vec<_> = meshes
        .into_iter()
        .enumerate()
        .map(|(own, mut streams)| {
            thread::spawn(move || {
                for stream in streams.iter_mut().flatten() {
                    stream.write_all(&[own as u8]).unwrap();
                    stream.flush().unwrap();
                }
                for (peer, stream) in streams.iter_mut().enumerate() {
                    assert_eq!(stream.is_none(), peer == own);
                    if let Some(stream) = stream {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        assert_eq!(usize::from(byte[0]), peer);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Forwards one connection; what the client sent is given back when it has ended.
pub fn recording_proxy(target: String) -> (String, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let back = thread::spawn(move || {
            let _ = std::io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(Shutdown::Write);
        });
        let mut recorded = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            recorded.extend(&buffer[..count]);
            if server.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Write);
        back.join().unwrap();
        recorded
    });
    (address, thread)
}
