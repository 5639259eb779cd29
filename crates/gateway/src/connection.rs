//! One client connection: which HTTP it speaks, and requests in HTTP/1.1 one
//! after the other. HTTP/2 is `http2::server`; its calls come back here, each as
//! a connection of its own.

use crate::admin;
use crate::answer::{Envelope, Refusal, Shape, render};
use crate::call;
use crate::forward_proxy::{self, Target, Wish};
use crate::http2;
use crate::io::{Inbound, Io, Outbound, PeerError, Rewound, join, part};
use crate::observe;
use crate::room::Seat;
use crate::settings::ListenerSettings;
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
    pub(crate) listener: Arc<ListenerSettings>,
    /// Whether the gateway stops.
    pub(crate) draining: watch::Receiver<bool>,
    /// The host its call is bound for, when it uses us as its proxy.
    pub(crate) target: Option<Arc<Target>>,
    /// Everything on the connection is bound for that host.
    pub(crate) tunnelled: bool,
}

impl Client {
    /// Whether this is the connection's last call.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// Where a connection comes from; the calls on it share that.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) peer: IpAddr,
    pub(crate) tls: Option<TlsDetails>,
    pub(crate) listener: Arc<ListenerSettings>,
    /// When its calls are to break off.
    pub(crate) cut: watch::Receiver<bool>,
}

/// What becomes of a connection after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// Another request may follow.
    Keep,
    /// It ends in order, once the client has our last byte.
    Close,
    /// It ends between two requests.
    Leave,
    /// It goes on inside, to that host.
    Connect(Target),
    /// It is cut: the client must not take what it has for the whole.
    Cut,
}

/// Longest we read on after our last byte, so that the client gets it: a close
/// with unread bytes would throw the answer away.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes read and dropped meanwhile.
const LINGER_BYTES: usize = 4 << 20;

/// Longest that a connection nobody used yet is kept for its first request
/// while the gateway stops: its client connected a moment ago.
const FRESH_GRACE: Duration = Duration::from_millis(500);

/// Serves requests until either side has enough, in the HTTP the client speaks.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    io: Io,
    peer: SocketAddr,
    listener: Arc<ListenerSettings>,
    seat: Seat,
    (mut draining, cut): (watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let origin = Origin { peer: peer.ip().to_canonical(), tls: details(&io), listener, cut };
    if io.agreed_on(tls::HTTP2) {
        return http2::serve(shared, io, origin, &seat, draining).await;
    }
    let (mut inbound, outbound) = part(io, shared.config.limits.stall_timeout);
    if origin.listener.http2 && origin.tls.is_none() {
        match preface(shared, &mut inbound, &origin, &seat, &mut draining).await {
            None => return,
            Some(false) => {}
            Some(true) => {
                let front = inbound.buffer.split();
                let io = Rewound::new(front, join(inbound, outbound));
                return Box::pin(http2::serve(shared, io, origin, &seat, draining)).await;
            }
        }
    }
    converse(shared, (inbound, outbound), origin, &seat, draining).await;
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
    origin: &Origin,
    seat: &Seat,
    draining: &mut watch::Receiver<bool>,
) -> Option<bool> {
    let limits = &shared.config.limits;
    let begun = tokio::select! {
        biased;
        begun = begins(inbound, draining, limits.idle_timeout, true) => begun,
        () = seat.asked_to_leave() => {
            leave(&origin.listener, origin.peer);
            false
        }
    };
    if !begun {
        return None;
    }
    loop {
        let known = inbound.buffer.len().min(http2::PREFACE.len());
        if inbound.buffer[..known] != http2::PREFACE[..known] {
            return Some(false);
        }
        if known == http2::PREFACE.len() {
            return Some(true);
        }
        tokio::select! {
            biased;
            filled = inbound.fill(limits.head_timeout) => match filled {
                Ok(1..) => {}
                // What came so far is no request either.
                Ok(_) | Err(_) => return None,
            },
            () = seat.asked_to_leave() => {
                leave(&origin.listener, origin.peer);
                return None;
            }
        }
    }
}

/// Serves requests in HTTP/1.1, one after the other, and closes the connection.
pub(crate) async fn converse(
    shared: &Shared,
    (inbound, outbound): (Inbound, Outbound),
    origin: Origin,
    seat: &Seat,
    draining: watch::Receiver<bool>,
) -> After {
    let Origin { peer, tls, listener, cut: _ } = origin;
    let (target, tunnelled) = (None, false);
    let mut client = Client { inbound, outbound, peer, tls, listener, draining, target, tunnelled };
    let mut after = requests(shared, &mut client, seat).await;
    if let After::Connect(target) = after {
        let opened = Box::pin(forward_proxy::open(shared, client, target, seat)).await;
        let Some(inside) = opened else { return After::Close };
        client = inside;
        after = requests(shared, &mut client, seat).await;
    }
    let Client { mut inbound, mut outbound, .. } = client;
    if after == After::Cut {
        join(inbound, outbound).reset_on_close();
        return after;
    }
    outbound.shutdown().await;
    if after == After::Close {
        linger(&mut inbound).await;
    }
    after
}

async fn requests(shared: &Shared, client: &mut Client, seat: &Seat) -> After {
    let mut fresh = true;
    loop {
        seat.waits();
        let head = tokio::select! {
            biased;
            head = next_head(shared, client, fresh) => head,
            () = seat.asked_to_leave() => return leave(&client.listener, client.peer),
        };
        let Some(head) = head else {
            return After::Leave;
        };
        fresh = false;
        seat.works();
        let request = match head {
            Ok(request) => request,
            Err(error) => return reject(shared, client, &error).await,
        };
        match forward_proxy::wish(shared, client, &request).await {
            Wish::Serve => {}
            Wish::Connect(target) => return After::Connect(target),
            Wish::Refused => return After::Close,
        }
        // On the heap only while it lasts: a connection that waits stays small.
        let after = if client.listener.is_admin() && admin::is_public(&request.head) {
            Box::pin(admin::answer(shared, client, &request)).await
        } else {
            Box::pin(call::serve(shared, client, request)).await
        };
        if after != After::Keep {
            return after;
        }
        if client.is_draining() && client.inbound.buffer.is_empty() {
            return After::Leave;
        }
        client.inbound.rest();
    }
}

/// Waits for a request to begin, or for the order to stop; whether one did.
async fn begins(
    inbound: &mut Inbound,
    draining: &mut watch::Receiver<bool>,
    patience: Duration,
    fresh: bool,
) -> bool {
    if !inbound.buffer.is_empty() {
        return true;
    }
    let stopped = async {
        // Without a sender nobody is left to serve for.
        let _ = draining.wait_for(|draining| *draining).await;
        if fresh {
            tokio::time::sleep(FRESH_GRACE).await;
        }
    };
    tokio::select! {
        biased;
        first = inbound.first(patience) => matches!(first, Ok(1..)),
        () = stopped => false,
    }
}

/// Notes that a connection goes to make room for another.
fn leave(listener: &ListenerSettings, peer: IpAddr) -> After {
    let (listener, error) = (&listener.name, "its seat is needed");
    observe::ConnectionEnded { listener, peer, reason: "room", error }.emit();
    After::Leave
}

/// The next head, however long it takes to begin; `None` when none does.
async fn next_head(
    shared: &Shared,
    client: &mut Client,
    fresh: bool,
) -> Option<Result<RequestIn, PeerError>> {
    let patience = shared.config.limits.idle_timeout;
    let Client { inbound, draining, .. } = client;
    if !begins(inbound, draining, patience, fresh).await {
        return None;
    }
    Some(whole_head(shared, client).await)
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
        PeerError::Stalled(_) | PeerError::Slow { .. } => (408, "RequestTimeout", "slow-head"),
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
