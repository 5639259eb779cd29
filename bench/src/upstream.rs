//! The trivial upstream: takes every body and answers at once.
//!
//! `GET …/bytes/N` is answered with N bytes; everything else with a small body
//! of the protocol that was spoken.

use anyhow::Context as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ROOM: usize = 256 * 1024;
const PATH: &str = "/bytes/";

struct Asked {
    head: usize,
    body: u64,
    answer: u64,
    expects: bool,
    kind: &'static str,
    text: &'static [u8],
}

/// Serves until the process is stopped.
pub(crate) async fn serve(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let zeros: Arc<[u8]> = vec![0; ROOM].into();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that goes away ends its connection only.
        tokio::spawn(connection(stream, Arc::clone(&zeros)));
    }
}

async fn connection(mut stream: TcpStream, zeros: Arc<[u8]>) -> anyhow::Result<()> {
    let mut held = Vec::with_capacity(ROOM);
    loop {
        let asked = loop {
            if let Some(asked) = parse(&held)? {
                break asked;
            }
            if stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        };
        held.drain(..asked.head);
        if asked.expects {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut left = asked.body;
        loop {
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(held.len());
            held.drain(..now);
            left -= now as u64;
            if left == 0 {
                break;
            }
            if stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        }
        answer(&mut stream, &asked, &zeros).await?;
    }
}

async fn answer(stream: &mut TcpStream, asked: &Asked, zeros: &[u8]) -> anyhow::Result<()> {
    let length = asked.text.len() as u64 + asked.answer;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\
         x-amz-request-id: 0123456789ABCDEF\r\n\r\n",
        asked.kind
    );
    let mut first = head.into_bytes();
    first.extend_from_slice(asked.text);
    stream.write_all(&first).await?;
    let mut left = asked.answer;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        stream.write_all(&zeros[..now]).await?;
        left -= now as u64;
    }
    Ok(())
}

fn parse(held: &[u8]) -> anyhow::Result<Option<Asked>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(head) = request.parse(held)? else { return Ok(None) };
    let field = |name: &str| {
        let found = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.map_or("", |field| std::str::from_utf8(field.value).unwrap_or(""))
    };
    let length = field("content-length");
    let body = if length.is_empty() { 0 } else { length.parse().context("content-length")? };
    let path = request.path.unwrap_or("").split('?').next().unwrap_or("");
    let method = request.method.unwrap_or("");
    let bytes = path.split_once(PATH).and_then(|(_, bytes)| bytes.parse().ok());
    let kind = field("content-type");
    let (kind, text): (_, &[u8]) = match kind {
        _ if method != "POST" && (method != "GET" || bytes.is_some()) => {
            ("application/octet-stream", b"")
        }
        kind if kind.starts_with("application/x-amz-json") => ("application/x-amz-json-1.1", b"{}"),
        "application/cbor" => ("application/cbor", b"\xa0"),
        _ => ("text/xml", b"<Answer><RequestId>0123456789ABCDEF</RequestId></Answer>"),
    };
    let answer = bytes.filter(|_| method == "GET").unwrap_or(0);
    let expects = field("expect").eq_ignore_ascii_case("100-continue");
    Ok(Some(Asked { head, body, answer, expects, kind, text }))
}
