//! Clients that speak HTTP/2: each stream is a connection of one call.

use super::bodies::{self, Poured};
use super::{Broken, CLIENT_WINDOWS, PIPE_BYTES, SEND_BUFFER, heads};
use crate::connection::{self, After, Origin};
use crate::cut::until_cut;
use crate::io::{Io, part};
use crate::observe;
use crate::room::Seat;
use crate::shared::Shared;
use crate::wire::{Framer, Framing, parse_response};
use bytes::{Bytes, BytesMut};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Method, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Streams a client may reset before we looked at them; one more ends the
/// connection (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// Errors on streams that the client may cause; one more ends the connection.
const ERRORS_MAX: usize = 200;
/// Longest a connection without calls may take to close.
const LINGER: Duration = Duration::from_secs(2);

/// A request that came, and the way to answer it.
type Stream = (Request<RecvStream>, SendResponse<Bytes>);

/// Serves one connection until either side has enough; calls under way come to
/// their records whatever becomes of it.
pub(crate) async fn serve<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Arc<Shared>,
    io: T,
    origin: Origin,
    seat: &Seat,
    mut stopping: watch::Receiver<bool>,
) {
    let limits = &shared.config.limits;
    let most = limits.http2_streams_max.max(1);
    let opening = h2::server::Builder::new()
        .max_concurrent_streams(most)
        .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
        .initial_window_size(CLIENT_WINDOWS.0)
        .initial_connection_window_size(CLIENT_WINDOWS.1)
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX))
        .handshake::<T, Bytes>(io);
    let mut connection = match tokio::time::timeout(limits.head_timeout, opening).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return reject(&origin, &error),
        Err(_) => return,
    };
    let mut calls = JoinSet::new();
    let mut leaving = std::pin::pin!(seat.asked_to_leave());
    let mut closing = false;
    let mut close_at = Instant::now() + limits.idle_timeout;
    loop {
        let room = calls.len() < most as usize;
        tokio::select! {
            next = std::future::poll_fn(|context| next(&mut connection, room, context)) => {
                match next {
                    Some(Ok(stream)) => {
                        seat.works();
                        begin(shared, &origin, &mut calls, stream);
                    }
                    Some(Err(error)) => {
                        reject(&origin, &error);
                        break;
                    }
                    None => break,
                }
            }
            Some(_) = calls.join_next() => {
                let patience = if closing { limits.shutdown_deadline } else { limits.idle_timeout };
                close_at = Instant::now() + patience;
                if calls.is_empty() {
                    seat.waits();
                }
            }
            () = &mut leaving, if !closing => {
                connection.graceful_shutdown();
                (closing, close_at) = (true, Instant::now() + LINGER);
            }
            _ = stopping.wait_for(|stop| *stop), if !closing => {
                connection.graceful_shutdown();
                (closing, close_at) = (true, Instant::now() + limits.shutdown_deadline);
            }
            () = tokio::time::sleep_until(close_at), if calls.is_empty() => {
                if closing {
                    break;
                }
                connection.graceful_shutdown();
                (closing, close_at) = (true, Instant::now() + LINGER);
            }
        }
    }
    drop(connection);
    while calls.join_next().await.is_some() {}
}

/// The next stream while there is `room` for its call; the connection goes on in
/// any case. `None` when it is over.
fn next<T: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<T, Bytes>,
    room: bool,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Stream, h2::Error>>> {
    if room {
        return connection.poll_accept(context);
    }
    connection.poll_closed(context).map(|closed| closed.err().map(Err))
}

/// Tells of a peer that breaks the rules; one that is merely gone is no news.
fn reject(origin: &Origin, error: &h2::Error) {
    if error.is_library() {
        observe::RequestRejected { peer: origin.peer, reason: "http2", error }.emit();
    }
}

/// Starts the call of one stream.
fn begin(
    shared: &Arc<Shared>,
    origin: &Origin,
    calls: &mut JoinSet<()>,
    (request, mut respond): Stream,
) {
    let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
        // The client knows from the code that nothing was done.
        metrics::counter!(observe::REFUSED, "reason" => "streams").increment(1);
        return respond.send_reset(Reason::REFUSED_STREAM);
    };
    if request.method() == Method::CONNECT {
        metrics::counter!(observe::REFUSED, "reason" => "upgrade").increment(1);
        return no_tunnel(&mut respond);
    }
    let (shared, origin, cut) = (Arc::clone(shared), origin.clone(), origin.cut.clone());
    calls.spawn(until_cut(call(shared, origin, request, respond, permit), cut));
}

/// Tunnels are made in HTTP/1.1 only.
fn no_tunnel(respond: &mut SendResponse<Bytes>) {
    const TEXT: &[u8] = b"CONNECT is not served over HTTP/2; use HTTP/1.1\n";
    let mut answer = http::Response::new(());
    *answer.status_mut() = http::StatusCode::NOT_IMPLEMENTED;
    // A client that is gone meanwhile cannot be told.
    if let Ok(mut stream) = respond.send_response(answer, false) {
        let _ = stream.send_data(Bytes::from_static(TEXT), true);
    }
}

/// One call: the pipeline at one end of a pipe, the stream at the other.
async fn call(
    shared: Arc<Shared>,
    origin: Origin,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    permit: OwnedSemaphorePermit,
) {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let cut = AtomicBool::new(false);
    let piped = async {
        // The connection's own end waits for this call; nothing stops it.
        let (_never, stopping) = watch::channel(false);
        let sides = part(Io::Memory(far), shared.config.limits.stall_timeout);
        let seat = shared.room.extra();
        let after = connection::converse(&shared, sides, origin, &seat, stopping).await;
        // Told before the other end can see that the pipe is gone: both are one task.
        cut.store(after == After::Cut, Ordering::Relaxed);
    };
    tokio::join!(piped, bridge(&shared, near, request, respond, &cut));
    drop(permit);
}

/// Moves the request into the pipe and the answer out of it.
///
/// Returning early drops the pipe, which is how the call learns that its client
/// is gone.
async fn bridge(
    shared: &Shared,
    pipe: DuplexStream,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    cut: &AtomicBool,
) {
    let (parts, mut body) = request.into_parts();
    let ended = body.is_end_stream();
    let to_head = parts.method == Method::HEAD;
    let head = heads::request_text(&parts, ended);
    drop(parts);
    let (mut from, mut into) = tokio::io::split(pipe);
    let asking = async {
        into.write_all(&head.text).await?;
        if !ended {
            bodies::draw(&mut body, &mut into, head.chunked).await?;
        }
        into.shutdown().await?;
        Ok::<_, Broken>(())
    };
    let answered = {
        let answering = answer(shared, &mut from, &mut respond, to_head, cut);
        let (mut asking, mut answering) = (std::pin::pin!(asking), std::pin::pin!(answering));
        tokio::select! {
            answered = &mut answering => answered,
            asked = &mut asking => match asked {
                Err(Broken::Stream(_)) => return,
                // The call may have its reason not to read on; its answer is there.
                Ok(()) | Err(_) => answering.await,
            },
        }
    };
    if answered.is_err() {
        respond.send_reset(Reason::INTERNAL_ERROR);
    }
}

/// Sends what comes out of the pipe; the stream ends only where the answer does.
async fn answer(
    shared: &Shared,
    pipe: &mut (impl AsyncRead + Unpin),
    respond: &mut SendResponse<Bytes>,
    to_head: bool,
    cut: &AtomicBool,
) -> Result<(), Broken> {
    let mut buffer = BytesMut::new();
    let head = loop {
        match parse_response(&mut buffer, to_head, shared.head_limits)? {
            Some(head) if head.is_interim() => {
                respond.send_informational(heads::response(&head)?)?;
            }
            Some(head) => break head,
            None if bodies::read(&mut buffer, pipe).await? == 0 => return Err(Broken::early_end()),
            None => {}
        }
    };
    let bodiless = head.framing == Framing::Length(0);
    let mut stream = respond.send_response(heads::response(&head)?, bodiless)?;
    if bodiless {
        return Ok(());
    }
    let framer = Framer::new(head.framing);
    let patience = shared.config.limits.stall_timeout;
    match bodies::pour(framer, &mut buffer, pipe, &mut stream, patience).await? {
        Poured::Whole => Ok(()),
        Poured::PipeEnded if cut.load(Ordering::Relaxed) => Err(Broken::early_end()),
        Poured::PipeEnded => Ok(stream.send_data(Bytes::new(), true)?),
    }
}
