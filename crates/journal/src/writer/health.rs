//! How well the writer is, and what it may still do.

use crate::Refusal;

/// What a failure left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// All is well.
    Good,
    /// New calls are refused, outcomes are still written.
    Full { available: u64 },
    /// Nothing can be written. `new_segment`: the open segment's end is in
    /// doubt, so writing goes on in another one.
    Failed { refusal: Refusal, new_segment: bool },
    /// Durable content is gone: a person must look.
    Damaged { refusal: Refusal },
}

impl Health {
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Good => None,
            Self::Full { available } => Some(Refusal::DiskFull { available: *available }),
            Self::Failed { refusal, .. } | Self::Damaged { refusal } => Some(refusal.clone()),
        }
    }

    /// Whether outcomes can be written now.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Good | Self::Full { .. })
    }
}
