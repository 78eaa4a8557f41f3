//! Hadoop's file system: a name node and a data node, whose jars come from Maven Central.

use super::daemon;
use crate::{Result, process};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const VERSION: &str = "3.4.2";
const COPY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// The name node; its page is one above, the data node's three ports follow ten above.
const PORT: u16 = 19_820;
const HEAP: &str = "-Xmx256m";
const NAME_NODE: &str = "org.apache.hadoop.hdfs.server.namenode.NameNode";
const DATA_NODE: &str = "org.apache.hadoop.hdfs.server.datanode.DataNode";
const READ_TIMEOUT: Duration = Duration::from_secs(2);

fn io<T>(outcome: std::io::Result<T>) -> Result<T> {
    outcome.map_err(|error| format!("cannot prepare HDFS: {error}"))
}

/// Installs and starts it; says where it is.
pub fn up(directory: &Path) -> Result<String> {
    install(directory)?;
    configure(directory)?;
    if !directory.join("name/current/VERSION").is_file() {
        let mut format = java(directory, &[NAME_NODE, "-format", "-nonInteractive", "-force"]);
        process::output(format.stderr(std::process::Stdio::null()))?;
    }
    daemon::start(directory, "name-node", &mut java(directory, &[NAME_NODE]))?;
    daemon::start(directory, "data-node", &mut java(directory, &[DATA_NODE]))?;
    daemon::wait_until_ready(directory, "name-node", is_operational)?;
    daemon::wait_until_ready(directory, "data-node", is_operational)?;
    Ok(format!("hdfs://127.0.0.1:{PORT}"))
}

/// What tests find in their environment.
pub fn environment() -> Vec<(&'static str, String)> {
    vec![("EDDYLINE_TEST_HDFS", format!("hdfs://127.0.0.1:{PORT}"))]
}

fn install(directory: &Path) -> Result<()> {
    daemon::require("java", &["-version"], "to run HDFS")?;
    let done = directory.join("lib").join(format!("complete-{VERSION}"));
    if done.is_file() {
        return Ok(());
    }
    daemon::require("mvn", &["--version"], "to fetch HDFS")?;
    eprintln!("xtask: fetching HDFS {VERSION} (65 MB, once)");
    io(fs::create_dir_all(directory))?;
    let pom = directory.join("pom.xml");
    io(fs::write(&pom, project()))?;
    let mut command = Command::new("mvn");
    command.args(["-B", "-q", "-ntp", "-f"]).arg(&pom).arg(COPY_PLUGIN).arg("-DincludeScope=runtime");
    command.arg(format!("-DoutputDirectory={}", directory.join("lib").display()));
    process::run(&mut command)?;
    io(fs::write(done, ""))
}

/// A project that needs nothing but the daemons.
fn project() -> String {
    let mut dependencies = String::new();
    for artifact in ["hadoop-common", "hadoop-hdfs", "hadoop-hdfs-client"] {
        let _ = writeln!(
            dependencies,
            "<dependency><groupId>org.apache.hadoop</groupId><artifactId>{artifact}</artifactId>\
             <version>{VERSION}</version></dependency>"
        );
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>dev.eddyline</groupId><artifactId>hdfs</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>\n{dependencies}</dependencies></project>\n"
    )
}

fn configure(directory: &Path) -> Result<()> {
    let conf = directory.join("conf");
    // The jars lack the folders that the daemons' own web pages are in; empty ones do.
    for page in ["hdfs", "datanode", "static"] {
        io(fs::create_dir_all(conf.join("webapps").join(page)))?;
    }
    let place = |name: &str| format!("file://{}", directory.join(name).display());
    let local = |port: u16| format!("127.0.0.1:{port}");
    let core = [
        ("fs.defaultFS", format!("hdfs://127.0.0.1:{PORT}")),
        ("hadoop.tmp.dir", directory.join("tmp").display().to_string()),
    ];
    let hdfs = [
        ("dfs.replication", "1".to_owned()),
        ("dfs.namenode.name.dir", place("name")),
        ("dfs.namenode.rpc-address", local(PORT)),
        ("dfs.namenode.http-address", local(PORT + 1)),
        ("dfs.namenode.datanode.registration.ip-hostname-check", "false".to_owned()),
        ("dfs.namenode.safemode.extension", "0".to_owned()),
        ("dfs.namenode.safemode.min.datanodes", "1".to_owned()),
        ("dfs.permissions.enabled", "true".to_owned()),
        ("dfs.heartbeat.interval", "1".to_owned()),
        ("dfs.blockreport.initialDelay", "0".to_owned()),
        ("dfs.datanode.data.dir", place("data")),
        ("dfs.datanode.hostname", "127.0.0.1".to_owned()),
        ("dfs.datanode.address", local(PORT + 10)),
        ("dfs.datanode.http.address", local(PORT + 11)),
        ("dfs.datanode.ipc.address", local(PORT + 12)),
    ];
    io(fs::write(conf.join("core-site.xml"), properties(&core)))?;
    io(fs::write(conf.join("hdfs-site.xml"), properties(&hdfs)))?;
    let log = "log4j.rootLogger=WARN,console\n\
               log4j.appender.console=org.apache.log4j.ConsoleAppender\n\
               log4j.appender.console.target=System.err\n\
               log4j.appender.console.layout=org.apache.log4j.PatternLayout\n\
               log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n\n";
    io(fs::write(conf.join("log4j.properties"), log))
}

fn properties(properties: &[(&str, String)]) -> String {
    let mut text = "<configuration>\n".to_owned();
    for (name, value) in properties {
        let _ = writeln!(text, "<property><name>{name}</name><value>{value}</value></property>");
    }
    text + "</configuration>\n"
}

fn java(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("java");
    command.args([HEAP, "--add-opens=java.base/java.lang=ALL-UNNAMED", "-Djava.net.preferIPv4Stack=true"]);
    command.arg("-Djava.awt.headless=true");
    command.arg(format!("-Dhadoop.home.dir={}", directory.display()));
    command.arg(format!("-Dhadoop.log.dir={}", directory.display()));
    let classes = format!("{}:{}/*", directory.join("conf").display(), directory.join("lib").display());
    command.arg("-cp").arg(classes).args(arguments);
    command
}

/// Whether the name node has left its safe mode and has its data node.
fn is_operational() -> bool {
    let page = page("/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState").unwrap_or_default();
    page.contains("\"FSState\" : \"Operational\"") && page.contains("\"NumLiveDataNodes\" : 1,")
}

fn page(path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", PORT + 1))?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
