//! Idle connections of one upstream.
//!
//! The pool never repeats a request: a connection that turns out dead after the
//! first byte was sent is the caller's to report. What it can do is look before
//! it lends: a peer that closed meanwhile is noticed without waiting.

use super::connect::{ConnectError, Endpoint};
use crate::io::Io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Idle connections, the freshest last.
#[derive(Debug)]
pub(crate) struct Pool {
    endpoint: Endpoint,
    idle: Mutex<Vec<Idle>>,
    limits: PoolLimits,
}

/// How many idle connections are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolLimits {
    pub(crate) idle_max: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) connect_timeout: Duration,
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
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint, limits: PoolLimits) -> Self {
        Self { endpoint, idle: Mutex::default(), limits }
    }

    /// Makes connections to `endpoint` from now on.
    pub(crate) fn lead_to(&mut self, endpoint: Endpoint) {
        self.endpoint = endpoint;
    }

    /// An idle connection that is still open, or a new one.
    pub(crate) async fn lease(&self) -> Result<Lease, ConnectError> {
        if let Some(io) = self.take_idle() {
            return Ok(Lease { io, reused: true });
        }
        let io = self.endpoint.connect(self.limits.connect_timeout).await?;
        Ok(Lease { io, reused: false })
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
