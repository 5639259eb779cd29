//! The port through which secrets are sealed for the disk.

/// Seals secrets for storage, and opens them again.
///
/// Sealing is authenticated: what was changed, or is opened under another
/// `context`, does not open. The context is not secret; it says what the
/// secret is, such as `key/AKIA…`.
pub trait Sealer: std::fmt::Debug + Send + Sync {
    /// Seals `plain`. Two calls give two different texts.
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8>;

    /// Opens what [`Sealer::seal`] made under the same context.
    ///
    /// # Errors
    ///
    /// When the bytes were changed, belong to another context or another master key.
    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, UnsealError>;
}

/// Sealed bytes that do not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret of `{context}` does not open; it was sealed with another master key or changed"
)]
pub struct UnsealError {
    /// What the secret is.
    pub context: String,
}
