//! What all connections of a gateway share.

use crate::budget::Budget;
use crate::config::{GatewayConfig, SessionTokenRule};
use crate::directory::SharedDirectory;
use crate::forward_proxy::{ProxyAuthority, ProxyAuthorityError};
use crate::gateway::{GatewayParts, MetricsText, Mode};
use crate::meters::Meters;
use crate::outage::Outage;
use crate::room::Room;
use crate::seen::{Seen, Trusted};
use crate::upstream::{Answerers, ClientTlsError, Dial};
use crate::wire::HeadLimits;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trailbox_clock::{Clock, Random};
use trailbox_journal::Journal;
use trailbox_record::{RecordSettings, SessionTokens};
use trailbox_service_facts::Facts;
use trailbox_sigv4::SigningKeyCache;

/// Connections to the admin listener at once.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Derived signing keys that are kept: callers times days times services.
const SIGNING_KEYS: usize = 4096;

/// The parts of a gateway, as its connections see them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) directory: Arc<SharedDirectory>,
    pub(crate) config: GatewayConfig,
    pub(crate) mode: Mode,
    pub(crate) account: String,
    pub(crate) metrics: MetricsText,
    pub(crate) answerers: Answerers,
    pub(crate) budget: Budget,
    pub(crate) seen: Seen,
    pub(crate) trusted: Trusted,
    pub(crate) outage: Outage,
    pub(crate) meters: Meters,
    pub(crate) signing_keys: SigningKeyCache,
    pub(crate) settings: RecordSettings,
    pub(crate) head_limits: HeadLimits,
    /// Seats of client connections to the AWS listeners.
    pub(crate) room: Arc<Room>,
    /// Seats of connections to the admin listener: probes and people get in
    /// when the others are full.
    pub(crate) admin_room: Arc<Room>,
    /// One permit per call under way on an HTTP/2 connection, over all of them:
    /// without it few connections could hold the memory of many.
    pub(crate) streams: Arc<Semaphore>,
    /// One permit per KiB of bodies that are held before they are forwarded.
    memory: Arc<Semaphore>,
    memory_max: u32,
    /// Whether the tasks beside the listeners run already.
    pub(crate) tended: AtomicBool,
    /// Whether the next process waits for us: then the end is to come sooner.
    pub(crate) restarting: AtomicBool,
    /// Signs for the hosts that clients of a proxy name.
    pub(crate) authority: OnceLock<ProxyAuthority>,
}

impl Shared {
    /// `dial`: the network, when it is not this machine's.
    pub(crate) fn new(
        parts: GatewayParts,
        dial: Option<&Arc<dyn Dial>>,
    ) -> Result<Self, ClientTlsError> {
        let GatewayParts {
            clock,
            random,
            facts,
            journal,
            directory,
            engine_socket,
            config,
            mode,
            account,
            metrics,
        } = parts;
        let limits = &config.limits;
        let memory_max = u32::try_from(limits.buffered_bytes_max / 1024).unwrap_or(u32::MAX).max(1);
        let session_tokens = match config.recording.session_tokens {
            SessionTokenRule::Drop => SessionTokens::Drop,
            SessionTokenRule::Keep => SessionTokens::Keep,
        };
        let answerers = Answerers::new(&config, &engine_socket)?;
        Ok(Self {
            answerers: match dial {
                Some(dial) => answerers.over(dial),
                None => answerers,
            },
            budget: Budget::new(limits.unverified_rate, limits.unverified_burst),
            seen: Seen::default(),
            trusted: Trusted::default(),
            outage: Outage::default(),
            meters: Meters::new(),
            signing_keys: SigningKeyCache::new(SIGNING_KEYS),
            settings: RecordSettings { session_tokens },
            head_limits: HeadLimits {
                bytes_max: limits.head_bytes_max,
                headers_max: limits.headers_max,
            },
            room: Room::new(limits.connections_max, limits.connections_per_peer_max),
            streams: Arc::new(Semaphore::new(limits.connections_max)),
            admin_room: Room::new(ADMIN_CONNECTIONS_MAX, 0),
            memory: Arc::new(Semaphore::new(memory_max as usize)),
            memory_max,
            tended: AtomicBool::new(false),
            restarting: AtomicBool::new(false),
            authority: OnceLock::new(),
            clock,
            random,
            facts,
            journal,
            directory,
            config,
            mode,
            account,
            metrics,
        })
    }

    /// Waits until `room` is enough to hold a body of `bytes`; dropping it gives
    /// it back.
    ///
    /// A body larger than all the room there is gets all of it, alone.
    pub(crate) async fn room_for(&self, bytes: u64, room: &mut Option<OwnedSemaphorePermit>) {
        let wanted = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let wanted = wanted.min(self.memory_max);
        let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = wanted.saturating_sub(u32::try_from(held).unwrap_or(u32::MAX));
        // Closed never; then there would be no bound to keep.
        let more = Arc::clone(&self.memory).acquire_many_owned(more).await.ok();
        match (room.as_mut(), more) {
            (Some(room), Some(more)) => room.merge(more),
            (None, more) => *room = more,
            (Some(_), None) => {}
        }
    }

    /// TLS as `host`, for a client that uses us as its proxy.
    pub(crate) fn leaf_for(
        &self,
        host: &str,
    ) -> Result<Arc<rustls::ServerConfig>, ProxyAuthorityError> {
        let authority = self.authority.get().ok_or(ProxyAuthorityError::None)?;
        authority.leaf(host, self.clock.now(), &*self.random)
    }

    /// Longest that calls under way may take once nothing new is accepted.
    pub(crate) fn drain_deadline(&self) -> Duration {
        let limits = &self.config.limits;
        let restarting = self.restarting.load(Ordering::Relaxed);
        if restarting { limits.restart_deadline } else { limits.shutdown_deadline }
    }

    /// Whether unknown keys count as `account`'s own.
    pub(crate) fn is_test(&self) -> bool {
        self.mode == Mode::Test
    }
}
