//! The proxy's own certificate authority: whoever trusts it lets the proxy read
//! his calls. Certificates for single hosts are made on request and live short.

use crate::tls::PemPair;
use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SerialNumber,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::PrivateKeyDer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trailbox_clock::{Micros, Random};

/// How long the authority lives.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);
/// How long a host's certificate lives; it is made anew at half of that.
const LEAF_LIFE: Duration = Duration::from_hours(48);
/// Clients whose clock is behind by no more than this accept a new one.
const BEHIND: Duration = Duration::from_hours(1);
/// Certificates that are kept.
const LEAVES_MAX: usize = 512;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ProxyAuthorityError {
    /// The library refuses key or name.
    #[error("no certificate of the proxy's authority can be made: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS refuses the certificate that was made.
    #[error("a certificate of the proxy's authority cannot be used: {0}")]
    Use(#[from] rustls::Error),
    /// No authority was given to the gateway.
    #[error("the gateway was given no authority to sign with")]
    None,
}

/// Makes a new authority: its certificate, which clients are to trust, and its key.
///
/// # Errors
///
/// When the library has no such key.
pub fn make_authority(now: Micros, random: &dyn Random) -> Result<PemPair, ProxyAuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = authority(&key);
    params.not_before = now.date_time() - BEHIND;
    params.not_after = now.date_time() + AUTHORITY_LIFE;
    params.serial_number = Some(serial(random));
    let certificate = params.self_signed(&key)?.pem();
    Ok(PemPair { certificate, key: key.serialize_pem() })
}

/// All that certificates of one authority have in common, from its key alone.
fn authority(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let print = digest(&SHA256, key.der_bytes());
    let name = format!("Trailbox proxy CA {}", hex::encode(&print.as_ref()[..4]));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Positive and unpredictable; two certificates of one authority never share one.
fn serial(random: &dyn Random) -> SerialNumber {
    let mut bytes = random.uuid();
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Signs for hosts.
pub struct ProxyAuthority {
    issuer: Issuer<'static, KeyPair>,
    /// Of all hosts' certificates.
    key: KeyPair,
    leaves: Mutex<HashMap<String, Leaf>>,
}

struct Leaf {
    config: Arc<ServerConfig>,
    made: Micros,
}

impl std::fmt::Debug for ProxyAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyAuthority").finish_non_exhaustive()
    }
}

impl ProxyAuthority {
    /// Takes up what [`make_authority`] made, by its key.
    ///
    /// # Errors
    ///
    /// When the text is no private key.
    pub fn from_key(pem: &str) -> Result<Self, ProxyAuthorityError> {
        let key = KeyPair::from_pem(pem)?;
        let issuer = Issuer::new(authority(&key), key);
        Ok(Self { issuer, key: KeyPair::generate()?, leaves: Mutex::default() })
    }

    /// TLS as `host`.
    pub(crate) fn leaf(
        &self,
        host: &str,
        now: Micros,
        random: &dyn Random,
    ) -> Result<Arc<ServerConfig>, ProxyAuthorityError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |leaf: &Leaf| now.date_time() - leaf.made.date_time();
        if let Some(leaf) = leaves.get(host).filter(|leaf| age(leaf) < LEAF_LIFE / 2) {
            return Ok(Arc::clone(&leaf.config));
        }
        if LEAVES_MAX <= leaves.len() {
            let oldest =
                leaves.iter().max_by_key(|(_, leaf)| age(leaf)).map(|(host, _)| host.clone());
            oldest.map(|host| leaves.remove(&host));
        }
        let config = self.make(host, now, random)?;
        leaves.insert(host.to_owned(), Leaf { config: Arc::clone(&config), made: now });
        Ok(config)
    }

    fn make(
        &self,
        host: &str,
        now: Micros,
        random: &dyn Random,
    ) -> Result<Arc<ServerConfig>, ProxyAuthorityError> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        // Longer names have no room there; nobody reads them there either.
        params.distinguished_name.push(DnType::CommonName, host.get(..64).unwrap_or(host));
        params.not_before = now.date_time() - BEHIND;
        params.not_after = now.date_time() + LEAF_LIFE;
        params.serial_number = Some(serial(random));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let provider = Arc::new(default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::{LEAVES_MAX, ProxyAuthority, make_authority};
    use std::sync::Arc;
    use trailbox_clock::{Micros, SeededRandom};

    #[test]
    fn certificates_are_kept_for_a_day_and_for_a_bounded_number_of_hosts() {
        let (random, now) = (SeededRandom::new(1), Micros::from_seconds(1_800_000_000));
        let pair = make_authority(now, &random).unwrap();
        let authority = ProxyAuthority::from_key(&pair.key).unwrap();
        let leaf = |host: &str, now| authority.leaf(host, now, &random).unwrap();
        let first = leaf("sts.amazonaws.com", now);
        assert!(Arc::ptr_eq(&first, &leaf("sts.amazonaws.com", now)));
        let tomorrow = Micros::from_seconds(1_800_000_000 + 86_400);
        assert!(!Arc::ptr_eq(&first, &leaf("sts.amazonaws.com", tomorrow)));
        for n in 0..LEAVES_MAX + 10 {
            leaf(&format!("b{n}.s3.amazonaws.com"), tomorrow);
        }
        assert_eq!(authority.leaves.lock().unwrap().len(), LEAVES_MAX);
        assert!(!format!("{pair:?}{authority:?}").contains("PRIVATE"));
    }
}
