//! Re-signing: calls to an upstream that knows another key than the callers'.

use serde::Deserialize;
use std::path::PathBuf;
use trailbox_sigv4::{ACCESS_KEY_ID_MAX, SecretText};

/// How calls to an upstream are signed anew: with its key, its Region, its host.
///
/// `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct ResignConfig {
    /// The access key id the upstream knows us by.
    pub access_key_id: String,
    /// File with its secret. One of this and `secret_env` must be there.
    pub secret_file: Option<PathBuf>,
    /// Environment variable with its secret.
    pub secret_env: Option<String>,
    /// Environment variable with the session token of a temporary key.
    pub session_token_env: Option<String>,
    /// Region to sign for. Default: the one the caller signed for.
    pub region: Option<String>,
    /// `Host` to send. Default: host and port of the URL, without a port that
    /// its scheme implies.
    pub host: Option<String>,
    /// What becomes of calls without a signature. Default `"refuse"`.
    pub anonymous: AnonymousCalls,
    /// The secret itself. Never in a file of ours: whoever reads the config puts it here.
    pub secret: SecretText,
    /// The session token itself, likewise.
    pub session_token: Option<SecretText>,
}

/// What becomes of calls without a signature where others are signed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnonymousCalls {
    /// `"refuse"`: they are refused, save operations that take no signature.
    #[default]
    Refuse,
    /// `"pass"`: they are forwarded, unsigned as they came.
    Pass,
}

/// The table, as serde reads it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    access_key_id: String,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    session_token_env: Option<String>,
    region: Option<String>,
    host: Option<String>,
    #[serde(default)]
    anonymous: AnonymousCalls,
}

/// Why a `resign` table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResignError {
    /// Not 1 to 128 characters a key id can have.
    #[error(
        "`resign.access_key_id` is {found:?}; it needs 1 to 128 letters, digits or one of `-._@`"
    )]
    AccessKeyId {
        /// As written.
        found: String,
    },
    /// No place of the secret, or two.
    #[error("`resign` for key `{id}` needs exactly one of `secret_file` and `secret_env`")]
    Secret {
        /// The access key id.
        id: String,
    },
    /// Not the name of a Region.
    #[error("`resign.region` is {found:?}; it needs letters, digits and `-`")]
    Region {
        /// As written.
        found: String,
    },
    /// Not what a `Host` field can say.
    #[error("`resign.host` is {found:?}; it needs a name or address, with a port or without")]
    Host {
        /// As written.
        found: String,
    },
}

impl TryFrom<Written> for ResignConfig {
    type Error = ResignError;

    fn try_from(written: Written) -> Result<Self, ResignError> {
        let Written {
            access_key_id,
            secret_file,
            secret_env,
            session_token_env,
            region,
            host,
            anonymous,
        } = written;
        let made_of = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        if ACCESS_KEY_ID_MAX < access_key_id.len() || !made_of(&access_key_id, b"-._@") {
            return Err(ResignError::AccessKeyId { found: access_key_id });
        }
        if secret_file.is_some() == secret_env.is_some() {
            return Err(ResignError::Secret { id: access_key_id });
        }
        if let Some(found) = region.clone().filter(|region| !made_of(region, b"-")) {
            return Err(ResignError::Region { found });
        }
        if let Some(found) = host.clone().filter(|host| !made_of(host, b"-._:[]")) {
            return Err(ResignError::Host { found });
        }
        Ok(Self {
            access_key_id,
            secret_file,
            secret_env,
            session_token_env,
            region,
            host,
            anonymous,
            secret: SecretText::default(),
            session_token: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{AnonymousCalls, ResignConfig};

    #[test]
    fn a_table_needs_a_key_and_one_place_of_its_secret() {
        let read = |text: &str| {
            toml::from_str::<ResignConfig>(text).map_err(|err| err.message().to_owned())
        };
        let good = read("access_key_id = 'AK'\nsecret_env = 'S'\nhost = '[::1]:9000'").unwrap();
        assert_eq!(good.anonymous, AnonymousCalls::Refuse);
        let cases = [
            ("access_key_id = 'A K'\nsecret_env = 'S'", "`resign.access_key_id` is \"A K\""),
            ("access_key_id = 'AK'", "exactly one of `secret_file` and `secret_env`"),
            ("access_key_id = 'AK'\nsecret_env = 'S'\nsecret_file = 'f'", "exactly one of"),
            ("access_key_id = 'AK'\nsecret_env = 'S'\nregion = 'eu 1'", "`resign.region`"),
            ("access_key_id = 'AK'\nsecret_env = 'S'\nhost = 'http://h'", "`resign.host`"),
            ("access_key_id = 'AK'\nsecret_env = 'S'\nanonymous = 'x'", "unknown variant `x`"),
            ("access_key_id = 'AK'\nsecret = 'plain'", "unknown field `secret`"),
        ];
        for (text, want) in cases {
            let err = read(text).unwrap_err();
            assert!(err.contains(want), "{text}: {err}");
        }
    }

    #[test]
    fn a_table_shows_no_secret() {
        let mut config: ResignConfig =
            toml::from_str("access_key_id = 'AK'\nsecret_env = 'S'").unwrap();
        config.secret = "very-secret".into();
        config.session_token = Some("a-token".into());
        let shown = format!("{config:?}");
        assert!(!shown.contains("very-secret") && !shown.contains("a-token"), "{shown}");
    }
}
