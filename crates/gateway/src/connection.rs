//! One client connection: which HTTP it speaks, and requests in HTTP/1.1 one
//! after the other. HTTP/2 is `http2::server`; its calls come back here, each as
//! a connection of its own.

use crate::admin;
use crate::answer::{Envelope, Refusal, Shape, render};
use crate::call;
use crate::gateway::ListenerRole;
use crate::http2;
use crate::io::{Inbound, Io, Outbound, PeerError, Rewound, join, part};
use crate::observe;
use crate::shared::Shared;
use crate::tls;
use crate::wire::{HeadError, RequestIn, parse_request};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use trailbox_record::TlsDetails;

/// The client's end of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    /// Who is at the other end.
    pub(crate) peer: IpAddr,
    /// What TLS was agreed on, when it ends here.
    pub(crate) tls: Option<TlsDetails>,
    /// Which listener it came in by.
    pub(crate) role: ListenerRole,
}

/// Where a connection comes from; the calls on it share that.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) peer: IpAddr,
    pub(crate) tls: Option<TlsDetails>,
    pub(crate) role: ListenerRole,
}

/// What becomes of a connection after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// Another request may follow.
    Keep,
    /// It ends in order.
    Close,
    /// It is cut: the client must not take what it has for the whole.
    Cut,
}

/// Longest we read on after our last byte, so that the client gets it: a close
/// with unread bytes would throw the answer away.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes read and dropped meanwhile.
const LINGER_BYTES: usize = 4 << 20;

/// Serves requests until either side has enough, in the HTTP the client speaks.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    io: Io,
    peer: SocketAddr,
    role: ListenerRole,
    mut stopping: watch::Receiver<bool>,
) {
    let origin = Origin { peer: peer.ip().to_canonical(), tls: details(&io), role };
    if io.agreed_on(tls::HTTP2) {
        return http2::serve(shared, io, origin, stopping).await;
    }
    let (mut inbound, outbound) = part(io, shared.config.limits.stall_timeout);
    if shared.config.http2 && origin.tls.is_none() {
        match preface(shared, &mut inbound, &mut stopping).await {
            None => return,
            Some(false) => {}
            Some(true) => {
                let front = inbound.buffer.split();
                let io = Rewound::new(front, join(inbound, outbound));
                return http2::serve(shared, io, origin, stopping).await;
            }
        }
    }
    converse(shared, (inbound, outbound), origin, stopping).await;
}

/// What the two sides agreed on within TLS.
fn details(io: &Io) -> Option<TlsDetails> {
    let Io::Tls(stream) = io else {
        return None;
    };
    match &**stream {
        tokio_rustls::TlsStream::Server(stream) => tls::details(stream.get_ref().1),
        tokio_rustls::TlsStream::Client(_) => None,
    }
}

/// Whether the connection begins as HTTP/2 does; `None` when it does not begin.
async fn preface(
    shared: &Shared,
    inbound: &mut Inbound,
    stopping: &mut watch::Receiver<bool>,
) -> Option<bool> {
    let limits = &shared.config.limits;
    loop {
        let known = inbound.buffer.len().min(http2::PREFACE.len());
        if inbound.buffer[..known] != http2::PREFACE[..known] {
            return Some(false);
        }
        if known == http2::PREFACE.len() {
            return Some(true);
        }
        let patience = if known == 0 { limits.idle_timeout } else { limits.head_timeout };
        tokio::select! {
            biased;
            filled = inbound.fill(patience) => match filled {
                Ok(1..) => {}
                // What came so far is no request either.
                Ok(_) | Err(_) => return None,
            },
            _ = stopping.wait_for(|stop| *stop) => return None,
        }
    }
}

/// Serves requests in HTTP/1.1, one after the other, and closes the connection.
pub(crate) async fn converse(
    shared: &Shared,
    (inbound, outbound): (Inbound, Outbound),
    origin: Origin,
    mut stopping: watch::Receiver<bool>,
) -> After {
    let Origin { peer, tls, role } = origin;
    let mut client = Client { inbound, outbound, peer, tls, role };
    let after = requests(shared, &mut client, &mut stopping).await;
    let Client { mut inbound, mut outbound, .. } = client;
    if after == After::Cut {
        join(inbound, outbound).reset_on_close();
        return after;
    }
    outbound.shutdown().await;
    linger(&mut inbound).await;
    after
}

async fn requests(
    shared: &Shared,
    client: &mut Client,
    stopping: &mut watch::Receiver<bool>,
) -> After {
    loop {
        let first = tokio::select! {
            biased;
            first = first_byte(shared, client) => first,
            _ = stopping.wait_for(|stop| *stop) => return After::Close,
        };
        if !first {
            return After::Close;
        }
        let request = match whole_head(shared, client).await {
            Ok(request) => request,
            Err(error) => return reject(shared, client, &error).await,
        };
        let after = match client.role {
            ListenerRole::Admin if admin::is_public(&request.head) => {
                admin::answer(shared, client, &request).await
            }
            ListenerRole::Admin | ListenerRole::Aws => call::serve(shared, client, request).await,
        };
        if after != After::Keep {
            return after;
        }
        if *stopping.borrow() && client.inbound.buffer.is_empty() {
            return After::Close;
        }
        client.inbound.rest();
    }
}

/// Waits for a request to begin; whether one did.
async fn first_byte(shared: &Shared, client: &mut Client) -> bool {
    if !client.inbound.buffer.is_empty() {
        return true;
    }
    let patience = shared.config.limits.idle_timeout;
    matches!(client.inbound.fill(patience).await, Ok(1..))
}

/// Reads a head within the time for one.
async fn whole_head(shared: &Shared, client: &mut Client) -> Result<RequestIn, PeerError> {
    let patience = shared.config.limits.head_timeout;
    let reading = async {
        loop {
            let buffer = &mut client.inbound.buffer;
            if let Some(request) = parse_request(buffer, shared.head_limits)? {
                return Ok(request);
            }
            if client.inbound.fill(patience).await? == 0 {
                return Err(PeerError::early_end());
            }
        }
    };
    tokio::time::timeout(patience, reading).await.unwrap_or(Err(PeerError::Stalled(patience)))
}

/// Answers bytes that are no request, and ends the connection.
async fn reject(shared: &Shared, client: &mut Client, error: &PeerError) -> After {
    let (status, code, reason) = match error {
        // Nobody is there, or only empty lines came.
        PeerError::Gone(_) => return After::Close,
        PeerError::Stalled(_) => (408, "RequestTimeout", "slow-head"),
        PeerError::Head(HeadError::TooLarge { .. } | HeadError::TooManyHeaders { .. }) => {
            (400, "RequestHeaderSectionTooLarge", "head-too-large")
        }
        PeerError::Head(error) => (400, "BadRequest", error.reason()),
        PeerError::Framing(_) => (400, "BadRequest", "framing"),
    };
    observe::RequestRejected { peer: client.peer, reason, error }.emit();
    let refusal = Refusal::new(reason, status, code, error.to_string());
    let request_id = call::new_request_id(shared, true);
    let envelope = Envelope {
        shape: Shape::S3,
        request: None,
        request_id: &request_id,
        now: shared.clock.now(),
        close: true,
    };
    // A client that cannot be told is gone; either way the connection ends.
    let _ = client.outbound.write(&render(&refusal, &envelope), &[]).await;
    After::Close
}

/// Reads and drops what the client still sends, for a moment.
async fn linger(inbound: &mut Inbound) {
    let dropping = async {
        let mut dropped = inbound.buffer.len();
        inbound.buffer.clear();
        while dropped < LINGER_BYTES {
            match inbound.fill(LINGER).await {
                Ok(count @ 1..) => dropped += count,
                Ok(_) | Err(_) => return,
            }
            inbound.buffer.clear();
        }
    };
    // Time over: the connection is closed all the same.
    let _ = tokio::time::timeout(LINGER, dropping).await;
}
