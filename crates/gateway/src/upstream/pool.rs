//! Connections to one upstream: idle ones, and shared ones in HTTP/2.
//!
//! The pool never repeats a request: a connection that turns out dead after the
//! first byte was sent is the caller's to report. What it can do is look before
//! it lends: a peer that closed meanwhile is noticed without waiting.

use super::connect::{ConnectError, Endpoint};
use crate::config::Http2;
use crate::http2::{self, Connections, Fate};
use crate::io::Io;
use crate::tls::HTTP2;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Idle connections, the freshest last, and those that are shared in HTTP/2.
#[derive(Debug)]
pub(crate) struct Pool {
    endpoint: Endpoint,
    idle: Mutex<Vec<Idle>>,
    limits: PoolLimits,
    http2: Http2,
    shared: Connections,
    /// One call connects, the others share what it made.
    connecting: tokio::sync::Mutex<()>,
    /// The peer declined HTTP/2 when it was last asked: nothing will be shared.
    declined: AtomicBool,
}

/// How many idle connections are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    pub(crate) idle_max: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) head_bytes_max: usize,
}

#[derive(Debug)]
struct Idle {
    io: Io,
    /// When it is too old to be lent.
    stale_at: Instant,
}

/// A connection lent to one call.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) io: Io,
    /// Whether it served a call before: a request lost on it may be the peer's
    /// idle timeout rather than its death.
    pub(crate) reused: bool,
    /// What becomes of it, where it is a stream of HTTP/2.
    pub(crate) fate: Option<Arc<Fate>>,
}

impl Lease {
    fn stream(stream: http2::Stream, reused: bool) -> Self {
        Self { io: Io::Memory(stream.pipe), reused, fate: Some(stream.fate) }
    }
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint, http2: Http2, limits: PoolLimits) -> Self {
        let terms = http2::Terms {
            tls: endpoint.is_tls(),
            idle_timeout: limits.idle_timeout,
            stall_timeout: limits.stall_timeout,
            head_bytes_max: limits.head_bytes_max,
        };
        Self {
            endpoint,
            idle: Mutex::default(),
            limits,
            http2,
            shared: Connections::new(terms),
            connecting: tokio::sync::Mutex::default(),
            declined: AtomicBool::new(false),
        }
    }

    /// Makes connections to `endpoint` from now on.
    pub(crate) fn lead_to(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
    }

    /// An idle connection that is still open, or a new one; where HTTP/2 is
    /// spoken, a stream of one.
    pub(crate) async fn lease(&self) -> Result<Lease, ConnectError> {
        match self.http2 {
            Http2::Auto if self.endpoint.is_tls() => self.lease_stream().await,
            Http2::Yes => self.lease_stream().await,
            Http2::No | Http2::Auto => self.lease_http1().await,
        }
    }

    /// The same in HTTP/1.1, whatever else is spoken.
    pub(crate) async fn lease_http1(&self) -> Result<Lease, ConnectError> {
        if let Some(io) = self.take_idle() {
            return Ok(Lease { io, reused: true, fate: None });
        }
        let io = self.endpoint.connect(self.limits.connect_timeout, false).await?;
        Ok(Lease { io, reused: false, fate: None })
    }

    async fn lease_stream(&self) -> Result<Lease, ConnectError> {
        if let Some(stream) = self.shared.lease().await {
            return Ok(Lease::stream(stream, true));
        }
        if self.http2 == Http2::Auto && self.declined.load(Ordering::Relaxed) {
            if let Some(io) = self.take_idle() {
                return Ok(Lease { io, reused: true, fate: None });
            }
            return self.connect().await;
        }
        let patience = self.limits.connect_timeout;
        let turn = tokio::time::timeout(patience, self.connecting.lock());
        let _turn = turn.await.map_err(|_| ConnectError::Timeout(patience))?;
        if let Some(stream) = self.shared.lease().await {
            return Ok(Lease::stream(stream, true));
        }
        self.connect().await
    }

    /// A new connection: a stream of it, or all of it if the peer declines.
    async fn connect(&self) -> Result<Lease, ConnectError> {
        let patience = self.limits.connect_timeout;
        let io = self.endpoint.connect(patience, true).await?;
        let agreed = io.agreed_on(HTTP2);
        self.declined.store(!agreed, Ordering::Relaxed);
        match self.http2 {
            Http2::Auto | Http2::No if !agreed => {
                return Ok(Lease { io, reused: false, fate: None });
            }
            Http2::Yes if self.endpoint.is_tls() && !agreed => {
                let text = "it does not agree to HTTP/2, and its `http2` is true";
                return Err(ConnectError::Refused(std::io::Error::other(text)));
            }
            Http2::Yes | Http2::Auto | Http2::No => {}
        }
        let opening = tokio::time::timeout(patience, self.shared.open(io));
        let stream = opening.await.map_err(|_| ConnectError::Timeout(patience))?;
        Ok(Lease::stream(stream.map_err(ConnectError::Refused)?, false))
    }

    fn take_idle(&self) -> Option<Io> {
        let now = Instant::now();
        loop {
            let mut candidate = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if now < candidate.stale_at && candidate.io.is_quiet() {
                return Some(candidate.io);
            }
        }
    }

    /// Takes a connection back. `kept_by_peer` is the peer's own idle timeout,
    /// when it said one.
    pub(crate) fn give_back(&self, io: Io, kept_by_peer: Option<Duration>) {
        if matches!(io, Io::Memory(_)) {
            // A stream is used once; its connection is kept elsewhere.
            return;
        }
        // A second of grace: our next request must arrive before the peer closes.
        let theirs = kept_by_peer.map(|theirs| theirs.saturating_sub(Duration::from_secs(1)));
        let keep = theirs.map_or(self.limits.idle_timeout, |t| t.min(self.limits.idle_timeout));
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|held| now < held.stale_at);
        if idle.len() < self.limits.idle_max && !keep.is_zero() {
            idle.push(Idle { io, stale_at: now + keep });
        }
    }
}
