//! The recorder's copy of the principals, kept up with the engine's.

use crate::datadir::DataDir;
use crate::snapshot;
use crate::stop::told;
use anyhow::bail;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use trailbox_gateway::SharedDirectory;
use trailbox_identity::Directory;
use trailbox_journal::disk::RealDisk;
use trailbox_journal::{DataKeys, FrameKind, Reader};
use trailbox_keys::MasterKey;

/// How often the snapshot is looked at, beside the calls that change it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the first start waits for the engine to make the first snapshot.
const FIRST_WAIT: Duration = Duration::from_mins(1);

/// Principals, from the snapshot and from what was learned behind it.
pub(super) struct Principals {
    data: DataDir,
    master: Arc<MasterKey>,
    keys: Arc<dyn DataKeys>,
    shared: Arc<SharedDirectory>,
    /// The snapshot that `shared` stands on.
    seen: Mutex<Option<Stamp>>,
}

/// What tells one snapshot from the next: each is a new file, so its inode
/// differs even within one tick of the clock.
type Stamp = (SystemTime, u64, u64);

fn stamp(place: &std::path::Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(place).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

impl Principals {
    /// Loads what there is; an empty directory before the first snapshot.
    pub(super) fn load(
        data: DataDir,
        master: Arc<MasterKey>,
        keys: Arc<dyn DataKeys>,
    ) -> anyhow::Result<Arc<Self>> {
        let shared = Arc::new(SharedDirectory::new(Directory::new()));
        let principals = Self { data, master, keys, shared, seen: Mutex::new(None) };
        principals.reload()?;
        Ok(Arc::new(principals))
    }

    /// The directory that the gateway reads.
    pub(super) fn shared(&self) -> Arc<SharedDirectory> {
        self.shared.clone()
    }

    /// Loads the snapshot when it changed; true when there is one.
    ///
    /// A session may be learned while the journal is read: what was written
    /// since is read once more while nothing is learned.
    pub(super) fn reload(&self) -> anyhow::Result<bool> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamp(&self.data.directory_snapshot());
        if found.is_none() || *seen == found {
            return Ok(seen.is_some());
        }
        let Some((position, mut directory)) = snapshot::read(&self.data, &*self.master)? else {
            return Ok(false);
        };
        let mut reader =
            Reader::open(Arc::new(RealDisk), self.keys.clone(), self.data.join("journal"))?;
        reader.from(position);
        reader.only(&[FrameKind::Learned]);
        for (_, fact) in snapshot::learned_since(&mut reader)? {
            directory.learn(fact);
        }
        let mut late = Ok(());
        self.shared.replace_and_learn(directory, || {
            let facts = snapshot::learned_since(&mut reader).unwrap_or_else(|err| {
                late = Err(err);
                Vec::new()
            });
            facts.into_iter().map(|(_, fact)| fact).collect()
        });
        late?;
        *seen = found;
        Ok(true)
    }

    /// What the gateway calls after an answer that changed principals.
    pub(super) fn reloader(self: &Arc<Self>) -> Arc<dyn Fn() + Send + Sync> {
        let principals = self.clone();
        Arc::new(move || {
            if let Err(err) = principals.reload() {
                tracing::error!(error = %format!("{err:#}"), "principals cannot be read again");
            }
        })
    }

    /// Waits until there is a snapshot: on the very first start the engine makes it.
    pub(super) async fn wait_for_first(self: &Arc<Self>) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + FIRST_WAIT;
        while !self.reload()? {
            if tokio::time::Instant::now() > until {
                bail!("the engine made no principals within {FIRST_WAIT:?}; its log says why");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Keeps looking until `stopped`.
    pub(super) async fn follow(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let reload = self.reloader();
        loop {
            tokio::select! {
                () = told(&mut stopped) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let reload = reload.clone();
                    // Reading files and opening seals must not hold up calls.
                    let _ = tokio::task::spawn_blocking(move || reload()).await;
                }
            }
        }
    }
}
