//! Who reads beside the recorder: the history, as the engine drives it, and a
//! reader outside that keeps its own position over all lives.

use crate::keys::FixedKeys;
use crate::life::Life;
use crate::mutant::{Deaf, Mutant};
use crate::oracle;
use crate::world::{HISTORY, JOURNAL, NODE};
use std::path::Path;
use std::sync::Arc;
use trailbox_history::{History, HistoryOptions, JournalSource, OpenError, Source, SourceError};
use trailbox_journal::{ReadError, Reader};

/// Opens the history and keeps it up until the life ends.
pub(crate) async fn follow(life: Arc<Life>) {
    let world = &life.world;
    let dice = &world.dice;
    let history = loop {
        match open(&life) {
            Ok(history) => break history,
            Err(OpenError::Source(err)) => blame(&life, "open", &err),
            Err(OpenError::Directory { source, .. }) => {
                if !life.faulty && !world.is_dead() {
                    world.ledger().violate(format!("the history does not open: {source}"));
                }
            }
        }
        tokio::time::sleep(dice.millis(100, 500)).await;
    };
    loop {
        if let Err(err) = history.catch_up() {
            blame(&life, "catch up", &err);
        }
        if dice.percent(10)
            && let Err(err) = history.upkeep()
        {
            blame(&life, "upkeep", &err);
        }
        if world.is_dead() {
            return;
        }
        if dice.percent(6) {
            oracle::lookups(&life, &history);
        }
        tokio::time::sleep(dice.millis(5, 200)).await;
    }
}

/// The history on the journal's files, as the engine opens it.
pub(crate) fn open(life: &Life) -> Result<History, OpenError> {
    let world = &life.world;
    let disk = Arc::clone(&world.disk);
    let source = JournalSource::open(disk.clone(), Arc::new(FixedKeys), Path::new(JOURNAL), NODE)?;
    let source: Arc<dyn Source> = match world.mutant {
        Some(Mutant::DeafHistory) => Arc::new(Deaf(source)),
        _ => Arc::new(source),
    };
    let options = HistoryOptions { payload_bytes: 20_000, ..HistoryOptions::new(HISTORY) };
    History::open(disk, source, world.clock.clone(), options)
}

/// A journal that reads as damaged is a broken promise; a disk that fails is not.
pub(crate) fn blame(life: &Life, what: &str, err: &SourceError) {
    let excused = match err {
        SourceError::Unavailable { .. } => life.faulty || life.world.is_dead(),
        SourceError::Corrupt { .. } => life.world.is_dead(),
    };
    if !excused {
        life.world.ledger().violate(format!("life {}: history, {what}: {err}", life.number));
    }
}

/// Reads the journal from where the last life left off.
pub(crate) async fn read(life: Arc<Life>) {
    let world = &life.world;
    let opened = Reader::open(Arc::clone(&world.disk), Arc::new(FixedKeys), JOURNAL);
    let Ok(mut reader) = opened else { return };
    if let Some(last) = world.ledger().read.last() {
        reader.from(last.position);
    }
    loop {
        let dice = &world.dice;
        tokio::time::sleep(dice.millis(5, 150)).await;
        let batch = reader.next_batch(usize::try_from(dice.between(1, 60)).unwrap_or(1));
        if world.is_dead() {
            return;
        }
        match batch {
            Ok(frames) => {
                let seen = frames.iter().map(oracle::seen).collect::<Vec<_>>();
                world.ledger().read.extend(seen);
            }
            Err(ReadError::Disk { .. }) if life.faulty => {}
            Err(err) => {
                world.ledger().violate(format!("life {}: a reader stops: {err}", life.number));
                return;
            }
        }
    }
}
