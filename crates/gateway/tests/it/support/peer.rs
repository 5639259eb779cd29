//! The ends of the wire: clients that write bytes, upstreams that answer them.

use bytes::BytesMut;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use trailbox_gateway::wire::{Framer, Framing, HeadLimits, Step, parse_request, parse_response};

/// Nothing in these tests takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `is_so`.
pub async fn eventually(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to pass");
}

/// Holds whoever waits at it, until it is opened for good.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub fn open(&self) {
        self.0.add_permits(1);
    }

    pub async fn opened(&self) {
        // Given back at once, for the next one.
        drop(self.0.acquire().await.unwrap());
    }
}

/// One message as it lay on the wire.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Everything, head and framing included.
    pub raw: Vec<u8>,
    /// The head alone.
    pub head: String,
    /// Status of an answer.
    pub status: u16,
    /// The payload.
    pub body: Vec<u8>,
    /// Whether it came to its end.
    pub whole: bool,
}

impl Message {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Peer {
    pub stream: TcpStream,
    pub buffer: BytesMut,
}

impl Peer {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).await.unwrap())
    }

    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    /// Writes all; a peer that is gone is noticed when reading.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap();
    }

    /// Reads once; 0 at the end.
    pub async fn fill(&mut self) -> usize {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        read.await.expect("a peer that moves").unwrap_or(0)
    }

    /// What comes within `time`.
    pub async fn come_within(&mut self, time: Duration) -> Vec<u8> {
        let _ = tokio::time::timeout(time, async { while self.fill().await != 0 {} }).await;
        self.buffer.to_vec()
    }

    /// Whether the other side closes now.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && self.fill().await == 0
    }

    /// The next answer that is not an interim one.
    pub async fn answer(&mut self, to_head: bool) -> Message {
        loop {
            let message = self.any_answer(to_head).await;
            if !(100..200).contains(&message.status) {
                return message;
            }
        }
    }

    /// The next answer, interim ones included.
    pub async fn any_answer(&mut self, to_head: bool) -> Message {
        let head = loop {
            if let Some(head) =
                parse_response(&mut self.buffer, to_head, HeadLimits::default()).unwrap()
            {
                break head;
            }
            if self.fill().await == 0 {
                return Message::default();
            }
        };
        let mut message = Message {
            raw: head.raw.to_vec(),
            head: String::from_utf8_lossy(&head.raw).into_owned(),
            status: head.head.status,
            ..Message::default()
        };
        self.body(&mut message, head.framing).await;
        message
    }

    /// The head of the next answer alone; what follows is no body.
    pub async fn head(&mut self) -> Message {
        loop {
            if let Some(head) =
                parse_response(&mut self.buffer, true, HeadLimits::default()).unwrap()
            {
                return Message { status: head.head.status, ..Message::default() };
            }
            if self.fill().await == 0 {
                return Message::default();
            }
        }
    }

    /// The head of the next request; `None` at the end of the connection.
    pub async fn request_head(&mut self) -> Option<(Message, Framing)> {
        loop {
            if let Some(request) =
                parse_request(&mut self.buffer, HeadLimits::default()).expect("a request")
            {
                let message = Message {
                    raw: request.raw.to_vec(),
                    head: String::from_utf8_lossy(&request.raw).into_owned(),
                    ..Message::default()
                };
                return Some((message, request.framing));
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    /// The next request, whole or broken off.
    pub async fn request(&mut self) -> Option<Message> {
        let (mut message, framing) = self.request_head().await?;
        self.body(&mut message, framing).await;
        Some(message)
    }

    pub async fn body(&mut self, message: &mut Message, framing: Framing) {
        let mut framer = Framer::new(framing);
        loop {
            match framer.step(&self.buffer).expect("framing") {
                Step::Payload(count) => {
                    let piece = self.buffer.split_to(count);
                    message.raw.extend_from_slice(&piece);
                    message.body.extend_from_slice(&piece);
                }
                Step::Framing(count) => message.raw.extend_from_slice(&self.buffer.split_to(count)),
                Step::Done => break,
                Step::NeedMore if self.fill().await == 0 => break,
                Step::NeedMore => {}
            }
        }
        message.whole = framer.may_end_here();
    }
}

/// A server that does with each connection what it is told.
#[derive(Debug)]
pub struct Upstream {
    pub address: SocketAddr,
    /// Whole requests as they came.
    pub seen: Arc<Mutex<Vec<Message>>>,
    /// Connections accepted.
    pub connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Runs `serve` for each connection, numbered from 0.
    pub async fn scripted<F, S>(serve: F) -> Self
    where
        F: Fn(usize, Peer) -> S + Send + Sync + 'static,
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
                tokio::spawn(serve(number, Peer::new(stream)));
            }
        });
        Self { address, seen: Arc::default(), connections, task }
    }

    /// Answers the first request of each connection when `gate` is open.
    pub async fn behind(gate: &Gate, answer: Vec<u8>) -> Self {
        let (gate, answer) = (gate.clone(), Arc::new(answer));
        Self::scripted(move |_, mut peer| {
            let (gate, answer) = (gate.clone(), Arc::clone(&answer));
            async move {
                peer.request().await;
                gate.opened().await;
                peer.write(&answer).await;
            }
        })
        .await
    }

    /// Waits until so many connections came.
    pub async fn connected(&self, count: usize) {
        eventually(|| count <= self.connections.load(Ordering::SeqCst)).await;
    }

    /// Answers every whole request with what `answer` makes of it.
    pub async fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let answer = Arc::new(answer);
        let mut upstream = Self::scripted(move |_, mut peer| {
            let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
            async move {
                while let Some(request) = peer.request().await {
                    let whole = request.whole;
                    let reply = answer(&request);
                    noted.lock().unwrap().push(request);
                    if !whole {
                        return;
                    }
                    peer.write(&reply).await;
                    if reply.starts_with(b"HTTP/1.0") {
                        return;
                    }
                }
            }
        })
        .await;
        upstream.seen = seen;
        upstream
    }

    /// Answers everything with an empty 200.
    pub async fn agreeable() -> Self {
        Self::answering(|_| super::ok("")).await
    }

    pub fn requests(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// The only request that came, whole or not.
    pub fn only(&self) -> Message {
        let requests = self.requests();
        assert_eq!(requests.len(), 1);
        requests[0].clone()
    }
}
