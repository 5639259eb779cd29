//! Principals: whom an account's keys belong to.

use crate::account::Arn;
use serde::{Deserialize, Serialize};

/// What a principal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PrincipalKind {
    /// The account itself.
    Root,
    /// An IAM user.
    User {
        /// Name, unique within the account.
        name: String,
        /// Path, `/` or `/…/`.
        path: String,
    },
    /// A role that others assume.
    Role {
        /// Name, unique within the account.
        name: String,
        /// Path, `/` or `/…/`.
        path: String,
    },
}

/// A person, role or account that can be named in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// What it is.
    #[serde(flatten)]
    pub kind: PrincipalKind,
    /// Its account.
    pub account: String,
    /// `AIDA…` of a user, `AROA…` of a role, the account id of root; empty when not known.
    pub id: String,
    /// `arn:aws:iam::<account>:user/…`, `…:role/…` or `…:root`.
    pub arn: String,
    /// Whether it may use Trailbox's own operations.
    #[serde(default)]
    pub administrator: bool,
}

impl Principal {
    /// The root of `account`.
    #[must_use]
    pub fn root(account: &str) -> Self {
        Self {
            kind: PrincipalKind::Root,
            account: account.to_owned(),
            id: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:root"),
            administrator: false,
        }
    }

    /// An IAM user; `path` is `/` or `/…/`.
    #[must_use]
    pub fn user(account: &str, path: &str, name: &str, id: &str) -> Self {
        Self {
            kind: PrincipalKind::User { name: name.to_owned(), path: path.to_owned() },
            account: account.to_owned(),
            id: id.to_owned(),
            arn: format!("arn:aws:iam::{account}:user{path}{name}"),
            administrator: false,
        }
    }

    /// A role; `path` is `/` or `/…/`.
    #[must_use]
    pub fn role(account: &str, path: &str, name: &str, id: &str) -> Self {
        Self {
            kind: PrincipalKind::Role { name: name.to_owned(), path: path.to_owned() },
            account: account.to_owned(),
            id: id.to_owned(),
            arn: format!("arn:aws:iam::{account}:role{path}{name}"),
            administrator: false,
        }
    }

    /// Reads `arn:…:iam::<account>:user/…`, `…:role/…` or `…:root`; `None` for any other ARN.
    #[must_use]
    pub fn of_arn(arn: &str, id: &str) -> Option<Self> {
        let parts = Arn::parse(arn).filter(|parts| parts.service == "iam")?;
        let (kind, _) = parts.resource.split_once('/').unwrap_or((parts.resource, ""));
        let (name, path) = (parts.name(), parts.path());
        let mut principal = match kind {
            "root" => Self::root(parts.account),
            "user" if !name.is_empty() => Self::user(parts.account, path, name, id),
            "role" if !name.is_empty() => Self::role(parts.account, path, name, id),
            _ => return None,
        };
        arn.clone_into(&mut principal.arn);
        Some(principal)
    }

    /// The same principal, allowed to use Trailbox's own operations.
    #[must_use]
    pub fn as_administrator(mut self) -> Self {
        self.administrator = true;
        self
    }

    /// The name of a user or role; `None` for root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            PrincipalKind::Root => None,
            PrincipalKind::User { name, .. } | PrincipalKind::Role { name, .. } => Some(name),
        }
    }

    /// `Root`, `IAMUser` or `Role`: the `type` of a `userIdentity` or `sessionIssuer`.
    #[must_use]
    pub const fn identity_type(&self) -> &'static str {
        match self.kind {
            PrincipalKind::Root => "Root",
            PrincipalKind::User { .. } => "IAMUser",
            PrincipalKind::Role { .. } => "Role",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Principal, PrincipalKind};

    #[test]
    fn principals_are_read_back_from_their_arns() {
        let role = Principal::role("111122223333", "/ops/", "deploy", "AROA1");
        assert_eq!(Principal::of_arn(&role.arn, "AROA1"), Some(role));
        let root = Principal::root("111122223333");
        assert_eq!(Principal::of_arn(&root.arn, "ignored"), Some(root));
        assert_eq!(Principal::of_arn("arn:aws:sts::1:assumed-role/a/b", ""), None);
        assert_eq!(Principal::of_arn("arn:aws:iam::1:group/g", ""), None);
        assert_eq!(Principal::of_arn("arn:aws:iam::1:user/", ""), None);
    }

    #[test]
    fn another_partition_stays_in_the_arn() {
        let user = Principal::of_arn("arn:aws-cn:iam::111122223333:user/a/Bo", "AIDA1").unwrap();
        assert_eq!(user.arn, "arn:aws-cn:iam::111122223333:user/a/Bo");
        assert_eq!(user.kind, PrincipalKind::User { name: "Bo".into(), path: "/a/".into() });
    }
}
