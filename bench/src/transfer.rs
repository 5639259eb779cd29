//! Large objects up and down, through presigned URLs: nothing is hashed here.

use crate::servers::{KEY, SECRET};
use anyhow::{Context as _, bail};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant, UNIX_EPOCH};
use trailbox_clock::Micros;
use trailbox_sigv4::{SignRequest, presign};

const ROOM: usize = 256 * 1024;
const EXPIRES: u32 = 3600;

/// Sends an object of `bytes` to `port`; how long it took until it was answered.
pub(crate) fn put(port: u16, name: &str, bytes: u64) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut stream = open(port, "PUT", &format!("/bench/{name}"), bytes)?;
    let zeros = vec![0; ROOM];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(ROOM).min(ROOM);
        stream.write_all(&zeros[..now])?;
        left -= now as u64;
    }
    finish(&mut stream, 0)?;
    Ok(begun.elapsed())
}

/// Fetches an object of `bytes` from `port`.
pub(crate) fn get(port: u16, bytes: u64) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut stream = open(port, "GET", &format!("/bench/bytes/{bytes}"), 0)?;
    finish(&mut stream, bytes)?;
    Ok(begun.elapsed())
}

// A signature carries the time at which it was made.
#[allow(clippy::disallowed_methods)]
fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn open(port: u16, method: &str, path: &str, bytes: u64) -> anyhow::Result<TcpStream> {
    let host = format!("127.0.0.1:{port}");
    let headers = [("host".to_owned(), host.clone())];
    let request = SignRequest {
        method,
        target: path,
        headers: &headers,
        body: b"",
        access_key_id: KEY,
        secret: SECRET,
        session_token: None,
        region: "us-east-1",
        service: "s3",
        now: now(),
    };
    let target = presign(request, EXPIRES);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Reads an answer that must be 200 with `bytes` of body.
fn finish(stream: &mut TcpStream, bytes: u64) -> anyhow::Result<()> {
    let mut room = vec![0; ROOM];
    let mut held = Vec::new();
    let end = loop {
        if let Some(end) = held.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
        let read = stream.read(&mut room)?;
        if read == 0 {
            bail!("no answer");
        }
        held.extend_from_slice(&room[..read]);
    };
    if !held.starts_with(b"HTTP/1.1 200") {
        bail!("answered {}", String::from_utf8_lossy(&held));
    }
    let mut left = bytes.checked_sub((held.len() - end) as u64).context("too much was answered")?;
    while left > 0 {
        let read = stream.read(&mut room)?;
        if read == 0 {
            bail!("{left} bytes of an object are missing");
        }
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}
