//! Times in which the journal could not write: who passed unrecorded, who was
//! refused. Told by a record of our own once it can.

use crate::shared::Shared;
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use trailbox_clock::Micros;
use trailbox_journal::{Admission, Extension, Frame, FrameKind, MANAGEMENT};
use trailbox_record::ServiceEventContext;

/// `eventName` of the record that tells of an outage.
const EVENT_NAME: &str = "RecordingInterrupted";

/// The outage that goes on, if one does.
#[derive(Debug, Default)]
pub(crate) struct Outage(Mutex<Option<Window>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    since: Micros,
    /// What the journal said first.
    reason: String,
    /// Calls that were answered and have no record.
    unrecorded: u64,
    /// Calls that were refused.
    refused: u64,
}

impl Outage {
    /// A call was answered and its record was not taken.
    pub(crate) fn unrecorded(&self, now: Micros, reason: &dyn std::fmt::Display) {
        self.note(now, reason, |window| window.unrecorded += 1);
    }

    /// A call was refused because its record would not have been taken.
    pub(crate) fn refused(&self, now: Micros, reason: &dyn std::fmt::Display) {
        self.note(now, reason, |window| window.refused += 1);
    }

    fn note(&self, now: Micros, reason: &dyn std::fmt::Display, count: impl FnOnce(&mut Window)) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(current.get_or_insert_with(|| Window {
            since: now,
            reason: reason.to_string(),
            unrecorded: 0,
            refused: 0,
        }));
    }

    fn take(&self) -> Option<Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts a window back that could not be told of; what came since is added.
    fn put_back(&self, mut window: Window) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newer) = current.take() {
            window.unrecorded += newer.unrecorded;
            window.refused += newer.refused;
        }
        *current = Some(window);
    }
}

/// Writes the record of an outage that is over.
pub(crate) async fn tell(shared: &Shared) {
    if shared.journal.admission() != Admission::Open {
        return;
    }
    let Some(window) = shared.outage.take() else {
        return;
    };
    let frame = frame(shared, &window);
    if shared.append("outage", &frame.event_id.clone(), vec![frame]).await.is_err() {
        shared.outage.put_back(window);
    }
}

fn frame(shared: &Shared, window: &Window) -> Frame {
    let now = shared.clock.now();
    let record = trailbox_record::service_event(&ServiceEventContext {
        event_id: shared.random.uuid(),
        at: now,
        account: shared.account.clone(),
        region: shared.config.region.clone(),
        name: EVENT_NAME.to_owned(),
        details: json!({
            "from": window.since.to_event_time(),
            "to": now.to_event_time(),
            "reason": window.reason,
            "callsUnrecorded": window.unrecorded,
            "callsRefused": window.refused,
        }),
    });
    Frame {
        kind: FrameKind::Record,
        category: MANAGEMENT,
        read_only: record.read_only,
        event_id: record.event_id,
        arrival: now,
        extension: Extension::default(),
        account: record.account,
        region: record.region,
        payload: record.json,
    }
}

#[cfg(test)]
mod tests {
    use super::{Outage, Window};
    use trailbox_clock::Micros;

    #[test]
    fn one_window_counts_until_it_is_told_of() {
        let outage = Outage::default();
        outage.refused(Micros(5), &"disk is full");
        outage.unrecorded(Micros(6), &"something else");
        let window = outage.take().unwrap();
        let want =
            Window { since: Micros(5), reason: "disk is full".into(), unrecorded: 1, refused: 1 };
        assert_eq!(window, want);
        outage.refused(Micros(9), &"again");
        outage.put_back(window);
        assert_eq!(outage.take(), Some(Window { refused: 2, ..want }));
        assert_eq!(outage.take(), None);
    }
}
