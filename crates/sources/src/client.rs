//! Signed requests to a source, on a few connections that are kept.
//!
//! Every request only reads, so one that a kept connection lost, or that the
//! source had no time for, is sent again.

use crate::error::SourceError;
use crate::{CONNECTIONS, Endpoint, Source};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use trailbox_clock::Clock;
use trailbox_sigv4::SignRequest;

/// Longest wait for one answer, connecting included.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer read.
const ANSWER_MAX: usize = 8 << 20;
/// How often a source that has no time is asked again, and the first pause.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// One request to come.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// Path and query as sent.
    pub(crate) target: String,
    /// A form, or nothing.
    pub(crate) form: String,
    /// What is asked, for errors.
    pub(crate) what: String,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// The way to one source.
pub(crate) struct Client<'a> {
    source: &'a Source,
    clock: Arc<dyn Clock>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(source: &'a Source, clock: Arc<dyn Clock>) -> Result<Self, SourceError> {
        let tls = if source.endpoint.tls {
            Some(tls(&source.endpoint, source.ca_file.as_deref())?)
        } else {
            None
        };
        Ok(Self { source, clock, tls, idle: Mutex::new(Vec::new()) })
    }

    /// Sends `ask` and reads the whole answer.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            let answer = self.once(ask).await?;
            let busy = matches!(answer.status, 429 | 503) || is_throttled(&answer);
            if !busy {
                return Ok(answer);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.once(ask).await
    }

    async fn once(&self, ask: &Ask) -> Result<Answer, SourceError> {
        let slow = |_| SourceError::Slow { endpoint: self.source.endpoint.to_string() };
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let fresh = kept.is_none();
            let exchange = async {
                let mut sender = match kept {
                    Some(sender) => sender,
                    None => self.connect().await?,
                };
                let answer = self.exchange(&mut sender, ask).await?;
                Ok((sender, answer))
            };
            match tokio::time::timeout(ANSWER_PATIENCE, exchange).await.map_err(slow)? {
                Ok((sender, answer)) => {
                    let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                    if !sender.is_closed() && idle.len() < CONNECTIONS {
                        idle.push(sender);
                    }
                    return Ok(answer);
                }
                Err(err) if fresh => return Err(err),
                // Most likely closed while nobody looked.
                Err(_) => {}
            }
        }
    }

    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        ask: &Ask,
    ) -> Result<Answer, SourceError> {
        let gone = |err: &dyn std::fmt::Display| self.unreachable(err.to_string());
        sender.ready().await.map_err(|err| gone(&err))?;
        let answer = sender.send_request(self.signed(ask)?).await.map_err(|err| gone(&err))?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|err| gone(&err))?.to_bytes();
        Ok(Answer { status, body })
    }

    fn signed(&self, ask: &Ask) -> Result<hyper::Request<Full<Bytes>>, SourceError> {
        let body = Bytes::from(ask.form.clone());
        let mut headers = vec![("host".to_owned(), self.source.endpoint.authority())];
        if !body.is_empty() {
            let form = "application/x-www-form-urlencoded; charset=utf-8";
            headers.push(("content-type".to_owned(), form.to_owned()));
        }
        headers.extend(trailbox_sigv4::sign(SignRequest {
            method: ask.method,
            target: &ask.target,
            headers: &headers,
            body: &body,
            access_key_id: &self.source.access_key_id,
            secret: self.source.secret.expose(),
            session_token: None,
            region: &self.source.region,
            service: if body.is_empty() { "s3" } else { "iam" },
            now: self.clock.now(),
        }));
        let mut request = hyper::Request::builder().method(ask.method).uri(&ask.target);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).map_err(|err| self.unreachable(err.to_string()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, SourceError> {
        let Endpoint { host, port, .. } = &self.source.endpoint;
        let gone = |err: std::io::Error| self.unreachable(err.to_string());
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(gone)?;
        stream.set_nodelay(true).map_err(gone)?;
        match &self.tls {
            None => self.handshake(stream).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(gone)?;
                self.handshake(stream).await
            }
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, SourceError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|err| self.unreachable(err.to_string()))?;
        // It ends with the sender; what goes wrong, the sender tells.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn unreachable(&self, reason: String) -> SourceError {
        SourceError::Unreachable { endpoint: self.source.endpoint.to_string(), reason }
    }
}

/// IAM says 400 to those who ask too fast.
fn is_throttled(answer: &Answer) -> bool {
    let throttling = b"<Code>Throttling";
    answer.status == 400 && answer.body.windows(throttling.len()).any(|part| part == throttling)
}

fn tls(
    endpoint: &Endpoint,
    ca_file: Option<&Path>,
) -> Result<(TlsConnector, ServerName<'static>), SourceError> {
    let unusable = |reason: String| SourceError::Tls { reason };
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| unusable(format!("`{}` is no DNS name or address", endpoint.host)))?;
    let mut roots = rustls::RootCertStore::empty();
    match ca_file {
        // The authorities the system has and cannot read are left out.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let wrong = |reason: String| unusable(format!("{}: {reason}", path.display()));
            let found =
                CertificateDer::pem_file_iter(path).map_err(|err| wrong(err.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|err| wrong(err.to_string()))?;
                roots.add(certificate).map_err(|err| wrong(err.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| unusable(err.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), name))
}
