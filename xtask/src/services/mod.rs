//! `cargo xtask services`: real servers to test against, installed at pinned versions and started for this checkout
//! alone. Programs, data, logs and process numbers are below `target/services`; everything listens on the loopback
//! interface only.

mod daemon;
mod hdfs;
mod s3;

use crate::{Result, cargo};
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// What is to be done with services.
#[derive(Subcommand)]
pub enum ServicesCommand {
    /// Install what is missing, start the services and wait until they are ready.
    Up {
        /// Which ones; all if none is given.
        names: Vec<Service>,
    },
    /// Stop services; their data stays.
    Down {
        /// Which ones; all if none is given.
        names: Vec<Service>,
    },
    /// Say which ones run, and where.
    Status {
        /// Which ones; all if none is given.
        names: Vec<Service>,
    },
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// An S3 server: versitygw.
    S3,
    /// Hadoop's file system: a name node and a data node.
    Hdfs,
}

const ALL: [Service; 2] = [Service::S3, Service::Hdfs];

impl Service {
    fn name(self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::Hdfs => "hdfs",
        }
    }

    fn directory(self) -> PathBuf {
        target_directory().join("services").join(self.name())
    }

    /// Installs and starts it; says where it is.
    pub fn up(self) -> Result<String> {
        match self {
            Service::S3 => s3::up(&self.directory()),
            Service::Hdfs => hdfs::up(&self.directory()),
        }
    }

    /// Stops it.
    pub fn down(self) -> Result<()> {
        daemon::stop_all(&self.directory())
    }

    /// What programs that test against it find in their environment.
    pub fn environment(self) -> Vec<(&'static str, String)> {
        match self {
            Service::S3 => s3::environment(&self.directory()),
            Service::Hdfs => hdfs::environment(),
        }
    }
}

/// Where Cargo puts what it builds.
fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| cargo::root().join("target"), PathBuf::from)
}

/// Does what is asked for.
pub fn run(command: ServicesCommand) -> Result<()> {
    let or_all = |names: Vec<Service>| if names.is_empty() { ALL.to_vec() } else { names };
    match command {
        ServicesCommand::Up { names } => {
            for service in or_all(names) {
                println!("{}: {}", service.name(), service.up()?);
                for (name, value) in service.environment() {
                    println!("    {name}={value}");
                }
            }
        }
        ServicesCommand::Down { names } => {
            for service in or_all(names) {
                service.down()?;
                println!("{}: stopped", service.name());
            }
        }
        ServicesCommand::Status { names } => {
            for service in or_all(names) {
                let running = daemon::running(&service.directory());
                let text = if running.is_empty() { "does not run".to_owned() } else { running.join(", ") };
                println!("{}: {text}", service.name());
            }
        }
    }
    Ok(())
}
