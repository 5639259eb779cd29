//! One client connection: requests one after the other.

use crate::admin;
use crate::answer::{Envelope, Refusal, Shape, render};
use crate::call;
use crate::gateway::ListenerRole;
use crate::io::{Inbound, Io, Outbound, PeerError, part};
use crate::observe;
use crate::shared::Shared;
use crate::tls;
use crate::wire::{HeadError, RequestIn, parse_request};
use std::net::{IpAddr, SocketAddr};
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

/// Serves requests until either side has enough.
pub(crate) async fn serve(
    shared: &Shared,
    io: Io,
    peer: SocketAddr,
    role: ListenerRole,
    mut stopping: watch::Receiver<bool>,
) {
    let details = match &io {
        Io::Tls(stream) => match &**stream {
            tokio_rustls::TlsStream::Server(stream) => tls::details(stream.get_ref().1),
            tokio_rustls::TlsStream::Client(_) => None,
        },
        Io::Tcp(_) | Io::Unix(_) | Io::Memory(_) => None,
    };
    let (inbound, outbound) = part(io, shared.config.limits.stall_timeout);
    let peer = peer.ip().to_canonical();
    let mut client = Client { inbound, outbound, peer, tls: details, role };
    let after = requests(shared, &mut client, &mut stopping).await;
    let Client { mut inbound, mut outbound, .. } = client;
    if after == After::Cut {
        crate::io::join(inbound, outbound).reset_on_close();
        return;
    }
    outbound.shutdown().await;
    linger(&mut inbound).await;
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
