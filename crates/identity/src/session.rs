//! Sessions: temporary credentials and where they come from.

use crate::codec;
use crate::principal::Principal;
use crate::trust::Trust;
use serde::{Deserialize, Serialize};
use trailbox_clock::Micros;

/// Longest chain of sessions that is kept; the oldest links are dropped first.
pub const CHAIN_MAX: usize = 16;

/// Temporary credentials: what they act as, and who got them how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What the holder acts as.
    #[serde(flatten)]
    pub kind: SessionKind,
    /// The account records of the session belong to.
    pub account: String,
    /// `sessionContext.attributes.creationDate`.
    #[serde(with = "codec::micros")]
    pub created: Micros,
    /// When the credentials end.
    #[serde(with = "codec::micros")]
    pub expires: Micros,
    /// Whether a second factor was shown when it was made.
    #[serde(default)]
    pub mfa: bool,
    /// `sourceIdentity`, set once and handed down a chain.
    #[serde(default)]
    pub source_identity: Option<String>,
    /// Who made it, the person first, the immediate parent last.
    #[serde(default)]
    pub chain: Vec<Link>,
    /// How far the identity of the one who made it was proved.
    pub trust: Trust,
    /// Whether an administrator made it: only then may it administrate.
    #[serde(default)]
    pub by_administrator: bool,
}

/// What a session acts as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "session", rename_all = "snake_case")]
pub enum SessionKind {
    /// A role, by `AssumeRole` or one of its relatives.
    AssumedRole {
        /// The role; the `sessionIssuer`.
        role: Principal,
        /// `RoleSessionName`.
        name: String,
        /// `assumed-role/<role>/<session>` as the answer wrote it.
        arn: String,
        /// The web identity it was made with, for `webIdFederationData`.
        #[serde(default)]
        web_identity: Option<WebIdentity>,
    },
    /// A federated user, by `GetFederationToken`.
    Federated {
        /// `Name`.
        name: String,
        /// `federated-user/<name>` as the answer wrote it.
        arn: String,
        /// The user or root that asked; the `sessionIssuer`.
        issuer: Option<Principal>,
    },
    /// The user or root itself, by `GetSessionToken`.
    Own {
        /// The user or root.
        principal: Principal,
    },
    /// The root of a member account, by `AssumeRoot`.
    AssumedRoot {
        /// The member account.
        member: String,
    },
}

/// Who vouched for a web identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebIdentity {
    /// Name of the provider, such as `accounts.google.com` or its ARN.
    pub provider: String,
    /// The application the token was made for, and the subject; keys as CloudTrail writes them.
    #[serde(default)]
    pub attributes: Vec<(String, String)>,
}

/// One step of a chain of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Access key id of the one who made the next session.
    pub access_key_id: Option<String>,
    /// Its ARN.
    pub arn: Option<String>,
}

impl Session {
    /// Access key id of the immediate parent.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.chain.last().and_then(|link| link.access_key_id.as_deref())
    }

    /// The person or service at the start of the chain.
    #[must_use]
    pub fn origin(&self) -> Option<&Link> {
        self.chain.first()
    }
}

/// `chain` with one link more, at most [`CHAIN_MAX`] of them: the person and the newest stay.
#[must_use]
pub(crate) fn extended(chain: &[Link], link: Link) -> Vec<Link> {
    let mut longer = chain.to_vec();
    if longer.len() >= CHAIN_MAX {
        longer.remove(1);
    }
    longer.push(link);
    longer
}
