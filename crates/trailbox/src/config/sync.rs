//! `[[principal_sync]]`: users and keys read again and again where they are kept.

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use trailbox_identity::AccountId;
use trailbox_sources::{Endpoint, Kind};

/// Shortest pause between two syncs of a source.
const EVERY_MIN: Duration = Duration::from_secs(1);

/// One `[[principal_sync]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrincipalSync {
    pub(crate) kind: SyncKind,
    pub(crate) endpoint: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) secret_env: Option<String>,
    #[serde(with = "humantime_serde", default = "every")]
    pub(crate) every: Duration,
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) ca_file: Option<String>,
}

/// What a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyncKind {
    /// Ceph RGW's admin API.
    Rgw,
    /// IAM.
    Iam,
}

impl SyncKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rgw => Kind::Rgw.name(),
            Self::Iam => Kind::Iam.name(),
        }
    }
}

const fn every() -> Duration {
    Duration::from_mins(5)
}

impl PrincipalSync {
    /// # Errors
    ///
    /// With the key, its value and the rule.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let place = &self.endpoint;
        self.endpoint
            .parse::<Endpoint>()
            .map_err(|err| anyhow::anyhow!("`principal_sync`: {err}"))?;
        anyhow::ensure!(
            self.secret_file.is_some() != self.secret_env.is_some(),
            "`principal_sync` `{place}` needs exactly one of `secret_file` and `secret_env`"
        );
        anyhow::ensure!(
            EVERY_MIN <= self.every,
            "`principal_sync` `{place}`: `every` is {:?}; it needs 1s or more",
            self.every
        );
        if let Some(account) = &self.account {
            AccountId::parse(account)
                .map_err(|err| anyhow::anyhow!("`principal_sync` `{place}`: {err}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::time::Duration;

    const GOOD: &str = "[[principal_sync]]\nkind = 'rgw'\nendpoint = 'http://ceph:7480'\n\
                        access_key_id = 'AK'\nsecret_env = 'S'\n";

    #[test]
    fn a_source_is_read_every_five_minutes_unless_said_otherwise() {
        let config = Config::parse(GOOD).unwrap();
        assert_eq!(config.principal_sync[0].every, Duration::from_mins(5));
        let config = Config::parse(&format!("{GOOD}every = '30s'")).unwrap();
        assert_eq!(config.principal_sync[0].every, Duration::from_secs(30));
    }

    #[test]
    fn a_source_that_cannot_be_read_is_refused_at_start() {
        let without_secret = GOOD.replace("secret_env = 'S'", "");
        let cases = [
            (GOOD.replace("rgw", "ldap"), "ldap"),
            (GOOD.replace("http://", ""), "ceph:7480"),
            (without_secret, "secret_file"),
            (format!("{GOOD}every = '1ms'"), "1ms"),
            (format!("{GOOD}account = '12'"), "12"),
            (format!("{GOOD}interval = '5m'"), "interval"),
        ];
        for (text, named) in cases {
            let err = format!("{:#}", Config::parse(&text).unwrap_err());
            assert!(err.contains(named), "{text}: {err}");
        }
    }
}
