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
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};
use trailbox_journal::disk::{Disk, DiskFile, RealDisk};
use trailbox_journal::{DataKey, DataKeys, KeyError};
use zeroize::Zeroizing;

const PURPOSE: &str = "trailbox data keys v1";
const VERSION: u32 = 1;
/// How long an erasure or rotation by another process may go unnoticed by
/// whoever appends.
const NOTICE: Duration = Duration::from_secs(1);
/// Accounts whose keys are kept in memory at most; others are read again.
const ACCOUNTS: usize = if cfg!(test) { 64 } else { 4096 };

/// The data keys of one data directory.
///
/// One process makes keys; any may read, rotate and erase. Reading notices an
/// erasure at once, appending within a second: what an account appends in that
/// second is erased with the rest.
pub struct LocalKeys {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    master_id: [u8; 8],
    wrapping: LessSafeKey,
    master: Arc<MasterKey>,
    accounts: RwLock<HashMap<String, Account>>,
    /// Held while a file is replaced. Accounts in it have a file that may not
    /// survive a crash of the machine: replacing it failed half-way. It is
    /// replaced once more before a key of theirs is given out.
    doubtful: Mutex<HashSet<String>>,
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
    /// See [`Disk::version`].
    file: [i64; 3],
    checked: Instant,
}

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
    /// When `dir` cannot be made or synced.
    pub fn open(dir: impl Into<PathBuf>, master: Arc<MasterKey>) -> Result<Self, io::Error> {
        let dir = dir.into();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Self::open_on(Arc::new(RealDisk), dir, master)
    }

    /// As [`open`](Self::open), on a disk of the caller's choice.
    ///
    /// # Errors
    ///
    /// When `dir` cannot be made or synced.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        master: Arc<MasterKey>,
    ) -> Result<Self, io::Error> {
        let dir = dir.into();
        disk.create_dir(&dir)?;
        // A process that died may have left a key file whose name is not
        // durable; its keys are about to be used.
        disk.sync_dir(&dir)?;
        Ok(Self {
            disk,
            dir,
            master_id: master.id(),
            wrapping: master.purpose(PURPOSE),
            master,
            accounts: RwLock::default(),
            doubtful: Mutex::default(),
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
        let mut doubtful = self.changing();
        let failed = |reason| unavailable(account, reason);
        let stored = read(&*self.disk, &path).map_err(failed)?;
        let mut stored = stored.unwrap_or_else(|| Stored::new(account));
        let id = stored.next_id();
        stored.keys.push(self.draw(account, id));
        self.replace(&mut doubtful, &path, &stored).map_err(failed)?;
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
        let mut doubtful = self.changing();
        let stored = read(&*self.disk, &path).map_err(refused)?;
        let Some(mut stored) = stored else { return Ok(()) };
        stored.erased_through = stored.next_id() - 1;
        stored.keys.clear();
        let old = self.disk.open(&path, false).map_err(|err| refused(err.to_string()))?;
        self.replace(&mut doubtful, &path, &stored).map_err(refused)?;
        overwrite(&*old);
        self.load(account, &path).map_err(|err| refused(err.to_string()))
    }

    /// Accounts that have a key file.
    ///
    /// # Errors
    ///
    /// When the directory cannot be listed.
    pub fn accounts(&self) -> Result<Vec<String>, io::Error> {
        let mut accounts = Vec::new();
        for name in self.disk.list(&self.dir)? {
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
    fn replace(
        &self,
        doubtful: &mut HashSet<String>,
        path: &Path,
        stored: &Stored,
    ) -> Result<(), String> {
        let temporary = path.with_extension("tmp");
        let mut write = || {
            // A leftover of an attempt that failed.
            let _ = self.disk.remove(&temporary);
            let file = self.disk.create(&temporary)?;
            file.write_at(0, &serde_json::to_vec_pretty(stored)?)?;
            file.sync()?;
            doubtful.insert(stored.account.clone());
            self.disk.rename(&temporary, path)?;
            self.disk.sync_dir(&self.dir)?;
            doubtful.remove(&stored.account);
            Ok(())
        };
        write().map_err(|err: io::Error| format!("{}: {err}", path.display()))
    }

    /// Replaces a file once more whose replacement failed half-way: its content
    /// is known, its name may not survive, and to sync again proves nothing.
    fn settle(&self, account: &str, path: &Path) -> Result<(), KeyError> {
        let mut doubtful = self.changing();
        if !doubtful.contains(account) {
            return Ok(());
        }
        let failed = |reason| unavailable(account, reason);
        if let Some(stored) = read(&*self.disk, path).map_err(failed)? {
            return self.replace(&mut doubtful, path, &stored).map_err(failed);
        }
        doubtful.remove(account);
        Ok(())
    }

    /// Reads and unwraps the keys in `path` into memory.
    fn load(&self, account: &str, path: &Path) -> Result<(), KeyError> {
        let failed = |reason| unavailable(account, reason);
        let file = self.disk.version(path).map_err(|err| failed(err.to_string()))?;
        let stored = read(&*self.disk, path).map_err(failed)?;
        let stored = stored.unwrap_or_else(|| Stored::new(account));
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
        if accounts.len() >= ACCOUNTS {
            accounts.clear();
        }
        accounts.insert(account.to_owned(), loaded);
        Ok(())
    }

    /// Loads the keys of `account` again if their file has changed.
    fn refresh(&self, account: &str, path: &Path) -> Result<(), KeyError> {
        let now = match self.disk.version(path) {
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

    fn changing(&self) -> MutexGuard<'_, HashSet<String>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataKeys for LocalKeys {
    fn current(&self, account: &str) -> Result<DataKey, KeyError> {
        let fresh = self.known().get(account).is_some_and(|k| k.checked.elapsed() < NOTICE);
        if let Some(key) = self.newest(account).filter(|_| fresh) {
            return Ok(key);
        }
        let path = self.path(account)?;
        self.settle(account, &path)?;
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
        let stale = match (self.disk.version(&path), self.known().get(account)) {
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
            let _doubtful = self.changing();
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

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Stored>, String> {
    let bytes = match content(disk, path) {
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

fn content(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, true)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Writes zeros over what a file held. Best effort: the master key guards
/// whatever a file system keeps of it elsewhere.
fn overwrite(file: &dyn DiskFile) {
    let zeros = vec![0; usize::try_from(file.len().unwrap_or(0)).unwrap_or(0)];
    let _ = file.write_at(0, &zeros).and_then(|()| file.sync());
}

#[cfg(test)]
mod tests;
