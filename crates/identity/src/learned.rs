//! Facts learned from answers that passed, as they stand in the journal.

use crate::codec;
use crate::key::AccessKey;
use crate::principal::Principal;
use crate::trust::Trust;
use serde::{Deserialize, Serialize};
use trailbox_clock::Micros;
use trailbox_sigv4::SecretText;

/// One fact, and the call that showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// eventID of the call.
    pub event_id: [u8; 16],
    /// When the call was answered.
    #[serde(with = "codec::micros")]
    pub at: Micros,
    /// How far the caller was proved.
    pub trust: Trust,
    /// What is known now.
    pub fact: Fact,
}

/// What an answer showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Temporary credentials were given out.
    Session(Box<AccessKey>),
    /// `CreateAccessKey`: a user has a new key.
    Key {
        /// The user's account.
        account: String,
        /// The user's name.
        user_name: String,
        /// The key's id.
        id: String,
        /// The key's secret.
        #[serde(with = "codec::exposed")]
        secret: SecretText,
    },
    /// `UpdateAccessKey`: a key was switched on or off.
    KeyStatus {
        /// The key's id.
        id: String,
        /// Whether it may be used.
        active: bool,
    },
    /// `DeleteAccessKey`: a key is gone.
    KeyRemoved {
        /// The key's id.
        id: String,
    },
    /// `CreateUser` or `CreateRole`: an ARN has an id now.
    Principal(Principal),
}

/// Bytes that are not a learned fact of a version this program knows.
#[derive(Debug, thiserror::Error)]
pub enum ParseLearnedError {
    /// A later version.
    #[error("learned fact has version {version}; this program reads up to 1")]
    Version {
        /// The version.
        version: u64,
    },
    /// Not JSON of the right shape. The text holds no value, only the place.
    #[error("learned fact is broken at column {column}")]
    Shape {
        /// Where.
        column: usize,
    },
}

#[derive(Serialize)]
struct Envelope<'a> {
    version: u64,
    learned: &'a Learned,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

#[derive(Deserialize)]
struct OwnedEnvelope {
    learned: Learned,
}

impl Fact {
    /// The secret of the key that the fact gives out.
    #[must_use]
    pub fn secret(&self) -> Option<&SecretText> {
        match self {
            Self::Session(key) => key.secret.as_ref(),
            Self::Key { secret, .. } => Some(secret),
            Self::KeyStatus { .. } | Self::KeyRemoved { .. } | Self::Principal(_) => None,
        }
    }
}

impl Learned {
    /// The bytes of a `Learned` frame: versioned JSON, secrets in clear. Seal them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Maps with text keys and plain values only: it cannot fail.
        serde_json::to_vec(&Envelope { version: 1, learned: self }).unwrap_or_default()
    }

    /// Reads what [`Learned::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When the bytes are something else or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseLearnedError> {
        let shape = |err: serde_json::Error| ParseLearnedError::Shape { column: err.column() };
        let Version { version } = serde_json::from_slice(bytes).map_err(shape)?;
        if version != 1 {
            return Err(ParseLearnedError::Version { version });
        }
        let OwnedEnvelope { learned } = serde_json::from_slice(bytes).map_err(shape)?;
        Ok(learned)
    }
}
