//! `POST /api/v1/principals/import`: many principals with the keys people already have.

use super::account;
use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::people::Addition;
use crate::request::OwnRequest;
use serde_json::{Value, json};
use trailbox_identity::import::{ImportedKey, parse};
use trailbox_identity::{AccessKey, AccountId};

/// Errors of one file that are told at most.
const TOLD_MAX: usize = 20;

/// Takes a CSV or JSON file as its body; all rows or none.
pub(super) async fn import(engine: &Engine, request: &OwnRequest) -> Result<Value, ApiError> {
    let named = request.head.query_value("account");
    let account = account(request, named.as_deref())?;
    let account = AccountId::parse(&account).map_err(|err| super::invalid(err.to_string()))?;
    let rows = parse(&request.body, &account).map_err(|errors| {
        let told: Vec<String> = errors.iter().take(TOLD_MAX).map(ToString::to_string).collect();
        let more = errors.len().saturating_sub(TOLD_MAX);
        let rest = if more == 0 { String::new() } else { format!("\nand {more} more") };
        ApiError::refused(Code::ValidationException, format!("{}{rest}", told.join("\n")))
    })?;
    let count = rows.len();
    let additions = rows.into_iter().map(addition).collect();

    engine.people.add(additions).await?;

    Ok(json!({ "imported": count }))
}

fn addition(row: ImportedKey) -> Addition {
    let ImportedKey { principal, access_key_id, secret, .. } = row;
    let key = AccessKey::lasting(&access_key_id, secret, &principal.arn);
    Addition { principal, key: Some(key) }
}
