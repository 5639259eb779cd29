//! Section `[recording]`: what is written, and when the caller may know.

use serde::Deserialize;

/// Empties a mock of AWS; tests begin with it.
pub(crate) const RESET_PATH: &str = "/moto-api/reset";

/// What is recorded and how firmly. Section `[recording]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordingConfig {
    /// When the end of an answer is released. Default `before-answer`: only
    /// after its record is durable.
    pub durability: Durability,
    /// The same for read-only calls. Default: as `durability`.
    pub reads: Option<Durability>,
    /// Which calls are written down before they are forwarded. Default
    /// `mutating`.
    pub intents: Intents,
    /// What happens to a call when the journal cannot take its record. Default
    /// `refuse`: it is answered with an error and not forwarded.
    pub on_failure: OnFailure,
    /// The same for read-only calls. Default: as `on_failure`.
    pub on_failure_read: Option<OnFailure>,
    /// What becomes of session tokens in records. Default `drop`.
    pub session_tokens: SessionTokenRule,
    /// Paths that pass unrecorded when the request is not signed, compared
    /// exactly with the path as sent, and counted. Default: none; in test mode
    /// `["/moto-api/reset"]`.
    pub unrecorded_paths: Option<Vec<String>>,
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self {
            durability: Durability::BeforeAnswer,
            reads: None,
            intents: Intents::Mutating,
            on_failure: OnFailure::Refuse,
            on_failure_read: None,
            session_tokens: SessionTokenRule::Drop,
            unrecorded_paths: None,
        }
    }
}

impl RecordingConfig {
    /// Whether an unsigned call of that path passes unrecorded.
    #[must_use]
    pub fn is_unrecorded(&self, path: &str, test_mode: bool) -> bool {
        match &self.unrecorded_paths {
            Some(paths) => paths.iter().any(|listed| listed == path),
            None => test_mode && path == RESET_PATH,
        }
    }

    /// How firmly a call of that kind is recorded.
    #[must_use]
    pub fn durability_of(&self, read_only: bool) -> Durability {
        if read_only { self.reads.unwrap_or(self.durability) } else { self.durability }
    }

    /// What happens to a call of that kind when the journal cannot write.
    #[must_use]
    pub fn on_failure_of(&self, read_only: bool) -> OnFailure {
        if read_only { self.on_failure_read.unwrap_or(self.on_failure) } else { self.on_failure }
    }
}

/// When the end of an answer is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// After the record is on disk: no acknowledged call is ever missing.
    BeforeAnswer,
    /// At once; a crash loses the records of the last moments (one group
    /// commit, some milliseconds).
    Asynchronous,
}

/// Which calls are written down before they are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intents {
    /// Calls that may change something.
    Mutating,
    /// None: a crash between forwarding and recording leaves no trace.
    Off,
}

/// What happens to a call when the journal cannot write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is answered with an error and not forwarded.
    Refuse,
    /// It passes unrecorded, counted and alarmed.
    Forward,
}

/// What becomes of session tokens in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionTokenRule {
    /// They are left out.
    Drop,
    /// They are written as AWS writes them.
    Keep,
}
