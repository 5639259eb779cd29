//! Users and keys, read where they are kept: Ceph RGW's admin API or an IAM.
//!
//! A source is read whole or not at all: an error, a page that contradicts
//! itself or a list beyond the bounds fails the reading, so that nobody is
//! taken for removed because an answer was lost. Nothing is written to a source.
//!
//! What becomes of a listing is not decided here: `trailbox-state` keeps it.
//! Start reading at [`Source::read`].

mod client;
mod endpoint;
mod error;
mod iam;
mod listing;
mod rgw;

pub use endpoint::Endpoint;
pub use error::SourceError;
pub use listing::{FoundKey, FoundUser, Listing, USERS_MAX};

use client::Client;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use trailbox_clock::Clock;
use trailbox_identity::Secret;

/// Longest that reading a whole source may take.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// Requests to one source at a time.
const CONNECTIONS: usize = 16;

/// Entries asked for at once; AWS allows 1,000.
const PAGE: usize = 1000;

/// What a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ceph's RADOS Gateway: its admin API, which tells secrets.
    Rgw,
    /// IAM's query API, which tells ids only.
    Iam,
}

impl Kind {
    /// The word in config, on the command line and in a source's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rgw => "rgw",
            Self::Iam => "iam",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Rgw, Self::Iam].into_iter().find(|kind| kind.name() == name)
    }
}

/// Where users and keys are read, and with whose key.
#[derive(Debug, Clone)]
pub struct Source {
    /// What it speaks.
    pub kind: Kind,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Key of somebody who may list users; for RGW with the capabilities
    /// `users=read` and `metadata=read`.
    pub access_key_id: String,
    /// Its secret.
    pub secret: Secret,
    /// Region to sign for.
    pub region: String,
    /// What every user name gets in front.
    pub prefix: String,
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Source {
    /// `sync:<kind>:<endpoint>`: under this name it owns what it lists.
    #[must_use]
    pub fn name(&self) -> String {
        format!("sync:{}:{}", self.kind.name(), self.endpoint)
    }

    /// Everybody the source lists.
    ///
    /// # Errors
    ///
    /// When any part of the answer is missing or is not what the API says.
    pub async fn read(&self, clock: Arc<dyn Clock>) -> Result<Listing, SourceError> {
        let client = Client::new(self, clock)?;
        let reading = async {
            match self.kind {
                Kind::Rgw => rgw::read(&client, &self.prefix).await,
                Kind::Iam => iam::read(&client, &self.prefix).await,
            }
        };
        let slow = |_| SourceError::Slow { endpoint: self.endpoint.to_string() };
        tokio::time::timeout(PATIENCE, reading).await.map_err(slow)?
    }
}
