//! One call through routing, decoding and recording, whatever its bytes say.

use trailbox_exchange::{Captured, Headers, RequestHead, ResponseHead};
use trailbox_record::{Answered, Call, CallContext, RecordSettings};
use trailbox_service_facts::{Facts, RouteHints};

/// Builds the record of a call whose body, and whose answer, is `body`.
pub fn record(method: &str, target: &str, fields: &[(&'static str, &'static str)], body: &[u8]) {
    let facts = Facts::embedded();
    let headers: Headers = fields.iter().copied().collect();
    let request = RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.clone(),
    };
    let route = facts.route(&request, Some(body), &RouteHints::default());
    let captured = Captured::whole(body.to_vec());
    for status in [200, 400] {
        let response = ResponseHead { status, headers: headers.clone() };
        let call = Call {
            facts: &facts,
            route: &route,
            request: &request,
            request_body: &captured,
            response: Some(Answered { head: &response, body: &captured }),
            context: &CallContext::default(),
            settings: &RecordSettings::default(),
        };
        let record = trailbox_record::build(&call);
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&record.json);
        assert!(parsed.is_ok(), "a record is JSON");
        assert!(trailbox_record::lookup::view(&record.json).is_ok(), "a record can be looked up");
    }
}
