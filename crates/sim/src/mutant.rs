//! Recorders that are broken on purpose: the simulation must catch each.
//!
//! They exist in this crate alone. Each breaks one port or one setting that the
//! real recorder relies on; see the README for the seeds that catch them.

use std::io;
use std::path::Path;
use trailbox_history::{
    Batch, Entry, Fetched, Sealed, SealedSegment, Source, SourceError, JournalSource,
};
use trailbox_journal::disk::{Claim, ClaimError, Disk, DiskFile, SimulatedDisk, Space};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mutant {
    /// Every sync of a file says yes and does nothing.
    LyingSync,
    /// Every sync of a directory says yes and does nothing.
    LyingDirectorySync,
    /// Answers are released before their record is durable.
    EarlyAnswer,
    /// Nothing is written before a call is forwarded.
    NoIntents,
    /// A restart forgets the intents it finds open.
    ForgetfulRecovery,
    /// A restart writes each outcome it owes twice.
    RepeatedOutcome,
    /// A restart cuts the last durable frames off and uses their numbers again.
    CutTail,
    /// The history passes over a record now and then.
    DeafHistory,
    /// Learned sessions are forgotten at a restart.
    ForgetfulDirectory,
}

impl Mutant {
    /// Whether the disk is the liar.
    fn lies(self, directory: bool) -> bool {
        self == if directory { Self::LyingDirectorySync } else { Self::LyingSync }
    }
}

/// A disk that may lie about what it has made durable.
#[derive(Debug, Clone)]
pub(crate) struct Lying {
    pub(crate) inner: SimulatedDisk,
    pub(crate) mutant: Mutant,
}

impl Lying {
    fn file(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(LyingFile { inner, lies: self.mutant.lies(false) })
    }
}

impl Disk for Lying {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.inner.create(file).map(|file| self.file(file))
    }

    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(file, read_only).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.inner.remove(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.mutant.lies(true) { Ok(()) } else { self.inner.sync_dir(dir) }
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.inner.space(dir)
    }

    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError> {
        self.inner.claim(file, owner)
    }
}

#[derive(Debug)]
struct LyingFile {
    inner: Box<dyn DiskFile>,
    lies: bool,
}

impl DiskFile for LyingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if self.lies { Ok(()) } else { self.inner.sync() }
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn forget_cache(&self) {
        self.inner.forget_cache();
    }
}

/// A journal that the history hears with one ear.
#[derive(Debug)]
pub(crate) struct Deaf(pub(crate) JournalSource);

impl Deaf {
    const fn hears(sequence: u64) -> bool {
        !sequence.is_multiple_of(29)
    }
}

impl Source for Deaf {
    fn after(&self, sequence: u64, max: usize) -> Result<Batch, SourceError> {
        let mut batch = self.0.after(sequence, max)?;
        batch.entries.retain(|entry| Self::hears(entry.sequence));
        Ok(batch)
    }

    fn sealed(&self) -> Result<Sealed, SourceError> {
        self.0.sealed()
    }

    fn read(
        &self,
        segment: &SealedSegment,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(), SourceError> {
        self.0.read(segment, &mut |entry| {
            if Self::hears(entry.sequence) {
                each(entry);
            }
        })
    }

    fn fetch(&self, sequence: u64) -> Result<Fetched, SourceError> {
        self.0.fetch(sequence)
    }

    fn drop_segment(&self, segment: &SealedSegment) -> Result<(), SourceError> {
        self.0.drop_segment(segment)
    }

    fn secret(
        &self,
        account: &str,
        id: Option<u32>,
    ) -> Result<Option<(u32, [u8; 32])>, SourceError> {
        self.0.secret(account, id)
    }
}

/// Cuts the last bytes off the open segment, and the mark with them.
pub(crate) fn cut_tail(disk: &SimulatedDisk, dir: &Path) {
    let names = disk.list(dir).unwrap_or_default();
    let is_open = |name: &&String| Path::new(name).extension().is_some_and(|end| end == "open");
    let Some(newest) = names.iter().filter(is_open).max() else { return };
    disk.damage(&dir.join(newest), |bytes| bytes.truncate(bytes.len().saturating_sub(700).max(200)));
    for name in names.iter().filter(|name| name.ends_with("mark")) {
        disk.damage(&dir.join(name), Vec::clear);
    }
}
