//! The admin API: JSON under `/api/v1`, for administrators. `docs/admin-api.md`
//! describes every route.

mod count;
mod import;
mod keys;
mod lookup;
mod principals;
mod stats;
mod sync;
mod time;

use crate::cloudtrail::authorize;
use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::json::{self, JSON};
use crate::people::PeopleError;
use crate::request::{OwnAnswer, OwnRequest};
use serde_json::Value;
use serde_json::value::RawValue;
use trailbox_identity::Principal;

/// Answers the route that the request names.
pub(crate) async fn answer(engine: &Engine, request: &OwnRequest) -> OwnAnswer {
    let said = match authorize(&request.caller, "trailbox:Administrate") {
        Ok(()) => route(engine, request).await,
        Err(err) => Err(err),
    };
    json::answer(JSON, &request.request_id, said)
}

async fn route(engine: &Engine, request: &OwnRequest) -> Result<Box<RawValue>, ApiError> {
    let path = request.head.path();
    let rest = path.strip_prefix("/api/v1/").unwrap_or(path);
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    if let ("POST", ["lookup"]) = (&*request.head.method, &parts[..]) {
        // Records are passed on as they were written, not parsed and written again.
        return lookup::lookup(engine, request).await;
    }
    let value: Value = match (&*request.head.method, &parts[..]) {
        ("POST", ["count"]) => count::count(engine, request).await,
        ("POST", ["keys"]) => keys::add(engine, request).await,
        ("DELETE", ["keys", id]) => keys::remove(engine, id).await,
        ("PATCH", ["keys", id]) => keys::set_active(engine, request, id).await,
        ("DELETE", ["principals"]) => principals::remove(engine, request).await,
        ("GET", ["principals"]) => Ok(principals::list(engine)),
        ("POST", ["principals"]) => principals::add(engine, request).await,
        ("POST", ["principals", "import"]) => import::import(engine, request).await,
        ("POST", ["principals", "sync"]) => sync::sync(engine, request).await,
        ("GET", ["stats"]) => Ok(stats::stats(engine, request)),
        // One line per route, in alphabetical order.
        (method, _) => Err(ApiError::refused(
            Code::UnknownOperationException,
            format!("there is no {method} {}", path.chars().take(128).collect::<String>()),
        )),
    }?;
    serde_json::value::to_raw_value(&value).map_err(ApiError::internal)
}

impl From<PeopleError> for ApiError {
    fn from(err: PeopleError) -> Self {
        match &err {
            PeopleError::KeyTaken { .. } => {
                Self::refused(Code::ResourceAlreadyExistsException, err.to_string())
            }
            PeopleError::NotSynced { .. } => invalid(err.to_string()),
            PeopleError::Unavailable(_) => Self {
                code: Code::ServiceUnavailable,
                message: err.to_string(),
                cause: Some(Box::new(err)),
            },
        }
    }
}

/// A broken rule of a request.
fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::refused(Code::ValidationException, message)
}

/// The account a request means: the one it names, else the caller's.
fn account(request: &OwnRequest, named: Option<&str>) -> Result<String, ApiError> {
    let Some(named) = named else { return Ok(request.caller.account.clone()) };
    trailbox_identity::AccountId::parse(named)
        .map(|account| account.as_str().to_owned())
        .map_err(|err| invalid(err.to_string()))
}

/// A principal of `kind` named `name`; checked.
fn principal(account: &str, kind: &str, path: &str, name: &str) -> Result<Principal, ApiError> {
    use trailbox_identity::import::{check_name, check_path};
    if kind == "root" {
        return Ok(Principal::root(account));
    }
    check_name(name).map_err(|err| invalid(err.to_string()))?;
    check_path(path).map_err(|err| invalid(err.to_string()))?;
    match kind {
        "user" => Ok(Principal::user(account, path, name, "")),
        "role" => Ok(Principal::role(account, path, name, "")),
        other => {
            let other: String = other.chars().take(64).collect();
            Err(invalid(format!("kind {other:?} is none of `user`, `role`, `root`")))
        }
    }
}
