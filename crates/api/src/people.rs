//! Principals and keys as the admin API changes them.

use serde::Serialize;
use std::sync::Arc;
use trailbox_identity::{AccessKey, Directory, Principal, Secret};

/// A principal to register, with a key or without.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The principal; an empty id is filled in, unless it is registered already.
    pub principal: Principal,
    /// A key that will belong to it.
    pub key: Option<AccessKey>,
}

/// A source of users and keys to take in, as an administrator asks for it.
#[derive(Debug, Clone)]
pub struct SyncOrder {
    /// `rgw` or `iam`.
    pub kind: String,
    /// `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    pub endpoint: String,
    /// Key to read it with.
    pub access_key_id: String,
    /// Its secret.
    pub secret: Secret,
    /// Region to sign for.
    pub region: String,
    /// Account of all users, 12 digits, whatever the source says.
    pub account: Option<String>,
    /// Account of users for whom neither says one.
    pub default_account: String,
    /// What every user name gets in front.
    pub prefix: String,
    /// PEM file of authorities to trust instead of the system's.
    pub ca_file: Option<String>,
    /// Believe a source that lists nobody although it did before.
    pub allow_empty: bool,
    /// Change nothing.
    pub dry_run: bool,
}

/// What a sync did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncReport {
    /// `sync:<kind>:<endpoint>`.
    pub source: String,
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// Users that the source lists and owns here.
    pub users: u64,
    /// Keys that it lists and owns here.
    pub keys: u64,
    /// Keys among them whose calls can be verified here.
    pub keys_with_secret: u64,
    /// Users that are new or back.
    pub users_added: u64,
    /// Keys that are new or back.
    pub keys_added: u64,
    /// Keys with another secret, owner or state.
    pub keys_changed: u64,
    /// Users listed no more, marked.
    pub users_removed: u64,
    /// Keys listed no more, marked: their calls are refused.
    pub keys_removed: u64,
    /// Users and keys that are somebody else's here and were left alone.
    pub conflicts: u64,
    /// Users and keys that cannot be taken over.
    pub left_out: u64,
    /// What the first of both are.
    pub notes: Vec<String>,
}

/// Who is registered.
///
/// What a method reports as done survives a crash, and calls that arrive at the
/// recorder afterwards are judged by it.
#[async_trait::async_trait]
pub trait People: std::fmt::Debug + Send + Sync {
    /// Everybody known now, learned sessions and ids included.
    fn directory(&self) -> Arc<Directory>;

    /// Registers principals and keys, all of them or none. A principal that is
    /// registered already keeps its id; its `administrator` flag is taken from
    /// the addition.
    ///
    /// # Errors
    ///
    /// [`PeopleError::KeyTaken`] when a key id belongs to another principal.
    async fn add(&self, additions: Vec<Addition>) -> Result<(), PeopleError>;

    /// Removes a registered principal with its keys; says whether it was there.
    ///
    /// # Errors
    ///
    /// When the change cannot be made durable.
    async fn remove_principal(&self, arn: &str) -> Result<bool, PeopleError>;

    /// Removes a key; says whether it was there.
    ///
    /// # Errors
    ///
    /// When the change cannot be made durable.
    async fn remove_key(&self, id: &str) -> Result<bool, PeopleError>;

    /// Switches a key on or off; says whether it was there.
    ///
    /// # Errors
    ///
    /// When the change cannot be made durable.
    async fn set_active(&self, id: &str, active: bool) -> Result<bool, PeopleError>;

    /// Reads a source and takes in what it lists, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`PeopleError::NotSynced`] when the source cannot be read or believed.
    async fn sync(&self, order: SyncOrder) -> Result<SyncReport, PeopleError>;
}

/// Why a change was not made. The variants are what a caller does next.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Choose another key, or remove it there first.
    #[error("access key {id} belongs to {owner}")]
    KeyTaken {
        /// The key.
        id: String,
        /// ARN of its owner.
        owner: String,
    },
    /// See to the source, or to how it is asked for; nothing was changed.
    #[error("{reason}")]
    NotSynced {
        /// What is wrong. Holds no secret.
        reason: String,
    },
    /// Try again later; nothing was changed.
    #[error("principals cannot be changed now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
