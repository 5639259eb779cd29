//! STS: the query protocol, XML answers; JSON where a client asks in JSON.

mod assume_role;
mod get_caller_identity;
mod get_session_token;
mod wire;

use crate::engine::Engine;
use crate::request::{OwnAnswer, OwnRequest};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use trailbox_identity::Caller;
use trailbox_identity::mint::MintError;
use trailbox_service_facts::Facts;
use wire::Node;

/// One failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
struct StsError {
    code: &'static str,
    status: u16,
    message: String,
}

impl StsError {
    fn refused(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into() }
    }

    fn validation(message: impl Into<String>) -> Self {
        Self::refused(400, "ValidationError", message)
    }
}

impl From<MintError> for StsError {
    fn from(err: MintError) -> Self {
        let message = err.to_string();
        match err {
            MintError::RoleArn { .. } | MintError::Name { .. } | MintError::Duration { .. } => {
                Self::validation(message)
            }
            MintError::SourceIdentityIsSet
            | MintError::Denied { .. }
            | MintError::SessionAsksForToken => Self::refused(403, "AccessDenied", message),
        }
    }
}

/// Answers the operation that the request names.
pub(crate) fn answer(engine: &Engine, request: &OwnRequest) -> OwnAnswer {
    let fields = Fields::read(request);
    let operation = fields.get("Action").unwrap_or_else(|| request.operation_name()).to_owned();
    let said = identified(engine, &request.caller).and_then(|()| match &*operation {
        "AssumeRole" => assume_role::assume_role(engine, &request.caller, &fields),
        "GetCallerIdentity" => Ok(get_caller_identity::get_caller_identity(&request.caller)),
        "GetSessionToken" => get_session_token::get_session_token(engine, &request.caller, &fields),
        // One line per operation, in alphabetical order.
        other => Err(unanswered(other)),
    });
    wire::answer(&operation, &request.request_id, fields.json, said)
}

/// STS speaks to callers it knows, and to nobody else.
fn identified(engine: &Engine, caller: &Caller) -> Result<(), StsError> {
    let expired = caller.session.as_ref().is_some_and(|it| it.expires <= engine.clock.now());
    if expired {
        let message = "The security token included in the request is expired";
        return Err(StsError::refused(403, "ExpiredToken", message));
    }
    match (&caller.arn, &caller.access_key_id) {
        (Some(_), _) => Ok(()),
        (None, Some(_)) => Err(StsError::refused(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        )),
        (None, None) => Err(StsError::refused(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )),
    }
}

/// The error for an operation that has no line of its own.
fn unanswered(operation: &str) -> StsError {
    let facts = Facts::embedded();
    if facts.service("sts").is_some_and(|sts| sts.operation(operation).is_some()) {
        let message =
            format!("{operation} is not answered by Trailbox yet; docs/compat.md says what is");
        return StsError::refused(400, "UnsupportedOperationException", message);
    }
    let operation: String = operation.chars().take(128).collect();
    let message = format!("Could not find operation {operation} for version 2011-06-15");
    StsError::refused(400, "InvalidAction", message)
}

/// The parameters of a call, from the form, the query or a JSON object.
struct Fields {
    values: HashMap<String, String>,
    json: bool,
}

impl Fields {
    fn read(request: &OwnRequest) -> Self {
        let media = request.head.headers.get("content-type").unwrap_or("");
        if media.contains("json") {
            return Self { values: json_fields(&request.body), json: true };
        }
        let text = String::from_utf8_lossy(&request.body);
        let query = trailbox_exchange::decode_pairs(request.head.query());
        let form = trailbox_exchange::decode_pairs(&text);
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), value.into());
        Self { values: query.into_iter().chain(form).map(owned).collect(), json: false }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn required(&self, name: &str) -> Result<&str, StsError> {
        self.get(name).ok_or_else(|| {
            let mut member = name.to_owned();
            member[..1].make_ascii_lowercase();
            StsError::validation(format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy \
                 constraint: Member must not be null"
            ))
        })
    }

    fn seconds(&self) -> Result<Option<u32>, StsError> {
        let Some(text) = self.get("DurationSeconds") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let text: String = text.chars().take(32).collect();
            StsError::validation(format!("DurationSeconds is '{text}'; it must be a whole number"))
        })
    }

    /// Whether a second factor was shown.
    ///
    /// Not yet as AWS does it: the code itself is not checked.
    fn mfa(&self) -> bool {
        self.get("SerialNumber").is_some() && self.get("TokenCode").is_some()
    }
}

fn json_fields(body: &[u8]) -> HashMap<String, String> {
    let fields = serde_json::from_slice::<HashMap<String, Value>>(body);
    let text = |(name, value): (String, Value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some((name, value.to_string()))
        }
    };
    fields.unwrap_or_default().into_iter().filter_map(text).collect()
}

/// `Credentials` as STS writes them.
fn credentials(minted: &trailbox_identity::mint::Minted) -> Node {
    let secret = minted.key.secret.as_ref().map_or("", trailbox_identity::Secret::expose);
    Node::Members(vec![
        ("AccessKeyId", Node::text(&minted.key.id)),
        ("SecretAccessKey", Node::text(secret)),
        ("SessionToken", Node::text(minted.session_token.expose())),
        ("Expiration", Node::Time(minted.expires)),
    ])
}
