//! Figures that every call moves, looked up once: finding a metric by its name
//! and labels costs more than moving it.

use crate::observe;
use metrics::{Counter, Histogram};

/// Handles of the metrics on the way of every call.
pub(crate) struct Meters {
    pub(crate) recorded: Counter,
    pub(crate) journalled: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) added_seconds: Histogram,
    pub(crate) journal_seconds: Histogram,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    /// Handles of whatever recorder is installed now.
    pub(crate) fn new() -> Self {
        Self {
            recorded: metrics::counter!(observe::RECORDED),
            journalled: metrics::counter!(observe::JOURNALLED),
            bytes_in: metrics::counter!(observe::BYTES, "direction" => "in"),
            bytes_out: metrics::counter!(observe::BYTES, "direction" => "out"),
            added_seconds: metrics::histogram!(observe::ADDED_SECONDS),
            journal_seconds: metrics::histogram!(observe::JOURNAL_SECONDS),
        }
    }
}
