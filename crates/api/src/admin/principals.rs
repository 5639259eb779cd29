//! `/api/v1/principals`: who is registered.

use super::{account, invalid, keys, principal};
use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::json;
use crate::people::Addition;
use crate::request::OwnRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use trailbox_identity::{AccessKey, Origin, Owner, Principal, PrincipalKind};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPrincipal {
    name: Option<String>,
    kind: Option<String>,
    account: Option<String>,
    path: Option<String>,
    #[serde(default)]
    administrator: bool,
    #[serde(flatten)]
    key: keys::NewKey,
}

/// `GET`: all registered principals with their keys, by ARN.
pub(super) fn list(engine: &Engine) -> Value {
    let directory = engine.people.directory();
    let mut keys: HashMap<&str, Vec<&AccessKey>> = HashMap::new();
    for key in directory.keys() {
        if let Owner::Principal(arn) = &key.owner {
            keys.entry(arn).or_default().push(key);
        }
    }
    let mut principals: Vec<&Principal> = directory.principals().collect();
    principals.sort_by(|a, b| a.arn.cmp(&b.arn));
    let shown: Vec<Value> = principals
        .into_iter()
        .map(|principal| {
            let mut held = keys.remove(&*principal.arn).unwrap_or_default();
            held.sort_by(|a, b| a.id.cmp(&b.id));
            show(principal, &held)
        })
        .collect();
    json!({ "principals": shown })
}

/// `POST`: registers a principal; a user without a given key gets a new one.
pub(super) async fn add(engine: &Engine, request: &OwnRequest) -> Result<Value, ApiError> {
    let asked: NewPrincipal = json::parse(&request.body)?;
    let account = account(request, asked.account.as_deref())?;
    let kind = asked.kind.as_deref().unwrap_or("user");
    let name = match (kind, &asked.name) {
        ("root", _) => "",
        (_, Some(name)) => name,
        (_, None) => return Err(invalid("`name` is missing")),
    };
    let path = asked.path.as_deref().unwrap_or("/");
    let mut principal = principal(&account, kind, path, name)?;
    principal.administrator = asked.administrator;
    let arn = principal.arn.clone();
    let (key, shown) = match kind {
        "role" if asked.key.is_empty() => (None, Value::Null),
        "role" => return Err(invalid("a role has no access keys")),
        _ => {
            let (key, shown) = asked.key.make(&arn, &*engine.random)?;
            (Some(key), shown)
        }
    };

    engine.people.add(vec![Addition { principal, key }]).await?;

    let directory = engine.people.directory();
    let principal = directory.registered(&arn).map(|principal| show(principal, &[]));
    Ok(json!({ "principal": principal, "accessKey": shown }))
}

/// `DELETE ?arn=…` or `?name=…&kind=…&account=…`: removes a principal with its keys.
pub(super) async fn remove(engine: &Engine, request: &OwnRequest) -> Result<Value, ApiError> {
    let field = |name| request.head.query_value(name);
    let arn = match (field("arn"), field("name")) {
        (Some(arn), _) => arn.into_owned(),
        (None, Some(name)) => {
            let account = account(request, field("account").as_deref())?;
            let kind = field("kind");
            principal(&account, kind.as_deref().unwrap_or("user"), "/", &name)?.arn
        }
        (None, None) => return Err(invalid("say `arn` or `name` in the query")),
    };
    let held = engine.people.directory().registered(&arn).map(|held| held.arn.clone());
    let arn = held.unwrap_or(arn);
    if engine.people.remove_principal(&arn).await? {
        Ok(json!({ "removed": arn }))
    } else {
        let arn: String = arn.chars().take(256).collect();
        Err(ApiError::refused(
            Code::ResourceNotFoundException,
            format!("no principal {arn} is registered"),
        ))
    }
}

/// A principal as the API shows it; secrets never.
pub(super) fn show(principal: &Principal, keys: &[&AccessKey]) -> Value {
    let (kind, path) = match &principal.kind {
        PrincipalKind::Root => ("root", "/"),
        PrincipalKind::User { path, .. } => ("user", &**path),
        PrincipalKind::Role { path, .. } => ("role", &**path),
    };
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| {
            let origin = match key.origin {
                Origin::Registered => "registered",
                Origin::Learned => "learned",
            };
            let mut shown =
                json!({ "accessKeyId": key.id, "active": key.active, "origin": origin });
            if let Some(source) = &key.source {
                shown["source"] = Value::from(&**source);
            }
            if key.secret.is_none() {
                shown["secretKnown"] = Value::from(false);
            }
            if let Some(removed) = key.removed {
                shown["removed"] = Value::from(removed.to_event_time());
            }
            shown
        })
        .collect();
    json!({
        "name": principal.name().unwrap_or("root"),
        "kind": kind,
        "account": principal.account,
        "path": path,
        "arn": principal.arn,
        "id": principal.id,
        "administrator": principal.administrator,
        "keys": keys,
    })
}
