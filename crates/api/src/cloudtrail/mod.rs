//! CloudTrail: AWS JSON 1.1; and CloudTrail Data, REST-JSON, none of it yet.

pub(crate) mod lookup_events;
pub(crate) mod token;

use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::json::{self, AMZ_JSON, JSON};
use crate::request::{OwnAnswer, OwnRequest};
use trailbox_identity::Caller;
use trailbox_service_facts::Facts;

/// Answers the operation that the request names.
pub(crate) async fn answer(engine: &Engine, request: &OwnRequest) -> OwnAnswer {
    let id = &request.request_id;
    let media = if request.service == "cloudtrail-data" { JSON } else { AMZ_JSON };
    match request.operation_name() {
        "LookupEvents" => {
            json::answer(media, id, lookup_events::lookup_events(engine, request).await)
        }
        // One line per operation, in alphabetical order.
        other => json::answer::<()>(media, id, Err(unanswered(&request.service, other))),
    }
}

/// The error for an operation that has no line of its own.
fn unanswered(service: &str, operation: &str) -> ApiError {
    let facts = Facts::embedded();
    let modelled = facts.service(service).is_some_and(|it| it.operation(operation).is_some());
    if modelled {
        ApiError::refused(
            Code::UnsupportedOperationException,
            format!("{operation} is not answered by Trailbox yet; docs/compat.md says what is"),
        )
    } else {
        ApiError::refused(Code::UnknownOperationException, "")
    }
}

/// Whether `caller` may use `action`, such as `cloudtrail:LookupEvents`.
///
/// Not yet as AWS does it: there are no policies; an administrator may
/// everything, others nothing.
pub(crate) fn authorize(caller: &Caller, action: &str) -> Result<(), ApiError> {
    if caller.administrator {
        return Ok(());
    }
    let Some(arn) = &caller.arn else {
        return Err(if caller.access_key_id.is_some() {
            ApiError::refused(
                Code::UnrecognizedClientException,
                "The security token included in the request is invalid.",
            )
        } else {
            ApiError::refused(
                Code::MissingAuthenticationTokenException,
                "Missing Authentication Token",
            )
        });
    };
    Err(ApiError::refused(
        Code::AccessDeniedException,
        format!(
            "User: {arn} is not authorized to perform: {action} because no identity-based policy \
             allows the {action} action"
        ),
    ))
}
