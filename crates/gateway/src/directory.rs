//! The directory of principals, keys and sessions, shared by all connections.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use trailbox_clock::Micros;
use trailbox_identity::{Directory, Learned};

/// A [`Directory`] that many read and few change.
///
/// A learned session is inserted before the answer that showed it is released,
/// so the very next call that uses it is known. The lock is never held while
/// anything is waited for.
#[derive(Debug)]
pub struct SharedDirectory(RwLock<Directory>);

impl SharedDirectory {
    /// Starts with `directory`.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self(RwLock::new(directory))
    }

    /// The directory as it is now. Give it back soon: learning waits.
    #[must_use]
    pub fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another directory in place, such as after principals were edited.
    pub fn replace(&self, directory: Directory) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = directory;
    }

    /// Takes in what answers showed.
    pub fn learn(&self, learned: Vec<Learned>) {
        let mut directory = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for fact in learned {
            directory.learn(fact);
        }
    }

    /// Forgets sessions that ended before `now`; says how many.
    pub fn expire(&self, now: Micros) -> usize {
        self.0.write().unwrap_or_else(PoisonError::into_inner).expire(now)
    }
}
