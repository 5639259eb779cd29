//! What the recorder tells its engine: one line of JSON on standard input.
//!
//! Not the command line, because it holds secrets of configured principals and
//! every process can read another's arguments.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything the engine needs to know.
#[derive(Serialize, Deserialize)]
pub(crate) struct EngineSettings {
    /// Data directory.
    pub(crate) data: PathBuf,
    /// Account of callers whose key says nothing else.
    pub(crate) account: String,
    /// Region to show with a new administrator key.
    pub(crate) region: String,
    /// Whether unknown keys are administrators.
    pub(crate) test_mode: bool,
    /// Endpoint to show with a new administrator key.
    pub(crate) endpoint: String,
    /// Days that management records are kept.
    pub(crate) management_days: u32,
    /// Days that data records are kept.
    pub(crate) data_days: u32,
    /// `LookupEvents` calls per second, account and Region.
    pub(crate) lookup_tps: Option<u32>,
    /// Users whose key people already have.
    pub(crate) principals: Vec<ConfiguredPrincipal>,
    /// Sources of principals that are read again and again.
    pub(crate) syncs: Vec<ConfiguredSync>,
}

/// One `[[principal]]` of the configuration, its secret read.
#[derive(Serialize, Deserialize)]
pub(crate) struct ConfiguredPrincipal {
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) administrator: bool,
}

/// One `[[principal_sync]]` of the configuration, its secret read.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ConfiguredSync {
    pub(crate) kind: String,
    pub(crate) endpoint: String,
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    pub(crate) account: Option<String>,
    pub(crate) default_account: String,
    pub(crate) prefix: String,
    pub(crate) ca_file: Option<String>,
    pub(crate) every: std::time::Duration,
}

impl std::fmt::Debug for EngineSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineSettings")
            .field("data", &self.data)
            .field("account", &self.account)
            .field("test_mode", &self.test_mode)
            .field("principals", &self.principals.len())
            .field("syncs", &self.syncs.len())
            .finish_non_exhaustive()
    }
}
