//! Where a source listens.

use crate::error::SourceError;

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https` rather than `http`.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port; 80 or 443 when the URL has none.
    pub port: u16,
}

impl Endpoint {
    /// What `Host` says: the port only where it is not the scheme's own.
    pub(crate) fn authority(&self) -> String {
        let host = self.bracketed();
        if self.port == self.usual_port() { host } else { format!("{host}:{}", self.port) }
    }

    const fn usual_port(&self) -> u16 {
        if self.tls { 443 } else { 80 }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = SourceError;

    /// Reads `http://host[:port]` or `https://host[:port]`, a `/` at the end allowed.
    fn from_str(text: &str) -> Result<Self, SourceError> {
        let refused = || SourceError::Endpoint { text: text.chars().take(256).collect() };
        let uri: http::Uri = text.parse().map_err(|_| refused())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused()),
        };
        let authority = uri.authority().ok_or_else(refused)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let plain = !host.is_empty() && !authority.as_str().contains('@');
        if !plain || uri.path() != "/" || uri.query().is_some() {
            return Err(refused());
        }
        let port = match authority.port_u16() {
            Some(0) => return Err(refused()),
            Some(port) => port,
            // A port that is none, such as 70000, is no port to this parser.
            None if authority.as_str().ends_with(host) || authority.as_str().ends_with(']') => {
                if tls {
                    443
                } else {
                    80
                }
            }
            None => return Err(refused()),
        };
        // Names differ in letters only by mistake; a source has one name.
        Ok(Self { tls, host: host.to_ascii_lowercase(), port })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.bracketed(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        let cases = [
            ("http://ceph:7480", Some(("http://ceph:7480", "ceph:7480"))),
            ("http://Ceph/", Some(("http://ceph:80", "ceph"))),
            ("https://[::1]", Some(("https://[::1]:443", "[::1]"))),
            ("https://[::1]:8443", Some(("https://[::1]:8443", "[::1]:8443"))),
            ("ceph:7480", None),
            ("ftp://ceph", None),
            ("http://u@ceph", None),
            ("http://ceph:0", None),
            ("http://ceph:70000", None),
            ("http://ceph/admin", None),
            ("http://ceph/?x", None),
            ("", None),
        ];
        for (text, want) in cases {
            let got = text.parse::<Endpoint>().ok().map(|it| (it.to_string(), it.authority()));
            let want = want.map(|(name, host)| (name.to_owned(), host.to_owned()));
            assert_eq!(got, want, "{text}");
        }
    }
}
