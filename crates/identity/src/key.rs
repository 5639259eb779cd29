//! Access keys, long-lived and temporary.

use crate::codec;
use crate::session::Session;
use crate::trust::Trust;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use trailbox_clock::Micros;
use trailbox_sigv4::SecretText;

/// Whom a key belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A principal of the directory, by ARN.
    Principal(String),
    /// A session: temporary credentials.
    Session(Box<Session>),
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An administrator or the config gave it; only they change it.
    Registered,
    /// An STS or IAM answer that passed.
    Learned,
}

/// An access key, mostly with its secret. `Debug` hides the secret; dropping wipes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA…`, `ASIA…`, or whatever the upstream gives out.
    pub id: String,
    /// The secret; written in clear by serde, because the caller seals the bytes.
    /// `None` for a key whose source tells ids only: nothing can be verified
    /// with it here, but a verifying upstream that accepts it names its owner.
    #[serde(with = "codec::maybe_exposed", default)]
    pub secret: Option<SecretText>,
    /// SHA-256 of the session token of a temporary key; the token itself is not kept.
    #[serde(with = "codec::maybe_hash", default)]
    pub session_token_sha256: Option<[u8; 32]>,
    /// When it ends; `None` for a long-lived key.
    #[serde(with = "codec::maybe_micros", default)]
    pub expires: Option<Micros>,
    /// Whom it belongs to.
    pub owner: Owner,
    /// Whether it may be used.
    pub active: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// How far the one who made it was proved; its holder is trusted no further.
    pub trust: Trust,
    /// The source that lists it, `sync:<kind>:<endpoint>`; `None` when people
    /// registered it or an answer showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// When its source no longer listed it.
    #[serde(with = "codec::maybe_micros", default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Micros>,
}

/// Why a known key does not count now. No text holds secret or token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// It was switched off.
    #[error("access key {id} is inactive")]
    Inactive {
        /// The key.
        id: String,
    },
    /// Its time is over.
    #[error("access key {id} expired at {at:?}")]
    Expired {
        /// The key.
        id: String,
        /// When.
        at: Micros,
    },
    /// A temporary key without its session token.
    #[error("access key {id} is temporary and needs its session token")]
    TokenMissing {
        /// The key.
        id: String,
    },
    /// A session token that is not the key's.
    #[error("the session token is not the one of access key {id}")]
    TokenWrong {
        /// The key.
        id: String,
    },
}

impl AccessKey {
    /// A long-lived key of a principal.
    #[must_use]
    pub fn lasting(id: &str, secret: SecretText, principal_arn: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: Some(secret),
            session_token_sha256: None,
            expires: None,
            owner: Owner::Principal(principal_arn.to_owned()),
            active: true,
            origin: Origin::Registered,
            trust: Trust::Verified,
            source: None,
            removed: None,
        }
    }

    /// A long-lived key of a principal whose secret nobody told: only an
    /// upstream that verifies signatures can vouch for its calls.
    #[must_use]
    pub fn without_secret(id: &str, principal_arn: &str) -> Self {
        let key = Self::lasting(id, SecretText::new(""), principal_arn);
        Self { secret: None, trust: Trust::Upstream, ..key }
    }

    /// The temporary key of a session that was learned from an answer.
    #[must_use]
    pub fn temporary(id: &str, secret: SecretText, token: &str, session: Session) -> Self {
        Self {
            id: id.to_owned(),
            secret: Some(secret),
            session_token_sha256: Some(token_sha256(token)),
            expires: Some(session.expires),
            trust: session.trust,
            owner: Owner::Session(Box::new(session)),
            active: true,
            origin: Origin::Learned,
            source: None,
            removed: None,
        }
    }

    /// Whether the key counts at `now`, sent with `token`.
    ///
    /// A token sent with a long-lived key is a wrong token.
    ///
    /// # Errors
    ///
    /// The first reason it does not count; tokens are compared in constant time.
    pub fn check(&self, token: Option<&str>, now: Micros) -> Result<(), KeyRefusal> {
        let id = || self.id.clone();
        if !self.active {
            return Err(KeyRefusal::Inactive { id: id() });
        }
        match (&self.session_token_sha256, token) {
            (None, None) => {}
            (None, Some(_)) => return Err(KeyRefusal::TokenWrong { id: id() }),
            (Some(_), None) => return Err(KeyRefusal::TokenMissing { id: id() }),
            (Some(want), Some(token)) => {
                if verify_slices_are_equal(want, &token_sha256(token)).is_err() {
                    return Err(KeyRefusal::TokenWrong { id: id() });
                }
            }
        }
        match self.expires {
            Some(at) if at <= now => Err(KeyRefusal::Expired { id: id(), at }),
            _ => Ok(()),
        }
    }
}

/// SHA-256 of a session token: all that is kept of it.
#[must_use]
pub fn token_sha256(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
