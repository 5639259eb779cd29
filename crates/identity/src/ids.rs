//! Ids, secrets and tokens in the shapes AWS gives them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trailbox_clock::Random;
use trailbox_sigv4::SecretText;
use zeroize::Zeroizing;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Random bytes in a session token.
const TOKEN_BYTES: usize = 96;

/// What an id begins with. Source: IAM User Guide, "Understanding unique ID prefixes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// `AIDA`: an IAM user; 21 characters.
    User,
    /// `AROA`: a role; 21 characters.
    Role,
    /// `AKIA`: a long-lived access key; 20 characters.
    LastingKey,
    /// `ASIA`: a temporary access key; 20 characters.
    TemporaryKey,
}

impl IdKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::User => "AIDA",
            Self::Role => "AROA",
            Self::LastingKey => "AKIA",
            Self::TemporaryKey => "ASIA",
        }
    }

    const fn random_chars(self) -> usize {
        match self {
            Self::User | Self::Role => 17,
            Self::LastingKey | Self::TemporaryKey => 16,
        }
    }
}

/// A new id.
#[must_use]
pub fn new_id(kind: IdKind, random: &dyn Random) -> String {
    let mut bytes = [0; 17];
    random.fill(&mut bytes);
    spelt(kind, &bytes)
}

/// The id of something that was never registered: the same for the same `text`.
#[must_use]
pub fn stable_id(kind: IdKind, text: &str) -> String {
    spelt(kind, &digest(&SHA256, text.as_bytes()).as_ref()[..17])
}

fn spelt(kind: IdKind, bytes: &[u8]) -> String {
    let chars =
        bytes.iter().take(kind.random_chars()).map(|b| char::from(BASE32[usize::from(b & 31)]));
    kind.prefix().chars().chain(chars).collect()
}

/// A new secret key: 40 characters of base64, 240 random bits.
#[must_use]
pub fn new_secret(random: &dyn Random) -> SecretText {
    let mut bytes = Zeroizing::new([0; 30]);
    random.fill(&mut *bytes);
    SecretText::new(STANDARD.encode(*bytes))
}

/// A new session token: opaque, 128 characters of base64.
#[must_use]
pub fn new_session_token(random: &dyn Random) -> SecretText {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    random.fill(&mut *bytes);
    SecretText::new(STANDARD.encode(*bytes))
}

#[cfg(test)]
mod tests {
    use super::{IdKind, new_id, new_secret, new_session_token, stable_id};
    use trailbox_clock::SeededRandom;

    #[test]
    fn ids_have_the_length_and_alphabet_of_aws() {
        let random = SeededRandom::new(1);
        let cases = [
            (IdKind::User, "AIDA", 21),
            (IdKind::Role, "AROA", 21),
            (IdKind::LastingKey, "AKIA", 20),
            (IdKind::TemporaryKey, "ASIA", 20),
        ];
        for (kind, prefix, length) in cases {
            let id = new_id(kind, &random);
            assert!(id.starts_with(prefix) && id.len() == length, "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)));
            assert_ne!(id, new_id(kind, &random));
        }
        assert_eq!(stable_id(IdKind::Role, "a"), stable_id(IdKind::Role, "a"));
        assert_ne!(stable_id(IdKind::Role, "a"), stable_id(IdKind::Role, "b"));
    }

    #[test]
    fn secrets_have_forty_characters_and_tokens_have_no_padding() {
        let random = SeededRandom::new(1);
        assert_eq!(new_secret(&random).expose().len(), 40);
        let token = new_session_token(&random);
        assert_eq!(token.expose().len(), 128);
        assert!(!token.expose().contains('='));
    }
}
