//! A real S3 server of a test's own, to be stopped, slowed down and refused by as the test likes.

use super::watch::{Deadline, signal};
use rustix::process::{Pid, Signal};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const ACCESS_KEY: &str = "some-access-key";
const SECRET_KEY: &str = "some-secret-key-of-a-test";
const BUCKET: &str = "flows";

/// A server with one bucket.
pub struct S3Server {
    program: PathBuf,
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

impl S3Server {
    /// Starts a server.
    ///
    /// # Errors
    /// If it was not installed (`cargo xtask services up s3` does) or does not come up.
    pub fn start() -> Result<Self, String> {
        let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/services/s3/bin/versitygw");
        let program = std::env::var_os("EDDYLINE_TEST_S3_SERVER").map_or_else(built, PathBuf::from);
        if !program.is_file() {
            return Err(format!(
                "there is no S3 server at {}: run `cargo xtask services up s3` once",
                program.display()
            ));
        }
        let directory = TempDir::new().map_err(|error| error.to_string())?;
        std::fs::create_dir_all(directory.path().join("data").join(BUCKET))
            .map_err(|error| error.to_string())?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| error.to_string())?.port();
        let mut server = S3Server { program, directory, port, child: None };
        server.come_up(&[])?;
        Ok(server)
    }

    /// Starts it again, after [`S3Server::stop`], with further options.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn come_up(&mut self, options: &[&str]) -> Result<(), String> {
        let log = File::create(self.directory.path().join("log")).map_err(|error| error.to_string())?;
        let address = format!("127.0.0.1:{}", self.port);
        let child = Command::new(&self.program)
            .args(["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--port", &address])
            .args(options)
            .arg("posix")
            .arg(self.directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        self.child = Some(child);
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok().then_some(());
        Deadline::minute("the S3 server").wait_for(listens)
    }

    /// Ends it, as a failing machine would.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, wanted: Signal) {
        let pid = self.child.as_ref().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        if let Some(pid) = pid {
            signal(pid, wanted);
        }
    }

    /// The location of a directory in the bucket.
    pub fn location(&self, directory: &str) -> String {
        format!("s3://{BUCKET}/{directory}")
    }

    /// Where that directory's objects are as files.
    pub fn path(&self, directory: &str) -> PathBuf {
        self.directory.path().join("data").join(BUCKET).join(directory)
    }

    /// The options that a job needs to reach it.
    pub fn options(&self) -> Vec<String> {
        [
            ("s3.endpoint", format!("http://127.0.0.1:{}", self.port)),
            ("s3.access-key", ACCESS_KEY.to_owned()),
            ("s3.secret-key", SECRET_KEY.to_owned()),
            ("eddyline.storage.retry-timeout", "1 s".to_owned()),
        ]
        .map(|(key, value)| format!("-D{key}={value}"))
        .into()
    }

    /// What must never be said.
    pub fn secret(&self) -> &'static str {
        SECRET_KEY
    }

    /// What storage has to be told to reach it.
    pub fn settings(&self) -> eddyline_storage::StorageSettings {
        eddyline_storage::StorageSettings {
            s3_endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            s3_access_key: Some(ACCESS_KEY.to_owned()),
            s3_secret_key: Some(SECRET_KEY.to_owned()),
            ..eddyline_storage::StorageSettings::default()
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}
