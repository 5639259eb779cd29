//! Configuration of the gateway: every field documented, defaulted, with its
//! unit in the name or type.
//!
//! The binary reads one TOML file; these are the sections the gateway owns.
//! [`GatewayConfig`] is the whole; a key nobody knows is refused by name.

mod forward_proxy;
mod limits;
mod network;
mod recording;
mod resign;
mod upstream;

pub use forward_proxy::{ForwardProxyConfig, HostPattern, HostPatternError, OtherHosts};
pub use limits::LimitsConfig;
pub use network::{Network, NetworkError};
pub(crate) use recording::RESET_PATH;
pub use recording::{Durability, Intents, OnFailure, RecordingConfig, SessionTokenRule};
pub use resign::{AnonymousCalls, ResignConfig, ResignError};
pub use upstream::{
    Flavour, Http2, UpstreamConfig, UpstreamUrl, UpstreamUrlError, VerifiesSignatures,
};

use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything the gateway can be told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// Region of calls whose signature names none. Default `us-east-1`.
    pub region: String,
    /// Upstreams by service, as botocore names it: `s3`, `iam`, `dynamodb`, ….
    /// Section `[upstream]`; a value is a URL or a table.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
    /// Who answers a service that is not mapped. Default: nobody.
    pub default_upstream: Option<UpstreamConfig>,
    /// Services Trailbox answers itself although a default upstream is set.
    /// Without a default upstream all of [`EMBEDDABLE`] are. Default empty.
    pub embedded: Vec<String>,
    /// Service of an unsigned request that nothing else explains, such as
    /// `s3`. Default: none, which reads it as an anonymous S3 call.
    pub default_service: Option<String>,
    /// Host suffixes in front of which a label is a bucket: with `s3.example`,
    /// `logs.s3.example` is bucket `logs`. Default empty.
    pub s3_domains: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or CIDR blocks.
    /// Default: none.
    pub trusted_proxies: Vec<Network>,
    /// Callers that are AWS services or agents, told by address and user agent.
    pub service_principals: Vec<ServicePrincipalConfig>,
    /// What `vpcEndpointId` says in records of this listener. Default: absent.
    pub vpc_endpoint_id: Option<String>,
    /// Section `[forward_proxy]`.
    pub forward_proxy: ForwardProxyConfig,
    /// Whether clients may speak HTTP/2: agreed on within TLS, or begun with its
    /// preface on a plain connection. Default `true`.
    pub http2: bool,
    /// Section `[recording]`.
    pub recording: RecordingConfig,
    /// Section `[limits]`.
    pub limits: LimitsConfig,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            upstreams: BTreeMap::new(),
            default_upstream: None,
            embedded: Vec::new(),
            default_service: None,
            s3_domains: Vec::new(),
            trusted_proxies: Vec::new(),
            service_principals: Vec::new(),
            vpc_endpoint_id: None,
            forward_proxy: ForwardProxyConfig::default(),
            http2: true,
            recording: RecordingConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

/// Services the engine can answer in place of an upstream.
pub const EMBEDDABLE: [&str; 2] = ["s3", "sts"];

/// A caller that is recorded as `AWSService`, whatever key it uses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePrincipalConfig {
    /// The service principal, such as `replication.example.com`.
    pub service: String,
    /// Addresses it calls from. All must be listed; an empty list matches nobody.
    pub networks: Vec<Network>,
    /// Text that its `User-Agent` contains. Default: any user agent.
    #[serde(default)]
    pub user_agent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{GatewayConfig, UpstreamConfig, VerifiesSignatures};
    use expect_test::expect;

    #[test]
    fn a_misspelt_field_is_named_in_the_error() {
        let err = toml::from_str::<GatewayConfig>("[limits]\nhead_tiemout = '1s'").unwrap_err();
        assert!(err.to_string().contains("unknown field `head_tiemout`"), "{err}");
        let err = toml::from_str::<GatewayConfig>("regoin = 'x'").unwrap_err();
        assert!(err.to_string().contains("unknown field `regoin`"), "{err}");
    }

    #[test]
    fn an_upstream_is_a_url_or_a_table() {
        let config: GatewayConfig = toml::from_str(
            r#"
            [upstreams]
            s3 = "http://ceph:7480"
            iam = { url = "https://iam.example", region = "eu-1", verifies_signatures = true }
            "#,
        )
        .unwrap();
        let want = UpstreamConfig::new("http://ceph:7480".parse().unwrap());
        assert_eq!(config.upstreams["s3"], want);
        assert_eq!(config.upstreams["iam"].url.port, 443);
        assert_eq!(config.upstreams["iam"].verifies_signatures, VerifiesSignatures::Yes);
    }

    #[test]
    fn an_upstream_that_is_no_url_is_refused_with_the_rule() {
        let err = toml::from_str::<GatewayConfig>("upstreams.s3 = 'ceph:7480'").unwrap_err();
        expect!["upstream `ceph:7480` must begin with http:// or https://"]
            .assert_eq(err.message());
    }
}
