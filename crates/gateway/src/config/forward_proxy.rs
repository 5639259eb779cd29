//! Section `[forward_proxy]`: what a listener does for clients that use it as their proxy.

use serde::Deserialize;
use std::path::PathBuf;

/// Where calls of proxy clients may go. Section `[forward_proxy]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardProxyConfig {
    /// Hosts whose calls are recorded: a name, or `*.` and a suffix. A call that
    /// nobody is mapped for goes to the very host it names. Default: AWS.
    pub hosts: Vec<HostPattern>,
    /// What happens to `CONNECT` for any other host. Default `refuse`.
    pub others: OtherHosts,
    /// PEM file of the certificate authorities to trust towards these hosts
    /// instead of the system's. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether loopback, link-local and, without TLS, private addresses may be
    /// connected to. Never our own listeners. Default `false`.
    pub private_targets: bool,
}

impl Default for ForwardProxyConfig {
    fn default() -> Self {
        let aws = ["*.amazonaws.com", "*.amazonaws.com.cn", "*.api.aws", "*.on.aws"];
        Self {
            hosts: aws.into_iter().map(|text| HostPattern(text.to_owned())).collect(),
            others: OtherHosts::Refuse,
            ca_file: None,
            private_targets: false,
        }
    }
}

impl ForwardProxyConfig {
    /// Whether calls to `host`, in lower case, are recorded.
    #[must_use]
    pub fn records(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.fits(host))
    }
}

/// What happens to a host whose calls are not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherHosts {
    /// The client is told no; counted.
    Refuse,
    /// Bytes pass both ways unseen and unrecorded; counted.
    Tunnel,
}

/// A host name, or all names that end alike: `*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

/// Why a text is not a [`HostPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host `{text}` must be a name, or `*.` and a name, in lower case and without a port")]
pub struct HostPatternError {
    /// The text as given.
    text: String,
}

impl HostPattern {
    fn fits(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            // The suffix begins with its dot: something must stand in front.
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == self.0,
        }
    }
}

impl std::str::FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let known = name.bytes().all(|byte| plain(byte) || b"-._".contains(&byte));
        if name.is_empty() || !known {
            return Err(HostPatternError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{ForwardProxyConfig, HostPattern};

    #[test]
    fn a_pattern_fits_names_below_it_and_a_name_itself() {
        let config = ForwardProxyConfig::default();
        for (host, want) in [
            ("s3.us-east-1.amazonaws.com", true),
            ("logs.s3.amazonaws.com", true),
            ("sts.cn-north-1.amazonaws.com.cn", true),
            ("amazonaws.com", false),
            ("evilamazonaws.com", false),
            ("s3.amazonaws.com.evil.example", false),
        ] {
            assert_eq!(config.records(host), want, "{host}");
        }
        assert!("minio.local".parse::<HostPattern>().unwrap().fits("minio.local"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "*.", "*", "a*.b", "h:443", "https://h", "Example.com"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
