//! As much of HTTP as the demo's site, its visitors and queries need.

use eddyline_core::{Error, Result};
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest line of a header that is read, in bytes.
const HEADER_BYTES_MAX: u64 = 16 << 10;
/// How long a server has to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request to the demo's site. What the site should answer and log is in headers of the demo's own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SiteRequest {
    /// Method, target and protocol; of a request that is none, what was sent.
    pub line: String,
    /// The address of the client.
    pub client: String,
    /// The time it is for the client.
    pub time: String,
    /// The status to answer with.
    pub status: u16,
    /// The size of the body to answer with.
    pub body_bytes: usize,
    /// Where the client came from.
    pub referer: String,
    /// What the client says it is.
    pub agent: String,
    /// Whether this is no request of HTTP.
    pub is_broken: bool,
}

/// Appends a request.
pub fn write_request(out: &mut Vec<u8>, request: &SiteRequest) {
    let SiteRequest { line, client, time, status, body_bytes, referer, agent, .. } = request;
    let headers = format!(
        "{line}\r\nhost: demo\r\nx-forwarded-for: {client}\r\nx-demo-time: {time}\r\nx-demo-answer: {status} {body_bytes}\r\nreferer: {referer}\r\nuser-agent: {agent}\r\n\r\n"
    );
    out.extend_from_slice(headers.as_bytes());
}

/// Appends something that is no request: the site logs what it got.
pub fn write_broken(out: &mut Vec<u8>, line: &[u8]) {
    let line = String::from_utf8_lossy(line);
    out.extend_from_slice(format!("{line}\r\nx-demo-broken: yes\r\n\r\n").as_bytes());
}

/// A line without its line end; none at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(HEADER_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// Reads a request; none at the end of the stream.
///
/// # Errors
/// If the client is gone, or sends nothing for long.
pub fn read_request(reader: &mut impl BufRead) -> io::Result<Option<SiteRequest>> {
    let Some(line) = read_line(reader)? else { return Ok(None) };
    let mut request = SiteRequest { line, status: 400, ..SiteRequest::default() };
    while let Some(header) = read_line(reader)?.filter(|header| !header.is_empty()) {
        let Some((name, value)) = header.split_once(": ") else { continue };
        match name {
            "x-forwarded-for" => value.clone_into(&mut request.client),
            "x-demo-time" => value.clone_into(&mut request.time),
            "referer" => value.clone_into(&mut request.referer),
            "user-agent" => value.clone_into(&mut request.agent),
            "x-demo-broken" => request.is_broken = true,
            "x-demo-answer" => {
                let mut parts = value.split(' ');
                request.status = parts.next().and_then(|part| part.parse().ok()).unwrap_or(500);
                request.body_bytes = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
            }
            _ => {}
        }
    }
    Ok(Some(request))
}

/// Reads an answer, and forgets it.
///
/// # Errors
/// If the server is gone.
pub fn skip_answer(reader: &mut impl BufRead) -> io::Result<()> {
    let mut length = 0;
    loop {
        let line = read_line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink()).map(|_| ())
}

/// Asks the server at `address` for `target`; has `each` take the body as it comes. Answers the status.
///
/// # Errors
/// If there is no server, or what it says is no HTTP.
pub fn get(
    address: &str,
    target: &str,
    token: Option<&str>,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u16> {
    let failed = |error: io::Error| {
        Error::network(format!("cannot ask the server: {error}"))
            .with_detail(address.to_owned())
            .with_hint("start `eddyline logs` with --listen, or give another address by --server")
    };
    let mut connection = TcpStream::connect(address).map_err(failed)?;
    connection.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let authorization = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
    // By version 1.0 the answer ends with the connection, and has no chunks.
    let request = format!("GET {target} HTTP/1.0\r\nhost: {address}\r\n{authorization}\r\n");
    connection.write_all(request.as_bytes()).map_err(failed)?;
    let mut reader = io::BufReader::new(connection);
    let first = read_line(&mut reader).map_err(failed)?.unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| failed(io::Error::other("it does not speak HTTP")))?;
    while read_line(&mut reader).map_err(failed)?.is_some_and(|header| !header.is_empty()) {}
    let mut part = vec![0; 64 << 10];
    loop {
        match reader.read(&mut part).map_err(failed)? {
            0 => return Ok(status),
            length => each(&part[..length]).map_err(failed)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_were_written() {
        let request = SiteRequest {
            line: "GET /a?b HTTP/1.1".into(),
            client: "::1".into(),
            time: "17/May/2015:10:05:03 +0000".into(),
            status: 404,
            body_bytes: 17,
            referer: "-".into(),
            agent: "curl".into(),
            is_broken: false,
        };
        let mut bytes = Vec::new();
        write_request(&mut bytes, &request);
        write_broken(&mut bytes, b"nonsense");
        let mut reader = bytes.as_slice();
        assert_eq!(read_request(&mut reader).unwrap(), Some(request));
        let broken = read_request(&mut reader).unwrap().unwrap();
        assert_eq!((broken.line.as_str(), broken.is_broken), ("nonsense", true));
        assert_eq!(read_request(&mut reader).unwrap(), None);
    }
}
