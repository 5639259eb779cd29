//! One bucket: its settings, the index of its keys, and how an object comes,
//! changes and goes.
//!
//! The index is read from the object files at the first use and kept in memory
//! from then on. It changes under the same lock as the rename, so a listing and
//! the files never disagree for longer than that lock is held.

use crate::disk::{self, Aside};
use crate::errors::{self, OrIo as _};
use crate::index::{self, Index, Page, Query};
use crate::meta::{Amendment, BucketMeta, ObjectMeta};
use crate::names;
use s3s::S3Result;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A bucket on disk.
#[derive(Debug)]
pub(crate) struct Bucket {
    dir: PathBuf,
    state: RwLock<State>,
}

#[derive(Debug)]
struct State {
    meta: BucketMeta,
    /// `None` until somebody needs it.
    index: Option<Index>,
    gone: bool,
}

/// What must hold of the object at a key for a change to happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    #[default]
    None,
    /// No object stands there.
    Absent,
    /// Some object stands there.
    Present,
    /// An object with this entity tag stands there.
    Tag(String),
}

/// An object opened for reading: what is kept about it, and its bytes.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) meta: ObjectMeta,
    pub(crate) file: File,
}

impl Bucket {
    /// Makes a bucket aside and moves it to `place`, durably.
    pub(crate) fn create(aside: &Path, place: &Path, meta: BucketMeta) -> io::Result<Self> {
        fs::create_dir(aside)?;
        for part in ["objects", "tmp", "uploads"] {
            fs::create_dir(aside.join(part))?;
        }
        disk::write_json(aside.join("tmp/bucket.json"), &aside.join("bucket.json"), &meta)?;
        fs::rename(aside, place)?;
        disk::sync_parent(place)?;
        let state = State { meta, index: Some(Index::new()), gone: false };
        Ok(Self { dir: place.to_owned(), state: RwLock::new(state) })
    }

    /// Opens the bucket in `dir` and removes what a crash left half done.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let meta = disk::read_json(&dir.join("bucket.json"))?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no bucket.json"))?;
        disk::empty_dir(&dir.join("tmp"))?;
        let state = State { meta, index: None, gone: false };
        Ok(Self { dir: dir.to_owned(), state: RwLock::new(state) })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A path for something that is not there yet; `name` must be fresh.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.dir.join("tmp").join(name)
    }

    /// Where uploads in parts live.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.dir.join("uploads")
    }

    /// What is kept about the bucket.
    pub(crate) fn meta(&self) -> BucketMeta {
        self.read().meta.clone()
    }

    /// Changes what is kept about the bucket, durably.
    pub(crate) fn change(&self, name: &str, act: impl FnOnce(&mut BucketMeta)) -> S3Result<()> {
        let mut state = self.live()?;
        let mut meta = state.meta.clone();
        act(&mut meta);
        disk::write_json(self.aside(name), &self.dir.join("bucket.json"), &meta).or_io()?;
        state.meta = meta;
        Ok(())
    }

    fn live(&self) -> S3Result<RwLockWriteGuard<'_, State>> {
        let state = self.write();
        if state.gone { Err(errors::no_such_bucket()) } else { Ok(state) }
    }

    /// Runs `look` over the index, reading it first where needed.
    fn with_index<T>(&self, look: impl FnOnce(&Index) -> T) -> S3Result<T> {
        if let Some(index) = &self.read().index {
            return Ok(look(index));
        }
        let mut state = self.live()?;
        Ok(look(self.loaded(&mut state)?))
    }

    fn loaded<'a>(&self, state: &'a mut State) -> S3Result<&'a mut Index> {
        if state.index.is_none() {
            state.index = Some(scan(&self.dir.join("objects")).or_io()?);
        }
        Ok(state.index.get_or_insert_with(Index::new))
    }

    /// One page of the keys.
    pub(crate) fn list(&self, query: Query<'_>) -> S3Result<Page> {
        self.with_index(|keys| index::list(keys, query))
    }

    fn place(&self, key: &str) -> PathBuf {
        let (shard, file) = names::file_of(key);
        self.dir.join("objects").join(shard).join(file)
    }

    /// Opens the object at `key`, with later changes of tags and ACL applied.
    pub(crate) fn object(&self, key: &str) -> S3Result<Opened> {
        let place = self.place(key);
        let file = disk::open(&place).or_io()?.ok_or_else(errors::no_such_key)?;
        let (mut meta, _size): (ObjectMeta, u64) = disk::about(&file).or_io()?;
        if let Some(later) = disk::read_json::<Amendment>(&amendment(&place)).or_io()?
            && later.generation == meta.generation
        {
            meta.attached.tags = later.tags;
            meta.attached.acl = later.acl;
        }
        Ok(Opened { meta, file })
    }

    /// Puts a finished file in the place of its key, if `condition` holds.
    ///
    /// `file` holds `meta.size` bytes. On return the object is durable.
    pub(crate) fn put(
        &self,
        aside: Aside,
        mut file: File,
        meta: &ObjectMeta,
        condition: &Condition,
    ) -> S3Result<()> {
        disk::finish(&mut file, meta.size, meta).or_io()?;
        let place = self.place(&meta.key);
        let mut state = self.live()?;
        let index = self.loaded(&mut state)?;
        judge(condition, index.get(meta.key.as_str()).map(|entry| &*entry.etag))?;
        if let Some(shard) = place.parent() {
            disk::ensure_dir(shard).or_io()?;
        }
        aside.settle(&place).or_io()?;
        index.insert(meta.key.as_str().into(), meta.entry());
        drop(state);
        disk::sync_parent(&place).or_io()
    }

    /// Replaces tags and ACL of the object at `key`, durably.
    pub(crate) fn amend(
        &self,
        name: &str,
        key: &str,
        act: impl FnOnce(&mut ObjectMeta),
    ) -> S3Result<()> {
        let _state = self.live()?;
        let mut meta = self.object(key)?.meta;
        act(&mut meta);
        let later = Amendment {
            generation: meta.generation,
            tags: meta.attached.tags,
            acl: meta.attached.acl,
        };
        disk::write_json(self.aside(name), &amendment(&self.place(key)), &later).or_io()
    }

    /// Removes the object at `key`, durably; no object is no error.
    pub(crate) fn remove(&self, key: &str, condition: &Condition) -> S3Result<()> {
        let place = self.place(key);
        let mut state = self.live()?;
        let index = self.loaded(&mut state)?;
        if *condition != Condition::None {
            judge(condition, index.get(key).map(|entry| &*entry.etag))?;
        }
        let was = disk::remove(&place).or_io()?;
        index.remove(key);
        drop(state);
        if was {
            disk::remove(&amendment(&place)).or_io()?;
            disk::sync_parent(&place).or_io()?;
        }
        Ok(())
    }

    /// Moves an empty bucket to `grave`; nothing can be put into it any more.
    pub(crate) fn bury(&self, grave: &Path) -> S3Result<()> {
        let mut state = self.live()?;
        if !self.loaded(&mut state)?.is_empty() {
            return Err(errors::bucket_not_empty());
        }
        fs::rename(&self.dir, grave).or_io()?;
        state.gone = true;
        drop(state);
        disk::sync_parent(&self.dir).or_io()
    }
}

/// Where later changes of the object at `place` stand.
fn amendment(place: &Path) -> PathBuf {
    place.with_extension("later")
}

fn judge(condition: &Condition, held: Option<&str>) -> S3Result<()> {
    match (condition, held) {
        (Condition::None, _) | (Condition::Absent, None) | (Condition::Present, Some(_)) => Ok(()),
        (Condition::Tag(want), Some(etag)) if want == etag => Ok(()),
        (Condition::Present | Condition::Tag(_), None) => Err(errors::no_such_key()),
        (Condition::Absent | Condition::Tag(_), Some(_)) => Err(errors::precondition_failed()),
    }
}

/// Reads the index off the object files. A damaged file is told and passed
/// over: its key then reads as an error, never as other bytes.
fn scan(objects: &Path) -> io::Result<Index> {
    let mut index = Index::new();
    for shard in fs::read_dir(objects)? {
        for entry in fs::read_dir(shard?.path())? {
            let path = entry?.path();
            if path.extension().is_some() {
                continue;
            }
            match disk::about::<ObjectMeta>(&File::open(&path)?) {
                Ok((meta, _size)) => {
                    let shown = meta.entry();
                    index.insert(meta.key.into(), shown);
                }
                Err(cause) => {
                    tracing::error!(file = %path.display(), error = %cause, "bucket store: object cannot be read");
                }
            }
        }
    }
    Ok(index)
}
