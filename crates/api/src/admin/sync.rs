//! `POST /api/v1/principals/sync`: users and keys of a Ceph RGW or an IAM.

use super::{account, invalid};
use crate::engine::Engine;
use crate::error::ApiError;
use crate::json;
use crate::people::{SyncOrder, SyncReport};
use crate::request::OwnRequest;
use serde::Deserialize;
use serde_json::Value;
use trailbox_identity::Secret;

/// Longest prefix of names; a name has 128 characters.
const PREFIX_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SyncRequest {
    kind: String,
    endpoint: String,
    access_key_id: String,
    secret_access_key: String,
    region: Option<String>,
    account: Option<String>,
    #[serde(default)]
    prefix: String,
    ca_file: Option<String>,
    #[serde(default)]
    allow_empty: bool,
    #[serde(default)]
    dry_run: bool,
}

/// Reads the source and takes in what it lists.
pub(super) async fn sync(engine: &Engine, request: &OwnRequest) -> Result<Value, ApiError> {
    let asked: SyncRequest = json::parse(&request.body)?;
    if asked.secret_access_key.is_empty() || asked.access_key_id.is_empty() {
        return Err(invalid("`accessKeyId` and `secretAccessKey` must not be empty"));
    }
    if PREFIX_MAX < asked.prefix.len() {
        return Err(invalid(format!("`prefix` needs up to {PREFIX_MAX} characters")));
    }
    let named = asked.account.as_deref().map(|named| account(request, Some(named))).transpose()?;
    let order = SyncOrder {
        kind: asked.kind,
        endpoint: asked.endpoint,
        access_key_id: asked.access_key_id,
        secret: Secret::from(asked.secret_access_key),
        region: asked.region.unwrap_or_else(|| "us-east-1".to_owned()),
        account: named,
        default_account: request.caller.account.clone(),
        prefix: asked.prefix,
        ca_file: asked.ca_file,
        allow_empty: asked.allow_empty,
        dry_run: asked.dry_run,
    };

    let report: SyncReport = engine.people.sync(order).await?;

    serde_json::to_value(&report).map_err(ApiError::internal)
}
