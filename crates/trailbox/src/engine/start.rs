//! The engine stands up: state, history, store, socket; the first key is shown.

use super::Parts;
use super::follower::Follower;
use super::people::{READER, Registry};
use super::settings::{ConfiguredPrincipal, ConfiguredSync, EngineSettings};
use crate::client::Credentials;
use crate::datadir::{DataDir, Held};
use crate::ports::{SystemClock, SystemRandom};
use crate::{adminkey, masterkey, node};
use anyhow::Context as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;
use trailbox_api::{Engine, EngineOptions, EngineParts, People};
use trailbox_clock::{Clock, Random};
use trailbox_history::{History, HistoryOptions, JournalSource};
use trailbox_identity::{AccessKey, AccountId, Principal, Sealer, Secret};
use trailbox_journal::disk::{Disk, RealDisk};
use trailbox_journal::{DataKeys, FrameKind, Position, Reader};
use trailbox_keys::LocalKeys;
use trailbox_state::{Ports, Registration, State};
use trailbox_store::Auth;

/// How long a new engine waits for the one before it to end.
const HANDOVER: Duration = Duration::from_secs(30);

/// Name of the secret that paging tokens are authenticated with.
const TOKEN_KEY: &str = "paging-token-key";

/// An engine that stands.
pub(super) struct Started {
    pub(super) listener: UnixListener,
    pub(super) parts: Arc<Parts>,
    pub(super) follower: Follower,
    /// Sources to follow.
    pub(super) syncs: Vec<ConfiguredSync>,
    /// Keeps a second engine out.
    pub(super) held: Held,
}

/// Opens everything. The history is not complete yet: the follower sees to that,
/// and lookups wait for it, while everything else is answered.
pub(super) async fn start(settings: EngineSettings) -> anyhow::Result<Started> {
    let data = DataDir::open(&settings.data)?;
    let held = take_over(&data).await?;
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock), Arc::new(SystemRandom));
    let master = masterkey::open(&data)?;
    let keys: Arc<dyn DataKeys> = Arc::new(LocalKeys::open(data.join("keys"), master.clone())?);
    let sealer: Arc<dyn Sealer> = master;
    let ports = Ports { sealer: sealer.clone(), clock: clock.clone(), random: random.clone() };
    let state = State::open(&data.join("state.db"), ports).await?;
    first_start(&state, &settings, &data, &*sealer).await?;
    configured(&state, settings.principals).await?;

    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let journal = data.join("journal");
    let mut reader = Reader::open(disk.clone(), keys.clone(), &journal)?;
    let position = match state.position(READER).await? {
        Some(text) => text.parse::<Position>()?,
        None => Position::default(),
    };
    reader.from(position);
    reader.only(&[FrameKind::Learned]);
    let directory = Arc::new(state.directory().await?);
    let registry = Arc::new(Registry {
        state: state.clone(),
        data: data.clone(),
        sealer,
        clock: clock.clone(),
        current: Mutex::new((position, directory)),
        changing: tokio::sync::Mutex::new(()),
        sources: super::sources::Sources::default(),
    });
    registry.take_in(&mut reader, true).await?;

    let node = node::of(&data, &*random)?;
    let source = Arc::new(JournalSource::open(disk.clone(), keys, &journal, node)?);
    let options = HistoryOptions {
        management_days: settings.management_days,
        data_days: settings.data_days,
        ..HistoryOptions::new(data.join("history"))
    };
    let history = Arc::new(History::begin(disk, source, clock.clone(), options)?);

    let api = Engine::new(EngineParts {
        history: history.clone(),
        people: registry.clone() as Arc<dyn People>,
        clock: clock.clone(),
        random: random.clone(),
        token_key: token_key(&state, &*random).await?,
        options: EngineOptions { lookup_tps: settings.lookup_tps },
    });
    let store = trailbox_store::service(
        &trailbox_store::Options {
            account: settings.account,
            ..trailbox_store::Options::at(data.join("store"))
        },
        // The recorder proved every call that comes in on the engine's socket.
        Auth::Trusted,
        clock.clone(),
        random.clone(),
    )?;
    let parts =
        Arc::new(Parts { api, store, history: history.clone(), registry: registry.clone() });
    let follower = Follower { history, registry, reader };
    Ok(Started { listener: bind(&data)?, parts, follower, syncs: settings.syncs, held })
}

/// A restarted engine waits for the one before it.
async fn take_over(data: &DataDir) -> anyhow::Result<Held> {
    let until = tokio::time::Instant::now() + HANDOVER;
    loop {
        match data.lock_engine() {
            Ok(held) => return Ok(held),
            Err(err) if tokio::time::Instant::now() > until => return Err(err),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Makes the administrator once, shows its key once, keeps it for the command line.
async fn first_start(
    state: &State,
    settings: &EngineSettings,
    data: &DataDir,
    sealer: &dyn Sealer,
) -> anyhow::Result<()> {
    let account = AccountId::parse(&settings.account)?;
    if let Some(key) = state.ensure_administrator(&account).await? {
        println!(
            "# administrator of {}, shown this once:\nexport AWS_ACCESS_KEY_ID={}\n\
             export AWS_SECRET_ACCESS_KEY={}\nexport AWS_DEFAULT_REGION={}",
            settings.account,
            key.id,
            key.secret.expose(),
            settings.region,
        );
    }
    let key = state.administrator_key().await?.context("the state has no administrator")?;
    let key = Credentials {
        access_key_id: key.id,
        secret: key.secret.expose().to_owned(),
        session_token: None,
    };
    adminkey::write(data, sealer, &key)
}

/// Registers the users of the configuration file.
async fn configured(state: &State, principals: Vec<ConfiguredPrincipal>) -> anyhow::Result<()> {
    let registrations: Vec<Registration> = principals
        .into_iter()
        .map(|entry| {
            let mut principal = Principal::user(&entry.account, "/", &entry.name, "");
            principal.administrator = entry.administrator;
            let key =
                AccessKey::lasting(&entry.access_key_id, Secret::new(entry.secret), &principal.arn);
            Registration { principal, key: Some(key) }
        })
        .collect();
    state.register(&registrations).await.context("`principal` of the configuration")?;
    Ok(())
}

/// The secret that paging tokens are authenticated with, drawn once.
async fn token_key(state: &State, random: &dyn Random) -> anyhow::Result<[u8; 32]> {
    if let Some(held) = state.secret(TOKEN_KEY).await? {
        return held.as_slice().try_into().context("the paging token key has another length");
    }
    let mut key = [0; 32];
    random.fill(&mut key);
    state.put_secret(TOKEN_KEY, &key).await?;
    Ok(key)
}

/// The engine's socket, for this user alone.
fn bind(data: &DataDir) -> anyhow::Result<UnixListener> {
    let place = data.engine_socket();
    match std::fs::remove_file(&place) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            return Err(err).with_context(|| format!("cannot replace {}", place.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&place)
        .with_context(|| format!("cannot listen on {}", place.display()))?;
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
