//! The ports: those that record, and one for people and probes.

use super::handover::{Inherited, Kept};
use crate::config::{ADMIN, Config, ListenerEntry, Tls};
use crate::datadir::{DataDir, write_durably};
use crate::stop::told;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use trailbox_gateway::tls::{PemPair, mutual_config, self_signed, server_config};
use trailbox_gateway::{Gateway, ListenerRole, ListenerSettings};

/// Connections that wait while nobody accepts: a burst, or a restart.
const BACKLOG: u32 = 4096;

/// Ports that are bound, before anything is served on them.
pub(super) struct Listeners {
    recording: Vec<Port>,
    admin: Socket,
}

struct Port {
    entry: ListenerEntry,
    socket: Socket,
    tls: Option<Arc<rustls::ServerConfig>>,
}

struct Socket {
    /// As configuration writes it.
    address: SocketAddr,
    listener: TcpListener,
}

impl Listeners {
    /// Takes the sockets that were handed over, binds the others, prepares TLS.
    ///
    /// # Errors
    ///
    /// With the key of the configuration that is at fault.
    pub(super) fn bind(
        config: &Config,
        data: &DataDir,
        mut inherited: Inherited,
    ) -> anyhow::Result<Self> {
        let mut recording = Vec::new();
        for entry in config.recording_ports() {
            let wanted = Wanted::new(&mut inherited, &entry.name, entry.address);
            recording.push((entry, wanted));
        }
        let admin = Wanted::new(&mut inherited, ADMIN, config.listen.admin);
        // What nobody wants may hold an address that is bound now.
        inherited.close_rest();
        let recording = recording.into_iter().map(|(entry, wanted)| {
            let tls = tls(&entry, config, data)?;
            let socket = wanted.socket(&entry.key("address"))?;
            Ok(Port { entry, socket, tls })
        });
        let recording = recording.collect::<anyhow::Result<_>>()?;
        Ok(Self { recording, admin: admin.socket("`listen.admin`")? })
    }

    /// The sockets once more, for whoever comes after this process.
    pub(super) fn keep(&self) -> anyhow::Result<Vec<Kept>> {
        let ports = self.recording.iter().map(|port| (port.entry.name.as_str(), &port.socket));
        ports
            .chain([(ADMIN, &self.admin)])
            .map(|(name, Socket { address, listener })| {
                let socket = rustix::io::fcntl_dupfd_cloexec(listener, 0)?;
                Ok(Kept { name: name.to_owned(), address: *address, socket })
            })
            .collect()
    }

    /// Where the first recording port really listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.recording.first().map_or(NOWHERE, |port| port.socket.really())
    }

    /// Where the admin port really listens.
    pub(super) fn admin_address(&self) -> SocketAddr {
        self.admin.really()
    }

    /// Whether the first recording port speaks TLS.
    pub(super) fn tls(&self) -> bool {
        self.recording.first().is_some_and(|port| port.tls.is_some())
    }

    /// What `AWS_ENDPOINT_URL` is to be.
    pub(super) fn endpoint(&self) -> String {
        let scheme = if self.tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Name and endpoint of every recording port beside the first.
    pub(super) fn others(&self) -> impl Iterator<Item = (&str, String)> {
        self.recording.iter().skip(1).map(|port| {
            let scheme = if port.tls.is_some() { "https" } else { "http" };
            (port.entry.name.as_str(), format!("{scheme}://{}", port.socket.really()))
        })
    }

    /// Serves all ports until `drain` says true and the calls under way are done.
    pub(super) async fn run(
        self,
        gateway: Arc<Gateway>,
        drain: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut serving = JoinSet::new();
        let mut serve = |listener: TcpListener, settings: ListenerSettings| {
            let (gateway, mut drain) = (gateway.clone(), drain.clone());
            let name = settings.name.clone();
            serving.spawn(async move {
                let asked = async move { told(&mut drain).await };
                let served = gateway.run(listener, settings, asked).await;
                served.with_context(|| format!("listener `{name}`"))
            });
        };
        for Port { entry, socket, tls } in self.recording {
            serve(socket.listener, settings(&gateway, entry, tls));
        }
        serve(self.admin.listener, gateway.settings(ListenerRole::Admin));
        let mut outcome = Ok(());
        while let Some(served) = serving.join_next().await {
            outcome = outcome.and(served.context("a listener ended").flatten());
        }
        outcome
    }
}

const NOWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Socket {
    fn really(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(NOWHERE)
    }
}

/// A port before it is bound: its socket may have been handed over.
struct Wanted {
    address: SocketAddr,
    given: Option<std::net::TcpListener>,
}

impl Wanted {
    fn new(inherited: &mut Inherited, name: &str, address: SocketAddr) -> Self {
        Self { address, given: inherited.named(name, address) }
    }

    fn socket(self, key: &str) -> anyhow::Result<Socket> {
        let Self { address, given } = self;
        let listener = given.map_or_else(|| listen(address), TcpListener::from_std);
        let listener = listener.with_context(|| format!("{key}: cannot listen on {address}"))?;
        Ok(Socket { address, listener })
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of an earlier run that still fade away do not hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn settings(
    gateway: &Gateway,
    entry: ListenerEntry,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> ListenerSettings {
    let all = gateway.settings(ListenerRole::Aws);
    ListenerSettings {
        name: entry.name.into(),
        role: all.role,
        tls,
        default_service: entry.default_service.or(all.default_service),
        trusted_proxies: entry.trusted_proxies.unwrap_or(all.trusted_proxies),
        proxy_protocol: entry.proxy_protocol,
        vpc_endpoint_id: entry.vpc_endpoint_id.or(all.vpc_endpoint_id),
        callers: entry.callers,
        http2: entry.http2,
        forward_proxy: entry.forward_proxy,
    }
}

fn tls(
    entry: &ListenerEntry,
    config: &Config,
    data: &DataDir,
) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    let pair = match entry.tls {
        Tls::Off => return Ok(None),
        Tls::Given => PemPair {
            certificate: read(&entry.key("tls_cert"), entry.tls_cert.as_deref())?,
            key: read(&entry.key("tls_key"), entry.tls_key.as_deref())?,
        },
        Tls::SelfSigned => made(config, data)?,
    };
    let set_up = match &entry.client_ca {
        None => server_config(&pair),
        Some(place) => mutual_config(&pair, &read(&entry.key("client_ca"), Some(place))?),
    };
    set_up.map(Some).with_context(|| entry.key("tls"))
}

fn read(key: &str, place: Option<&Path>) -> anyhow::Result<String> {
    let place: PathBuf = place.with_context(|| format!("{key} is not set"))?.to_owned();
    std::fs::read_to_string(&place)
        .with_context(|| format!("{key}: cannot read {}", place.display()))
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

#[cfg(test)]
mod tests {
    use super::{Inherited, Listeners};
    use crate::config::Config;
    use crate::datadir::DataDir;

    #[tokio::test]
    async fn an_address_that_overlaps_the_one_before_a_restart_is_bound() {
        let old = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let opened_for = old.local_addr().unwrap();
        // Another way to say the same, as `0.0.0.0` holds `127.0.0.1`.
        let now = format!("[::ffff:127.0.0.1]:{}", opened_for.port());
        assert!(super::listen(now.parse().unwrap()).is_err(), "the two do not overlap");
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open_or_create(directory.path()).unwrap();
        let listen = format!("[listen]\naddress = '{now}'\nadmin = '127.0.0.1:0'\n");
        let config: Config = toml::from_str(&listen).unwrap();
        let inherited = Inherited::one("aws", old, &opened_for.to_string());
        let listeners = Listeners::bind(&config, &data, inherited).unwrap();
        assert_eq!(listeners.address().to_string(), now);
    }
}
