//! New connections to an upstream.

use super::tls::ClientTls;
use crate::forward_proxy::Guard;
use crate::io::Io;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::{TcpStream, UnixStream};

/// How long a call to our own services waits for an engine that is starting.
const ENGINE_PATIENCE: Duration = Duration::from_secs(2);

/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The network as a port: where connections to upstreams come from when it is
/// not this machine's network. A simulation owns it.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// A new connection to `upstream`, by its name in configuration; `engine`
    /// for Trailbox's own.
    ///
    /// # Errors
    ///
    /// What a network would say, such as "connection refused".
    fn dial<'a>(
        &'a self,
        upstream: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<DuplexStream>> + Send + 'a>>;
}

/// Where connections lead.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// A host and a port, with TLS or without.
    Tcp { host: String, port: u16, tls: Option<ClientTls> },
    /// A host that a client named, behind a guard.
    Origin { host: String, port: u16, tls: Option<ClientTls>, guard: Arc<Guard> },
    /// The engine's socket.
    Unix(PathBuf),
    /// The upstream of that name on a network that is not this machine's.
    Port { dial: Arc<dyn Dial>, upstream: String },
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The peer or the resolver said no.
    #[error("upstream cannot be reached: {0}")]
    Refused(#[from] std::io::Error),
    /// Nobody answered in time.
    #[error("upstream did not accept a connection within {0:?}")]
    Timeout(Duration),
}

impl Endpoint {
    /// Whether TLS is spoken there.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: Some(_), .. } | Self::Origin { tls: Some(_), .. })
    }

    /// Connects within `patience`, TLS handshake included. `http2`: it is offered
    /// within TLS.
    pub(crate) async fn connect(
        &self,
        patience: Duration,
        http2: bool,
    ) -> Result<Io, ConnectError> {
        tokio::time::timeout(patience, self.dial(http2))
            .await
            .map_err(|_| ConnectError::Timeout(patience))?
            .map_err(ConnectError::Refused)
    }

    async fn dial(&self, http2: bool) -> std::io::Result<Io> {
        match self {
            Self::Unix(path) => Ok(Io::Unix(dial_engine(path).await?)),
            Self::Port { dial, upstream } => Ok(Io::Memory(dial.dial(upstream).await?)),
            Self::Tcp { host, port, tls } => {
                shake(TcpStream::connect((host.as_str(), *port)).await?, tls.as_ref(), http2).await
            }
            Self::Origin { host, port, tls, guard } => {
                shake(guard.connect(host, *port, tls.is_some()).await?, tls.as_ref(), http2).await
            }
        }
    }
}

async fn shake(stream: TcpStream, tls: Option<&ClientTls>, http2: bool) -> std::io::Result<Io> {
    stream.set_nodelay(true)?;
    match tls {
        None => Ok(Io::Tcp(stream)),
        Some(tls) => Ok(Io::Tls(Box::new(tls.handshake(stream, http2).await?.into()))),
    }
}

/// Connects to the engine; one that is being started again is waited for.
async fn dial_engine(path: &Path) -> std::io::Result<UnixStream> {
    let until = tokio::time::Instant::now() + ENGINE_PATIENCE;
    loop {
        match UnixStream::connect(path).await {
            Err(err) if until <= tokio::time::Instant::now() => return Err(err),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            Ok(stream) => return Ok(stream),
        }
    }
}
