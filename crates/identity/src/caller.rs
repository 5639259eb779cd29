//! The caller of one call, as everybody behind the gateway sees it.

use crate::directory::Directory;
use crate::key::{AccessKey, Origin, Owner};
use crate::principal::Principal;
use crate::session::{Link, Session, SessionKind, extended};
use crate::trust::Trust;
use crate::user_identity;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Who made a call. Holds no secret: it travels to the engine and into records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Account the record belongs to: `recipientAccountId`.
    pub account: String,
    /// The record's `userIdentity`.
    pub user_identity: Value,
    /// ARN, where there is one; what `GetCallerIdentity` answers.
    #[serde(default)]
    pub arn: Option<String>,
    /// `AIDA…`, `AROA…:session`, `account:name` or an account id; what `GetCallerIdentity` answers.
    #[serde(default)]
    pub user_id: Option<String>,
    /// How far all this was proved.
    pub trust: Trust,
    /// Whether Trailbox's own operations are open to it.
    #[serde(default)]
    pub administrator: bool,
    /// The access key it used.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// The user, role or root a lasting key or a `GetSessionToken` session stands for.
    #[serde(default)]
    pub principal: Option<Principal>,
    /// The session of a temporary key.
    #[serde(default)]
    pub session: Option<Arc<Session>>,
}

impl Caller {
    /// The holder of a key whose signature was verified, here or by an upstream.
    ///
    /// It is trusted no further than the one who made the key was. Whether the
    /// key counts now is not looked at: [`AccessKey::check`] does that.
    #[must_use]
    pub fn verified(directory: &Directory, key: &AccessKey) -> Self {
        match &key.owner {
            Owner::Principal(arn) => {
                let principal = directory.principal_or_named(arn);
                Self::of_principal(&principal, key)
            }
            Owner::Session(session) => {
                let administrator = may_administrate(directory, session);
                Self { administrator, ..Self::of_session(session, &key.id) }
            }
        }
    }

    /// A learned key never administrates: its maker may have had fewer rights here.
    /// Nor does one without a secret: nobody proves it here.
    fn of_principal(principal: &Principal, key: &AccessKey) -> Self {
        let registered = key.origin == Origin::Registered && key.secret.is_some();
        Self {
            account: principal.account.clone(),
            user_identity: user_identity::principal(principal, &principal.account, &key.id),
            arn: Some(principal.arn.clone()),
            user_id: Some(principal.id.clone()),
            trust: key.trust,
            administrator: principal.administrator && registered,
            access_key_id: Some(key.id.clone()),
            principal: Some(principal.clone()),
            session: None,
        }
    }

    fn of_session(session: &Session, key: &str) -> Self {
        let principal = match &session.kind {
            SessionKind::Own { principal } => Some(principal.clone()),
            SessionKind::AssumedRole { .. }
            | SessionKind::Federated { .. }
            | SessionKind::AssumedRoot { .. } => None,
        };
        Self {
            account: session.account.clone(),
            user_identity: user_identity::session(session, key),
            arn: Some(user_identity::arn(session)),
            user_id: Some(user_identity::user_id(session)),
            trust: session.trust,
            administrator: false,
            access_key_id: Some(key.to_owned()),
            principal,
            session: Some(Arc::new(session.clone())),
        }
    }

    /// A key that Trailbox does not know and that nobody vouches for.
    #[must_use]
    pub fn claimed(access_key_id: &str, account: &str) -> Self {
        Self::unknown(access_key_id, account, Trust::Claimed)
    }

    /// A key that Trailbox does not know and that a verifying upstream accepted.
    #[must_use]
    pub fn upstream(access_key_id: &str, account: &str) -> Self {
        Self::unknown(access_key_id, account, Trust::Upstream)
    }

    /// A key that Trailbox does not know, in test mode: administrator of `account`.
    #[must_use]
    pub fn test_administrator(access_key_id: &str, account: &str) -> Self {
        let root = Principal::root(account);
        Self {
            arn: Some(root.arn),
            user_id: Some(root.id),
            administrator: true,
            ..Self::unknown(access_key_id, account, Trust::Claimed)
        }
    }

    fn unknown(access_key_id: &str, account: &str, trust: Trust) -> Self {
        Self {
            access_key_id: Some(access_key_id.to_owned()),
            ..Self::nameless(user_identity::unknown(access_key_id, account), account, trust)
        }
    }

    /// Nobody: an unsigned call.
    #[must_use]
    pub fn anonymous(is_s3: bool, account: &str) -> Self {
        Self::nameless(user_identity::anonymous(is_s3), account, Trust::None)
    }

    /// An AWS service that the config names, such as `ec2.amazonaws.com`.
    #[must_use]
    pub fn service(name: &str, account: &str) -> Self {
        Self::nameless(user_identity::service(name), account, Trust::None)
    }

    /// Who called `AssumeRoleWithSAML`, as its answer told.
    #[must_use]
    pub fn saml_user(subject: &str, qualifier: &str, account: &str, trust: Trust) -> Self {
        Self::nameless(user_identity::saml_user(subject, qualifier), account, trust)
    }

    /// Who called `AssumeRoleWithWebIdentity`, as its answer told.
    #[must_use]
    pub fn web_identity_user(
        provider: &str,
        audience: &str,
        subject: &str,
        account: &str,
        trust: Trust,
    ) -> Self {
        let identity = user_identity::web_identity_user(provider, audience, subject);
        Self::nameless(identity, account, trust)
    }

    fn nameless(user_identity: Value, account: &str, trust: Trust) -> Self {
        Self {
            account: account.to_owned(),
            user_identity,
            arn: None,
            user_id: None,
            trust,
            administrator: false,
            access_key_id: None,
            principal: None,
            session: None,
        }
    }

    /// The chain of a session that this caller makes: the person first, this caller last.
    #[must_use]
    pub fn chain(&self) -> Vec<Link> {
        let before = self.session.as_ref().map_or(&[][..], |session| &session.chain);
        let name = || Some(self.user_identity.get("principalId")?.as_str()?.to_owned());
        let link =
            Link { access_key_id: self.access_key_id.clone(), arn: self.arn.clone().or_else(name) };
        extended(before, link)
    }
}

/// A session administrates when a verified administrator made it and it acts as
/// a registered one. An upstream that lets anybody assume anything gives no rights here.
fn may_administrate(directory: &Directory, session: &Session) -> bool {
    let acting = match &session.kind {
        SessionKind::AssumedRole { role, .. } => &role.arn,
        SessionKind::Own { principal } => &principal.arn,
        SessionKind::Federated { .. } | SessionKind::AssumedRoot { .. } => return false,
    };
    session.trust == Trust::Verified
        && session.by_administrator
        && directory.registered(acting).is_some_and(|principal| principal.administrator)
}
