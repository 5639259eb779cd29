//! New connections to an upstream.

use super::tls::ClientTls;
use crate::io::Io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// Where connections lead.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// A host and a port, with TLS or without.
    Tcp { host: String, port: u16, tls: Option<ClientTls> },
    /// The engine's socket.
    Unix(PathBuf),
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
    /// Connects within `patience`, TLS handshake included.
    pub(crate) async fn connect(&self, patience: Duration) -> Result<Io, ConnectError> {
        tokio::time::timeout(patience, self.dial())
            .await
            .map_err(|_| ConnectError::Timeout(patience))?
            .map_err(ConnectError::Refused)
    }

    async fn dial(&self) -> std::io::Result<Io> {
        match self {
            Self::Unix(path) => Ok(Io::Unix(UnixStream::connect(path).await?)),
            Self::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                match tls {
                    None => Ok(Io::Tcp(stream)),
                    Some(tls) => Ok(Io::Tls(Box::new(tls.handshake(stream).await?.into()))),
                }
            }
        }
    }
}
