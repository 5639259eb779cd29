//! Who reads beside the recorder: the history, as the engine drives it, and a
//! reader outside that keeps its own position over all lives.
//!
//! Both belong to other processes: they read when it is their turn, and in the
//! middle of what the recorder does to the disk.

use crate::keys::FixedKeys;
use crate::life::Life;
use crate::mutant::{Deaf, Mutant};
use crate::oracle;
use crate::world::{HISTORY, JOURNAL, NODE, World};
use std::path::Path;
use std::sync::{Arc, PoisonError};
use trailbox_history::{History, HistoryOptions, JournalSource, OpenError, Source, SourceError};
use trailbox_journal::{ReadError, Reader};

/// The readers of one life.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    history: Option<History>,
    reader: Option<Reader>,
    /// Whether the disk may fail in this life.
    faulty: bool,
}

impl World {
    /// Lets the readers have a look, unless one of them is at work: the change
    /// that is about to happen is its own.
    pub(crate) fn glance(&self) {
        if !self.dice.percent(25) || self.is_dead() {
            return;
        }
        let Ok(mut beside) = self.beside.try_lock() else { return };
        if self.dice.percent(50) {
            beside.read(self);
        } else {
            beside.catch_up(self);
        }
    }

    /// The readers of a life that is over are gone.
    pub(crate) fn nobody_reads(&self) {
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = Beside::default();
    }
}

impl Beside {
    fn catch_up(&self, world: &World) {
        if let Some(Err(err)) = self.history.as_ref().map(History::catch_up) {
            self.blame(world, "catch up", &err);
        }
    }

    fn upkeep(&self, world: &World) {
        if let Some(Err(err)) = self.history.as_ref().map(History::upkeep) {
            self.blame(world, "upkeep", &err);
        }
    }

    /// A journal that reads as damaged is a broken promise; a disk that fails is not.
    fn blame(&self, world: &World, what: &str, err: &SourceError) {
        let excused = match err {
            SourceError::Unavailable { .. } => self.faulty || world.is_dead(),
            SourceError::Corrupt { .. } => world.is_dead(),
        };
        if !excused {
            world.ledger().violate(format!("history, {what}: {err}"));
        }
    }

    /// Reads on from where the reader, in whichever life, left off.
    fn read(&mut self, world: &World) {
        let Some(reader) = &mut self.reader else { return };
        let most = world.dice.between(1, 60);
        match reader.next_batch(usize::try_from(most).unwrap_or(1)) {
            Err(_) if world.is_dead() => {}
            Err(ReadError::Disk { .. }) if self.faulty => {}
            Ok(frames) => {
                let seen = frames.iter().map(oracle::seen).collect::<Vec<_>>();
                world.ledger().read.extend(seen);
            }
            Err(err) => {
                self.reader = None;
                world.ledger().violate(format!("a reader stops: {err}"));
            }
        }
    }
}

/// Opens both readers and lets them read until the life ends.
pub(crate) async fn follow(life: Arc<Life>) {
    let world = &life.world;
    let dice = &world.dice;
    loop {
        match open(&life) {
            Ok(opened) => {
                *world.beside.lock().unwrap_or_else(PoisonError::into_inner) = opened;
                break;
            }
            Err(err) if !life.faulty && !world.is_dead() => {
                world.ledger().violate(format!("a reader does not open: {err:?}"));
            }
            Err(_) => {}
        }
        tokio::time::sleep(dice.millis(100, 500)).await;
    }
    loop {
        {
            let mut beside = world.beside.lock().unwrap_or_else(PoisonError::into_inner);
            if dice.percent(50) {
                beside.read(world);
            }
            beside.catch_up(world);
            if dice.percent(10) {
                beside.upkeep(world);
            }
            if let Some(history) = beside.history.as_ref().filter(|_| dice.percent(6)) {
                oracle::lookups(&life, history);
            }
        }
        if world.is_dead() {
            return;
        }
        tokio::time::sleep(dice.millis(5, 200)).await;
    }
}

/// The history on the journal's files, as the engine opens it, and the reader
/// where it was.
fn open(life: &Life) -> Result<Beside, OpenError> {
    let world = &life.world;
    let disk = Arc::clone(&world.disk);
    let source = JournalSource::open(disk.clone(), Arc::new(FixedKeys), Path::new(JOURNAL), NODE)?;
    let source: Arc<dyn Source> = match world.mutant {
        Some(Mutant::DeafHistory) => Arc::new(Deaf(source)),
        _ => Arc::new(source),
    };
    let options = HistoryOptions { payload_bytes: 20_000, ..HistoryOptions::new(HISTORY) };
    let history = History::open(disk.clone(), source, world.clock.clone(), options)?;
    let mut reader = Reader::open(disk, Arc::new(FixedKeys), JOURNAL).ok();
    if let (Some(reader), Some(last)) = (&mut reader, world.ledger().read.last()) {
        reader.from(last.position);
    }
    Ok(Beside { history: Some(history), reader, faulty: life.faulty })
}
