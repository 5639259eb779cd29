//! Upstreams that speak HTTP/2: one connection, many calls.
//!
//! A call gets one end of a pipe, as if it were a connection of its own; a task
//! at the other end turns its bytes into a stream. Nothing is ever sent twice:
//! a connection that cannot take another stream is noticed before one is lent,
//! and what fails afterwards is the call's to report, with its [`Fate`].

use super::bodies::{self, Poured};
use super::{Broken, PIPE_BYTES, SEND_BUFFER, UPSTREAM_WINDOWS, heads};
use crate::io::Io;
use crate::wire::{Framer, Framing, HeadLimits, parse_request};
use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;

/// Fields of one head; our own reader has looked already.
const HEADERS_MAX: usize = 256;
/// What a head may have grown by since it was read.
const HEAD_SLACK: usize = 64 * 1024;

/// How streams to one upstream are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// The scheme is `https`.
    pub(crate) tls: bool,
    /// Longest a connection without calls is kept.
    pub(crate) idle_timeout: Duration,
    /// Longest a peer may leave bytes unread.
    pub(crate) stall_timeout: Duration,
    /// Largest head of an answer, in bytes.
    pub(crate) head_bytes_max: usize,
}

/// Why an exchange failed; set before its pipe ends, and only then.
#[derive(Debug, Default)]
pub(crate) struct Fate(OnceLock<Fault>);

/// What went wrong with a stream.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What the peer or the library says.
    pub(crate) reason: String,
    /// The peer cannot have acted on the request.
    pub(crate) unprocessed: bool,
}

impl Fate {
    /// What went wrong, if something did.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.0.get()
    }

    fn set(&self, error: &Broken, sent: bool) {
        let unprocessed = match error {
            Broken::Stream(error) if error.is_remote() => {
                // A peer that goes away names the last stream it looked at; only
                // those behind it end this way.
                error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM)
            }
            Broken::Stream(_)
            | Broken::Pipe(_)
            | Broken::Stalled
            | Broken::Head(_)
            | Broken::Framing(_)
            | Broken::Untold(_) => !sent,
        };
        // Set once, by the one task of the exchange.
        let _ = self.0.set(Fault { reason: error.to_string(), unprocessed });
    }
}

/// A stream lent to one call.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) pipe: DuplexStream,
    pub(crate) fate: Arc<Fate>,
}

/// The open connections to one upstream.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Vec<Open>>,
    terms: Terms,
}

#[derive(Debug)]
struct Open {
    requests: SendRequest<Bytes>,
    /// Held once here and once by each call under way.
    calls: Arc<()>,
    /// When it is too old to be used, if no call is under way.
    stale_at: Instant,
}

impl Connections {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { open: Mutex::default(), terms }
    }

    /// A stream on a connection that is open and has room for one.
    pub(crate) async fn lease(&self) -> Option<Stream> {
        loop {
            let (requests, calls) = self.pick()?;
            match requests.ready().await {
                Ok(requests) => return Some(begin(requests, calls, self.terms)),
                // Nothing was sent: another one may be tried.
                Err(_) => self.held().retain(|open| !Arc::ptr_eq(&open.calls, &calls)),
            }
        }
    }

    /// Begins HTTP/2 on a fresh connection and lends its first stream.
    pub(crate) async fn open(&self, io: Io) -> std::io::Result<Stream> {
        io.watch_over();
        let (requests, connection) = h2::client::Builder::new()
            .enable_push(false)
            .max_header_list_size(u32::try_from(self.terms.head_bytes_max).unwrap_or(u32::MAX))
            .initial_window_size(UPSTREAM_WINDOWS.0)
            .initial_connection_window_size(UPSTREAM_WINDOWS.1)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(io)
            .await
            .map_err(std::io::Error::other)?;
        // It ends when the peer does, or when nobody holds a sender any more.
        tokio::spawn(connection);
        let requests = requests.ready().await.map_err(std::io::Error::other)?;
        let calls = Arc::new(());
        let stream = begin(requests.clone(), Arc::clone(&calls), self.terms);
        let stale_at = Instant::now() + self.terms.idle_timeout;
        self.held().push(Open { requests, calls, stale_at });
        Ok(stream)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pick(&self) -> Option<(SendRequest<Bytes>, Arc<()>)> {
        let now = Instant::now();
        let mut held = self.held();
        held.retain(|open| 1 < Arc::strong_count(&open.calls) || now < open.stale_at);
        let open = held.iter_mut().find(|open| {
            // Its own reference stands for the call to come.
            Arc::strong_count(&open.calls) <= open.requests.current_max_send_streams()
        })?;
        open.stale_at = now + self.terms.idle_timeout;
        Some((open.requests.clone(), Arc::clone(&open.calls)))
    }
}

/// Starts the task at the far end of a call's pipe.
fn begin(requests: SendRequest<Bytes>, calls: Arc<()>, terms: Terms) -> Stream {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let fate = Arc::new(Fate::default());
    let told = Arc::clone(&fate);
    tokio::spawn(async move {
        exchange(far, requests, terms, &told).await;
        drop(calls);
    });
    Stream { pipe: near, fate }
}

/// One exchange: the request out of the pipe, the answer into it. A failure is
/// told before the pipe ends.
async fn exchange(
    mut pipe: DuplexStream,
    mut requests: SendRequest<Bytes>,
    terms: Terms,
    fate: &Fate,
) {
    let mut buffer = BytesMut::new();
    let begun = match ask(&mut pipe, &mut buffer, &mut requests, terms).await {
        Ok(Some(begun)) => begun,
        // It was lent and not used.
        Ok(None) => return,
        Err(error) => return fate.set(&error, false),
    };
    let Begun { framing, to_head, answer, stream } = begun;
    let (mut from, mut into) = tokio::io::split(pipe);
    let outcome = {
        let asking = rest(framing, &mut buffer, &mut from, stream, terms.stall_timeout);
        let answering = bring(answer, &mut into, to_head);
        let (mut asking, mut answering) = (std::pin::pin!(asking), std::pin::pin!(answering));
        tokio::select! {
            answered = &mut answering => answered,
            // What the peer did to the stream shows in its answer, too.
            ended = &mut asking => if matches!(ended, Broken::Stream(_)) {
                answering.await
            } else {
                // The call gave up. What is dropped unfinished here is reset.
                Err(ended)
            },
        }
    };
    if let Err(error) = outcome {
        fate.set(&error, true);
    }
}

/// A request whose head is sent.
struct Begun {
    framing: Framing,
    to_head: bool,
    answer: ResponseFuture,
    stream: SendStream<Bytes>,
}

/// Reads the head and sends it; `None` when none came.
async fn ask(
    pipe: &mut DuplexStream,
    buffer: &mut BytesMut,
    requests: &mut SendRequest<Bytes>,
    terms: Terms,
) -> Result<Option<Begun>, Broken> {
    let limits =
        HeadLimits { bytes_max: terms.head_bytes_max + HEAD_SLACK, headers_max: HEADERS_MAX };
    let head = loop {
        match parse_request(buffer, limits)? {
            Some(head) => break head,
            None if bodies::read(buffer, pipe).await? == 0 => return Ok(None),
            None => {}
        }
    };
    let framing = head.framing;
    let request = heads::request(&head, terms.tls)?;
    let (answer, stream) = requests.send_request(request, framing == Framing::Length(0))?;
    Ok(Some(Begun { framing, to_head: head.head.method == "HEAD", answer, stream }))
}

/// Sends the body, its end only when the call wrote it to its end, and then sees
/// to it that somebody waits for the answer. Says why that is over.
async fn rest(
    framing: Framing,
    buffer: &mut BytesMut,
    pipe: &mut (impl tokio::io::AsyncRead + Unpin),
    mut stream: SendStream<Bytes>,
    patience: Duration,
) -> Broken {
    if framing != Framing::Length(0) {
        let framer = Framer::new(framing);
        match bodies::pour(framer, buffer, pipe, &mut stream, patience).await {
            Ok(Poured::Whole) => {}
            Ok(Poured::PipeEnded) => return Broken::early_end(),
            Err(error) => return error,
        }
    }
    loop {
        buffer.clear();
        match bodies::read(buffer, pipe).await {
            // Nothing belongs there: a stream is one exchange.
            Ok(1..) => {}
            Ok(_) => return Broken::early_end(),
            Err(error) => return error,
        }
    }
}

/// Writes the answer into the pipe.
async fn bring(
    mut answer: ResponseFuture,
    pipe: &mut (impl AsyncWrite + Unpin),
    to_head: bool,
) -> Result<(), Broken> {
    let head = loop {
        match std::future::poll_fn(|context| next_head(&mut answer, context)).await? {
            Head::Interim(head) => {
                let parts = head.into_parts().0;
                pipe.write_all(&heads::response_text(&parts, true, to_head).text).await?;
            }
            Head::Final(head) => break head,
        }
    };
    let (parts, mut body) = head.into_parts();
    let ended = body.is_end_stream();
    let head = heads::response_text(&parts, ended, to_head);
    pipe.write_all(&head.text).await?;
    if !ended && !to_head {
        bodies::draw(&mut body, pipe, head.chunked).await?;
    }
    pipe.shutdown().await?;
    Ok(())
}

enum Head {
    Interim(http::Response<()>),
    Final(http::Response<h2::RecvStream>),
}

fn next_head(
    answer: &mut ResponseFuture,
    context: &mut Context<'_>,
) -> Poll<Result<Head, h2::Error>> {
    if let Poll::Ready(Some(interim)) = answer.poll_informational(context) {
        return Poll::Ready(interim.map(Head::Interim));
    }
    Poll::Ready(ready!(Pin::new(answer).poll(context)).map(Head::Final))
}
