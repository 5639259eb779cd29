//! HTTP/2 (RFC 9113) on either side, bridged to the pipeline of HTTP/1.1.
//!
//! A call is an exchange of bytes in HTTP/1.1 whatever the peers speak; here a
//! stream of HTTP/2 becomes such bytes in a pipe in memory, and back. What the
//! pipeline holds is therefore held here, too: a stream ends only when the pipe
//! said so, and an exchange that broke off is reset.
//!
//! Start at [`server`] for clients and at [`client`] for upstreams; [`heads`] and
//! [`bodies`] are the translation. Absent on purpose: server push, priorities,
//! `CONNECT` in any form, and the upgrade from HTTP/1.1 that RFC 9113 dropped.

mod bodies;
mod client;
mod heads;
mod server;

pub(crate) use client::{Connections, Fate, Fault, Stream, Terms};
pub(crate) use server::serve;

/// How a connection in HTTP/2 begins, without TLS to agree on it.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that one direction of a stream may have on its way through its pipe.
const PIPE_BYTES: usize = 64 * 1024;
/// Bytes that a client may send ahead of our reading: on a stream, and on its
/// connection. The second times `connections_max` is held at most; the first is
/// less, so that one call that is not read on does not stop the others.
const CLIENT_WINDOWS: (u32, u32) = (128 * 1024, 256 * 1024);
/// The same of an upstream. A stream is a call there, and calls are at most as
/// many as `connections_max`: the first bounds what is held.
const UPSTREAM_WINDOWS: (u32, u32) = (256 * 1024, 1024 * 1024);
/// Bytes of a stream that wait for the connection to take them.
const SEND_BUFFER: usize = 64 * 1024;

/// Why a stream or its pipe came to no good end.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// The peer reset the stream, or the connection is gone.
    #[error("{0}")]
    Stream(#[from] h2::Error),
    /// The pipe's other end is gone, or ended too early.
    #[error("the exchange broke off: {0}")]
    Pipe(#[from] std::io::Error),
    /// The peer does not take what it is sent.
    #[error("the peer takes no more bytes")]
    Stalled,
    /// What is in the pipe is no HTTP/1.1.
    #[error(transparent)]
    Head(#[from] crate::wire::HeadError),
    /// The same of a body.
    #[error(transparent)]
    Framing(#[from] crate::wire::FramingError),
    /// It cannot be said in HTTP/2.
    #[error("it cannot be said in HTTP/2: {0}")]
    Untold(#[from] http::Error),
}

impl Broken {
    /// The pipe ended where more was to come.
    fn early_end() -> Self {
        Self::Pipe(std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{CLIENT_WINDOWS, UPSTREAM_WINDOWS};
    use crate::config::LimitsConfig;

    #[test]
    fn peers_that_are_not_read_fill_no_more_than_the_limits_say() {
        let connections = LimitsConfig::default().connections_max as u64;
        let (stream, connection) = CLIENT_WINDOWS;
        assert!(stream < connection, "one stream alone stops its connection");
        assert!(connections * u64::from(connection) <= 1 << 30);
        assert!(connections * u64::from(UPSTREAM_WINDOWS.0) <= 1 << 30);
    }
}
