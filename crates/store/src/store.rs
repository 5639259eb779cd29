//! The store as a whole: its directory, its buckets, what a start tidies up.
//!
//! Layout: `lock`; `VERSION`; `tmp/` (things that are not there yet, or not any
//! more); `buckets/NAME/` with `bucket.json`, `objects/SHARD/HASH`, `tmp/` and
//! `uploads/ID/`. A start empties every `tmp/`.

use crate::Options;
use crate::bucket::Bucket;
use crate::disk;
use crate::errors::{self, OrIo as _};
use crate::meta::{Acl, BucketMeta};
use crate::names;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use trailbox_clock::{Clock, Random};

const VERSION: &str = "trailbox-store 1\n";

/// Why a directory could not be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the store.
    #[error("bucket store {} is in use by another process", root.display())]
    Locked {
        /// The directory.
        root: PathBuf,
    },
    /// The directory was written by a later version, or by something else.
    #[error("bucket store {} says it is {found:?}; this program reads `trailbox-store 1`", root.display())]
    Version {
        /// The directory.
        root: PathBuf,
        /// First line of its `VERSION`.
        found: String,
    },
    /// A file operation failed.
    #[error("bucket store: {}", path.display())]
    Io {
        /// What was being worked on.
        path: PathBuf,
        /// What went wrong.
        #[source]
        cause: io::Error,
    },
}

/// An opened store. Every method blocks on files: call it in [`blocking`].
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    account: String,
    pub(crate) clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    _lock: File,
}

impl Store {
    pub(crate) fn open(
        options: &Options,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, OpenError> {
        let root = options.root.clone();
        let at = |path: &Path| {
            let path = path.to_owned();
            move |cause| OpenError::Io { path, cause }
        };
        for dir in [root.clone(), root.join("tmp"), root.join("buckets")] {
            fs::create_dir_all(&dir).map_err(at(&dir))?;
        }
        let lock = lock(&root)?;
        check_version(&root)?;
        disk::empty_dir(&root.join("tmp")).map_err(at(&root.join("tmp")))?;
        let buckets = open_buckets(&root.join("buckets"))?;
        disk::sync_dir(&root).map_err(at(&root))?;
        Ok(Self {
            root,
            account: options.account.clone(),
            clock,
            random,
            buckets: RwLock::new(buckets),
            _lock: lock,
        })
    }

    /// The owner of every bucket: a canonical user id (64 hex digits) made from
    /// the account, and the account as display name.
    pub(crate) fn owner(&self) -> (String, String) {
        let id = Sha256::checksum(format!("canonical user {}", self.account).as_bytes());
        (hex::encode(id), self.account.clone())
    }

    /// A name nobody has used: 32 hex digits.
    pub(crate) fn fresh(&self) -> String {
        hex::encode(self.random.uuid())
    }

    /// Now, in whole seconds, as microseconds: S3 keeps no finer time.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().seconds().saturating_mul(1_000_000)
    }

    pub(crate) fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).cloned().ok_or_else(errors::no_such_bucket)
    }

    /// All buckets by name.
    pub(crate) fn buckets(&self) -> Vec<Arc<Bucket>> {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.values().cloned().collect()
    }

    /// Makes a bucket. Asking again succeeds in us-east-1 only, as on AWS.
    pub(crate) fn create_bucket(&self, name: &str, region: &str, acl: Acl) -> S3Result<()> {
        if !names::is_bucket_name(name) {
            return Err(errors::invalid_bucket_name());
        }
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = buckets.get(name) {
            let same = region == "us-east-1" && held.meta().region == region;
            return if same { Ok(()) } else { Err(errors::already_owned()) };
        }
        let meta = BucketMeta {
            name: name.to_owned(),
            region: region.to_owned(),
            created: self.now(),
            acl,
            settings: BTreeMap::new(),
        };
        let place = self.root.join("buckets").join(name);
        let bucket =
            Bucket::create(&self.root.join("tmp").join(self.fresh()), &place, meta).or_io()?;
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(())
    }

    /// Removes an empty bucket. Uploads that were never completed go with it.
    pub(crate) fn delete_bucket(&self, name: &str) -> S3Result<()> {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(name).ok_or_else(errors::no_such_bucket)?;
        let grave = self.root.join("tmp").join(self.fresh());
        bucket.bury(&grave)?;
        buckets.remove(name);
        drop(buckets);
        // The bucket is gone; what is left of it goes now or at the next start.
        let _ = fs::remove_dir_all(&grave);
        Ok(())
    }
}

fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join("lock");
    let io = |cause| OpenError::Io { path: path.clone(), cause };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked { root: root.to_owned() }),
        Err(fs::TryLockError::Error(cause)) => Err(OpenError::Io { path, cause }),
    }
}

/// An empty `VERSION` is no other version: a power cut can leave one where the
/// name was durable before its bytes.
fn check_version(root: &Path) -> Result<(), OpenError> {
    let path = root.join("VERSION");
    match fs::read_to_string(&path) {
        Ok(text) if text == VERSION => Ok(()),
        Ok(text) if !text.is_empty() => Err(OpenError::Version {
            root: root.to_owned(),
            found: text.lines().next().unwrap_or_default().chars().take(64).collect(),
        }),
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(OpenError::Io { path, cause }),
        Ok(_) | Err(_) => write_version(&path).map_err(|cause| OpenError::Io { path, cause }),
    }
}

/// Once it is there by its name, its bytes are, too.
fn write_version(path: &Path) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(VERSION.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    disk::sync_parent(path)
}

fn open_buckets(dir: &Path) -> Result<BTreeMap<String, Arc<Bucket>>, OpenError> {
    let at = |path: &Path, cause| OpenError::Io { path: path.to_owned(), cause };
    let mut buckets = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|cause| at(dir, cause))? {
        let path = entry.map_err(|cause| at(dir, cause))?.path();
        let bucket = Bucket::open(&path).map_err(|cause| at(&path, cause))?;
        buckets.insert(bucket.meta().name, Arc::new(bucket));
    }
    Ok(buckets)
}

/// Runs file work where it may block, and hands back what it answers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(cause) => Err(errors::io(io::Error::other(cause))),
    }
}

#[cfg(test)]
mod tests {
    use super::{OpenError, VERSION, check_version};

    #[test]
    fn a_version_that_a_power_cut_emptied_is_written_again() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("VERSION");
        std::fs::write(&file, "").unwrap();
        check_version(root.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), VERSION);
    }

    #[test]
    fn another_version_is_refused_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("VERSION"), "trailbox-store 9\n").unwrap();
        let refused = check_version(root.path());
        assert!(
            matches!(refused, Err(OpenError::Version { found, .. }) if found == "trailbox-store 9")
        );
    }
}
