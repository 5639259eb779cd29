//! The open segment: where the writer writes.

use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::frame::{HEAD, Head};
use crate::format::header::Header;
use crate::names::{self, TEMPORARY};
use crate::scan::{Step, Walk};
use crate::sealing::Unsealed;
use crate::{Corruption, Stream};
use std::io::ErrorKind;
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
    /// How long the file is: from `durable` to here it holds zeros.
    ready: u64,
    header_len: u64,
    /// When it was begun, µs.
    pub(crate) created: i64,
    /// Whether it holds more than the intents it was begun with.
    pub(crate) used: bool,
}

/// How far zeros are written ahead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    /// Bytes at a time.
    pub(crate) stretch: u64,
    /// A segment ends about here. Bytes.
    pub(crate) segment: u64,
}

impl Ahead {
    /// Zeros to write behind a batch of `len` bytes that ends at `end`. A large
    /// batch gains less from them than writing them costs.
    fn zeros(self, len: usize, end: u64) -> usize {
        if len as u64 > self.stretch / 16 {
            return 0;
        }
        usize::try_from(self.stretch.min(self.segment.saturating_sub(end))).unwrap_or(0)
    }
}

/// Whether the disk has no more room.
pub(crate) fn is_full(err: &std::io::Error) -> bool {
    matches!(err.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
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
        let ready = durable;
        Ok(Self { path, file, first, epoch, durable, ready, header_len, created, used: false })
    }

    /// Writes behind the durable end; [`sync`](Self::sync) makes it durable.
    /// `bytes` come back as they were.
    pub(crate) fn write(&mut self, bytes: &mut Vec<u8>, ahead: Ahead) -> std::io::Result<()> {
        let (len, end) = (bytes.len(), self.durable + bytes.len() as u64);
        if end <= self.ready {
            return self.file.write_at(self.durable, bytes);
        }
        let zeros = ahead.zeros(len, end);
        bytes.resize(len + zeros, 0);
        let mut written = self.file.write_at(self.durable, bytes);
        bytes.truncate(len);
        self.ready = end + zeros as u64;
        if zeros > 0 && written.as_ref().is_err_and(is_full) {
            // Room ahead is a convenience; the frames may still fit.
            self.cut()?;
            written = self.file.write_at(self.durable, bytes);
            self.ready = end;
        }
        written
    }

    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }

    /// Removes what stands behind the durable end.
    pub(crate) fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.durable)?;
        self.ready = self.durable;
        Ok(())
    }

    /// Whether zeros stand behind the durable end.
    pub(crate) const fn has_room(&self) -> bool {
        self.ready > self.durable
    }

    /// The stamped frame at `offset`, of `len` bytes; whole, or an error: a
    /// copy must not carry damage on.
    pub(crate) fn frame(&self, offset: u64, len: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(offset, &mut bytes)?;
        bytes.truncate(read);
        let head = bytes.first_chunk::<HEAD>().and_then(|head| Head::decode(head).ok());
        match head.filter(|head| head.fits(&bytes[HEAD..])) {
            Some(_) => Ok(bytes),
            None => Err(std::io::Error::new(
                ErrorKind::InvalidData,
                format!("the open intent at byte {offset} cannot be read back"),
            )),
        }
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
