//! The gateway as its owner sees it.

use crate::config::GatewayConfig;
use crate::connection;
use crate::directory::SharedDirectory;
use crate::forward_proxy::ProxyAuthority;
use crate::io::Io;
use crate::listener::{self, Listener};
use crate::outage;
use crate::settings::{ListenerRole, ListenerSettings};
use crate::shared::Shared;
use crate::tend;
use crate::upstream::{ClientTlsError, Dial};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;
use trailbox_clock::{Clock, Random};
use trailbox_journal::{AppendError, Journal};
use trailbox_service_facts::Facts;

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayParts {
    /// Says when calls arrive.
    pub clock: Arc<dyn Clock>,
    /// Draws event ids; must be unpredictable.
    pub random: Arc<dyn Random>,
    /// The service table.
    pub facts: Arc<Facts>,
    /// Where records go.
    pub journal: Arc<Journal>,
    /// Whom we know.
    pub directory: Arc<SharedDirectory>,
    /// Where the engine answers Trailbox's own services.
    pub engine_socket: PathBuf,
    /// Everything that can be set.
    pub config: GatewayConfig,
    /// How strict to be about unknown keys.
    pub mode: Mode,
    /// The account of this installation: 12 digits.
    pub account: String,
    /// Renders the process's metrics for `/metrics`.
    pub metrics: MetricsText,
}

/// Renders metrics as Prometheus text.
#[derive(Clone)]
pub struct MetricsText(pub Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for MetricsText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsText(..)")
    }
}

impl Default for MetricsText {
    /// Nothing to show.
    fn default() -> Self {
        Self(Arc::new(String::new))
    }
}

/// How strict a gateway is about keys it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Own services refuse them; what passes belongs to the quarantine account
    /// unless a verifying upstream accepts it.
    Normal,
    /// They are administrators of the account. Loopback listeners only: whoever
    /// opens the listeners sees to it.
    Test,
}

/// The recording proxy. Cheap to clone; clones are the same gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

impl Gateway {
    /// Puts a gateway together; nothing is connected or listened to yet.
    ///
    /// # Errors
    ///
    /// When TLS towards an `https` upstream cannot be set up.
    pub fn new(parts: GatewayParts) -> Result<Self, ClientTlsError> {
        Ok(Self { shared: Arc::new(Shared::new(parts, None)?) })
    }

    /// As [`Gateway::new`], but upstreams are reached over `dial` instead of
    /// this machine's network.
    ///
    /// # Errors
    ///
    /// As [`Gateway::new`].
    pub fn over(parts: GatewayParts, dial: &Arc<dyn Dial>) -> Result<Self, ClientTlsError> {
        Ok(Self { shared: Arc::new(Shared::new(parts, Some(dial))?) })
    }

    /// The settings of a plain listener of `role`, with what the configuration
    /// says for all: a beginning to change.
    #[must_use]
    pub fn settings(&self, role: ListenerRole) -> ListenerSettings {
        ListenerSettings::new(role, &self.shared.config)
    }

    /// Serves `listener` until `shutdown` resolves, then lets calls under way
    /// finish, for `[limits] shutdown_deadline` at most, and writes the counts
    /// of what was seen.
    ///
    /// Run it once per listener. The first run also starts what goes on beside
    /// them: the seen counts and the probing of upstreams.
    ///
    /// # Errors
    ///
    /// When the listener itself breaks.
    pub async fn run(
        &self,
        listener: TcpListener,
        settings: ListenerSettings,
        shutdown: impl Future<Output = ()> + Send,
    ) -> std::io::Result<()> {
        self.tend().await;
        let listener = Listener { socket: listener, settings: Arc::new(settings.offering()) };
        let served = listener::run(&self.shared, listener, shutdown).await;
        tend::journal_seen(&self.shared).await;
        served
    }

    /// Starts what goes on beside the connections, once, and asks the upstreams
    /// that are to be asked. [`Gateway::run`] does so itself; who only serves
    /// pipes calls it.
    pub async fn tend(&self) {
        if !self.shared.tended.swap(true, Ordering::SeqCst) {
            tend::start(&self.shared);
            tend::first_probe(&self.shared).await;
        }
    }

    /// Signs with `authority` for the hosts that clients of a forward proxy name.
    /// The first one given counts.
    pub fn sign_with(&self, authority: ProxyAuthority) {
        // A second one is not taken up: clients trust the first.
        let _ = self.shared.authority.set(authority);
    }

    /// The coming shutdown is a restart: `[limits] restart_deadline` bounds it,
    /// because new connections wait for its end.
    pub fn restarts(&self) {
        self.shared.restarting.store(true, Ordering::Relaxed);
    }

    /// Serves one connection whose bytes pass through memory, until the client
    /// or `stopping` ends it. A simulation's clients come in this way.
    pub async fn serve_pipe(
        &self,
        pipe: tokio::io::DuplexStream,
        peer: std::net::SocketAddr,
        role: ListenerRole,
        stopping: tokio::sync::watch::Receiver<bool>,
    ) {
        let (listener, seat) = (Arc::new(self.settings(role)), self.shared.room.extra());
        let io = Io::Memory(pipe);
        // There is no deadline here, so nobody gives the order to break off.
        let (_, never) = tokio::sync::watch::channel(false);
        connection::serve(&self.shared, io, peer, listener, seat, (stopping, never)).await;
    }

    /// Tells of an outage that is over and closes the journal. Call it when
    /// every [`Gateway::run`] has returned; a change that came to no record even
    /// after it was cut keeps its intent, which the next start turns into one.
    ///
    /// # Errors
    ///
    /// When something that waited in the journal is not durable.
    pub async fn close(&self) -> Result<(), AppendError> {
        outage::tell(&self.shared).await;
        // Of connections that no listener of ours accepted.
        tend::journal_seen(&self.shared).await;
        self.shared.journal.close().await
    }
}
