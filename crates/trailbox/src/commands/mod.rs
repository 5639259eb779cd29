//! The commands, one file each.

pub(crate) mod assert;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod journal;
pub(crate) mod load;
pub(crate) mod lookup;
pub(crate) mod principal;
pub(crate) mod proxy_ca;
pub(crate) mod serve;
pub(crate) mod sync;

use crate::datadir::DataDir;
use clap::Args;
use std::path::PathBuf;

/// Which server a command talks to.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Data directory of the running server.
    #[arg(long, value_name = "DIR", default_value = "trailbox-data", env = "TRAILBOX_DATA")]
    pub(crate) data: PathBuf,
}

impl Target {
    /// Connects to the server that holds the directory.
    pub(crate) fn connect(&self) -> anyhow::Result<crate::client::Admin> {
        crate::client::Admin::connect(&DataDir::open(&self.data)?)
    }
}

/// A runtime for a command that only makes calls.
pub(crate) fn small_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
