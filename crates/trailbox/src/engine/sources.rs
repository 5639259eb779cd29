//! Sources of principals: read on request and on schedule, and counted.
//!
//! A sync that changes something reaches the recorder as one new snapshot; one
//! that changes nothing writes nothing.

use super::people::{Registry, unavailable};
use super::settings::ConfiguredSync;
use crate::stop::told;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use trailbox_api::{People as _, PeopleError, SyncOrder, SyncReport};
use trailbox_identity::{Principal, Secret};
use trailbox_sources::{FoundUser, Kind, Listing, Source};
use trailbox_state::{Listed, ListedKey, StateError, Sync, Synced};

/// First pause after a sync that failed; it doubles up to the schedule's own.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Sources whose figures are kept; one more, asked for by hand, has none.
const SOURCES_MAX: usize = 256;

/// What is known of every source, by name.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<BTreeMap<String, Arc<Known>>>);

/// One source.
#[derive(Debug, Default)]
struct Known {
    /// One reading at a time: an older list must not be kept over a newer one.
    running: tokio::sync::Mutex<()>,
    figures: Mutex<Figures>,
}

/// Counts since the engine's start, and what the last good sync found.
#[derive(Debug, Default, Clone)]
struct Figures {
    syncs: u64,
    failures: u64,
    marked: u64,
    /// Seconds since 1970 of the last good one; 0 before it.
    last_success: i64,
    users: u64,
    keys: u64,
    keys_with_secret: u64,
    conflicts: u64,
    left_out: u64,
}

impl Sources {
    fn of(&self, name: &str) -> Arc<Known> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if SOURCES_MAX <= held.len() && !held.contains_key(name) {
            return Arc::default();
        }
        held.entry(name.to_owned()).or_default().clone()
    }

    /// The sources' share of `/metrics`.
    pub(super) fn text(&self) -> String {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let figures: Vec<(&String, Figures)> = held
            .iter()
            .map(|(name, known)| {
                let figures = known.figures.lock().unwrap_or_else(PoisonError::into_inner);
                (name, figures.clone())
            })
            .collect();
        let mut text = String::new();
        for (name, kind, help, value) in METRICS {
            let name = format!("trailbox_principal_sync_{name}");
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (source, figures) in &figures {
                let _ = writeln!(text, "{name}{{source=\"{source}\"}} {}", value(figures));
            }
        }
        text
    }
}

/// Name, type, meaning, value.
type Metric = (&'static str, &'static str, &'static str, fn(&Figures) -> i128);

const METRICS: [Metric; 9] = [
    ("syncs_total", "counter", "Syncs begun.", |it| it.syncs.into()),
    ("failures_total", "counter", "Syncs that changed nothing because they failed.", |it| {
        it.failures.into()
    }),
    ("keys_marked_total", "counter", "Keys marked as listed no more.", |it| it.marked.into()),
    ("last_success_seconds", "gauge", "When the last good sync ended; 0: never.", |it| {
        it.last_success.into()
    }),
    ("users", "gauge", "Users the source lists and owns here.", |it| it.users.into()),
    ("keys", "gauge", "Keys the source lists and owns here.", |it| it.keys.into()),
    ("keys_with_secret", "gauge", "Such keys whose calls can be verified here.", |it| {
        it.keys_with_secret.into()
    }),
    ("conflicts", "gauge", "Users and keys left alone: somebody else's here.", |it| {
        it.conflicts.into()
    }),
    ("left_out", "gauge", "Users and keys that cannot be taken over.", |it| it.left_out.into()),
];

impl Registry {
    /// Reads a source and takes in what it lists.
    pub(super) async fn sync_with(&self, order: SyncOrder) -> Result<SyncReport, PeopleError> {
        let source = source(&order)?;
        let name = source.name();
        let known = self.sources.of(&name);
        let _only = known.running.lock().await;
        let change = |change: &dyn Fn(&mut Figures)| {
            change(&mut known.figures.lock().unwrap_or_else(PoisonError::into_inner));
        };
        change(&|it| it.syncs += 1);
        match self.sync_now(&order, &source).await {
            Ok((done, listing)) => {
                let ended = self.clock.now().seconds();
                if !order.dry_run {
                    change(&|it| {
                        it.marked += done.keys_removed;
                        it.last_success = ended;
                        (it.users, it.keys) = (done.users, done.keys);
                        it.keys_with_secret = done.keys_with_secret;
                        (it.conflicts, it.left_out) = (done.conflicts, listing.left_out);
                    });
                }
                let report = report(name, order.dry_run, &done, listing);
                tell(&report);
                Ok(report)
            }
            Err(err) => {
                change(&|it| it.failures += 1);
                Err(err)
            }
        }
    }

    async fn sync_now(
        &self,
        order: &SyncOrder,
        source: &Source,
    ) -> Result<(Synced, Listing), PeopleError> {
        let not = |reason: String| PeopleError::NotSynced { reason };
        let mut listing =
            source.read(self.clock.clone()).await.map_err(|err| not(err.to_string()))?;
        let users = std::mem::take(&mut listing.users);
        let listed: Vec<Listed> = users.into_iter().map(|user| listed(order, user)).collect();
        let name = source.name();
        let how = Sync { source: &name, allow_empty: order.allow_empty, dry_run: order.dry_run };
        let _only = self.changing.lock().await;
        let done = match self.state.sync(&how, &listed).await {
            Err(err @ StateError::EmptySource { .. }) => return Err(not(err.to_string())),
            done => done.map_err(unavailable)?,
        };
        if done.is_change() && !order.dry_run {
            self.reload().await?;
        }
        Ok((done, listing))
    }
}

fn source(order: &SyncOrder) -> Result<Source, PeopleError> {
    let not = |reason: String| PeopleError::NotSynced { reason };
    let kind =
        Kind::named(&order.kind).ok_or_else(|| not("`kind` must be `rgw` or `iam`".to_owned()))?;
    Ok(Source {
        kind,
        endpoint: order.endpoint.parse().map_err(|err| not(format!("{err}")))?,
        access_key_id: order.access_key_id.clone(),
        secret: order.secret.clone(),
        region: order.region.clone(),
        prefix: order.prefix.clone(),
        ca_file: order.ca_file.as_ref().map(PathBuf::from),
    })
}

fn listed(order: &SyncOrder, user: FoundUser) -> Listed {
    let account =
        order.account.as_ref().or(user.account.as_ref()).unwrap_or(&order.default_account);
    let principal = Principal::user(account, &user.path, &user.name, &user.id);
    let keys = user.keys.into_iter().map(|key| ListedKey {
        id: key.id,
        secret: key.secret,
        active: key.active,
    });
    Listed { principal, keys: keys.collect() }
}

fn report(source: String, dry_run: bool, done: &Synced, listing: Listing) -> SyncReport {
    let conflicts = done.conflicts_told.iter().map(ToString::to_string);
    SyncReport {
        source,
        dry_run,
        users: done.users,
        keys: done.keys,
        keys_with_secret: done.keys_with_secret,
        users_added: done.users_added,
        keys_added: done.keys_added,
        keys_changed: done.keys_changed,
        users_removed: done.users_removed,
        keys_removed: done.keys_removed,
        conflicts: done.conflicts,
        left_out: listing.left_out,
        notes: conflicts.chain(listing.left_out_told).collect(),
    }
}

/// One line per sync; a warning when something is left alone or marked.
fn tell(report: &SyncReport) {
    let SyncReport { source, dry_run, users, keys, keys_with_secret, .. } = report;
    let (added, changed) = (report.keys_added, report.keys_changed);
    tracing::info!(source, dry_run, users, keys, keys_with_secret, added, changed, "synced");
    if report.users_removed + report.keys_removed != 0 {
        let (users, keys) = (report.users_removed, report.keys_removed);
        tracing::warn!(source, dry_run, users, keys, "listed no more: marked, their calls refused");
    }
    if report.conflicts + report.left_out != 0 {
        let (conflicts, left_out, notes) = (report.conflicts, report.left_out, &report.notes);
        tracing::warn!(source, conflicts, left_out, ?notes, "not everything was taken in");
    }
}

/// Syncs again and again until `stopped`.
pub(super) async fn follow(
    registry: Arc<Registry>,
    sync: ConfiguredSync,
    mut stopped: watch::Receiver<bool>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let synced = tokio::select! {
            synced = registry.sync(order(&sync)) => synced,
            () = told(&mut stopped) => return,
        };
        let wait = match synced {
            Ok(_) => {
                pause = FIRST_PAUSE;
                sync.every
            }
            Err(err) => {
                let wait = pause.min(sync.every);
                let (kind, endpoint) = (&sync.kind, &sync.endpoint);
                tracing::error!(kind, endpoint, error = %err, again_in = ?wait, "not synced");
                pause = pause.saturating_mul(2);
                wait
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = told(&mut stopped) => return,
        }
    }
}

fn order(sync: &ConfiguredSync) -> SyncOrder {
    SyncOrder {
        kind: sync.kind.clone(),
        endpoint: sync.endpoint.clone(),
        access_key_id: sync.access_key_id.clone(),
        secret: Secret::new(&sync.secret),
        region: sync.region.clone(),
        account: sync.account.clone(),
        default_account: sync.default_account.clone(),
        prefix: sync.prefix.clone(),
        ca_file: sync.ca_file.clone(),
        allow_empty: false,
        dry_run: false,
    }
}
