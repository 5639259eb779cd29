//! Temporary credentials, where Trailbox answers STS itself.
//!
//! Pure: who calls, what is asked, a source of chance and the time come in;
//! the answer's parts come out. The recorder learns the session from the
//! answer as it passes, like any other.
//!
//! Not yet as AWS does it: there are no policies. A verified caller may assume
//! a registered role of its own account that is no administrator; everything
//! else needs an administrator. Session policies and tags are not kept.

use crate::account::AccountId;
use crate::caller::Caller;
use crate::directory::Directory;
use crate::ids::{IdKind, new_id, new_secret, new_session_token, stable_id};
use crate::key::AccessKey;
use crate::principal::{Principal, PrincipalKind};
use crate::session::{Session, SessionKind};
use crate::trust::Trust;
use trailbox_clock::{Micros, Random};
use trailbox_sigv4::SecretText;

/// Seconds a role session lasts when nothing is said: one hour.
pub const ROLE_SECONDS: u32 = 3600;
/// Seconds a session token of a user lasts when nothing is said: twelve hours.
pub const TOKEN_SECONDS: u32 = 43_200;
/// Shortest session, in seconds.
pub const SECONDS_MIN: u32 = 900;
/// Longest role session, in seconds: twelve hours; one hour when roles are chained.
pub const ROLE_SECONDS_MAX: u32 = 43_200;
/// Longest session token of a user, in seconds: 36 hours; one hour for root.
pub const TOKEN_SECONDS_MAX: u32 = 129_600;

/// What `AssumeRole` asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct AssumeRole<'a> {
    /// `RoleArn`.
    pub role_arn: &'a str,
    /// `RoleSessionName`.
    pub session_name: &'a str,
    /// `DurationSeconds`.
    pub duration_seconds: Option<u32>,
    /// `SourceIdentity`.
    pub source_identity: Option<&'a str>,
    /// Whether `SerialNumber` and `TokenCode` were sent.
    pub mfa: bool,
}

/// What `GetSessionToken` asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct GetSessionToken {
    /// `DurationSeconds`.
    pub duration_seconds: Option<u32>,
    /// Whether `SerialNumber` and `TokenCode` were sent.
    pub mfa: bool,
}

/// New temporary credentials.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The key, ready for a [`Directory`].
    pub key: AccessKey,
    /// `SessionToken`, told once and kept nowhere.
    pub session_token: SecretText,
    /// `Expiration`.
    pub expires: Micros,
    /// ARN of the holder: `AssumedRoleUser.Arn`.
    pub arn: String,
    /// `AROA…:session`: `AssumedRoleUser.AssumedRoleId`.
    pub user_id: String,
}

/// Why no credentials are given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// `RoleArn` is no role's ARN. STS: `ValidationError`.
    #[error("{arn:?} is not the ARN of a role")]
    RoleArn {
        /// As asked, cut to 256 characters.
        arn: String,
    },
    /// `RoleSessionName` or `SourceIdentity` breaks its pattern. STS: `ValidationError`.
    #[error("{member} {found:?} needs 2 to 64 characters out of letters, digits and `_+=,.@-`")]
    Name {
        /// `RoleSessionName` or `SourceIdentity`.
        member: &'static str,
        /// As asked, cut to 100 characters.
        found: String,
    },
    /// `DurationSeconds` is out of range. STS: `ValidationError`.
    #[error("DurationSeconds is {seconds}; it needs {SECONDS_MIN} to {max}")]
    Duration {
        /// As asked.
        seconds: u32,
        /// The longest allowed here.
        max: u32,
    },
    /// The source identity of a chain cannot change. STS: `AccessDenied`.
    #[error("the source identity was set when the chain began and cannot change")]
    SourceIdentityIsSet,
    /// The caller may not. STS: `AccessDenied`.
    #[error("User: {caller} is not authorized to perform: sts:{operation} on resource: {resource}")]
    Denied {
        /// ARN of the caller.
        caller: String,
        /// The operation.
        operation: &'static str,
        /// ARN of the role, or of the caller.
        resource: String,
    },
    /// A session asked for a session token. STS: `AccessDenied`.
    #[error("Cannot call GetSessionToken with session credentials")]
    SessionAsksForToken,
}

/// Answers `sts:AssumeRole`.
///
/// # Errors
///
/// The first rule that is broken, input before rights.
pub fn assume_role(
    directory: &Directory,
    caller: &Caller,
    asked: &AssumeRole<'_>,
    random: &dyn Random,
    now: Micros,
) -> Result<Minted, MintError> {
    let cut = |text: &str, most| text.chars().take(most).collect::<String>();
    let no_role = || MintError::RoleArn { arn: cut(asked.role_arn, 256) };
    let named = Principal::of_arn(asked.role_arn, &stable_id(IdKind::Role, asked.role_arn))
        .filter(|role| matches!(role.kind, PrincipalKind::Role { .. }))
        .filter(|role| AccountId::parse(&role.account).is_ok())
        .ok_or_else(no_role)?;
    check_name("RoleSessionName", asked.session_name)?;
    asked.source_identity.map_or(Ok(()), |name| check_name("SourceIdentity", name))?;
    let chained = caller
        .session
        .as_ref()
        .is_some_and(|session| matches!(session.kind, SessionKind::AssumedRole { .. }));
    let max = if chained { ROLE_SECONDS } else { ROLE_SECONDS_MAX };
    let seconds = duration(asked.duration_seconds, ROLE_SECONDS, max)?;
    let source_identity = source_identity(caller, asked.source_identity)?;
    let role = allowed_role(directory, caller, named)?;
    let name = role.name().unwrap_or("").to_owned();
    let arn = format!("arn:aws:sts::{}:assumed-role/{name}/{}", role.account, asked.session_name);
    let user_id = format!("{}:{}", role.id, asked.session_name);
    let session = Session {
        account: role.account.clone(),
        kind: SessionKind::AssumedRole {
            role,
            name: asked.session_name.to_owned(),
            arn: arn.clone(),
            web_identity: None,
        },
        created: now,
        expires: now.plus(i64::from(seconds) * 1_000_000),
        mfa: asked.mfa,
        source_identity,
        chain: caller.chain(),
        trust: caller.trust,
        by_administrator: caller.administrator,
    };
    Ok(minted(session, arn, user_id, random))
}

/// Answers `sts:GetSessionToken`.
///
/// # Errors
///
/// The first rule that is broken, rights before input.
pub fn session_token(
    caller: &Caller,
    asked: GetSessionToken,
    random: &dyn Random,
    now: Micros,
) -> Result<Minted, MintError> {
    if caller.session.is_some() {
        return Err(MintError::SessionAsksForToken);
    }
    let root = || caller.administrator.then(|| Principal::root(&caller.account));
    let principal = caller.principal.clone().or_else(root).ok_or_else(|| MintError::Denied {
        caller: name_of(caller),
        operation: "GetSessionToken",
        resource: "*".to_owned(),
    })?;
    let is_root = principal.kind == PrincipalKind::Root;
    let (default, max) =
        if is_root { (ROLE_SECONDS, ROLE_SECONDS) } else { (TOKEN_SECONDS, TOKEN_SECONDS_MAX) };
    let seconds = duration(asked.duration_seconds, default, max)?;
    let (arn, user_id) = (principal.arn.clone(), principal.id.clone());
    let session = Session {
        account: caller.account.clone(),
        kind: SessionKind::Own { principal },
        created: now,
        expires: now.plus(i64::from(seconds) * 1_000_000),
        mfa: asked.mfa,
        source_identity: None,
        chain: caller.chain(),
        trust: caller.trust,
        by_administrator: caller.administrator,
    };
    Ok(minted(session, arn, user_id, random))
}

fn minted(session: Session, arn: String, user_id: String, random: &dyn Random) -> Minted {
    let session_token = new_session_token(random);
    let id = new_id(IdKind::TemporaryKey, random);
    let expires = session.expires;
    let key = AccessKey::temporary(&id, new_secret(random), session_token.expose(), session);
    Minted { key, session_token, expires, arn, user_id }
}

/// The registered role, or the named one for an administrator of its account.
fn allowed_role(
    directory: &Directory,
    caller: &Caller,
    named: Principal,
) -> Result<Principal, MintError> {
    let registered = directory.principal(&named.arn).cloned();
    let own = named.account == caller.account;
    let allowed = match &registered {
        Some(role) if !role.administrator => own && caller.trust == Trust::Verified,
        Some(_) | None => false,
    };
    if allowed || (own && caller.administrator) {
        return Ok(registered.unwrap_or(named));
    }
    Err(MintError::Denied { caller: name_of(caller), operation: "AssumeRole", resource: named.arn })
}

fn name_of(caller: &Caller) -> String {
    caller
        .arn
        .clone()
        .or_else(|| caller.access_key_id.clone())
        .unwrap_or_else(|| "anonymous".into())
}

fn source_identity(caller: &Caller, asked: Option<&str>) -> Result<Option<String>, MintError> {
    let held = caller.session.as_ref().and_then(|session| session.source_identity.clone());
    match (held, asked) {
        (Some(held), Some(asked)) if held != asked => Err(MintError::SourceIdentityIsSet),
        (Some(held), _) => Ok(Some(held)),
        (None, asked) => Ok(asked.map(str::to_owned)),
    }
}

fn duration(asked: Option<u32>, default: u32, max: u32) -> Result<u32, MintError> {
    let seconds = asked.unwrap_or(default);
    if (SECONDS_MIN..=max).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(MintError::Duration { seconds, max })
    }
}

/// Source: STS API Reference, `AssumeRole`, pattern `[\w+=,.@-]*`, length 2 to 64.
fn check_name(member: &'static str, text: &str) -> Result<(), MintError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if (2..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(MintError::Name { member, found: text.chars().take(100).collect() })
}
