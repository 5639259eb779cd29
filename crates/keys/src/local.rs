//! Data keys of accounts, wrapped by the master key, one file per account.
//!
//! Shape of `DIR/<account>.json`: `version`, `account`, `erased_through` (keys
//! up to this id were destroyed) and `keys`, each with `id` and `wrapped`
//! (base64). Files are replaced as a whole, and durable before a key is used.

use crate::MasterKey;
use crate::wrap::{unwrap, wrap};
use aws_lc_rs::aead::LessSafeKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};
use trailbox_journal::{DataKey, DataKeys, KeyError};
use zeroize::Zeroizing;

const PURPOSE: &str = "trailbox data keys v1";
const VERSION: u32 = 1;
/// How long an erasure or rotation by another process may go unnoticed by
/// whoever appends.
const NOTICE: Duration = Duration::from_secs(1);

/// The data keys of one data directory.
///
/// One process makes keys; any may read, rotate and erase. Reading notices an
/// erasure at once, appending within a second: what an account appends in that
/// second is erased with the rest.
pub struct LocalKeys {
    dir: PathBuf,
    master_id: [u8; 8],
    wrapping: LessSafeKey,
    master: std::sync::Arc<MasterKey>,
    accounts: RwLock<HashMap<String, Account>>,
    /// Held while a file is replaced.
    changing: Mutex<()>,
}

/// An account could not be erased; its keys are as they were.
#[derive(Debug, thiserror::Error)]
#[error("keys of account {account} cannot be erased: {reason}")]
pub struct EraseError {
    /// The account.
    pub account: String,
    /// What went wrong.
    pub reason: String,
}

/// An account's keys, unwrapped, and the file they come from.
struct Account {
    keys: BTreeMap<u32, Zeroizing<[u8; 32]>>,
    erased_through: u32,
    file: Stamp,
    checked: Instant,
}

/// Tells one version of a file from the next: each has its own inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, i64, i64);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    account: String,
    erased_through: u32,
    keys: Vec<StoredKey>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: u32,
    wrapped: String,
}

impl std::fmt::Debug for LocalKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKeys").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl LocalKeys {
    /// The data keys in `dir`, which is made when absent.
    ///
    /// # Errors
    ///
    /// When `dir` cannot be made.
    pub fn open(
        dir: impl Into<PathBuf>,
        master: std::sync::Arc<MasterKey>,
    ) -> Result<Self, io::Error> {
        let dir = dir.into();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self {
            dir,
            master_id: master.id(),
            wrapping: master.purpose(PURPOSE),
            master,
            accounts: RwLock::default(),
            changing: Mutex::default(),
        })
    }

    /// Makes a new key for frames of `account` from now on; older ones still
    /// read what they encrypted. Gives the new id.
    ///
    /// # Errors
    ///
    /// When the key cannot be made durable.
    pub fn rotate(&self, account: &str) -> Result<u32, KeyError> {
        let path = self.path(account)?;
        let _changing = self.changing();
        let failed = |reason| unavailable(account, reason);
        let mut stored = read(&path).map_err(failed)?.unwrap_or_else(|| Stored::new(account));
        let id = stored.next_id();
        stored.keys.push(self.draw(account, id));
        self.replace(&path, &stored).map_err(failed)?;
        self.load(account, &path)?;
        Ok(id)
    }

    /// Destroys all keys of `account`: what they encrypted can never be read
    /// again. Records that come later get a new key.
    ///
    /// # Errors
    ///
    /// When the files cannot be changed; then nothing was destroyed.
    pub fn erase(&self, account: &str) -> Result<(), EraseError> {
        let refused = |reason: String| EraseError { account: account.to_owned(), reason };
        let path = self.path(account).map_err(|err| refused(err.to_string()))?;
        let _changing = self.changing();
        let Some(mut stored) = read(&path).map_err(refused)? else { return Ok(()) };
        stored.erased_through = stored.next_id() - 1;
        stored.keys.clear();
        let old =
            OpenOptions::new().write(true).open(&path).map_err(|err| refused(err.to_string()))?;
        self.replace(&path, &stored).map_err(refused)?;
        overwrite(&old);
        self.load(account, &path).map_err(|err| refused(err.to_string()))
    }

    /// Accounts that have a key file.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn accounts(&self) -> Result<Vec<String>, io::Error> {
        let mut accounts = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            accounts.extend(name.strip_suffix(".json").map(str::to_owned));
        }
        accounts.sort_unstable();
        Ok(accounts)
    }

    fn path(&self, account: &str) -> Result<PathBuf, KeyError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=64).contains(&account.len()) || !account.chars().all(plain) {
            let reason = "an account is 1 to 64 letters, digits, `-` and `_`".to_owned();
            return Err(unavailable(account, reason));
        }
        Ok(self.dir.join(format!("{account}.json")))
    }

    fn draw(&self, account: &str, id: u32) -> StoredKey {
        let mut key = Zeroizing::new([0; 32]);
        self.master.random().fill(&mut *key);
        let wrapped = wrap(&self.wrapping, self.master.random(), &context(account, id), &*key);
        StoredKey { id, wrapped: STANDARD.encode(wrapped) }
    }

    /// Replaces `path` by `stored`, durably.
    fn replace(&self, path: &Path, stored: &Stored) -> Result<(), String> {
        let temporary = path.with_extension("tmp");
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(stored)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|err: io::Error| format!("{}: {err}", path.display()))
    }

    /// Reads and unwraps the keys in `path` into memory.
    fn load(&self, account: &str, path: &Path) -> Result<(), KeyError> {
        let failed = |reason| unavailable(account, reason);
        let file = stamp(path).map_err(|err| failed(err.to_string()))?;
        let stored = read(path).map_err(failed)?.unwrap_or_else(|| Stored::new(account));
        let mut keys = BTreeMap::new();
        for key in &stored.keys {
            let bytes = STANDARD.decode(&key.wrapped).ok();
            let bytes = bytes.and_then(|b| unwrap(&self.wrapping, &context(account, key.id), &b));
            let bytes = bytes.map(Zeroizing::new).and_then(|b| b.as_slice().try_into().ok());
            let bytes = bytes.ok_or_else(|| {
                failed(format!("data key {} does not open; is this the right master key?", key.id))
            })?;
            keys.insert(key.id, Zeroizing::new(bytes));
        }
        let loaded =
            Account { keys, erased_through: stored.erased_through, file, checked: Instant::now() };
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(account.to_owned(), loaded);
        Ok(())
    }

    /// Loads the keys of `account` again if their file has changed.
    fn refresh(&self, account: &str, path: &Path) -> Result<(), KeyError> {
        let now = match stamp(path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|err| unavailable(account, err.to_string()))?,
        };
        let known = self.known().get(account).map(|known| known.file);
        if known == Some(now) {
            let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = accounts.get_mut(account) {
                known.checked = Instant::now();
            }
            return Ok(());
        }
        self.load(account, path)
    }

    fn newest(&self, account: &str) -> Option<DataKey> {
        let accounts = self.known();
        let (id, key) = accounts.get(account)?.keys.last_key_value()?;
        Some(DataKey { id: *id, key: **key })
    }

    fn known(&self) -> RwLockReadGuard<'_, HashMap<String, Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataKeys for LocalKeys {
    fn current(&self, account: &str) -> Result<DataKey, KeyError> {
        let fresh = self.known().get(account).is_some_and(|k| k.checked.elapsed() < NOTICE);
        if let Some(key) = self.newest(account).filter(|_| fresh) {
            return Ok(key);
        }
        let path = self.path(account)?;
        self.refresh(account, &path)?;
        if let Some(key) = self.newest(account) {
            return Ok(key);
        }
        self.first(account, &path)?;
        let missing = || unavailable(account, "a key was made and is not there".to_owned());
        self.newest(account).ok_or_else(missing)
    }

    fn by_id(&self, account: &str, id: u32) -> Result<[u8; 32], KeyError> {
        let path = self.path(account)?;
        let stale = match (stamp(&path), self.known().get(account)) {
            (Ok(now), Some(known)) => known.file != now,
            _ => true,
        };
        if stale {
            self.refresh(account, &path)?;
        }
        let accounts = self.known();
        let unknown = || KeyError::Unknown { account: account.to_owned(), id };
        let known = accounts.get(account).ok_or_else(unknown)?;
        if id <= known.erased_through {
            return Err(KeyError::Erased { account: account.to_owned() });
        }
        known.keys.get(&id).map(|key| **key).ok_or_else(unknown)
    }

    fn master_id(&self) -> [u8; 8] {
        self.master_id
    }
}

impl LocalKeys {
    /// Makes a key unless somebody else has just done so.
    fn first(&self, account: &str, path: &Path) -> Result<(), KeyError> {
        {
            let _changing = self.changing();
            self.refresh(account, path)?;
            if self.newest(account).is_some() {
                return Ok(());
            }
        }
        self.rotate(account).map(drop)
    }
}

impl Stored {
    fn new(account: &str) -> Self {
        Self { version: VERSION, account: account.to_owned(), erased_through: 0, keys: Vec::new() }
    }

    fn next_id(&self) -> u32 {
        let newest = self.keys.iter().map(|key| key.id).max().unwrap_or(0);
        newest.max(self.erased_through) + 1
    }
}

fn context(account: &str, id: u32) -> String {
    format!("data-key/{account}/{id}")
}

fn unavailable(account: &str, reason: String) -> KeyError {
    KeyError::Unavailable { account: account.to_owned(), reason }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let file = std::fs::metadata(path)?;
    Ok(Stamp(file.ino(), file.mtime(), file.mtime_nsec()))
}

fn read(path: &Path) -> Result<Option<Stored>, String> {
    let bytes = match std::fs::read(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|err| format!("{}: {err}", path.display()))?,
    };
    let stored: Stored =
        serde_json::from_slice(&bytes).map_err(|err| format!("{}: {err}", path.display()))?;
    if stored.version > VERSION {
        let version = stored.version;
        return Err(format!("{}: version {version}; this release reads {VERSION}", path.display()));
    }
    Ok(Some(stored))
}

/// Writes zeros over what a file held. Best effort: the master key guards
/// whatever a file system keeps of it elsewhere.
fn overwrite(mut file: &File) {
    let len = file.metadata().map_or(0, |file| file.len());
    let zeros = vec![0; usize::try_from(len).unwrap_or(0)];
    let _ = file.write_all(&zeros).and_then(|()| file.sync_all());
}

#[cfg(test)]
mod tests {
    use super::LocalKeys;
    use crate::MasterKey;
    use std::path::Path;
    use std::sync::Arc;
    use trailbox_clock::SeededRandom;
    use trailbox_journal::{DataKeys as _, KeyError};

    fn keys(dir: &Path, master: u8) -> LocalKeys {
        let random = Arc::new(SeededRandom::new(u64::from(master)));
        LocalKeys::open(dir, Arc::new(MasterKey::from_bytes([master; 32], random))).unwrap()
    }

    #[test]
    fn a_made_key_is_there_for_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let made = keys(dir.path(), 1).current("111122223333").unwrap();
        assert_eq!(made.id, 1);
        let other = keys(dir.path(), 1);
        assert_eq!(other.by_id("111122223333", 1), Ok(made.key));
        assert_eq!(other.current("111122223333"), Ok(made));
        assert_eq!(other.accounts().unwrap(), ["111122223333"]);
    }

    #[test]
    fn accounts_have_different_keys_and_files_hold_none_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys(dir.path(), 1);
        let (a, b) = (keys.current("a").unwrap(), keys.current("b").unwrap());
        assert_ne!(a.key, b.key);
        let file = std::fs::read(dir.path().join("a.json")).unwrap();
        assert!(!file.windows(32).any(|window| window == a.key));
    }

    #[test]
    fn rotation_adds_a_key_and_keeps_the_old_one_readable() {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys(dir.path(), 1);
        let first = keys.current("a").unwrap();
        assert_eq!(keys.rotate("a"), Ok(2));
        assert_eq!(keys.current("a").unwrap().id, 2);
        assert_eq!(keys.by_id("a", 1), Ok(first.key));
    }

    #[test]
    fn erasure_is_final_seen_by_other_processes_and_leaves_room_for_new_keys() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (keys(dir.path(), 1), keys(dir.path(), 1));
        here.current("a").unwrap();
        here.rotate("a").unwrap();
        assert!(there.by_id("a", 2).is_ok());
        here.erase("a").unwrap();
        let erased = Err(KeyError::Erased { account: "a".to_owned() });
        for id in [1, 2] {
            assert_eq!(here.by_id("a", id), erased);
            assert_eq!(there.by_id("a", id), erased);
        }
        assert_eq!(here.current("a").unwrap().id, 3);
        assert!(matches!(there.by_id("a", 4), Err(KeyError::Unknown { id: 4, .. })));
    }

    #[test]
    fn another_master_key_opens_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        keys(dir.path(), 1).current("a").unwrap();
        let err = keys(dir.path(), 2).current("a").unwrap_err().to_string();
        assert!(err.contains("is this the right master key?"), "{err}");
    }

    #[test]
    fn an_account_that_is_no_file_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for account in ["", "../a", "a/b", "a.b", &"a".repeat(65)] {
            assert!(keys(dir.path(), 1).current(account).is_err(), "{account:?}");
        }
    }
}
