//! The history's directory.

use crate::codec::Damage;
use bytes::Bytes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use trailbox_journal::disk::{Disk, DiskFile};

/// Where index segments lie: `DATA/history`.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// Ends the name of an index file.
pub(crate) const FINISHED: &str = ".idx";
/// Ends the name of a file that is not finished.
const UNFINISHED: &str = ".tmp";

impl Files {
    /// The directory, made when absent; unfinished files are removed.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> io::Result<Self> {
        disk.create_dir(&dir)?;
        let files = Self { disk, dir };
        for name in files.disk.list(&files.dir)? {
            if name.ends_with(UNFINISHED) {
                files.disk.remove(&files.dir.join(&name))?;
            }
        }
        Ok(files)
    }

    /// Names of the index files.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = self.disk.list(&self.dir)?;
        names.retain(|name| name.ends_with(FINISHED));
        names.sort();
        Ok(names)
    }

    /// An index file for reading.
    pub(crate) fn read(&self, name: &str) -> io::Result<IndexFile> {
        let file = self.disk.open(&self.dir.join(name), true)?;
        Ok(IndexFile::Disk(file))
    }

    /// Stores `bytes` as `name`, replacing what was there.
    ///
    /// Once this returns, the file survives a crash; before, the old one does.
    pub(crate) fn publish(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.dir.join(format!("{name}{UNFINISHED}"));
        match self.disk.remove(&unfinished) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            Ok(()) | Err(_) => {}
        }
        let file = self.disk.create(&unfinished)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.disk.rename(&unfinished, &self.dir.join(name))?;
        self.disk.sync_dir(&self.dir)
    }

    /// Removes `name`; removing what is gone succeeds.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match self.disk.remove(&self.dir.join(name)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            Ok(()) | Err(_) => {}
        }
        self.disk.sync_dir(&self.dir)
    }
}

/// An open index file; stays readable when it is replaced or removed.
#[derive(Debug)]
pub(crate) enum IndexFile {
    Disk(Box<dyn DiskFile>),
    /// Never written: it covers what is not sealed yet.
    Memory(Bytes),
}

impl IndexFile {
    pub(crate) fn length(&self) -> Result<u64, Damage> {
        match self {
            Self::Disk(file) => file.len().map_err(|err| Damage::Read { reason: err.to_string() }),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Exactly `length` bytes from `offset`.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Bytes, Damage> {
        let file = match self {
            Self::Disk(file) => file,
            Self::Memory(held) => {
                let start = usize::try_from(offset).ok().filter(|start| *start <= held.len());
                let start = start.ok_or(Damage::Short { offset })?;
                let end = start.checked_add(length).filter(|end| *end <= held.len());
                let end = end.ok_or(Damage::Short { offset })?;
                // A copy, so that a block in the cache does not keep the whole.
                return Ok(Bytes::copy_from_slice(&held[start..end]));
            }
        };
        let mut bytes = vec![0; length];
        match file.read_at(offset, &mut bytes) {
            Ok(read) if read == length => Ok(Bytes::from(bytes)),
            Ok(_) => Err(Damage::Short { offset }),
            Err(err) => Err(Damage::Read { reason: err.to_string() }),
        }
    }
}
