//! Who is registered: the state database behind the admin API's port.

use super::sources::Sources;
use crate::datadir::DataDir;
use crate::snapshot;
use anyhow::Context as _;
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use trailbox_api::{Addition, People, PeopleError, SyncOrder, SyncReport};
use trailbox_clock::Clock;
use trailbox_identity::{Directory, Sealer};
use trailbox_journal::{Position, Reader};
use trailbox_state::{Registration, State, StateError};

/// Name of this reader of the journal in the state.
pub(super) const READER: &str = "learned";

/// Principals, keys and learned sessions; the only writer of the state.
pub(super) struct Registry {
    pub(super) state: State,
    pub(super) data: DataDir,
    pub(super) sealer: Arc<dyn Sealer>,
    pub(super) clock: Arc<dyn Clock>,
    /// What the state holds, with the place in the journal up to which it has learned.
    pub(super) current: Mutex<(Position, Arc<Directory>)>,
    /// One change at a time: state, memory and snapshot go together.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Where principals are synced from.
    pub(super) sources: Sources,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// Keeps what was learned since; with `publish` the recorder gets a new snapshot.
    pub(super) async fn take_in(&self, reader: &mut Reader, publish: bool) -> anyhow::Result<()> {
        let _only = self.changing.lock().await;
        let before = reader.position();
        let facts = snapshot::learned_since(reader)?;
        let reached = reader.position();
        if reached == before && !publish {
            return Ok(());
        }
        let kept = if facts.is_empty() && !publish {
            Ok(())
        } else {
            self.state.put_learned(&facts, Some((READER, &reached.to_string()))).await
        };
        if let Err(err) = kept {
            reader.from(before);
            return Err(err).context("what was learned cannot be kept");
        }
        if facts.is_empty() && !publish {
            self.move_to(reached);
            return Ok(());
        }
        let now = self.clock.now();
        let mut directory = Directory::clone(&self.current().1);
        for (_, fact) in facts {
            directory.learn(fact);
        }
        if publish {
            self.state.expire(now).await?;
            directory.expire(now);
        }
        self.set(reached, directory);
        if publish { self.publish() } else { Ok(()) }
    }

    /// Reads the state again after a change and tells the recorder.
    pub(super) async fn reload(&self) -> Result<(), PeopleError> {
        let directory = self.state.directory().await.map_err(unavailable)?;
        let position = self.current().0;
        self.set(position, directory);
        self.publish().map_err(|err| PeopleError::Unavailable(err.into()))
    }

    /// Replaces the recorder's snapshot.
    pub(super) fn publish(&self) -> anyhow::Result<()> {
        let (position, directory) = self.current();
        snapshot::write(&self.data, &*self.sealer, position, &directory)
    }

    fn current(&self) -> (Position, Arc<Directory>) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn move_to(&self, position: Position) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).0 = position;
    }

    fn set(&self, position: Position, directory: Directory) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (position, Arc::new(directory));
    }
}

#[async_trait]
impl People for Registry {
    fn directory(&self) -> Arc<Directory> {
        self.current().1
    }

    async fn add(&self, additions: Vec<Addition>) -> Result<(), PeopleError> {
        let many: Vec<Registration> = additions
            .into_iter()
            .map(|Addition { principal, key }| Registration { principal, key })
            .collect();
        let _only = self.changing.lock().await;
        self.state.register(&many).await.map_err(unavailable)?;
        self.reload().await
    }

    async fn remove_principal(&self, arn: &str) -> Result<bool, PeopleError> {
        let _only = self.changing.lock().await;
        let was_there = self.state.remove_principal(arn).await.map_err(unavailable)?;
        self.reload().await?;
        Ok(was_there)
    }

    async fn remove_key(&self, id: &str) -> Result<bool, PeopleError> {
        let _only = self.changing.lock().await;
        let was_there = self.state.remove_key(id).await.map_err(unavailable)?;
        self.reload().await?;
        Ok(was_there)
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<bool, PeopleError> {
        let _only = self.changing.lock().await;
        let was_there = self.state.set_key_active(id, active).await.map_err(unavailable)?;
        self.reload().await?;
        Ok(was_there)
    }

    async fn sync(&self, order: SyncOrder) -> Result<SyncReport, PeopleError> {
        self.sync_with(order).await
    }
}

/// What a caller of the admin API can do about a failure of the state.
pub(super) fn unavailable(err: StateError) -> PeopleError {
    match err {
        StateError::KeyTaken { id, owner } => PeopleError::KeyTaken { id, owner },
        other @ (StateError::Newer { .. }
        | StateError::File { .. }
        | StateError::Sql { .. }
        | StateError::Unseal(_)
        | StateError::EmptySource { .. }
        | StateError::Broken { .. }) => PeopleError::Unavailable(Box::new(other)),
    }
}
