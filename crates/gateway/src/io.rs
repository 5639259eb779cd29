//! Connections of either side: TCP, TLS, Unix sockets and pipes in memory behind
//! one type, with a buffer in front and patience that ends.

use crate::cut::unless_cut;
use crate::wire::{FramingError, HeadError};
use bytes::BytesMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, ReadHalf,
    WriteHalf,
};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// Room made for one read, in bytes. With what a head may hold it bounds the
/// memory of one direction of a connection.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// How often the system asks whether a silent peer is still there.
const WATCH_EVERY: Duration = Duration::from_secs(15);

/// Most bytes of the first read of a request: most heads and small bodies.
const FIRST_BYTES: usize = 8 * 1024;

/// One connection.
#[derive(Debug)]
pub(crate) enum Io {
    /// Clear text.
    Tcp(TcpStream),
    /// TLS, as server or as client.
    Tls(Box<TlsStream<TcpStream>>),
    /// The engine's socket.
    Unix(UnixStream),
    /// TLS that ends at us within a `CONNECT`.
    Proxied(Box<tokio_rustls::server::TlsStream<Rewound>>),
    /// A pipe within the process: a bridge to another protocol, or a simulation.
    Memory(DuplexStream),
}

impl Io {
    /// Whether an idle connection is still open and silent.
    ///
    /// A peer that closed it, or sent something unasked, is told apart without
    /// waiting: a request on such a connection would be lost, and is never
    /// repeated.
    pub(crate) fn is_quiet(&mut self) -> bool {
        // The kernel knows of an end before the runtime was told of it.
        let silent = match self {
            Self::Tcp(stream) => is_silent(stream),
            Self::Tls(stream) => is_silent(stream.get_ref().0),
            Self::Unix(stream) => is_silent(stream),
            Self::Proxied(_) | Self::Memory(_) => false,
        };
        if silent || matches!(self, Self::Tcp(_) | Self::Unix(_)) {
            return silent;
        }
        // A session ticket is no end: let TLS read what came. A pipe has no kernel to ask.
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(std::task::Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut buffer).is_pending()
    }

    /// Whether `protocol` is what TLS agreed on.
    pub(crate) fn agreed_on(&self, protocol: &[u8]) -> bool {
        match self {
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(protocol),
            Self::Proxied(stream) => stream.get_ref().1.alpn_protocol() == Some(protocol),
            Self::Tcp(_) | Self::Unix(_) | Self::Memory(_) => false,
        }
    }

    /// Lets the system find out that a silent peer is gone.
    pub(crate) fn watch_over(&self) {
        let stream = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Proxied(stream) => return stream.get_ref().0.io.watch_over(),
            Self::Unix(_) | Self::Memory(_) => return,
        };
        let often = socket2::TcpKeepalive::new().with_time(WATCH_EVERY).with_interval(WATCH_EVERY);
        // Without it a dead peer is noticed by the patience for answers.
        let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&often);
    }

    /// Makes the coming close a reset, so that a body delimited by the end of
    /// the connection does not look complete.
    pub(crate) fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            // Without it the peer sees an ordinary end; nothing else depends on it.
            let _ = stream.set_zero_linger();
        }
    }
}

/// Whether nothing came and the peer did not close.
fn is_silent<S: std::os::fd::AsFd>(stream: &S) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    let seen = socket2::SockRef::from(stream).peek(&mut byte);
    matches!(seen, Err(err) if err.kind() == io::ErrorKind::WouldBlock)
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        unless_cut(match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Proxied(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Memory(stream) => Pin::new(stream).poll_read(context, buffer),
        })
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        unless_cut(match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Proxied(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Memory(stream) => Pin::new(stream).poll_write(context, bytes),
        })
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unless_cut(match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Proxied(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Memory(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        })
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Proxied(stream) => stream.is_write_vectored(),
            Self::Memory(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        unless_cut(match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Proxied(stream) => Pin::new(stream).poll_flush(context),
            Self::Memory(stream) => Pin::new(stream).poll_flush(context),
        })
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        unless_cut(match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Proxied(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(context),
        })
    }
}

/// A connection with bytes in front that were read from it already.
#[derive(Debug)]
pub(crate) struct Rewound {
    front: BytesMut,
    io: Io,
}

impl Rewound {
    pub(crate) fn new(front: BytesMut, io: Io) -> Self {
        Self { front, io }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.front.is_empty() {
            return Pin::new(&mut this.io).poll_read(context, buffer);
        }
        let count = this.front.len().min(buffer.remaining());
        buffer.put_slice(&this.front.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

/// Why reading or writing one side of a call ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// The connection ended or broke.
    #[error("peer is gone: {0}")]
    Gone(#[from] io::Error),
    /// Nothing moved for too long.
    #[error("peer did not move for {0:?}")]
    Stalled(Duration),
    /// Too little came for too long.
    #[error("peer sent fewer than {least} bytes per second for a minute")]
    Slow {
        /// The limit.
        least: u32,
    },
    /// A head that is not one.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A body that is not framed as its head says.
    #[error(transparent)]
    Framing(#[from] FramingError),
}

impl PeerError {
    /// The connection ended where more was to come.
    pub(crate) fn early_end() -> Self {
        Self::Gone(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The reading side of a connection: bytes that came, and more on request.
#[derive(Debug)]
pub(crate) struct Inbound {
    half: ReadHalf<Io>,
    /// Bytes that came and were not used yet.
    pub(crate) buffer: BytesMut,
}

impl Inbound {
    /// Reads once like [`Inbound::fill`], and holds no memory while it waits: a
    /// connection may wait long for its next request.
    pub(crate) async fn first(&mut self, patience: Duration) -> Result<usize, PeerError> {
        let Self { half, buffer } = self;
        let reading = std::future::poll_fn(|context| {
            let mut room = [std::mem::MaybeUninit::uninit(); FIRST_BYTES];
            let mut read = ReadBuf::uninit(&mut room);
            std::task::ready!(Pin::new(&mut *half).poll_read(context, &mut read))?;
            buffer.extend_from_slice(read.filled());
            Poll::Ready(Ok::<_, io::Error>(read.filled().len()))
        });
        match tokio::time::timeout(patience, reading).await {
            Ok(count) => Ok(count?),
            Err(_) => Err(PeerError::Stalled(patience)),
        }
    }

    /// Reads once; the count of bytes, 0 at the end of the connection.
    ///
    /// Cancelling it loses nothing.
    pub(crate) async fn fill(&mut self, patience: Duration) -> Result<usize, PeerError> {
        self.buffer.reserve(READ_BYTES);
        match tokio::time::timeout(patience, self.half.read_buf(&mut self.buffer)).await {
            Ok(count) => Ok(count?),
            Err(_) => Err(PeerError::Stalled(patience)),
        }
    }

    /// The same without an end to the patience: the caller has its own.
    pub(crate) async fn fill_unbounded(&mut self) -> Result<usize, PeerError> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.half.read_buf(&mut self.buffer).await?)
    }

    /// Gives the memory back while nothing is expected soon.
    pub(crate) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

/// The writing side of a connection.
#[derive(Debug)]
pub(crate) struct Outbound {
    half: WriteHalf<Io>,
    patience: Duration,
    /// Bytes the peer's socket took.
    pub(crate) written: u64,
}

impl Outbound {
    /// Writes all of `first`, then all of `second`, in one go where the system
    /// can, and lets nothing linger in a buffer of ours.
    pub(crate) async fn write(&mut self, first: &[u8], second: &[u8]) -> Result<(), PeerError> {
        if first.is_empty() && second.is_empty() {
            return Ok(());
        }
        let half = &mut self.half;
        let work = async {
            half.write_all_buf(&mut bytes::Buf::chain(first, second)).await?;
            half.flush().await
        };
        match tokio::time::timeout(self.patience, work).await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(PeerError::Stalled(self.patience)),
        }
        self.written += (first.len() + second.len()) as u64;
        Ok(())
    }

    /// Tells the peer that nothing more comes.
    pub(crate) async fn shutdown(&mut self) {
        // The peer may be gone already; then there is nobody to tell.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.half.shutdown()).await;
    }
}

/// Parts a connection into its two sides. `patience` bounds each write.
pub(crate) fn part(io: Io, patience: Duration) -> (Inbound, Outbound) {
    let (read, write) = tokio::io::split(io);
    let inbound = Inbound { half: read, buffer: BytesMut::new() };
    (inbound, Outbound { half: write, patience, written: 0 })
}

/// Puts the two sides together again; bytes in the buffer are dropped.
pub(crate) fn join(inbound: Inbound, outbound: Outbound) -> Io {
    inbound.half.unsplit(outbound.half)
}
