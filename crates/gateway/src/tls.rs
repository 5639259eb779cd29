//! TLS of the listeners: a given certificate, or one made on request.

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use trailbox_record::TlsDetails;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The certificate file holds no certificate.
    #[error("certificate cannot be read: {reason}")]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The key file holds no private key.
    #[error("private key cannot be read: {reason}")]
    Key {
        /// What is wrong with it; never the key.
        reason: String,
    },
    /// The file of the clients' authorities holds none.
    #[error("clients' certificate authorities cannot be used: {reason}")]
    ClientCa {
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not fit, or the library refuses them.
    #[error("certificate and key cannot be used: {0}")]
    Library(#[from] rustls::Error),
    /// A name no certificate can be for.
    #[error("no certificate can be made: {reason}")]
    Make {
        /// What the library says.
        reason: String,
    },
}

/// A certificate chain and its key, both PEM.
pub struct PemPair {
    /// The chain, leaf first.
    pub certificate: String,
    /// The private key: whoever stores it, mode 0600.
    pub key: String,
}

impl std::fmt::Debug for PemPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemPair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Makes a self-signed certificate for `localhost`, `*.localhost`, `127.0.0.1`,
/// `::1` and `names`.
///
/// Many clients do not accept a wildcard right below a top-level name: for
/// buckets as host names give `*.s3.example` among `names`.
///
/// # Errors
///
/// [`ServerTlsError::Make`] when a name cannot stand in a certificate.
pub fn self_signed(names: &[String]) -> Result<PemPair, ServerTlsError> {
    let make = |err: rcgen::Error| ServerTlsError::Make { reason: err.to_string() };
    let mut all: Vec<String> =
        ["localhost", "*.localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    all.extend(names.iter().filter(|name| !["localhost"].contains(&name.as_str())).cloned());
    let mut params = CertificateParams::new(all).map_err(make)?;
    params.distinguished_name.push(DnType::CommonName, "Trailbox");
    let key = KeyPair::generate().map_err(make)?;
    let certificate = params.self_signed(&key).map_err(make)?;
    Ok(PemPair { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// HTTP/1.1 and HTTP/2 as TLS names them.
pub(crate) const HTTP1: &[u8] = b"http/1.1";
pub(crate) const HTTP2: &[u8] = b"h2";

/// The set-up of a listener from PEM texts: TLS 1.2 and 1.3. Which HTTP is
/// offered is the gateway's to say when it serves it.
///
/// # Errors
///
/// [`ServerTlsError`] says which of the two texts is at fault.
pub fn server_config(pair: &PemPair) -> Result<Arc<ServerConfig>, ServerTlsError> {
    set_up(pair, None)
}

/// The same for mutual TLS: only clients with a certificate of the authorities
/// in `client_ca` (PEM) come to an end with the handshake.
///
/// # Errors
///
/// [`ServerTlsError`] says which of the texts is at fault.
pub fn mutual_config(pair: &PemPair, client_ca: &str) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let wrong = |reason: String| ServerTlsError::ClientCa { reason };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(client_ca.as_bytes()) {
        let certificate = certificate.map_err(|err| wrong(err.to_string()))?;
        roots.add(certificate).map_err(|err| wrong(err.to_string()))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|err| wrong(err.to_string()))?;
    set_up(pair, Some(verifier))
}

fn set_up(
    pair: &PemPair,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, ServerTlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|err| ServerTlsError::Certificate { reason: err.to_string() })?;
    if chain.is_empty() {
        return Err(ServerTlsError::Certificate { reason: "it is empty".to_owned() });
    }
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
        .map_err(|err| ServerTlsError::Key { reason: err.to_string() })?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// `config` with the protocols offered that are served: HTTP/2 first, where it
/// is on.
pub(crate) fn offering(config: &ServerConfig, http2: bool) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols.clear();
    if http2 {
        config.alpn_protocols.push(HTTP2.to_vec());
    }
    config.alpn_protocols.push(HTTP1.to_vec());
    Arc::new(config)
}

/// What `tlsDetails` says of a connection.
pub(crate) fn details(connection: &rustls::ServerConnection) -> Option<TlsDetails> {
    // Only these two are offered.
    let old = connection.protocol_version()? == rustls::ProtocolVersion::TLSv1_2;
    let version = if old { "TLSv1.2" } else { "TLSv1.3" };
    let suite = connection.negotiated_cipher_suite()?.suite();
    let cipher = cipher_name(suite.as_str()?);
    Some(TlsDetails { version: version.to_owned(), cipher })
}

/// A cipher suite in CloudTrail's spelling: OpenSSL's name for TLS 1.2, the
/// IANA name for TLS 1.3. Both forms are in real records.
fn cipher_name(suite: &str) -> String {
    if let Some(rest) = suite.strip_prefix("TLS13_") {
        return format!("TLS_{rest}");
    }
    let Some(rest) = suite.strip_prefix("TLS_") else {
        return suite.to_owned();
    };
    rest.replace("_WITH_", "_")
        .replace("AES_128", "AES128")
        .replace("AES_256", "AES256")
        .replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
        .replace("CHACHA20_POLY1305", "CHACHA20-POLY1305")
        .replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::{PemPair, ServerTlsError, cipher_name, self_signed, server_config};

    #[test]
    fn ciphers_are_spelt_as_cloudtrail_spells_them() {
        let cases = [
            ("TLS13_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
            ("TLS13_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
            ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
            ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
            ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ];
        for (suite, want) in cases {
            assert_eq!(cipher_name(suite), want, "{suite}");
        }
    }

    #[test]
    fn a_made_certificate_can_be_served_and_its_key_is_not_shown() {
        let pair = self_signed(&["s3.example.test".to_owned()]).unwrap();
        assert!(server_config(&pair).is_ok());
        assert!(!format!("{pair:?}").contains("PRIVATE KEY"));
    }

    #[test]
    fn the_faulty_text_is_named() {
        let good = self_signed(&[]).unwrap();
        let no_key = PemPair { key: "x".into(), certificate: good.certificate };
        assert!(matches!(server_config(&no_key), Err(ServerTlsError::Key { .. })));
        let none = PemPair { key: good.key, certificate: String::new() };
        assert!(matches!(server_config(&none), Err(ServerTlsError::Certificate { .. })));
    }
}
