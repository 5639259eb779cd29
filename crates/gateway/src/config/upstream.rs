//! Upstreams: who really answers, and what is known about them.

use super::ResignConfig;
use serde::Deserialize;
use std::path::PathBuf;

/// One upstream: a URL, or a table with more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Where it listens. Calls keep their own path and `Host`, because SigV4
    /// signs both; with `resign` they get this one's.
    pub url: UpstreamUrl,
    /// Region its calls are recorded under. Default: the one the caller signed
    /// for, which is kept beside it when this one differs.
    pub region: Option<String>,
    /// Whether it refuses wrong signatures. Default `"probe"`: asked once at
    /// start, with a deliberately wrong one.
    pub verifies_signatures: VerifiesSignatures,
    /// Server family, for the names of its own admin API. Default: none.
    pub flavour: Option<Flavour>,
    /// Account that owns its buckets, 12 digits. Default: the gateway's.
    pub bucket_owner: Option<String>,
    /// PEM file of the certificate authorities to trust instead of the
    /// system's. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate: for a laboratory. Default `false`.
    pub insecure: bool,
    /// Whether calls are forwarded in HTTP/2. Default `false`: only HTTP/1.1
    /// passes byte for byte.
    pub http2: Http2,
    /// Callers are proved here and their calls signed anew, with a key the
    /// upstream knows. Default: calls pass as they are signed.
    pub resign: Option<ResignConfig>,
}

impl UpstreamConfig {
    /// An upstream at `url` with all defaults.
    #[must_use]
    pub fn new(url: UpstreamUrl) -> Self {
        Self {
            url,
            region: None,
            verifies_signatures: VerifiesSignatures::Probe,
            flavour: None,
            bucket_owner: None,
            ca_file: None,
            insecure: false,
            http2: Http2::No,
            resign: None,
        }
    }
}

/// The table form, as serde reads it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    url: UpstreamUrl,
    region: Option<String>,
    #[serde(default)]
    verifies_signatures: VerifiesSignatures,
    flavour: Option<Flavour>,
    bucket_owner: Option<String>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure: bool,
    #[serde(default)]
    http2: Http2,
    resign: Option<ResignConfig>,
}

impl<'de> Deserialize<'de> for UpstreamConfig {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UrlOrTable)
    }
}

/// Tells a URL from a table, so that errors speak of the one that was meant.
struct UrlOrTable;

impl<'de> serde::de::Visitor<'de> for UrlOrTable {
    type Value = UpstreamConfig;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a URL or a table with `url`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(UpstreamConfig::new).map_err(E::custom)
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        let Table {
            url,
            region,
            verifies_signatures,
            flavour,
            bucket_owner,
            ca_file,
            insecure,
            http2,
            resign,
        } = table;
        Ok(UpstreamConfig {
            url,
            region,
            verifies_signatures,
            flavour,
            bucket_owner,
            ca_file,
            insecure,
            http2,
            resign,
        })
    }
}

/// Whether an upstream refuses wrong signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifiesSignatures {
    /// `true`: it does; a key it accepts is trusted.
    Yes,
    /// `false`: it does not; an unknown key stays a mere claim.
    No,
    /// `"probe"`: find out by asking.
    #[default]
    Probe,
}

impl<'de> Deserialize<'de> for VerifiesSignatures {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        flag_or("probe", from)
            .map(|flag| flag.map_or(Self::Probe, |yes| if yes { Self::Yes } else { Self::No }))
    }
}

/// Whether an upstream is spoken to in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Http2 {
    /// `true`: always; without TLS it must know beforehand.
    Yes,
    /// `false`: never.
    #[default]
    No,
    /// `"auto"`: where it agrees to it within TLS.
    Auto,
}

impl<'de> Deserialize<'de> for Http2 {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        flag_or("auto", from)
            .map(|flag| flag.map_or(Self::Auto, |yes| if yes { Self::Yes } else { Self::No }))
    }
}

/// A flag, or `None` for the one word that may stand in its place.
fn flag_or<'de, D: serde::Deserializer<'de>>(
    other: &'static str,
    from: D,
) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Flag(bool),
        Word(String),
    }
    match Written::deserialize(from)? {
        Written::Flag(flag) => Ok(Some(flag)),
        Written::Word(word) if word == other => Ok(None),
        Written::Word(word) => {
            Err(serde::de::Error::custom(format!("`{word}` is not true, false or \"{other}\"")))
        }
    }
}

/// A server family with an admin API of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// Ceph RADOS Gateway: `/admin/…`.
    Rgw,
    /// MinIO: `/minio/admin/…`.
    Minio,
    /// `OpenStack` Swift: `/v1/AUTH_…`.
    Swift,
}

impl Flavour {
    /// The word used in config and in the path tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rgw => "rgw",
            Self::Minio => "minio",
            Self::Swift => "swift",
        }
    }
}

/// Where an upstream listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// `https` rather than `http`.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 80 or 443 when the URL has none.
    pub port: u16,
}

/// Why a text is not an [`UpstreamUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamUrlError {
    /// Neither `http://` nor `https://`.
    #[error("upstream `{text}` must begin with http:// or https://")]
    Scheme {
        /// The text as given.
        text: String,
    },
    /// No host, or one with a user or a space in it.
    #[error("upstream `{text}` needs a host name or address behind its scheme")]
    Host {
        /// The text as given.
        text: String,
    },
    /// A port that is not 1 to 65535.
    #[error("upstream `{text}` has no port from 1 to 65535 behind its colon")]
    Port {
        /// The text as given.
        text: String,
    },
    /// A path, query or fragment.
    #[error("upstream `{text}` must not have a path: calls keep the path that was signed")]
    Path {
        /// The text as given.
        text: String,
    },
}

impl std::str::FromStr for UpstreamUrl {
    type Err = UpstreamUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let own = || text.to_owned();
        let (tls, rest) = if let Some(rest) = text.strip_prefix("http://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("https://") {
            (true, rest)
        } else {
            return Err(UpstreamUrlError::Scheme { text: own() });
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(UpstreamUrlError::Path { text: own() });
        }
        let (host, port) = split_port(rest);
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| 0 < *port)
                .ok_or_else(|| UpstreamUrlError::Port { text: own() })?,
        };
        if host.is_empty() || host.contains(|c: char| c == '@' || c.is_whitespace()) {
            return Err(UpstreamUrlError::Host { text: own() });
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

/// Parts `host:port` or `[v6]:port`; the brackets are removed.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
}

impl UpstreamUrl {
    /// What `Host` says to it: a port that the scheme implies is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let implied = if self.tls { 443 } else { 80 };
        if self.port == implied { host } else { format!("{host}:{}", self.port) }
    }
}

impl std::fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl<'de> Deserialize<'de> for UpstreamUrl {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{UpstreamUrl, UpstreamUrlError};

    #[test]
    fn an_authority_has_no_port_that_its_scheme_implies() {
        let cases = [
            ("https://s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
            ("http://h:80", "h"),
            ("http://h:443", "h:443"),
            ("https://[::1]:8443", "[::1]:8443"),
        ];
        for (url, want) in cases {
            assert_eq!(url.parse::<UpstreamUrl>().unwrap().authority(), want);
        }
    }

    #[test]
    fn urls_are_read_by_the_published_rules() {
        let text = |text: &str| text.to_owned();
        let cases = [
            ("http://ceph:7480", Ok("http://ceph:7480")),
            ("http://ceph/", Ok("http://ceph:80")),
            ("https://[::1]", Ok("https://[::1]:443")),
            ("https://[::1]:8443", Ok("https://[::1]:8443")),
            ("ceph:7480", Err(UpstreamUrlError::Scheme { text: text("ceph:7480") })),
            ("http://", Err(UpstreamUrlError::Host { text: text("http://") })),
            ("http://u@h", Err(UpstreamUrlError::Host { text: text("http://u@h") })),
            ("http://h:0", Err(UpstreamUrlError::Port { text: text("http://h:0") })),
            ("http://h/p", Err(UpstreamUrlError::Path { text: text("http://h/p") })),
        ];
        for (text, want) in cases {
            let got = text.parse::<UpstreamUrl>().map(|url| url.to_string());
            assert_eq!(got, want.map(str::to_owned), "{text}");
        }
    }
}
