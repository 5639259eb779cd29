//! Records when something is wrong with us: a decoder that panics, a frame the
//! journal does not take. The call leaves what is known of it all the same.

use crate::observe;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use trailbox_journal::{Extension, Frame};
use trailbox_record::{CallContext, Category, Record};
use trailbox_service_facts::Route;

/// Longest Region that is believed to be one.
const REGION_MAX: usize = 128;
/// Region of a frame whose own is none.
const DEFAULT_REGION: &str = "us-east-1";

/// Runs `work`; `None` when it panics, which is told.
pub(super) fn guarded<T>(
    what: &'static str,
    event_id: &str,
    work: impl FnOnce() -> T,
) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        observe::Panicked { event_id, what }.emit();
    }
    done
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    event_version: &'static str,
    user_identity: &'a Value,
    event_time: String,
    event_source: &'a str,
    event_name: &'a str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<&'a str>,
    request_parameters: (),
    response_elements: (),
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<Additional>,
    #[serde(rename = "requestID")]
    request_id: &'a str,
    #[serde(rename = "eventID")]
    event_id: &'a str,
    read_only: bool,
    event_type: &'static str,
    management_event: bool,
    recipient_account_id: &'a str,
    event_category: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Additional {
    trailbox_identity: &'static str,
}

/// The record of a call of which nothing was decoded.
pub(super) fn minimal(route: &Route, context: &CallContext, read_only: bool) -> Record {
    let event_id = super::context::uuid_text(&context.event_id);
    let region = region_of(&context.region).to_owned();
    let failure = context.failure.as_ref();
    let written = Written {
        event_version: "1.11",
        user_identity: &context.user_identity,
        event_time: context.arrival.to_event_time(),
        event_source: &route.event_source,
        event_name: &route.event_name,
        aws_region: &region,
        source_ip: &context.source_ip,
        error_code: failure.map(|failure| failure.code.as_str()),
        error_message: failure.map(|failure| failure.message.as_str()),
        request_parameters: (),
        response_elements: (),
        additional_event_data: context
            .trust
            .word()
            .map(|trailbox_identity| Additional { trailbox_identity }),
        request_id: &context.request_id,
        event_id: &event_id,
        read_only,
        event_type: "AwsApiCall",
        management_event: true,
        recipient_account_id: &context.account,
        event_category: "Management",
    };
    Record {
        // Texts and a JSON value only: it cannot fail.
        json: Bytes::from(serde_json::to_vec(&written).unwrap_or_default()),
        event_id: context.event_id,
        category: Category::Management,
        read_only,
        account: context.account.clone(),
        region,
        undecodable: Some("recording it failed".to_owned()),
    }
}

/// A frame with nothing in it but its payload that a journal could refuse.
pub(crate) fn plain(frame: Frame) -> Frame {
    Frame {
        region: region_of(&frame.region).to_owned(),
        extension: Extension { upstream: String::new(), ..frame.extension },
        ..frame
    }
}

fn region_of(region: &str) -> &str {
    if region.len() <= REGION_MAX { region } else { DEFAULT_REGION }
}

#[cfg(test)]
mod tests {
    use super::{guarded, minimal};
    use serde_json::{Value, json};
    use trailbox_clock::Micros;
    use trailbox_exchange::RequestHead;
    use trailbox_record::{CallContext, Trust};
    use trailbox_service_facts::{Facts, RouteHints};

    #[test]
    fn a_panic_is_no_end() {
        assert_eq!(guarded("test", "id", || 7), Some(7));
        assert_eq!(
            guarded("test", "id", || -> u8 { panic!("told in the log of this test") }),
            None
        );
    }

    #[test]
    fn a_minimal_record_says_who_called_what_and_when() {
        let head = RequestHead {
            method: "DELETE".into(),
            target: "/b/k".into(),
            ..RequestHead::default()
        };
        let route = Facts::embedded().route(&head, None, &RouteHints::default());
        let context = CallContext {
            event_id: [7; 16],
            arrival: Micros(1_795_368_600_000_000),
            account: "111122223333".into(),
            region: "r".repeat(300),
            user_identity: json!({"type": "IAMUser", "userName": "alice"}),
            trust: Trust::Verified,
            ..CallContext::default()
        };
        let record = minimal(&route, &context, false);
        assert_eq!(record.region, "us-east-1");
        assert!(record.undecodable.is_some());
        let json: Value = serde_json::from_slice(&record.json).unwrap();
        assert_eq!(json["eventName"], "DeleteObject");
        assert_eq!(json["eventSource"], "s3.amazonaws.com");
        assert_eq!(json["userIdentity"]["userName"], "alice");
        assert_eq!(json["eventTime"], "2026-11-22T17:30:00Z");
        assert_eq!(json["eventID"], "07070707-0707-0707-0707-070707070707");
        assert_eq!(json["additionalEventData"]["trailboxIdentity"], "verified");
        assert_eq!(json["requestParameters"], Value::Null);
        assert!(json.get("errorCode").is_none());
    }
}
