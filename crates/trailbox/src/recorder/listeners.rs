//! The two ports: one that records, one for people and probes.

use crate::config::{Config, Tls};
use crate::datadir::{DataDir, write_durably};
use crate::stop::told;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use trailbox_gateway::tls::{PemPair, self_signed, server_config};
use trailbox_gateway::{Gateway, ListenerRole};

/// Ports that are bound, before anything is served on them.
pub(super) struct Listeners {
    recording: TcpListener,
    admin: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Listeners {
    /// Binds both ports and prepares TLS.
    ///
    /// # Errors
    ///
    /// With the key of the configuration that is at fault.
    pub(super) async fn bind(config: &Config, data: &DataDir) -> anyhow::Result<Self> {
        let bind = async |key: &str, address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("`{key}`: cannot listen on {address}"))
        };
        let tls = match config.listen.tls {
            Tls::Off => None,
            Tls::Given => Some(server_config(&given(config)?)?),
            Tls::SelfSigned => Some(server_config(&made(config, data)?)?),
        };
        let recording = bind("listen.address", config.listen.address).await?;
        let admin = bind("listen.admin", config.listen.admin).await?;
        Ok(Self { recording, admin, tls })
    }

    /// Where the recording port really listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.recording.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Where the admin port really listens.
    pub(super) fn admin_address(&self) -> SocketAddr {
        self.admin.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Whether the recording port speaks TLS.
    pub(super) fn tls(&self) -> bool {
        self.tls.is_some()
    }

    /// What `AWS_ENDPOINT_URL` is to be.
    pub(super) fn endpoint(&self) -> String {
        let scheme = if self.tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Serves both ports until `drain` says true and the calls under way are done.
    pub(super) async fn run(
        self,
        gateway: Arc<Gateway>,
        drain: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let asked = |mut drain: watch::Receiver<bool>| async move {
            told(&mut drain).await;
        };
        let recording =
            gateway.run(self.recording, ListenerRole::Aws, self.tls, asked(drain.clone()));
        let admin = gateway.run(self.admin, ListenerRole::Admin, None, asked(drain));
        let (recording, admin) = tokio::join!(recording, admin);
        recording.context("the recording port")?;
        admin.context("the admin port")
    }
}

fn given(config: &Config) -> anyhow::Result<PemPair> {
    let read = |key: &str, place: &Option<std::path::PathBuf>| {
        let place = place.as_deref().with_context(|| format!("`{key}` is not set"))?;
        std::fs::read_to_string(place)
            .with_context(|| format!("`{key}`: cannot read {}", place.display()))
    };
    Ok(PemPair {
        certificate: read("listen.tls_cert", &config.listen.tls_cert)?,
        key: read("listen.tls_key", &config.listen.tls_key)?,
    })
}

/// The certificate of an earlier start, or a new one: clients pin it.
fn made(config: &Config, data: &DataDir) -> anyhow::Result<PemPair> {
    let (cert, key) = (data.join("tls-cert.pem"), data.join("tls-key.pem"));
    if !(cert.exists() && key.exists()) {
        let pair = self_signed(&config.listen.tls_names).context("`listen.tls_names`")?;
        write_durably(&key, pair.key.as_bytes())?;
        write_durably(&cert, pair.certificate.as_bytes())?;
    }
    Ok(PemPair { certificate: std::fs::read_to_string(cert)?, key: std::fs::read_to_string(key)? })
}
