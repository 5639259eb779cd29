//! What a crash left: open intents become records of an unknown outcome.
//!
//! Whoever opens the journal calls [`resolve`] before the first call is served.

use trailbox_journal::{AppendError, Frame, FrameKind, Journal, Position, Recovery, StoredFrame};

/// Why an open intent got no record. The next start tries again.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The account of the call was erased, and so is what it was.
    #[error("the key of the open intent at {at} was destroyed")]
    Erased {
        /// Where the intent stands.
        at: Position,
    },
    /// What stands there is no record.
    #[error("the open intent at {at} is not a record: {reason}")]
    NoRecord {
        /// Where the intent stands.
        at: Position,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal does not take the records.
    #[error("outcomes of open calls cannot be written: {0}")]
    Journal(#[from] AppendError),
}

/// Says what was found and resolves every open intent.
///
/// A call that was forwarded and whose answer nobody wrote down may or may not
/// have happened. Its record says so: errorCode `Trailbox.OutcomeUnknown`,
/// under the eventID that the call has had since it arrived.
///
/// # Errors
///
/// See [`RecoveryError`]; the intents stay open.
pub async fn resolve(journal: &Journal, found: &Recovery) -> Result<(), RecoveryError> {
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
    journal.append_all(frames).await?;
    Ok(())
}

fn outcome_unknown(intent: &StoredFrame) -> Result<Frame, RecoveryError> {
    let at = intent.position;
    let bytes = intent.payload.bytes().ok_or(RecoveryError::Erased { at })?;
    let record = trailbox_record::outcome_unknown(bytes)
        .map_err(|err| RecoveryError::NoRecord { at, reason: err.to_string() })?;
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
