//! What a crash left: open intents become records of an unknown outcome.

use anyhow::Context as _;
use trailbox_journal::{Frame, FrameKind, Journal, Recovery, StoredFrame};

/// Says what was found and resolves every open intent.
///
/// A call that was forwarded and whose answer nobody wrote down may or may not
/// have happened. Its record says so: errorCode `Trailbox.OutcomeUnknown`,
/// under the eventID that the call has had since it arrived.
pub(super) async fn resolve(journal: &Journal, found: &Recovery) -> anyhow::Result<()> {
    if found.truncated_bytes > 0 {
        tracing::warn!(
            bytes = found.truncated_bytes,
            "the journal ended in a half-written frame that nobody was told about; it was cut off"
        );
    }
    let frames = found.open_intents.iter().map(outcome_unknown).collect::<Result<Vec<_>, _>>()?;
    if frames.is_empty() {
        return Ok(());
    }
    tracing::warn!(calls = frames.len(), "calls were under way when the recorder ended");
    journal.append_all(frames).await.context("outcomes of open calls cannot be written")?;
    Ok(())
}

fn outcome_unknown(intent: &StoredFrame) -> anyhow::Result<Frame> {
    let bytes = intent.payload.bytes().context("the key of an open intent was destroyed")?;
    let record = trailbox_record::outcome_unknown(bytes)
        .with_context(|| format!("the open intent at {} is not a record", intent.position))?;
    Ok(Frame {
        kind: FrameKind::Record,
        account: intent.account.clone(),
        region: intent.region.clone(),
        category: intent.category,
        read_only: intent.read_only,
        event_id: intent.event_id,
        arrival: intent.arrival,
        extension: intent.extension.clone(),
        payload: record.json,
    })
}
