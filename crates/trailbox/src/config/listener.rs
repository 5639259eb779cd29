//! Ports that record: `[listen]`, the first, and one `[[listener]]` for each more.

use anyhow::ensure;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use trailbox_gateway::Callers;
use trailbox_gateway::config::Network;

/// Names of the ports that `[listen]` opens.
pub(crate) const FIRST: &str = "aws";
pub(crate) const ADMIN: &str = "admin";

/// Section `[listen]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) tls: Tls,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) tls_names: Vec<String>,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) proxy_protocol: Vec<Network>,
    pub(crate) callers: Callers,
    pub(crate) http2: bool,
    pub(crate) forward_proxy: bool,
}

/// What a recording port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tls {
    /// Plain HTTP.
    #[default]
    Off,
    /// TLS with `tls_cert` and `tls_key`.
    Given,
    /// TLS with a certificate made on first start.
    SelfSigned,
}

/// One `[[listener]]`. What is absent is as `[gateway]` says for all.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenerEntry {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    #[serde(default)]
    pub(crate) tls: Tls,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) default_service: Option<String>,
    pub(crate) trusted_proxies: Option<Vec<Network>>,
    #[serde(default)]
    pub(crate) proxy_protocol: Vec<Network>,
    pub(crate) vpc_endpoint_id: Option<String>,
    #[serde(default)]
    pub(crate) callers: Callers,
    #[serde(default = "yes")]
    pub(crate) http2: bool,
    #[serde(default)]
    pub(crate) forward_proxy: bool,
}

fn yes() -> bool {
    true
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 4747)),
            admin: SocketAddr::from(([127, 0, 0, 1], 4748)),
            tls: Tls::Off,
            tls_cert: None,
            tls_key: None,
            tls_names: Vec::new(),
            client_ca: None,
            proxy_protocol: Vec::new(),
            callers: Callers::Any,
            http2: true,
            forward_proxy: false,
        }
    }
}

impl Listen {
    /// The first recording port, as if it were a `[[listener]]`.
    pub(crate) fn entry(&self) -> ListenerEntry {
        ListenerEntry {
            name: FIRST.to_owned(),
            address: self.address,
            tls: self.tls,
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            client_ca: self.client_ca.clone(),
            default_service: None,
            trusted_proxies: None,
            proxy_protocol: self.proxy_protocol.clone(),
            vpc_endpoint_id: None,
            callers: self.callers,
            http2: self.http2,
            forward_proxy: self.forward_proxy,
        }
    }
}

impl ListenerEntry {
    /// How messages name one of its keys.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.name == FIRST {
            format!("`listen.{key}`")
        } else {
            format!("`{key}` of listener `{}`", self.name)
        }
    }

    /// The rules that hold between keys.
    ///
    /// # Errors
    ///
    /// With the key, its value and the rule.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.tls != Tls::Given || (self.tls_cert.is_some() && self.tls_key.is_some()),
            "{} is `given`; it needs `tls_cert` and `tls_key`",
            self.key("tls")
        );
        ensure!(
            self.tls != Tls::Off || self.client_ca.is_none(),
            "{} is set; without `tls` no client shows a certificate",
            self.key("client_ca")
        );
        Ok(())
    }
}

/// Whether names tell listeners apart, in records, metrics and sockets handed over.
///
/// # Errors
///
/// With the name and the rule.
pub(crate) fn check_names(entries: &[ListenerEntry]) -> anyhow::Result<()> {
    let mut seen = vec![FIRST, ADMIN];
    for ListenerEntry { name, .. } in entries {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        ensure!(
            !name.is_empty() && name.len() <= 64 && name.bytes().all(plain),
            "listener name `{name}` must be 1 to 64 letters, digits, `-`, `_` and `.`"
        );
        ensure!(
            !seen.contains(&name.as_str()),
            "listener name `{name}` is taken; `{FIRST}` and `{ADMIN}` are those of [listen]"
        );
        seen.push(name);
    }
    Ok(())
}
