//! TLS towards upstreams.

use crate::config::{Http2, UpstreamConfig};
use crate::tls::{HTTP1, HTTP2};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client};

/// What a TLS handshake with one upstream needs.
#[derive(Clone)]
pub(crate) struct ClientTls {
    connector: TlsConnector,
    /// The same, offering HTTP/2.
    http2: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why an `https` upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// `ca_file` cannot be read or holds no certificate.
    #[error("certificate authorities in `{}` cannot be used: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The host of the URL is no name a certificate could be for.
    #[error("upstream host `{host}` is no DNS name or address")]
    Name {
        /// The host.
        host: String,
    },
    /// The TLS library refuses the set-up.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

impl ClientTls {
    /// Trusts what `config` says: a file, the system, or anybody.
    pub(crate) fn new(config: &UpstreamConfig) -> Result<Self, ClientTlsError> {
        let host = &config.url.host;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| ClientTlsError::Name { host: host.clone() })?;
        let client = client_config(config.ca_file.as_deref(), config.insecure)?;
        let mut offering = client.clone();
        offering.alpn_protocols = match config.http2 {
            Http2::Yes => vec![HTTP2.to_vec()],
            Http2::Auto | Http2::No => vec![HTTP2.to_vec(), HTTP1.to_vec()],
        };
        let connector = |client| TlsConnector::from(Arc::new(client));
        Ok(Self { connector: connector(client), http2: connector(offering), name })
    }

    /// A set-up that trusts the authorities in `ca_file`, or else the system's.
    pub(crate) fn trusting(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, ClientTlsError> {
        let roots = match ca_file {
            Some(path) => roots_of(path)?,
            None => system_roots(),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    }

    /// Handshakes with `host` by a set-up that is there already; without HTTP/2.
    pub(crate) fn of(client: Arc<ClientConfig>, host: &str) -> Result<Self, ClientTlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ClientTlsError::Name { host: host.to_owned() })?;
        let connector = TlsConnector::from(client);
        Ok(Self { http2: connector.clone(), connector, name })
    }

    /// Agrees on keys over a fresh connection, and on HTTP/2 if it is wanted.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        http2: bool,
    ) -> std::io::Result<client::TlsStream<TcpStream>> {
        let connector = if http2 { &self.http2 } else { &self.connector };
        connector.connect(self.name.clone(), stream).await
    }
}

/// A client's TLS that trusts the authorities in `ca_file`, else the system's;
/// when `insecure`, anybody. No application protocol is offered yet.
///
/// # Errors
///
/// When the file cannot be used or the TLS library refuses the set-up.
pub fn client_config(
    ca_file: Option<&Path>,
    insecure: bool,
) -> Result<ClientConfig, ClientTlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    if insecure {
        let anybody = Arc::new(Anybody(provider));
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(anybody)
            .with_no_client_auth());
    }
    let roots = match ca_file {
        Some(path) => roots_of(path)?,
        None => system_roots(),
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots_of(path: &Path) -> Result<RootCertStore, ClientTlsError> {
    let unusable = |reason: String| ClientTlsError::CaFile { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(path).map_err(|err| unusable(err.to_string()))?
    {
        let certificate = certificate.map_err(|err| unusable(err.to_string()))?;
        roots.add(certificate).map_err(|err| unusable(err.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// The system's authorities; those it cannot read are left out.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Accepts any certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
