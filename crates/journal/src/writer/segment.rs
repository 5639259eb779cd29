//! The open segment: where the writer writes.

use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::frame::HEAD;
use crate::format::header::Header;
use crate::names::{self, TEMPORARY};
use crate::scan::{Step, Walk};
use crate::sealing::Unsealed;
use crate::{Corruption, Stream};
use std::path::{Path, PathBuf};

/// A segment file that grows.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) path: PathBuf,
    file: Box<dyn DiskFile>,
    pub(crate) first: u64,
    pub(crate) epoch: u64,
    /// Bytes that are durable: everything before this was synced.
    pub(crate) durable: u64,
    header_len: u64,
    /// When it was begun, µs.
    pub(crate) created: i64,
    /// Whether it holds more than the intents it was begun with.
    pub(crate) used: bool,
}

/// What all segments of one epoch share.
#[derive(Debug, Clone)]
pub(crate) struct Epoch {
    pub(crate) node: [u8; 16],
    pub(crate) number: u64,
    pub(crate) key_id: [u8; 8],
    pub(crate) salt: [u8; 32],
}

impl OpenSegment {
    /// Begins a segment with `carried`, stamped frames; it is durable, name
    /// included, when this returns.
    pub(crate) fn begin(
        disk: &dyn Disk,
        dir: &Path,
        epoch: &Epoch,
        (first, created): (u64, i64),
        carried: &[u8],
    ) -> Result<Self, FileFault> {
        let path = dir.join(names::open_name(first, epoch.number));
        let temporary = dir.join(names::open_name(first, epoch.number) + TEMPORARY);
        // A leftover of an attempt that failed.
        let _ = disk.remove(&temporary);
        let mut bytes = Header {
            stream: Stream::Open,
            node: epoch.node,
            epoch: epoch.number,
            first,
            last: 0,
            created,
            key_id: epoch.key_id,
            salt: epoch.salt,
        }
        .encode();
        let header_len = bytes.len() as u64;
        bytes.extend_from_slice(carried);
        let file = disk.create(&temporary).map_err(at(&temporary, "create"))?;
        file.write_at(0, &bytes).map_err(at(&temporary, "write"))?;
        file.sync().map_err(at(&temporary, "sync"))?;
        disk.rename(&temporary, &path).map_err(at(&temporary, "rename"))?;
        disk.sync_dir(dir).map_err(at(dir, "sync"))?;
        let durable = bytes.len() as u64;
        let epoch = epoch.number;
        Ok(Self { path, file, first, epoch, durable, header_len, created, used: false })
    }

    /// Writes behind the durable end; [`sync`](Self::sync) makes it durable.
    pub(crate) fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_at(self.durable, bytes)
    }

    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }

    /// Removes what stands behind the durable end.
    pub(crate) fn cut(&self) -> std::io::Result<()> {
        self.file.set_len(self.durable)
    }

    /// The stamped frame at `offset`, of `len` bytes.
    pub(crate) fn frame(&self, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(offset, &mut bytes)?;
        if read < len || len < HEAD {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// Reads back, from the disk itself where that can be, everything that was
    /// durable: frames `first` to `last`.
    pub(crate) fn verify(&self, last: u64) -> Result<(), FileFault> {
        self.file.forget_cache();
        let mut walk = Walk::new(&*self.file, self.header_len, self.durable);
        for expected in self.first..=last {
            let (offset, what) = match walk.next().map_err(at(&self.path, "read"))? {
                Step::Frame(found) if found.sequence() == expected => continue,
                Step::Frame(found) => (found.offset, "frames are out of sequence"),
                Step::End => (self.durable, "durable frames are gone"),
                Step::Bad { offset, what } => (offset, what),
                Step::Unsupported(_) => (0, "a frame of an unknown version"),
            };
            return Err(FileFault::Corrupt(Corruption {
                file: self.path.clone(),
                offset,
                what: what.to_owned(),
                first_affected: expected,
                last_affected: last,
            }));
        }
        Ok(())
    }

    /// The segment as complete, with frames up to `last`.
    pub(crate) fn finished(&self, last: u64) -> Unsealed {
        Unsealed { path: self.path.clone(), first: self.first, last, epoch: self.epoch }
    }
}
