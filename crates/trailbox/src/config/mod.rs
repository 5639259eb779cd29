//! The configuration file: one TOML, every key documented in `default.toml`.
//!
//! Flags of `serve` override what they name. A key nobody knows is refused with
//! its line.

mod explain;
mod listener;
mod sync;

pub(crate) use explain::{DEFAULT_TEXT, explain};
pub(crate) use listener::{ADMIN, Listen, ListenerEntry, Tls};
pub(crate) use sync::PrincipalSync;

use anyhow::Context as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trailbox_gateway::config::{
    ForwardProxyConfig, GatewayConfig, LimitsConfig, Network, RecordingConfig,
    ServicePrincipalConfig, UpstreamConfig,
};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) account: String,
    pub(crate) mode: Mode,
    pub(crate) region: String,
    pub(crate) data: PathBuf,
    pub(crate) listen: Listen,
    /// Ports beside the first.
    pub(crate) listener: Vec<ListenerEntry>,
    /// By service; the name `default` is everybody else's.
    pub(crate) upstream: BTreeMap<String, UpstreamConfig>,
    pub(crate) embedded: Embedded,
    pub(crate) gateway: Gateway,
    pub(crate) forward_proxy: ForwardProxyConfig,
    pub(crate) facts: FactsSource,
    pub(crate) recording: RecordingConfig,
    pub(crate) journal: Journal,
    pub(crate) history: History,
    pub(crate) limits: Limits,
    pub(crate) principal: Vec<PrincipalEntry>,
    pub(crate) principal_sync: Vec<PrincipalSync>,
}

/// How strict Trailbox is about keys it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Own operations refuse an unknown key.
    Normal,
    /// Every key is an administrator of the account. Loopback only.
    Test,
}

/// Section `[embedded]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Embedded {
    pub(crate) services: Vec<String>,
}

/// Section `[gateway]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    pub(crate) default_service: Option<String>,
    pub(crate) s3_domains: Vec<String>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) service_principals: Vec<ServicePrincipalConfig>,
    pub(crate) vpc_endpoint_id: Option<String>,
}

/// Section `[facts]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FactsSource {
    pub(crate) file: Option<PathBuf>,
    pub(crate) trusted_keys: Vec<String>,
}

/// Section `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Journal {
    pub(crate) segment_bytes: u64,
    #[serde(with = "humantime_serde")]
    pub(crate) segment_age: Duration,
    pub(crate) reserve_bytes: u64,
}

/// Section `[history]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    pub(crate) management_days: u32,
    pub(crate) data_days: u32,
}

/// Section `[limits]`: the gateway's, and those of our own operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    pub(crate) lookup_tps: Option<u32>,
    #[serde(flatten)]
    pub(crate) gateway: LimitsConfig,
}

/// One `[[principal]]`: a user whose key people already have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrincipalEntry {
    pub(crate) name: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) secret_env: Option<String>,
    pub(crate) account: Option<String>,
    #[serde(default)]
    pub(crate) administrator: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            mode: Mode::Normal,
            region: "us-east-1".to_owned(),
            data: PathBuf::from("trailbox-data"),
            listen: Listen::default(),
            listener: Vec::new(),
            upstream: BTreeMap::new(),
            embedded: Embedded::default(),
            gateway: Gateway::default(),
            forward_proxy: ForwardProxyConfig::default(),
            facts: FactsSource::default(),
            recording: RecordingConfig::default(),
            journal: Journal::default(),
            history: History::default(),
            limits: Limits::default(),
            principal: Vec::new(),
            principal_sync: Vec::new(),
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_age: Duration::from_hours(1),
            reserve_bytes: 16 << 20,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { management_days: 90, data_days: 7 }
    }
}

impl Config {
    /// Reads and checks the file at `place`.
    ///
    /// # Errors
    ///
    /// With the line and the key, when the file is not what `default.toml` describes.
    pub(crate) fn read(place: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(place)
            .with_context(|| format!("cannot read the configuration {}", place.display()))?;
        let config = Self::parse(&text).with_context(|| format!("in {}", place.display()))?;
        Ok(config)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        known_limits(text)?;
        config.check()?;
        Ok(config)
    }

    /// The rules that hold between keys.
    ///
    /// # Errors
    ///
    /// With the key, its value and the rule.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let digits = self.account.len() == 12 && self.account.bytes().all(|b| b.is_ascii_digit());
        anyhow::ensure!(digits, "`account` is `{}`; it needs 12 digits", self.account);
        listener::check_names(&self.listener)?;
        let open = self.recording_ports().into_iter().map(|entry| entry.address);
        let open = open.chain([self.listen.admin]).find(|address| !address.ip().is_loopback());
        if let Some(open) = open.filter(|_| self.mode == Mode::Test) {
            anyhow::bail!(
                "`mode` is `test`, which believes every key: {open} must be a loopback address"
            );
        }
        for entry in self.recording_ports() {
            entry.check()?;
        }
        anyhow::ensure!(
            self.facts.file.is_none() || !self.facts.trusted_keys.is_empty(),
            "`facts.file` is set; `facts.trusted_keys` must name who may sign it"
        );
        for entry in &self.principal_sync {
            entry.check()?;
        }
        for entry in &self.principal {
            anyhow::ensure!(
                entry.secret_file.is_some() != entry.secret_env.is_some(),
                "`principal` `{}` needs exactly one of `secret_file` and `secret_env`",
                entry.name
            );
        }
        Ok(())
    }

    /// Every port that records, the first one first.
    pub(crate) fn recording_ports(&self) -> Vec<ListenerEntry> {
        std::iter::once(self.listen.entry()).chain(self.listener.iter().cloned()).collect()
    }

    /// What the gateway is told.
    pub(crate) fn gateway(&self) -> GatewayConfig {
        let mut upstreams = self.upstream.clone();
        let default_upstream = upstreams.remove("default");
        let Gateway {
            default_service,
            s3_domains,
            trusted_proxies,
            service_principals,
            vpc_endpoint_id,
        } = self.gateway.clone();
        GatewayConfig {
            region: self.region.clone(),
            upstreams,
            default_upstream,
            embedded: self.embedded.services.clone(),
            default_service,
            s3_domains,
            trusted_proxies,
            service_principals,
            vpc_endpoint_id,
            forward_proxy: self.forward_proxy.clone(),
            http2: self.listen.http2,
            recording: self.recording.clone(),
            limits: self.limits.gateway.clone(),
        }
    }
}

/// A flattened section cannot refuse unknown keys by itself: they are compared
/// with the documented ones.
fn known_limits(text: &str) -> anyhow::Result<()> {
    let written: toml::Table = toml::from_str(text)?;
    let documented: toml::Table = toml::from_str(DEFAULT_TEXT)?;
    let keys = |table: &toml::Table| match table.get("limits") {
        Some(toml::Value::Table(limits)) => limits.keys().cloned().collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let known = keys(&documented);
    for key in keys(&written).iter().filter(|key| !known.contains(key)) {
        let line = text.lines().position(|line| line.trim_start().starts_with(key.as_str()));
        let line = line.map_or(0, |line| line + 1);
        let known: Vec<&str> = known.iter().map(String::as_str).chain(["lookup_tps"]).collect();
        if key != "lookup_tps" {
            anyhow::bail!(
                "line {line}: unknown key `{key}` in [limits]; expected one of {}",
                known.join(", ")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Config, DEFAULT_TEXT};

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        assert_eq!(Config::parse(DEFAULT_TEXT).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        for (text, line, key) in [
            ("acount = '1'", "line 1", "acount"),
            ("[limits]\nlookup_tps = 2\nhead_tiemout = '1s'", "line 3", "head_tiemout"),
            ("\n[recording]\nintent = 'off'", "line 3", "intent"),
        ] {
            let err = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(err.contains(line) && err.contains(key), "{err}");
        }
    }

    #[test]
    fn rules_between_keys_name_the_key_and_the_value() {
        let err = Config::parse("account = '12'").unwrap_err().to_string();
        assert!(err.contains("`12`") && err.contains("12 digits"), "{err}");
        let open = "mode = 'test'\n[listen]\naddress = '0.0.0.0:4747'";
        let err = Config::parse(open).unwrap_err().to_string();
        assert!(err.contains("0.0.0.0:4747"), "{err}");
    }

    #[test]
    fn the_upstream_named_default_is_everybody_elses() {
        let text = "[upstream]\ndefault = 'http://127.0.0.1:5000'\ns3 = 'http://127.0.0.1:9000'";
        let gateway = Config::parse(text).unwrap().gateway();
        assert_eq!(gateway.default_upstream.unwrap().url.port, 5000);
        assert_eq!(gateway.upstreams["s3"].url.port, 9000);
    }
}
