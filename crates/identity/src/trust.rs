//! How much a caller's identity was proved.

use serde::{Deserialize, Serialize};

/// Who vouches for an identity, weakest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// The signature was verified here.
    Verified,
    /// An upstream that verifies signatures accepted the call.
    Upstream,
    /// Nobody: the caller said so.
    Claimed,
    /// There is no claim to trust: an anonymous call, or a service named by config.
    None,
}

impl Trust {
    /// The value of `additionalEventData.trailboxIdentity`; `None` when nothing was claimed.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Verified => Some("verified"),
            Self::Upstream => Some("upstream"),
            Self::Claimed => Some("claimed"),
            Self::None => None,
        }
    }

    /// As a byte, for the journal's private extension: 0 is none, 3 is verified.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Claimed => 1,
            Self::Upstream => 2,
            Self::Verified => 3,
        }
    }

    /// The weaker of two: a proof is as good as its weakest link.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        self.max(other)
    }
}
