//! What tells one listener from another: name, TLS, whom it believes, what it speaks.
//!
//! A connection holds its listener's settings by `Arc`; [`Gateway::settings`]
//! makes those that stand in the configuration. Sockets are `listener`'s.
//!
//! [`Gateway::settings`]: crate::Gateway::settings

use crate::config::{GatewayConfig, Network};
use serde::Deserialize;
use std::sync::Arc;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerRole {
    /// Every AWS service.
    Aws,
    /// Health, metrics and Trailbox's own API.
    Admin,
}

impl ListenerRole {
    /// The name of the first listener of that role, in records' private
    /// extension and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Admin => "admin",
        }
    }
}

/// Whose calls pass a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Callers {
    /// Everybody's: whoever answers judges.
    #[default]
    Any,
    /// Only of those who are verified here; all others are refused here.
    Known,
}

/// One listener, as its connections see it.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Its name in records' private extension and in metrics.
    pub name: Arc<str>,
    /// What it is for.
    pub role: ListenerRole,
    /// How TLS is spoken; absent: plain.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Service of an unsigned request that nothing else explains, such as `s3`.
    pub default_service: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Peers that must begin each connection with a PROXY header; nobody else may.
    pub proxy_protocol: Vec<Network>,
    /// What `vpcEndpointId` says in records of this listener.
    pub vpc_endpoint_id: Option<String>,
    /// Whose calls pass.
    pub callers: Callers,
    /// Whether HTTP/2 is spoken, too.
    pub http2: bool,
    /// Whether clients may use it as their HTTP proxy.
    pub forward_proxy: bool,
}

impl ListenerSettings {
    /// A plain listener of `role` with what `config` says for all.
    pub(crate) fn new(role: ListenerRole, config: &GatewayConfig) -> Self {
        Self {
            name: role.name().into(),
            role,
            tls: None,
            default_service: config.default_service.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            proxy_protocol: Vec::new(),
            vpc_endpoint_id: config.vpc_endpoint_id.clone(),
            callers: Callers::Any,
            http2: config.http2,
            forward_proxy: false,
        }
    }

    /// The same, with TLS offering the HTTP that is spoken.
    pub(crate) fn offering(mut self) -> Self {
        self.tls = self.tls.map(|tls| crate::tls::offering(&tls, self.http2));
        self
    }

    /// Whether it is the one for people and probes.
    pub(crate) fn is_admin(&self) -> bool {
        self.role == ListenerRole::Admin
    }
}
