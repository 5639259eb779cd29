//! Principals and keys as the admin API changes them.

use std::sync::Arc;
use trailbox_identity::{AccessKey, Directory, Principal};

/// A principal to register, with a key or without.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The principal; an empty id is filled in, unless it is registered already.
    pub principal: Principal,
    /// A key that will belong to it.
    pub key: Option<AccessKey>,
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
    /// Try again later; nothing was changed.
    #[error("principals cannot be changed now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
