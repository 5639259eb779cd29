//! What the recorder hands over, and what it gets back.

use bytes::Bytes;
use trailbox_exchange::{Headers, RequestHead};
use trailbox_identity::Caller;
use trailbox_journal::Position;

/// A call to one of Trailbox's own operations.
#[derive(Debug, Clone)]
pub struct OwnRequest {
    /// `cloudtrail`, `sts` or `trailbox` (the admin API).
    pub service: String,
    /// The operation as the recorder routed it; empty or unknown when it could not.
    pub operation: String,
    /// The request as the client sent it.
    pub head: RequestHead,
    /// Its body, whole.
    pub body: Bytes,
    /// Who calls, proven by the recorder as far as `trust` says.
    pub caller: Caller,
    /// Region the caller asked in.
    pub region: String,
    /// Id that the answer and the record carry.
    pub request_id: String,
    /// The journal's end when the call arrived: what was recorded before must be seen.
    pub position: Option<Position>,
    /// Calls recorded since the recorder started: verified here, vouched for by
    /// an upstream, merely claimed, without a claim.
    pub calls: Option<[u64; 4]>,
}

impl OwnRequest {
    /// The operation: the last part of `X-Amz-Target` whatever stands before
    /// it, else what the recorder routed.
    pub(crate) fn operation_name(&self) -> &str {
        let target = self.head.headers.get("x-amz-target");
        target.map_or(&self.operation, |target| target.rsplit('.').next().unwrap_or(target))
    }
}

/// The answer to an [`OwnRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAnswer {
    /// HTTP status.
    pub status: u16,
    /// HTTP headers, without lengths and dates.
    pub headers: Headers,
    /// The body, whole.
    pub body: Bytes,
}
