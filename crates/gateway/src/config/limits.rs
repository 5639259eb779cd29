//! Section `[limits]`: how much of everything, and how long.

use serde::Deserialize;
use std::time::Duration;

/// Bounds on memory and patience. Section `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Client connections at once, over all listeners of the gateway; more
    /// wait in the system's queue. Default 4096. A client that speaks HTTP/2
    /// may have sent 256 KiB on each that were not read yet: 1 GiB then. The
    /// same bound holds for answers of upstreams in HTTP/2.
    pub connections_max: usize,
    /// Client connections at once from one address; 0 is no limit. Default 0:
    /// behind a load balancer or NAT everybody has the same one.
    pub connections_per_peer_max: usize,
    /// Bytes of request bodies held in memory at once because they must be
    /// whole before they are forwarded, all connections together; more wait.
    /// Bodies up to 64 KiB do not count. Default 256 MiB (268 435 456).
    pub buffered_bytes_max: u64,
    /// Largest head of a request or response, in bytes. Default 65 536.
    pub head_bytes_max: usize,
    /// Most header fields of one head, 1 to 256. Default 128.
    pub headers_max: usize,
    /// Calls under way at once on one HTTP/2 connection of a client; over all
    /// connections together they are at most as many as `connections_max`.
    /// Default 100.
    pub http2_streams_max: u32,
    /// Longest a client may take to send a whole head. Default `30s`.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// Longest a client connection may stay without a request. Default `75s`.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Longest pause within a body, of either side, and longest a peer may
    /// leave bytes unread. Default `2m`.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// Slowest a client may send a body that is streamed, in bytes per second
    /// over each minute spent waiting for it; 0 is no limit. Streams of events
    /// may pause. Default 128: no link in use is so slow, and a body that drips
    /// holds a connection of an upstream, too.
    pub body_bytes_per_second_min: u32,
    /// Longest wait for an upstream to accept a connection. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer; a synchronous Lambda may take
    /// 15 minutes. Default `15m`.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
    /// Longest an unused connection to an upstream is kept. Default `30s`.
    #[serde(with = "humantime_serde")]
    pub pool_idle_timeout: Duration,
    /// Unused connections kept per upstream. Default 256.
    pub pool_idle_max: usize,
    /// Calls per second whose caller is known neither here nor to an upstream
    /// that verifies; 0 is no limit. Default 1000. Not applied in test mode.
    pub unverified_rate: u32,
    /// How many such calls may come at once. Default 20 000.
    pub unverified_burst: u32,
    /// Longest that calls under way may take to finish at shutdown; then they
    /// are broken off and recorded. Default `30s`.
    #[serde(with = "humantime_serde")]
    pub shutdown_deadline: Duration,
    /// The same at a restart, when new connections wait for it. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub restart_deadline: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_peer_max: 0,
            buffered_bytes_max: 256 << 20,
            head_bytes_max: 64 * 1024,
            headers_max: 128,
            http2_streams_max: 100,
            head_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            stall_timeout: Duration::from_mins(2),
            body_bytes_per_second_min: 128,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_mins(15),
            pool_idle_timeout: Duration::from_secs(30),
            pool_idle_max: 256,
            unverified_rate: 1000,
            unverified_burst: 20_000,
            shutdown_deadline: Duration::from_secs(30),
            restart_deadline: Duration::from_secs(10),
        }
    }
}
