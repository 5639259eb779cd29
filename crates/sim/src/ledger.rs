//! What happened, as seen from outside: the oracle's evidence.

use crate::calls::{Kind, Signer};
use std::collections::BTreeMap;
use tokio::time::Instant;
use trailbox_journal::{FrameKind, Position};

/// What a client was told, and read to the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// Whether the upstream said it, and not the gateway.
    pub(crate) by_upstream: bool,
    /// The gateway said that the journal does not take the call.
    pub(crate) unrecordable: bool,
    /// The journal was not well while the call was under way: its record may
    /// have been late.
    pub(crate) late: bool,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) kind: Kind,
    /// In which life it was sent.
    pub(crate) life: usize,
    /// Epoch of that life.
    pub(crate) epoch: u64,
    /// Signed with a session that an earlier answer showed.
    pub(crate) by_session: bool,
    /// How often the whole request reached the upstream.
    pub(crate) forwarded: u32,
    /// The journal was unwell at that moment, and configuration lets calls pass.
    pub(crate) passed: bool,
    pub(crate) started: Instant,
    pub(crate) told: Option<Told>,
}

/// A frame as a reader outside saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) position: Position,
    pub(crate) kind: FrameKind,
    pub(crate) event_id: [u8; 16],
    pub(crate) payload: [u8; 32],
}

/// Everything that is held against the journal in the end.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) calls: BTreeMap<u64, Note>,
    /// Sessions that clients were shown, and the call that showed them.
    pub(crate) sessions: Vec<Signer>,
    /// What the reader outside has read, over all lives.
    pub(crate) read: Vec<Seen>,
    /// Epochs that ended in order and met no fault: seen counts must add up.
    pub(crate) clean_epochs: Vec<u64>,
    /// What each lookup answered, for the digest.
    pub(crate) answers: Vec<u8>,
    pub(crate) violations: Vec<String>,
    /// How often what was met, by name.
    pub(crate) tally: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// Counts something that a run should meet now and then.
    pub(crate) fn count(&mut self, what: &'static str, times: usize) {
        *self.tally.entry(what).or_default() += times as u64;
    }

    /// Notes a broken promise.
    pub(crate) fn violate(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }
}
