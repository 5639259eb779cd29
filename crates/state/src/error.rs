//! Why the state could not be read or changed.

use std::path::PathBuf;
use trailbox_identity::UnsealError;

/// Why a call to [`State`](crate::State) failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A later program wrote the file.
    #[error("the state has version {found}; this program knows up to {known}: use the newer one")]
    Newer {
        /// Version of the file.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// The file cannot be made or opened.
    #[error("cannot open {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database said no.
    #[error("cannot {doing}")]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A secret does not open: another master key, or a changed file.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// A row that no version of this program wrote.
    #[error("{what} in the state is broken")]
    Broken {
        /// Which row.
        what: String,
    },
    /// A source that listed users lists none: more likely it is broken.
    #[error(
        "{origin} lists nobody, and listed {had} users before; nothing was changed. If everybody \
         is gone indeed, sync once and allow an empty list"
    )]
    EmptySource {
        /// The source.
        origin: String,
        /// Users that would be marked as removed.
        had: usize,
    },
    /// A key id belongs to somebody else.
    #[error("access key {id} belongs to {owner}")]
    KeyTaken {
        /// The key.
        id: String,
        /// ARN of its owner.
        owner: String,
    },
}

/// Names what was being done when the database said no.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StateError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StateError> {
        self.map_err(|source| StateError::Sql { doing, source })
    }
}
