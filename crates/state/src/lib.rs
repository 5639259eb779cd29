//! Control-plane state in SQL: principals, keys, what was learned, positions.
//!
//! One `SQLite` file in the data directory, written by the engine alone; the
//! recorder gets a [`Directory`] copied from it. Secrets go to the file only
//! through the [`Sealer`]. Every change is one transaction, synced before the
//! method returns.
//!
//! Start reading at [`State::open`] and [`State::directory`].

mod error;
mod learned;
mod meta;
mod people;
mod positions;
mod schema;
mod sync;

pub use error::StateError;
pub use meta::AdministratorKey;
pub use people::Registration;
pub use schema::VERSION;
pub use sync::{CONFLICTS_TOLD, Conflict, Listed, ListedKey, Sync, Synced};

use error::Doing as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use trailbox_clock::{Clock, Random};
use trailbox_identity::{Directory, Sealer, UnsealError};
use zeroize::Zeroizing;

/// What the state needs from the world beside its file.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Seals secrets for the file.
    pub sealer: Arc<dyn Sealer>,
    /// Dates rows.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and keys; must be cryptographically secure.
    pub random: Arc<dyn Random>,
}

/// The open state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    pool: SqlitePool,
    ports: Ports,
}

impl State {
    /// Opens the file, making it (readable by its owner only) and migrating it as needed.
    ///
    /// # Errors
    ///
    /// [`StateError::Newer`] for a file of a later version; otherwise when the
    /// file or the database fails.
    pub async fn open(path: &Path, ports: Ports) -> Result<Self, StateError> {
        make_private(path).map_err(|source| StateError::File { path: path.to_owned(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await
            .doing("open the state")?;
        let mut db = pool.acquire().await.doing("open the state")?;
        let migrated = schema::migrate(&mut db, ports.clock.now()).await;
        drop(db);
        if let Err(err) = migrated {
            pool.close().await;
            return Err(err);
        }
        Ok(Self { pool, ports })
    }

    /// Everybody the state knows, secrets opened.
    ///
    /// # Errors
    ///
    /// When the database fails or a secret does not open.
    pub async fn directory(&self) -> Result<Directory, StateError> {
        let mut directory = Directory::new();
        let mut db = self.pool.begin().await.doing("read principals")?;
        self.read_people(&mut db, &mut directory).await?;
        self.read_learned(&mut db, &mut directory).await?;
        Ok(directory)
    }

    /// Closes the file; calls after it fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that has the write lock from the start.
    async fn change(&self, doing: &'static str) -> Result<Transaction<'_, Sqlite>, StateError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.doing(doing)
    }

    fn open_secret(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        self.ports.sealer.open(context, sealed).map(Zeroizing::new)
    }
}

/// Makes the file for its owner alone; one that exists is left as it is.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
