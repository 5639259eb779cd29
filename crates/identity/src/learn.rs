//! Reads new sessions, keys and ids out of STS and IAM answers that passed.
//!
//! Nothing is asked of anybody: the answer that the caller got says it all.
//! Secrets stay in memory until the journal encrypts the frame; of a session
//! token only the hash is taken.

use crate::account::{AccountId, Arn};
use crate::caller::Caller;
use crate::key::AccessKey;
use crate::learned::{Fact, Learned};
use crate::principal::{Principal, PrincipalKind};
use crate::session::{Session, SessionKind, WebIdentity};
use crate::trust::Trust;
use trailbox_clock::Micros;
use trailbox_service_facts::decode::Tree;
use trailbox_service_facts::{Route, Service};
use trailbox_sigv4::SecretText;

/// What a successful answer teaches; nothing for most operations.
///
/// A new session is trusted as far as its maker was: of a caller that was not
/// proved, records stay in the caller's account, whatever the answer's ARN says.
/// For `AssumeRoleWithSAML` and `AssumeRoleWithWebIdentity`, which are not
/// signed, hand in the caller that [`federated_caller`] made.
#[must_use]
pub fn learn(
    route: &Route,
    request: &Tree,
    response: &Tree,
    caller: &Caller,
    now: Micros,
    event_id: [u8; 16],
) -> Vec<Learned> {
    let Some(service) = route.service.as_deref() else { return Vec::new() };
    let call = Call {
        asked: Part { service, tree: request },
        answer: Part { service, tree: response },
        caller,
        now,
    };
    let fact = match (route.service_name(), route.operation_name()) {
        ("sts", "AssumeRole" | "AssumeRoleWithSAML") => call.assumed_role(None),
        ("sts", "AssumeRoleWithWebIdentity") => call.assumed_role(call.web_identity()),
        ("sts", "GetSessionToken") => call.session_token(),
        ("sts", "GetFederationToken") => call.federation_token(),
        ("sts", "AssumeRoot") => call.assumed_root(),
        ("iam", "CreateAccessKey") => call.access_key(),
        ("iam", "UpdateAccessKey") => call.key_status(),
        ("iam", "DeleteAccessKey") => call.key_removed(),
        ("iam", "CreateUser") => call.principal("User", "UserId"),
        ("iam", "CreateRole") => call.principal("Role", "RoleId"),
        _ => None,
    };
    let trust = call.trust();
    fact.map(|fact| Learned { event_id, at: now, trust, fact }).into_iter().collect()
}

/// Who made an `AssumeRoleWithSAML` or `AssumeRoleWithWebIdentity` call.
///
/// These calls are not signed; the answer names the person. `trust` is
/// [`Trust::Upstream`] when the upstream checks such assertions.
#[must_use]
pub fn federated_caller(
    route: &Route,
    response: &Tree,
    account: &str,
    trust: Trust,
) -> Option<Caller> {
    let answer = Part { service: route.service.as_deref()?, tree: response };
    if route.is("sts", "AssumeRoleWithSAML") {
        let qualifier = answer.text("NameQualifier").unwrap_or("");
        return Some(Caller::saml_user(answer.text("Subject")?, qualifier, account, trust));
    }
    if route.is("sts", "AssumeRoleWithWebIdentity") {
        let subject = answer.text("SubjectFromWebIdentityToken")?;
        let (provider, audience) = (answer.text("Provider")?, answer.text("Audience"));
        let audience = audience.unwrap_or("");
        return Some(Caller::web_identity_user(provider, audience, subject, account, trust));
    }
    None
}

/// A decoded structure with the model that names its members.
#[derive(Clone, Copy)]
struct Part<'a> {
    service: &'a Service,
    tree: &'a Tree,
}

impl<'a> Part<'a> {
    fn part(self, name: &str) -> Option<Self> {
        let tree = self.tree.member(self.service, name)?;
        Some(Self { service: self.service, tree })
    }

    fn text(self, name: &str) -> Option<&'a str> {
        self.tree.member(self.service, name)?.text().filter(|text| !text.is_empty())
    }

    fn moment(self, name: &str) -> Option<Micros> {
        let tree = self.tree.member(self.service, name)?;
        if let Tree::Time(at) = tree { at.moment() } else { None }
    }
}

struct Call<'a> {
    asked: Part<'a>,
    answer: Part<'a>,
    caller: &'a Caller,
    now: Micros,
}

impl Call<'_> {
    /// A caller that was not proved proves nothing by making a session.
    fn trust(&self) -> Trust {
        if self.caller.trust == Trust::None { Trust::Claimed } else { self.caller.trust }
    }

    /// The account of the answer's ARN, when the caller was proved and it is one.
    fn account_of(&self, arn: &str) -> String {
        let named = Arn::parse(arn).map_or("", |arn| arn.account);
        let proved = matches!(self.trust(), Trust::Verified | Trust::Upstream);
        if proved && AccountId::parse(named).is_ok() {
            named.to_owned()
        } else {
            self.caller.account.clone()
        }
    }

    fn session(&self, kind: SessionKind, account: String) -> Option<Fact> {
        let credentials = self.answer.part("Credentials")?;
        let session = Session {
            kind,
            account,
            created: self.now,
            expires: credentials.moment("Expiration")?,
            mfa: self.asked.text("SerialNumber").is_some()
                && self.asked.text("TokenCode").is_some(),
            source_identity: self.source_identity(),
            chain: self.caller.chain(),
            trust: self.trust(),
            by_administrator: self.caller.administrator,
        };
        let secret = SecretText::new(credentials.text("SecretAccessKey")?);
        let (id, token) = (credentials.text("AccessKeyId")?, credentials.text("SessionToken")?);
        Some(Fact::Session(Box::new(AccessKey::temporary(id, secret, token, session))))
    }

    /// Set once; a chain hands it down.
    fn source_identity(&self) -> Option<String> {
        let said = self.answer.text("SourceIdentity").or(self.asked.text("SourceIdentity"));
        said.map(str::to_owned).or_else(|| self.caller.session.as_ref()?.source_identity.clone())
    }

    fn assumed_role(&self, web_identity: Option<WebIdentity>) -> Option<Fact> {
        let user = self.answer.part("AssumedRoleUser")?;
        let (arn, id) = (user.text("Arn")?, user.text("AssumedRoleId")?);
        let (role_id, name) = id.split_once(':')?;
        let role = Principal::of_arn(self.asked.text("RoleArn")?, role_id)?;
        let kind = SessionKind::AssumedRole {
            role,
            name: name.to_owned(),
            arn: arn.to_owned(),
            web_identity,
        };
        self.session(kind, self.account_of(arn))
    }

    fn web_identity(&self) -> Option<WebIdentity> {
        let provider = self.answer.text("Provider")?;
        let attribute = |short: &str, member: &str| {
            let value = self.answer.text(member)?;
            Some((format!("{provider}:{short}"), value.to_owned()))
        };
        let pairs = [("aud", "Audience"), ("sub", "SubjectFromWebIdentityToken")];
        // An identity provider of the account is named by ARN and has no attributes.
        let attributes = if provider.starts_with("arn:") {
            Vec::new()
        } else {
            pairs.into_iter().filter_map(|(short, member)| attribute(short, member)).collect()
        };
        Some(WebIdentity { provider: provider.to_owned(), attributes })
    }

    fn session_token(&self) -> Option<Fact> {
        let principal = self.caller.principal.clone().or_else(|| {
            let arn = self.caller.arn.as_deref()?;
            Principal::of_arn(arn, self.caller.user_id.as_deref().unwrap_or(""))
        })?;
        let account = self.caller.account.clone();
        self.session(SessionKind::Own { principal }, account)
    }

    fn federation_token(&self) -> Option<Fact> {
        let user = self.answer.part("FederatedUser")?;
        let arn = user.text("Arn")?;
        let kind = SessionKind::Federated {
            name: self.asked.text("Name")?.to_owned(),
            arn: arn.to_owned(),
            issuer: self.caller.principal.clone(),
        };
        self.session(kind, self.account_of(arn))
    }

    fn assumed_root(&self) -> Option<Fact> {
        let target = self.asked.text("TargetPrincipal")?;
        let member = Arn::parse(target).map_or(target, |arn| arn.account);
        let member = AccountId::parse(member).ok()?;
        let account = self.account_of(&format!("arn:aws:iam::{member}:root"));
        self.session(SessionKind::AssumedRoot { member: member.into() }, account)
    }

    fn access_key(&self) -> Option<Fact> {
        let key = self.answer.part("AccessKey")?;
        Some(Fact::Key {
            account: self.caller.account.clone(),
            user_name: key.text("UserName").or(self.asked.text("UserName"))?.to_owned(),
            id: key.text("AccessKeyId")?.to_owned(),
            secret: SecretText::new(key.text("SecretAccessKey")?),
        })
    }

    fn key_status(&self) -> Option<Fact> {
        Some(Fact::KeyStatus {
            id: self.asked.text("AccessKeyId")?.to_owned(),
            active: self.asked.text("Status")? == "Active",
        })
    }

    fn key_removed(&self) -> Option<Fact> {
        Some(Fact::KeyRemoved { id: self.asked.text("AccessKeyId")?.to_owned() })
    }

    fn principal(&self, member: &str, id: &str) -> Option<Fact> {
        let shown = self.answer.part(member)?;
        let arn = shown.text("Arn")?;
        let mut principal = Principal::of_arn(arn, shown.text(id)?)?;
        if principal.kind == PrincipalKind::Root {
            return None;
        }
        principal.account = self.account_of(arn);
        Some(Fact::Principal(principal))
    }
}
