//! Recorders that are broken on purpose: the simulation must catch each.
//!
//! They exist in this crate alone. Each breaks one port or one setting that the
//! real recorder relies on.

use std::path::Path;
use trailbox_history::{
    Batch, Entry, Fetched, JournalSource, Sealed, SealedSegment, Source, SourceError,
};
use trailbox_journal::disk::{Disk as _, SimulatedDisk};

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
    pub(crate) fn lies(self, directory: bool) -> bool {
        self == if directory { Self::LyingDirectorySync } else { Self::LyingSync }
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
    disk.damage(&dir.join(newest), |bytes| {
        bytes.truncate(bytes.len().saturating_sub(700).max(200));
    });
    for name in names.iter().filter(|name| name.ends_with("mark")) {
        disk.damage(&dir.join(name), Vec::clear);
    }
}
