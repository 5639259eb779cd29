//! Bodies, as far as they were kept.

use bytes::Bytes;

/// The part of a body that was kept, and how long the body was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes, in their transfer form (chunked framing removed,
    /// `aws-chunked` and gzip still in place).
    pub bytes: Bytes,
    /// Bytes of the body that passed, framing removed.
    pub total: u64,
    /// Whether `bytes` is the whole body.
    pub complete: bool,
}

impl Captured {
    /// A body that was kept whole.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { total: bytes.len() as u64, bytes, complete: true }
    }

    /// A body of `total` bytes of which nothing was kept.
    #[must_use]
    pub fn counted(total: u64) -> Self {
        Self { bytes: Bytes::new(), total, complete: total == 0 }
    }
}
