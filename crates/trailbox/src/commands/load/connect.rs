//! Connections to the endpoint: plain or TLS, HTTP/1.1 or HTTP/2.

use super::http1::{Http1, Stream};
use super::http2::Http2;
use super::sign::Signed;
use super::{Acknowledged, Broken};
use anyhow::{Context as _, bail};
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use trailbox_gateway::client_config;

/// Where calls go, and how to get there.
pub(super) struct Endpoint {
    /// `Host` of the calls.
    pub(super) host: String,
    address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    http2: bool,
}

/// Whom a TLS connection trusts.
#[derive(Debug)]
pub(super) enum Trust<'a> {
    System,
    File(&'a Path),
    Anybody,
}

/// An open connection.
pub(super) enum Connection {
    Http1(Http1),
    Http2(Http2),
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Reads `http://host[:port]` or `https://host[:port]` and finds the address.
    ///
    /// # Errors
    ///
    /// When the URL is of another form, its host unknown, or the trust unusable.
    pub(super) async fn new(url: &str, trust: &Trust<'_>, http2: bool) -> anyhow::Result<Self> {
        let form = || format!("endpoint {url:?} needs the form http://HOST[:PORT] or https://…");
        let uri: hyper::Uri = url.parse().with_context(form)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!(form());
        };
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => bail!(form()),
        };
        let name = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let address = tokio::net::lookup_host((name.as_str(), port))
            .await
            .with_context(|| format!("cannot find the host of {url}"))?
            .next()
            .with_context(|| format!("the host of {url} has no address"))?;
        let tls = if secure { Some((connector(trust, http2)?, name.try_into()?)) } else { None };
        Ok(Self { host: authority.to_string(), address, tls, http2 })
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// When nobody listens, or the other side cannot prove who it is.
    pub(super) async fn connect(&self) -> anyhow::Result<Connection> {
        let tcp = TcpStream::connect(self.address)
            .await
            .with_context(|| format!("nothing answers on {}; is the server running?", self.host))?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), tcp).await.with_context(|| {
                    format!("no TLS with {}; name its authority with --tls-ca", self.host)
                })?;
                if self.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    bail!("{} does not speak HTTP/2; leave --http2 out", self.host);
                }
                Box::new(stream)
            }
        };
        Ok(if self.http2 {
            Connection::Http2(Http2::new(stream, self.tls.is_some()).await?)
        } else {
            Connection::Http1(Http1::new(stream))
        })
    }
}

impl Connection {
    /// Sends a call and reads its answer to the end.
    ///
    /// # Errors
    ///
    /// When the answer does not come; the connection is of no more use.
    pub(super) async fn call(&mut self, request: Signed) -> Result<Acknowledged, Broken> {
        match self {
            Self::Http1(connection) => connection.call(&request).await,
            Self::Http2(connection) => connection.call(request).await,
        }
    }
}

fn connector(trust: &Trust<'_>, http2: bool) -> anyhow::Result<TlsConnector> {
    let mut client = match trust {
        Trust::Anybody => client_config(None, true),
        Trust::File(place) => client_config(Some(place), false),
        Trust::System => client_config(None, false),
    }?;
    client.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(TlsConnector::from(Arc::new(client)))
}
