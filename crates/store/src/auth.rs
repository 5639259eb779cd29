//! Who may call: the port to the known access keys, and its two S3 adapters.

use crate::errors;
use s3s::S3Result;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use std::sync::Arc;

/// The access keys that may use the store.
pub trait KeyLookup: std::fmt::Debug + Send + Sync {
    /// The secret of `access_key_id`, or `None` when nobody knows the key or it
    /// is switched off. Answers from memory; called once per request.
    fn secret(&self, access_key_id: &str) -> Option<String>;
}

/// How the store tells callers apart.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Verifies SigV4 itself, against these keys. Anonymous calls are refused.
    Verify(Arc<dyn KeyLookup>),
    /// The recorder in front has judged the caller and says so in
    /// [`CALLER_HEADER`](crate::CALLER_HEADER). Only for a socket that nobody
    /// but the recorder can reach. Anonymous calls are refused all the same.
    Trusted,
}

/// Hands the secrets of a [`KeyLookup`] to the signature check of `s3s`.
pub(crate) struct Keys(pub(crate) Arc<dyn KeyLookup>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.secret(access_key) {
            Some(secret) => Ok(SecretKey::from(secret)),
            None => Err(errors::unknown_key()),
        }
    }
}

/// Lets every caller with a verified signature in, and nobody else.
pub(crate) struct SignedOnly;

#[async_trait::async_trait]
impl S3Access for SignedOnly {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        match context.credentials() {
            Some(_) => Ok(()),
            None => Err(errors::access_denied()),
        }
    }
}

/// Reads a bucket off the host name when it stands below a configured domain.
pub(crate) struct BucketHosts(pub(crate) Vec<String>);

impl S3Host for BucketHosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let bucket = self
            .0
            .iter()
            .find_map(|domain| name.strip_suffix(domain.as_str())?.strip_suffix('.'))
            .filter(|bucket| !bucket.is_empty());
        Ok(match bucket {
            Some(bucket) => VirtualHost::new(name).with_bucket(bucket),
            None => VirtualHost::new(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BucketHosts, S3Host};

    #[test]
    fn a_bucket_is_read_off_hosts_below_a_domain_only() {
        let hosts = BucketHosts(vec!["localhost".into(), "s3.amazonaws.com".into()]);
        let cases = [
            ("localhost:4747", None),
            ("logs.localhost:4747", Some("logs")),
            ("my.dotted.s3.amazonaws.com", Some("my.dotted")),
            ("s3.amazonaws.com", None),
            ("example.com", None),
            ("notlocalhost", None),
        ];
        for (host, want) in cases {
            let parsed = hosts.parse_host_header(host).unwrap();
            assert_eq!(parsed.bucket(), want, "host {host:?}");
        }
    }
}
