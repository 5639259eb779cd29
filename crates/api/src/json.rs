//! JSON answers.

use crate::error::{ApiError, Code};
use crate::request::OwnAnswer;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trailbox_exchange::Headers;

/// Media type of AWS JSON 1.1.
pub(crate) const AMZ_JSON: &str = "application/x-amz-json-1.1";
/// Media type of the admin API.
pub(crate) const JSON: &str = "application/json";

/// Reads a request; an empty body is an empty object.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let refused = |reason: String| ApiError::refused(Code::SerializationException, reason);
    // A list would pass for an object whose members are told by their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(refused("the body is not a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|err| refused(err.to_string()))
}

/// Turns what an operation said into an answer of media type `media`.
pub(crate) fn answer<T: Serialize>(
    media: &'static str,
    request_id: &str,
    said: Result<T, ApiError>,
) -> OwnAnswer {
    let said = said.and_then(|value| serde_json::to_vec(&value).map_err(ApiError::internal));
    match said {
        Ok(body) => whole(200, media, request_id, body),
        Err(err) => refusal(media, request_id, &err),
    }
}

fn refusal(media: &'static str, request_id: &str, err: &ApiError) -> OwnAnswer {
    if let Some(cause) = &err.cause {
        tracing::error!(request_id, code = err.code.name(), cause = %chain(&**cause), "call failed");
    }
    let body: Value = json!({ "__type": err.code.name(), "message": err.message });
    whole(err.code.status(), media, request_id, body.to_string().into_bytes())
}

/// An error with its causes.
fn chain(err: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn whole(status: u16, media: &'static str, request_id: &str, body: Vec<u8>) -> OwnAnswer {
    let headers: Headers =
        [("Content-Type", media.to_owned()), ("x-amzn-RequestId", request_id.to_owned())]
            .into_iter()
            .collect();
    OwnAnswer { status, headers, body: Bytes::from(body) }
}
