//! What the gateway says about itself: one type per thing that happens, and the
//! names of its metrics.
//!
//! No event carries a header value, a query or a body: presigned URLs and
//! tokens live there.

use std::sync::Arc;
use std::time::Duration;

/// Calls whose head was read. Counter.
pub const SEEN: &str = "trailbox_seen_total";
/// Records built. Counter.
pub const RECORDED: &str = "trailbox_recorded_total";
/// Frames known to be durable. Counter.
pub const JOURNALLED: &str = "trailbox_journalled_total";
/// Calls whose caller nobody vouched for. Counter.
pub const UNVERIFIED: &str = "trailbox_unverified_total";
/// Recorded calls by `trust`: `verified` here, `upstream`, `claimed` or `none`. Counter.
/// The share of verified calls:
/// `sum(rate(trailbox_calls_total{trust="verified"}[5m])) / sum(rate(trailbox_calls_total[5m]))`.
pub const CALLS: &str = "trailbox_calls_total";
/// Keys learned from answers and held now, at most 100,000. Gauge.
pub const LEARNED_KEYS: &str = "trailbox_learned_keys";
/// Learned keys forgotten before their end, for room. Counter.
pub const LEARNED_EVICTED: &str = "trailbox_learned_keys_evicted_total";
/// Records of calls that could not be decoded, by `service`. Counter.
pub const UNDECODABLE: &str = "trailbox_undecodable_total";
/// Requests answered with an error of our own, by `reason`. Counter.
pub const REFUSED: &str = "trailbox_refused_total";
/// Calls that passed unrecorded, by `reason`: `configured` or `journal`. Counter.
pub const UNRECORDED: &str = "trailbox_unrecorded_total";
/// Payload bytes that passed, by `direction`: `in` or `out`. Counter.
pub const BYTES: &str = "trailbox_bytes_total";
/// Client connections open now, by `listener`. Gauge.
pub const CONNECTIONS: &str = "trailbox_connections";
/// Client connections ended before a request, by `listener` and `reason`: `proxy-header`,
/// `tls`, `slow`, `peer-limit`, `room` or `gone`. Counter.
pub const CONNECTIONS_ENDED: &str = "trailbox_connections_ended_total";
/// Requests of clients that use a listener as their proxy, by `what`: `intercepted`,
/// `forwarded`, `tunnelled` or `refused`. Counter.
pub const PROXIED: &str = "trailbox_proxied_total";
/// Seconds a call spent in the gateway beside its upstream. Histogram.
pub const ADDED_SECONDS: &str = "trailbox_added_seconds";
/// Seconds from the last request byte to the answer's head, by `upstream`. Histogram.
pub const UPSTREAM_SECONDS: &str = "trailbox_upstream_seconds";
/// Seconds until a record or intent was durable. Histogram.
pub const JOURNAL_SECONDS: &str = "trailbox_journal_seconds";

/// Describes every metric to the installed recorder; those without labels are
/// there from the start, at zero.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(SEEN, "Calls whose head was read.");
    describe_counter!(RECORDED, "Records built.");
    describe_counter!(JOURNALLED, "Frames known to be durable.");
    describe_counter!(UNVERIFIED, "Calls whose caller nobody vouched for.");
    describe_counter!(CALLS, "Recorded calls by how far their caller is proved.");
    describe_gauge!(LEARNED_KEYS, "Keys learned from answers and held now.");
    describe_counter!(LEARNED_EVICTED, "Learned keys forgotten before their end, for room.");
    describe_counter!(UNDECODABLE, "Records of calls that could not be decoded.");
    describe_counter!(REFUSED, "Requests answered with an error of our own.");
    describe_counter!(UNRECORDED, "Calls that passed unrecorded.");
    describe_counter!(BYTES, "Payload bytes that passed.");
    describe_gauge!(CONNECTIONS, "Client connections open now.");
    describe_counter!(CONNECTIONS_ENDED, "Client connections ended before a request.");
    describe_counter!(PROXIED, "Requests of clients that use a listener as their proxy.");
    describe_histogram!(ADDED_SECONDS, "Seconds a call spent in the gateway itself.");
    describe_histogram!(UPSTREAM_SECONDS, "Seconds from the last request byte to the answer.");
    describe_histogram!(JOURNAL_SECONDS, "Seconds until a frame was durable.");
    for name in [SEEN, RECORDED, JOURNALLED, UNVERIFIED, LEARNED_EVICTED] {
        metrics::counter!(name).increment(0);
    }
    for trust in crate::seen::TRUSTS {
        metrics::counter!(CALLS, "trust" => trust).increment(0);
    }
}

/// A listener accepts connections.
#[derive(Debug)]
pub(crate) struct Listening<'a> {
    pub(crate) listener: &'a str,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) tls: bool,
}

impl Listening<'_> {
    pub(crate) fn emit(self) {
        let Self { listener, address, tls } = self;
        tracing::info!(listener, %address, tls, "listening");
    }
}

/// A client connection is ended before its next request.
#[derive(Debug)]
pub(crate) struct ConnectionEnded<'a> {
    pub(crate) listener: &'a Arc<str>,
    pub(crate) peer: std::net::IpAddr,
    pub(crate) reason: &'static str,
    pub(crate) error: &'a str,
}

impl ConnectionEnded<'_> {
    pub(crate) fn emit(self) {
        let Self { listener, peer, reason, error } = self;
        let name = Arc::clone(listener);
        metrics::counter!(CONNECTIONS_ENDED, "listener" => name, "reason" => reason).increment(1);
        tracing::info!(%listener, %peer, reason, %error, "connection ended");
    }
}

/// Bytes arrived that are no request.
#[derive(Debug)]
pub(crate) struct RequestRejected<'a> {
    pub(crate) peer: std::net::IpAddr,
    pub(crate) reason: &'static str,
    pub(crate) error: &'a dyn std::error::Error,
}

impl RequestRejected<'_> {
    pub(crate) fn emit(self) {
        let Self { peer, reason, error } = self;
        metrics::counter!(REFUSED, "reason" => reason).increment(1);
        tracing::warn!(%peer, reason, %error, "request rejected");
    }
}

/// A call was answered with an error of our own.
#[derive(Debug)]
pub(crate) struct CallRefused<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) source: &'a str,
    pub(crate) name: &'a str,
    pub(crate) reason: &'static str,
    pub(crate) code: &'a str,
}

impl CallRefused<'_> {
    pub(crate) fn emit(self) {
        let Self { event_id, source, name, reason, code } = self;
        metrics::counter!(REFUSED, "reason" => reason).increment(1);
        tracing::info!(event_id, source, name, reason, code, "call refused");
    }
}

/// An upstream did not answer as it should.
#[derive(Debug)]
pub(crate) struct UpstreamFailed<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) event_id: &'a str,
    /// Whether the whole request had been sent.
    pub(crate) forwarded: bool,
    /// Whether the connection had served a call before.
    pub(crate) reused: bool,
    pub(crate) error: &'a dyn std::error::Error,
}

impl UpstreamFailed<'_> {
    pub(crate) fn emit(self) {
        let Self { upstream, event_id, forwarded, reused, error } = self;
        tracing::warn!(upstream, event_id, forwarded, reused, %error, "upstream failed");
    }
}

/// An upstream refuses our own key at it.
#[derive(Debug)]
pub(crate) struct KeyDenied<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) event_id: &'a str,
    pub(crate) code: &'a str,
}

impl KeyDenied<'_> {
    pub(crate) fn emit(self) {
        let Self { upstream, event_id, code } = self;
        tracing::warn!(
            upstream,
            event_id,
            code,
            "the upstream does not believe the key that calls to it are signed anew with"
        );
    }
}

/// A record or intent is not durable.
#[derive(Debug)]
pub(crate) struct JournalFailed<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) what: &'static str,
    pub(crate) error: &'a dyn std::error::Error,
}

impl JournalFailed<'_> {
    pub(crate) fn emit(self) {
        let Self { event_id, what, error } = self;
        tracing::error!(event_id, what, %error, "journal did not take a frame");
    }
}

/// Reading or recording a call panicked: a bug of ours.
#[derive(Debug)]
pub(crate) struct Panicked<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) what: &'static str,
}

impl Panicked<'_> {
    pub(crate) fn emit(self) {
        let Self { event_id, what } = self;
        tracing::error!(event_id, what, "a panic was caught; the record holds what is known");
    }
}

/// A call passed although the journal could not take its record.
#[derive(Debug)]
pub(crate) struct PassedUnrecorded<'a> {
    pub(crate) event_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) reason: &'a str,
}

impl PassedUnrecorded<'_> {
    pub(crate) fn emit(self) {
        let Self { event_id, name, reason } = self;
        metrics::counter!(UNRECORDED, "reason" => "journal").increment(1);
        tracing::error!(event_id, name, reason, "call passes unrecorded");
    }
}

/// It is known whether an upstream refuses wrong signatures.
#[derive(Debug)]
pub(crate) struct Probed<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) verifies: bool,
    pub(crate) status: u16,
}

impl Probed<'_> {
    pub(crate) fn emit(self) {
        let Self { upstream, verifies, status } = self;
        tracing::info!(upstream, verifies, status, "upstream probed with a wrong signature");
    }
}

/// An upstream could not be probed; it is tried again.
#[derive(Debug)]
pub(crate) struct ProbeFailed<'a> {
    pub(crate) upstream: &'a str,
    pub(crate) error: &'a str,
}

impl ProbeFailed<'_> {
    pub(crate) fn emit(self) {
        let Self { upstream, error } = self;
        tracing::warn!(upstream, error, "upstream could not be probed");
    }
}

/// Calls under way at shutdown did not finish in time.
#[derive(Debug)]
pub(crate) struct ShutdownCut {
    pub(crate) connections: usize,
    pub(crate) deadline: Duration,
}

impl ShutdownCut {
    pub(crate) fn emit(self) {
        let Self { connections, deadline } = self;
        tracing::warn!(connections, ?deadline, "connections cut at shutdown");
    }
}

/// Calls that were cut did not come to their records in time, either.
#[derive(Debug)]
pub(crate) struct ShutdownLost {
    pub(crate) connections: usize,
    pub(crate) grace: Duration,
}

impl ShutdownLost {
    pub(crate) fn emit(self) {
        let Self { connections, grace } = self;
        let text = "connections dropped at shutdown; a call on them may have no record";
        tracing::error!(connections, ?grace, "{text}");
    }
}
