//! Room on the disk for the outcomes of calls already admitted.

use crate::disk::Disk;
use crate::names;
use std::io;
use std::path::{Path, PathBuf};

/// A file that holds nothing but room; removed when the disk is full.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// Whether the file has its full size.
    held: bool,
}

impl Reserve {
    pub(crate) fn new(dir: &Path, bytes: u64) -> Self {
        Self { path: dir.join(names::RESERVE), bytes, held: bytes == 0 }
    }

    /// Bytes still to be taken.
    pub(crate) const fn missing(&self) -> u64 {
        if self.held { 0 } else { self.bytes }
    }

    /// Takes the room.
    pub(crate) fn take(&mut self, disk: &dyn Disk) -> io::Result<()> {
        if self.held {
            return Ok(());
        }
        let file = match disk.open(&self.path, false) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => disk.create(&self.path)?,
            other => other?,
        };
        if file.len()? > self.bytes {
            file.set_len(self.bytes)?;
        }
        if let Err(err) = file.allocate(self.bytes) {
            drop(file);
            let _ = disk.remove(&self.path);
            return Err(err);
        }
        self.held = true;
        Ok(())
    }

    /// Gives the room up, for outcomes. False when there was none.
    pub(crate) fn release(&mut self, disk: &dyn Disk) -> bool {
        if !self.held || self.bytes == 0 {
            return false;
        }
        self.held = false;
        match disk.remove(&self.path) {
            Ok(()) => true,
            Err(err) => {
                tracing::warn!(%err, "the journal's reserve file cannot be removed");
                false
            }
        }
    }
}
