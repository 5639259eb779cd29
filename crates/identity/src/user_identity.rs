//! `userIdentity`: who made a call, as CloudTrail writes it.
//!
//! Source: CloudTrail User Guide, "CloudTrail userIdentity element". Shapes as
//! records have them since 2024: no empty `sessionIssuer` or `webIdFederationData`.

use crate::principal::Principal;
use crate::session::{Session, SessionKind, WebIdentity};
use serde_json::{Map, Value, json};

/// An object whose members stand in the order they are added.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn with(self, name: &str, value: impl Into<Value>) -> Self {
        self.maybe(name, Some(value))
    }

    fn maybe(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Nothing for an id that is not known.
    fn known(self, name: &str, id: &str) -> Self {
        self.maybe(name, (!id.is_empty()).then_some(id))
    }

    fn object(self) -> Value {
        Value::Object(self.0)
    }
}

/// Root, a user or a role that signs with a key of its own.
pub(crate) fn principal(principal: &Principal, account: &str, key: &str) -> Value {
    Members::default()
        .with("type", principal.identity_type())
        .known("principalId", &principal.id)
        .with("arn", &*principal.arn)
        .with("accountId", account)
        .with("accessKeyId", key)
        .maybe("userName", principal.name())
        .object()
}

/// The holder of temporary credentials.
pub(crate) fn session(session: &Session, key: &str) -> Value {
    let (kind, user) = match &session.kind {
        SessionKind::AssumedRole { .. } => ("AssumedRole", None),
        SessionKind::Federated { .. } => ("FederatedUser", None),
        SessionKind::AssumedRoot { .. } => ("Root", None),
        SessionKind::Own { principal } => (principal.identity_type(), principal.name()),
    };
    Members::default()
        .with("type", kind)
        .known("principalId", &user_id(session))
        .with("arn", arn(session))
        .with("accountId", &*session.account)
        .with("accessKeyId", key)
        .maybe("userName", user)
        .with("sessionContext", session_context(session))
        .object()
}

/// ARN of the holder.
pub(crate) fn arn(session: &Session) -> String {
    match &session.kind {
        SessionKind::AssumedRole { arn, .. } | SessionKind::Federated { arn, .. } => arn.clone(),
        SessionKind::Own { principal } => principal.arn.clone(),
        SessionKind::AssumedRoot { member } => format!("arn:aws:iam::{member}:root"),
    }
}

/// `AROA…:session`, `account:name`, `AIDA…` or the account id.
pub(crate) fn user_id(session: &Session) -> String {
    match &session.kind {
        SessionKind::AssumedRole { role, name, .. } => format!("{}:{name}", role.id),
        SessionKind::Federated { name, .. } => format!("{}:{name}", session.account),
        SessionKind::Own { principal } => principal.id.clone(),
        SessionKind::AssumedRoot { member } => member.clone(),
    }
}

fn session_context(session: &Session) -> Value {
    let (issuer, web, root) = match &session.kind {
        SessionKind::AssumedRole { role, web_identity, .. } => {
            (Some(issuer(role)), web_identity.as_ref().map(web_federation), None)
        }
        SessionKind::Federated { issuer: by, .. } => (by.as_ref().map(issuer), None, None),
        SessionKind::Own { .. } => (None, None, None),
        SessionKind::AssumedRoot { .. } => (None, None, Some("true")),
    };
    let attributes = json!({
        "creationDate": session.created.to_event_time(),
        "mfaAuthenticated": if session.mfa { "true" } else { "false" },
    });
    Members::default()
        .maybe("sessionIssuer", issuer)
        .maybe("webIdFederationData", web)
        .with("attributes", attributes)
        .maybe("sourceIdentity", session.source_identity.as_deref())
        .maybe("assumedRoot", root)
        .object()
}

fn issuer(principal: &Principal) -> Value {
    Members::default()
        .with("type", principal.identity_type())
        .known("principalId", &principal.id)
        .with("arn", &*principal.arn)
        .with("accountId", &*principal.account)
        .maybe("userName", principal.name())
        .object()
}

fn web_federation(web: &WebIdentity) -> Value {
    let attributes: Map<String, Value> =
        web.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({ "federatedProvider": web.provider, "attributes": attributes })
}

/// Nobody in particular.
pub(crate) fn anonymous(is_s3: bool) -> Value {
    if is_s3 {
        json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" })
    } else {
        json!({ "type": "Unknown", "principalId": "Anonymous" })
    }
}

/// An AWS service, such as `ec2.amazonaws.com`.
pub(crate) fn service(name: &str) -> Value {
    json!({ "type": "AWSService", "invokedBy": name })
}

/// A key that Trailbox does not know.
pub(crate) fn unknown(key: &str, account: &str) -> Value {
    json!({ "type": "Unknown", "accountId": account, "accessKeyId": key })
}

/// Who called `AssumeRoleWithSAML`.
pub(crate) fn saml_user(subject: &str, qualifier: &str) -> Value {
    json!({
        "type": "SAMLUser",
        "principalId": format!("{qualifier}:{subject}"),
        "userName": subject,
        "identityProvider": qualifier,
    })
}

/// Who called `AssumeRoleWithWebIdentity`.
pub(crate) fn web_identity_user(provider: &str, audience: &str, subject: &str) -> Value {
    json!({
        "type": "WebIdentityUser",
        "principalId": format!("{provider}:{audience}:{subject}"),
        "userName": subject,
        "identityProvider": provider,
    })
}
