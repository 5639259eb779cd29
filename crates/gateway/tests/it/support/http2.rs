//! Clients and servers that speak HTTP/2.

use super::Ask;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use trailbox_clock::Micros;

/// Nothing in these tests takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection in HTTP/2.
pub struct Http2 {
    pub requests: SendRequest<Bytes>,
    pub connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// An answer as far as it came.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    /// Why it did not come to its end.
    pub reset: Option<Reason>,
    pub whole: bool,
}

impl Http2 {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = h2::client::handshake(io).await.unwrap();
        Self { requests, connection: tokio::spawn(connection) }
    }

    /// Sends `ask` signed, and brings the answer.
    pub async fn call(&mut self, ask: &Ask, now: Micros) -> Reply {
        let added = trailbox_sigv4::sign(ask.request(now));
        let (answer, mut stream) = self.begin(ask, &added, ask.body.is_empty()).await;
        if !ask.body.is_empty() {
            pour(&mut stream, &ask.body, true).await;
        }
        Reply::read(answer).await
    }

    /// Sends a head alone.
    pub async fn begin(
        &mut self,
        ask: &Ask,
        added: &[(String, String)],
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let fields: Vec<_> = ask.headers.iter().chain(added).collect();
        let host = &fields.iter().find(|(name, _)| name == "Host").unwrap().1;
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("http://{host}{}", ask.target))
            .version(http::Version::HTTP_2);
        for (name, value) in fields.iter().filter(|(name, _)| name != "Host") {
            request = request.header(name, value);
        }
        if !ask.body.is_empty() {
            request = request.header("content-length", ask.body.len());
        }
        self.send(request.body(()).unwrap(), end).await
    }

    pub async fn send(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        std::future::poll_fn(|context| self.requests.poll_ready(context)).await.unwrap();
        self.requests.send_request(request, end).unwrap()
    }

    /// An unsigned request without a body.
    pub async fn get(&mut self, target: &str) -> Reply {
        let (answer, _) = self.begin(&Ask::new("GET", "s3", target), &[], true).await;
        Reply::read(answer).await
    }
}

/// Sends `body` as the windows allow.
pub async fn pour(stream: &mut SendStream<Bytes>, body: &[u8], end: bool) {
    let mut left = Bytes::copy_from_slice(body);
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context));
        let Ok(Some(Ok(room))) = tokio::time::timeout(PATIENCE, room).await else { return };
        let piece = left.split_to(room.min(left.len()));
        if stream.send_data(piece, end && left.is_empty()).is_err() {
            return;
        }
    }
}

impl Reply {
    pub async fn read(answer: ResponseFuture) -> Self {
        let mut reply = Self::default();
        let reading = reply.fill(answer);
        let outcome = tokio::time::timeout(PATIENCE, reading).await.expect("a peer that moves");
        if let Err(error) = outcome {
            (reply.reset, reply.whole) = (error.reason(), false);
        }
        reply
    }

    async fn fill(&mut self, answer: ResponseFuture) -> Result<(), h2::Error> {
        let (head, mut body) = answer.await?.into_parts();
        (self.status, self.headers) = (head.status.as_u16(), head.headers);
        self.rest(&mut body).await
    }

    pub async fn rest(&mut self, body: &mut RecvStream) -> Result<(), h2::Error> {
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            self.body.extend_from_slice(&piece);
        }
        self.trailers = body.trailers().await?;
        self.whole = true;
        Ok(())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A stream as a server has it.
pub type Served = (Request<RecvStream>, SendResponse<Bytes>);

/// A server that knows beforehand that HTTP/2 is spoken.
pub struct Http2Server {
    pub address: SocketAddr,
    /// Connections accepted.
    pub connections: Arc<AtomicUsize>,
    /// Heads that came.
    pub seen: Arc<Mutex<Vec<http::request::Parts>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Http2Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Http2Server {
    /// Runs `serve` for each connection, numbered from 0.
    pub async fn scripted<F, S>(serve: F) -> Self
    where
        F: Fn(usize, Connection<TcpStream, Bytes>) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                if let Ok(connection) = h2::server::handshake(stream).await {
                    tokio::spawn(serve(number, connection));
                }
            }
        });
        Self { address, connections, seen: Arc::default(), task }
    }

    /// Runs `serve` for each stream.
    pub async fn streams<F, S>(serve: F) -> Self
    where
        F: Fn(Served) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<http::request::Parts>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let serve = Arc::new(serve);
        let mut server = Self::scripted(move |_, mut connection| {
            let (noted, serve) = (Arc::clone(&noted), Arc::clone(&serve));
            async move {
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let (parts, body) = request.into_parts();
                    noted.lock().unwrap().push(parts.clone());
                    tokio::spawn(serve((Request::from_parts(parts, body), respond)));
                }
            }
        })
        .await;
        server.seen = seen;
        server
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}
