//! Accounts, and the ARNs of what lives in them.

use serde::{Deserialize, Serialize};

/// The account of calls whose sender is claimed and not proved, outside test mode.
pub const QUARANTINE_ACCOUNT: &str = "000000000000";
/// The account when `--account` is not given.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// The id of an account: exactly 12 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

/// A text that is not 12 digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("account id {text:?} needs exactly 12 digits")]
pub struct AccountIdError {
    /// The text, cut to 64 characters.
    pub text: String,
}

impl AccountId {
    /// Checks `text` and wraps it.
    ///
    /// # Errors
    ///
    /// When it is not 12 digits.
    pub fn parse(text: &str) -> Result<Self, AccountIdError> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AccountIdError { text: text.chars().take(64).collect() })
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for AccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AccountId {
    type Error = AccountIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> Self {
        id.0
    }
}

/// The parts of `arn:partition:service:region:account:resource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, ….
    pub partition: &'a str,
    /// `iam`, `sts`, ….
    pub service: &'a str,
    /// The account; may be empty.
    pub account: &'a str,
    /// Everything behind the account.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits `text`; `None` when it has fewer than six parts or does not begin with `arn`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let arn = parts.next()?;
        let (partition, service) = (parts.next()?, parts.next()?);
        let (_region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        (arn == "arn").then_some(Self { partition, service, account, resource })
    }

    /// The last part of the resource's path: `deploy` of `role/ops/deploy`.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.resource.rsplit('/').next().unwrap_or(self.resource)
    }

    /// The path between kind and name: `/ops/` of `role/ops/deploy`, `/` when there is none.
    #[must_use]
    pub fn path(&self) -> &'a str {
        let Some(slash) = self.resource.find('/') else { return "/" };
        let rest = &self.resource[slash..];
        rest.rfind('/').map_or("/", |end| &rest[..=end])
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountId, Arn};

    #[test]
    fn an_account_id_is_twelve_digits() {
        for (text, well) in [
            ("123456789012", true),
            ("000000000000", true),
            ("12345678901", false),
            ("1234567890123", false),
            ("12345678901a", false),
            ("１２３４", false),
            ("", false),
        ] {
            assert_eq!(AccountId::parse(text).is_ok(), well, "{text:?}");
        }
    }

    #[test]
    fn an_arn_tells_name_and_path() {
        let cases = [
            ("arn:aws:iam::111122223333:role/ops/eu/deploy", "deploy", "/ops/eu/"),
            ("arn:aws:iam::111122223333:user/Bob", "Bob", "/"),
            ("arn:aws:iam::111122223333:root", "root", "/"),
            ("arn:aws:sts::1:assumed-role/a:b/c", "c", "/a:b/"),
        ];
        for (text, name, path) in cases {
            let arn = Arn::parse(text).unwrap();
            assert_eq!((arn.name(), arn.path()), (name, path), "{text}");
        }
        assert_eq!(Arn::parse("arn:aws:iam::1"), None);
        assert_eq!(Arn::parse("urn:aws:iam::1:root"), None);
    }
}
