//! Which node this is: sixteen bytes drawn once, kept in `DATA/node`.

use crate::datadir::{DataDir, write_durably};
use anyhow::Context as _;
use trailbox_clock::Random;

/// The node of the data directory, drawn on first use.
pub(crate) fn of(data: &DataDir, random: &dyn Random) -> anyhow::Result<[u8; 16]> {
    let place = data.join("node");
    if !place.exists() {
        write_durably(&place, format!("{}\n", hex::encode(random.uuid())).as_bytes())?;
    }
    let text = std::fs::read_to_string(&place)?;
    let mut node = [0; 16];
    hex::decode_to_slice(text.trim(), &mut node)
        .with_context(|| format!("{} holds {text:?}; it needs 32 hex digits", place.display()))?;
    Ok(node)
}
