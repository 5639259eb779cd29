//! The sealed copy of the directory: written by the engine, read by the recorder.
//!
//! It holds every principal and key as of a place in the journal. What was
//! learned behind that place stands in the journal itself, so the recorder can
//! start without the engine and needs no SQL.

use crate::datadir::{DataDir, write_durably};
use anyhow::{Context as _, bail};
use trailbox_identity::{Directory, Learned, Sealer};
use trailbox_journal::{FrameKind, Position, Reader};

/// What the sealed bytes are; another file cannot be passed off as this one.
const CONTEXT: &str = "directory-snapshot/1";

/// Frames read at a time while catching up.
const BATCH: usize = 1024;

/// Replaces the snapshot.
pub(crate) fn write(
    data: &DataDir,
    sealer: &dyn Sealer,
    position: Position,
    directory: &Directory,
) -> anyhow::Result<()> {
    let mut plain = position.to_string().into_bytes();
    plain.push(b'\n');
    plain.extend(directory.to_bytes());
    write_durably(&data.directory_snapshot(), &sealer.seal(CONTEXT, &plain))
}

/// Reads the snapshot; `None` before the first one.
pub(crate) fn read(
    data: &DataDir,
    sealer: &dyn Sealer,
) -> anyhow::Result<Option<(Position, Directory)>> {
    let place = data.directory_snapshot();
    let sealed = match std::fs::read(&place) {
        Ok(sealed) => sealed,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err).with_context(|| format!("cannot read {}", place.display())),
    };
    let plain = sealer.open(CONTEXT, &sealed)?;
    let Some(end) = plain.iter().position(|byte| *byte == b'\n') else {
        bail!("{} has no position in its first line", place.display());
    };
    let position = std::str::from_utf8(&plain[..end])?.parse()?;
    Ok(Some((position, Directory::from_bytes(&plain[end + 1..])?)))
}

/// Every fact learned behind the reader's place, with its sequence; the reader ends
/// at the last frame.
///
/// # Errors
///
/// When the journal cannot be read. A fact of a newer program is logged and left out.
pub(crate) fn learned_since(reader: &mut Reader) -> anyhow::Result<Vec<(u64, Learned)>> {
    let mut found = Vec::new();
    loop {
        let batch = reader.next_batch(BATCH)?;
        if batch.is_empty() {
            return Ok(found);
        }
        for frame in batch.iter().filter(|frame| frame.kind == FrameKind::Learned) {
            let Some(bytes) = frame.payload.bytes() else { continue };
            match Learned::from_bytes(bytes) {
                Ok(fact) => found.push((frame.position.sequence, fact)),
                Err(err) => tracing::error!(error = %err, "a learned fact cannot be read"),
            }
        }
    }
}
