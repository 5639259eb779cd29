//! `/api/v1/keys`: access keys of registered principals.

use super::{account, invalid, principal};
use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::json;
use crate::people::Addition;
use crate::request::OwnRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use trailbox_clock::Random;
use trailbox_identity::ids::{IdKind, new_id, new_secret};
use trailbox_identity::{AccessKey, Secret};

/// A key to adopt, or nothing: then one is made.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewKey {
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl NewKey {
    pub(super) const fn is_empty(&self) -> bool {
        self.access_key_id.is_none() && self.secret_access_key.is_none()
    }

    /// The key, and what the answer shows of it: the secret only when it was made here.
    pub(super) fn make(
        self,
        owner: &str,
        random: &dyn Random,
    ) -> Result<(AccessKey, Value), ApiError> {
        match (self.access_key_id, self.secret_access_key) {
            (Some(id), Some(secret)) => {
                check_id(&id)?;
                if secret.is_empty() || 256 < secret.len() {
                    return Err(invalid("`secretAccessKey` needs 1 to 256 characters"));
                }
                let key = AccessKey::lasting(&id, Secret::from(secret), owner);
                Ok((key, json!({ "accessKeyId": id })))
            }
            (None, None) => {
                let (id, secret) = (new_id(IdKind::LastingKey, random), new_secret(random));
                let shown = json!({ "accessKeyId": id, "secretAccessKey": secret.expose() });
                Ok((AccessKey::lasting(&id, secret, owner), shown))
            }
            (Some(_), None) => Err(invalid("`secretAccessKey` is missing beside `accessKeyId`")),
            (None, Some(_)) => Err(invalid("`accessKeyId` is missing beside `secretAccessKey`")),
        }
    }
}

/// As long and as plain as SigV4 lets it be in a credential scope.
fn check_id(id: &str) -> Result<(), ApiError> {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b',');
    if plain && (3..=128).contains(&id.len()) {
        return Ok(());
    }
    let id: String = id.chars().take(128).collect();
    Err(invalid(format!(
        "access key id {id:?} needs 3 to 128 characters without spaces, `/` and `,`"
    )))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Adoption {
    arn: Option<String>,
    name: Option<String>,
    account: Option<String>,
    #[serde(flatten)]
    key: NewKey,
}

/// `POST`: gives a registered user or root one more key.
pub(super) async fn add(engine: &Engine, request: &OwnRequest) -> Result<Value, ApiError> {
    let asked: Adoption = json::parse(&request.body)?;
    let arn = match (asked.arn, asked.name) {
        (Some(arn), _) => arn,
        (None, Some(name)) => {
            principal(&account(request, asked.account.as_deref())?, "user", "/", &name)?.arn
        }
        (None, None) => return Err(invalid("say `arn` or `name`")),
    };
    let directory = engine.people.directory();
    let Some(principal) = directory.registered(&arn).cloned() else {
        let arn: String = arn.chars().take(256).collect();
        return Err(ApiError::refused(
            Code::ResourceNotFoundException,
            format!("no principal {arn} is registered"),
        ));
    };
    let (key, shown) = asked.key.make(&principal.arn, &*engine.random)?;
    let arn = principal.arn.clone();

    engine.people.add(vec![Addition { principal, key: Some(key) }]).await?;

    Ok(json!({ "arn": arn, "accessKey": shown }))
}

/// `DELETE /keys/{id}`.
pub(super) async fn remove(engine: &Engine, id: &str) -> Result<Value, ApiError> {
    let id = trailbox_exchange::decode_component(id);
    if engine.people.remove_key(&id).await? {
        Ok(json!({ "removed": id }))
    } else {
        Err(absent(&id))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    active: bool,
}

/// `PATCH /keys/{id}`: switches a key on or off.
pub(super) async fn set_active(
    engine: &Engine,
    request: &OwnRequest,
    id: &str,
) -> Result<Value, ApiError> {
    let id = trailbox_exchange::decode_component(id);
    let Switch { active } = json::parse(&request.body)?;
    if engine.people.set_active(&id, active).await? {
        // A source that suspended or removed the key keeps it off.
        let active = engine.people.directory().key(&id).map_or(active, |key| key.active);
        Ok(json!({ "accessKeyId": id, "active": active }))
    } else {
        Err(absent(&id))
    }
}

fn absent(id: &str) -> ApiError {
    let id: String = id.chars().take(128).collect();
    ApiError::refused(Code::ResourceNotFoundException, format!("no access key {id} is known"))
}
