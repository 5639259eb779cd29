//! How much of a call's bodies must be kept to record it.

use trailbox_service_facts::{Facts, Protocol, Route, ShapeKind};

/// Most bytes of a request body kept. Default 1 MiB.
const REQUEST_MAX: usize = 1 << 20;
/// Most bytes of a successful answer kept. Default 256 KiB.
const RESPONSE_MAX: usize = 256 << 10;
/// Most bytes of an error answer kept. Default 64 KiB.
const ERROR_MAX: usize = 64 << 10;
/// Most bytes either way for `DeleteObjects`: 1000 keys of 1024 bytes, and markup.
const BULK_DELETE_MAX: usize = 2 << 20;

/// How much of a call's bodies must be kept to record it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturePlan {
    /// Bytes of the request body to keep; 0 streams it and counts only.
    pub request_cap: usize,
    /// Whether the request body must be there before the call is forwarded:
    /// forms name their operation in it, intents show its parameters.
    pub request_required: bool,
    /// Bytes of a successful answer's body to keep.
    pub response_cap: usize,
    /// Bytes of an error answer's body to keep.
    pub response_on_error_cap: usize,
}

/// The plan for a call. Content of objects, payloads of functions and models
/// are never kept; answers of read-only calls only where the record shows them.
#[must_use]
pub fn capture_plan(facts: &Facts, route: &Route, read_only: bool) -> CapturePlan {
    if route.is("s3", "DeleteObjects") {
        return CapturePlan {
            request_cap: BULK_DELETE_MAX,
            request_required: true,
            response_cap: BULK_DELETE_MAX,
            response_on_error_cap: ERROR_MAX,
        };
    }
    let form = matches!(route.protocol, Protocol::Query | Protocol::Ec2);
    let request_cap = if route.op().is_none() || body_is_content(route) { 0 } else { REQUEST_MAX };
    CapturePlan {
        request_cap: if form { REQUEST_MAX } else { request_cap },
        request_required: form || (!read_only && request_cap > 0),
        response_cap: if answer_matters(facts, route, read_only) { RESPONSE_MAX } else { 0 },
        response_on_error_cap: ERROR_MAX,
    }
}

/// Whether the whole body is a blob, such as an object or a payload, or a stream
/// of events, which ends when its caller likes.
fn body_is_content(route: &Route) -> bool {
    let (Some(service), Some(operation)) = (route.service.as_deref(), route.op()) else {
        return false;
    };
    if operation.streaming_input {
        return true;
    }
    let Some(input) = operation.input else { return false };
    let Some(ShapeKind::Structure { members, payload: Some(payload), .. }) =
        service.shape(input).map(|shape| &shape.kind)
    else {
        return false;
    };
    members.iter().find(|member| member.name == *payload).is_some_and(|member| {
        let kind = service.shape(member.shape).map(|shape| &shape.kind);
        matches!(
            kind,
            Some(ShapeKind::Blob { .. } | ShapeKind::Structure { event_stream: true, .. })
        )
    })
}

/// Whether a successful answer is needed: for `responseElements`, for the key
/// that KMS used, or to learn how S3's early 200 ends.
fn answer_matters(facts: &Facts, route: &Route, read_only: bool) -> bool {
    let service = route.service_name();
    let Some(operation) = route.op() else { return false };
    let rules = facts.tables().service(service);
    let special = rules.operation(&operation.name);
    let shown = special.is_some_and(|rules| rules.read_only_response);
    let never = special.is_some_and(|rules| rules.null_response);
    let names_resource = rules
        .resources(&operation.name)
        .any(|row| row.from.iter().any(|from| from.starts_with("response.")));
    let streams = operation.streaming_output || operation.event_stream;
    !streams && ((!read_only && !never) || shown || names_resource)
}
