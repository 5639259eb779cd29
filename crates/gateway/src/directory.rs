//! The directory of principals, keys and sessions, shared by all connections.

use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use trailbox_clock::Micros;
use trailbox_identity::{Directory, Learned};

/// A [`Directory`] that many read and few change.
///
/// A learned session is inserted before the answer that showed it is released,
/// so the very next call that uses it is known. The lock is never held while
/// anything is waited for.
pub struct SharedDirectory {
    current: RwLock<Directory>,
    refresh: OnceLock<Refresh>,
}

/// Loads the directory anew where it comes from, and replaces it.
type Refresh = Box<dyn Fn() + Send + Sync>;

impl std::fmt::Debug for SharedDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedDirectory").field("current", &self.current).finish_non_exhaustive()
    }
}

impl SharedDirectory {
    /// Starts with `directory`.
    #[must_use]
    pub fn new(directory: Directory) -> Self {
        Self { current: RwLock::new(directory), refresh: OnceLock::new() }
    }

    /// The directory as it is now. Give it back soon: learning waits.
    pub fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another directory in place, such as after principals were edited.
    pub fn replace(&self, directory: Directory) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, directory);
        drop(current);
        // Giving back thousands of principals takes a while: nobody waits for it.
        drop(old);
    }

    /// Puts another directory in place with what was learned beside it.
    ///
    /// `facts` reads what is to be learned anew. Nothing is learned while it
    /// runs, and nobody reads: no fact falls between the reading and the
    /// replacing.
    pub fn replace_and_learn(&self, directory: Directory, facts: impl FnOnce() -> Vec<Learned>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut directory = directory;
        for fact in facts() {
            directory.learn(fact);
        }
        let old = std::mem::replace(&mut *current, directory);
        drop(current);
        drop(old);
    }

    /// Says how the directory is loaded anew; only the first one counts.
    pub fn refreshed_by(&self, refresh: impl Fn() + Send + Sync + 'static) {
        let _ = self.refresh.set(Box::new(refresh));
    }

    /// Loads the directory anew, where somebody said how. May block on a disk.
    ///
    /// The gateway does so after a call to the admin API that changed
    /// something, before its answer is released: who was added can call at once,
    /// whoever was removed is refused at once.
    pub(crate) fn refresh(&self) {
        if let Some(refresh) = self.refresh.get() {
            refresh();
        }
    }

    /// Takes in what answers showed.
    pub fn learn(&self, learned: Vec<Learned>) {
        let mut directory = self.current.write().unwrap_or_else(PoisonError::into_inner);
        for fact in learned {
            directory.learn(fact);
        }
    }

    /// Forgets sessions that ended before `now`; says how many.
    pub fn expire(&self, now: Micros) -> usize {
        self.current.write().unwrap_or_else(PoisonError::into_inner).expire(now)
    }
}

#[cfg(test)]
mod tests {
    use super::SharedDirectory;
    use std::sync::Arc;
    use std::time::Duration;
    use trailbox_clock::Micros;
    use trailbox_identity::{Directory, Fact, Learned, Trust};

    fn key(id: &str) -> Learned {
        let fact = Fact::Key {
            account: "111122223333".to_owned(),
            user_name: "alice".to_owned(),
            id: id.to_owned(),
            secret: "secret".into(),
        };
        Learned { event_id: [0; 16], at: Micros(1), trust: Trust::Verified, fact }
    }

    #[test]
    fn what_is_learned_while_the_directory_is_replaced_is_not_lost() {
        let shared = Arc::new(SharedDirectory::new(Directory::new()));
        let mut learning = None;
        shared.replace_and_learn(Directory::new(), || {
            let other = Arc::clone(&shared);
            learning = Some(std::thread::spawn(move || other.learn(vec![key("AKIALATE")])));
            std::thread::sleep(Duration::from_millis(20));
            vec![key("AKIABEFORE")]
        });
        learning.unwrap().join().unwrap();
        let directory = shared.read();
        assert!(directory.key("AKIABEFORE").is_some() && directory.key("AKIALATE").is_some());
    }
}
