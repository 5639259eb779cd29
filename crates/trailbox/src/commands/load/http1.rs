//! One HTTP/1.1 connection, as cheap as it can be: the request is bytes, of the
//! answer only the status and where it ends are read.
//!
//! Absent: pipelining and redirects. Start at [`Http1::call`].

use super::sign::Signed;
use super::{Acknowledged, Broken};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Largest head of an answer.
const HEAD_MAX: usize = 64 * 1024;
/// Most fields of a head.
const FIELDS_MAX: usize = 100;
/// Room asked for in one read.
const READ: usize = 16 * 1024;
/// Of a body so much is kept, to tell a refusal by the recorder from an answer.
const KEPT_MAX: usize = 4096;

/// A stream of either kind, plain or TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection between two calls.
pub(super) struct Http1 {
    stream: Box<dyn Stream>,
    held: Vec<u8>,
}

/// Where the body of an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(u64),
    Chunked,
    UntilClose,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Length,
    bytes: usize,
    close: bool,
}

impl Http1 {
    pub(super) fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, held: Vec::with_capacity(READ) }
    }

    /// Sends a call and reads its answer to the end.
    ///
    /// # Errors
    ///
    /// When the connection ends or says what is no HTTP; it is of no more use.
    pub(super) async fn call(&mut self, request: &Signed) -> Result<Acknowledged, Broken> {
        self.stream.write_all(&request.to_http1()).await?;
        self.stream.flush().await?;
        let head = loop {
            let head = self.head(request.method == "HEAD").await?;
            self.held.drain(..head.bytes);
            // 1xx goes before the answer.
            if head.status >= 200 {
                break head;
            }
        };
        let mut kept = Vec::new();
        match head.length {
            Length::Known(bytes) => self.take(bytes, &mut kept).await?,
            Length::Chunked => self.chunks(&mut kept).await?,
            Length::UntilClose => {
                while self.fill().await? > 0 {
                    self.held.clear();
                }
            }
        }
        let close = head.close || head.length == Length::UntilClose;
        Ok(Acknowledged { status: head.status, body: kept, close })
    }

    async fn head(&mut self, bodiless: bool) -> Result<Head, Broken> {
        loop {
            if let Some(head) = parse(&self.held, bodiless)? {
                return Ok(head);
            }
            if self.held.len() > HEAD_MAX || self.fill().await? == 0 {
                return Err(Broken);
            }
        }
    }

    async fn fill(&mut self) -> Result<usize, Broken> {
        self.held.reserve(READ);
        Ok(self.stream.read_buf(&mut self.held).await?)
    }

    async fn take(&mut self, bytes: u64, kept: &mut Vec<u8>) -> Result<(), Broken> {
        let mut left = bytes;
        while left > 0 {
            if self.held.is_empty() && self.fill().await? == 0 {
                return Err(Broken);
            }
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(self.held.len());
            let keep = now.min(KEPT_MAX.saturating_sub(kept.len()));
            kept.extend_from_slice(&self.held[..keep]);
            self.held.drain(..now);
            left -= now as u64;
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.held[..end]).trim().to_owned();
                self.held.drain(..=end);
                return Ok(line);
            }
            if self.held.len() > HEAD_MAX || self.fill().await? == 0 {
                return Err(Broken);
            }
        }
    }

    async fn chunks(&mut self, kept: &mut Vec<u8>) -> Result<(), Broken> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| Broken)?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.take(size, kept).await?;
            self.line().await?;
        }
    }
}

fn parse(bytes: &[u8], bodiless: bool) -> Result<Option<Head>, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(end) = answer.parse(bytes).map_err(|_| Broken)? else {
        return Ok(None);
    };
    let status = answer.code.ok_or(Broken)?;
    let mut length = Length::UntilClose;
    let mut close = false;
    for field in answer.headers.iter() {
        let value = std::str::from_utf8(field.value).unwrap_or_default().trim();
        if field.name.eq_ignore_ascii_case("content-length") && length != Length::Chunked {
            length = Length::Known(value.parse().map_err(|_| Broken)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            length = Length::Chunked;
        } else if field.name.eq_ignore_ascii_case("connection") {
            close = value.eq_ignore_ascii_case("close");
        }
    }
    if bodiless || status < 200 || matches!(status, 204 | 304) {
        length = Length::Known(0);
    }
    Ok(Some(Head { status, length, bytes: end, close }))
}

#[cfg(test)]
mod tests {
    use super::super::sign::Signed;
    use super::Http1;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn answered(answer: &'static [u8], method: &'static str) -> Option<(u16, Vec<u8>, bool)> {
        let (near, mut far) = tokio::io::duplex(64);
        let request = Signed { method, target: "/".into(), headers: Vec::new(), body: Vec::new() };
        let server = tokio::spawn(async move {
            let mut asked = [0; 18];
            far.read_exact(&mut asked).await.unwrap();
            far.write_all(answer).await.unwrap();
        });
        let told = Http1::new(Box::new(near)).call(&request).await.ok();
        server.abort();
        told.map(|told| (told.status, told.body, told.close))
    }

    #[tokio::test]
    async fn an_answer_counts_only_when_its_end_was_seen() {
        let whole = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "GET").await;
        assert_eq!(whole, Some((200, b"abc".to_vec(), false)));
        let cut = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc", "GET").await;
        assert_eq!(cut, None);
        let chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nConnection: close\r\n\
            Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nt: v\r\n\r\n";
        assert_eq!(answered(chunked, "GET").await, Some((404, b"abc".to_vec(), true)));
        let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n";
        assert_eq!(answered(cut, "GET").await, None);
        let close = answered(b"HTTP/1.1 200 OK\r\n\r\nabc", "GET").await;
        assert_eq!(close, Some((200, Vec::new(), true)));
    }

    #[tokio::test]
    async fn the_answer_to_head_has_no_body() {
        let told = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "HEAD ").await;
        assert_eq!(told, None, "only HEAD itself has none");
        let told = answered(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "HEAD").await;
        assert_eq!(told, Some((200, Vec::new(), false)));
    }
}
