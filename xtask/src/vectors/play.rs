//! One exchange through the product: route, decode, record.

use super::exchange::Exchange;
use serde_json::{Value, json};
use trailbox_exchange::{Captured, RequestHead};
use trailbox_record::{
    Answered, Call, CallContext, RecordSettings, SessionTokens, SignatureNote, TlsDetails,
};
use trailbox_service_facts::{Facts, Route, RouteHints};

/// The record of an exchange.
pub(super) fn record(facts: &Facts, exchange: &Exchange) -> anyhow::Result<Value> {
    let request = exchange.request_head();
    let response = exchange.response_head();
    let request_body = Captured::whole(exchange.request_body()?);
    let response_body = Captured::whole(exchange.response_body()?);
    let is_form = request
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let form = is_form.then_some(&request_body.bytes[..]);
    let route = facts.route(&request, form, &RouteHints::default());
    let call = Call {
        facts,
        route: &route,
        request: &request,
        request_body: &request_body,
        response: Some(Answered { head: &response, body: &response_body }),
        context: &context(exchange, &route, &request, [&request_body, &response_body]),
        settings: &RecordSettings { session_tokens: SessionTokens::Keep },
    };
    Ok(serde_json::from_slice(&trailbox_record::build(&call).json)?)
}

fn context(
    exchange: &Exchange,
    route: &Route,
    request: &RequestHead,
    [sent, answered]: [&Captured; 2],
) -> CallContext {
    let known = &exchange.context;
    let region = route.global_region.clone().or_else(|| route.region.clone());
    CallContext {
        account: known.account.clone().unwrap_or_default(),
        region: region.or_else(|| known.region.clone()).unwrap_or_default(),
        user_identity: route
            .access_key_id
            .as_ref()
            .map_or_else(|| json!({}), |id| json!({"accessKeyId": id})),
        tls: known.cipher.as_ref().map(|cipher| TlsDetails {
            version: known.tls.clone().unwrap_or_default(),
            cipher: cipher.clone(),
        }),
        bucket_owner: known.bucket_owner.clone(),
        kms_key_arn: known.kms_key_arn.clone(),
        bytes_in: sent.total,
        bytes_out: answered.total,
        signature: signature(request),
        ..CallContext::default()
    }
}

/// What the gateway would note about the signature, without checking it.
fn signature(request: &RequestHead) -> Option<SignatureNote> {
    let header = request.headers.get("authorization").unwrap_or("");
    let version = |text: &str| match text {
        text if text.starts_with("AWS4-HMAC-SHA256") => Some("SigV4"),
        text if text.starts_with("AWS4-ECDSA-P256-SHA256") => Some("SigV4A"),
        text if text.starts_with("AWS ") => Some("SigV2"),
        _ => None,
    };
    if let Some(version) = version(header) {
        return Some(SignatureNote { version, method: "AuthHeader" });
    }
    let algorithm = request.query_value("X-Amz-Algorithm");
    let version = algorithm.and_then(|text| version(&text)).or_else(|| {
        let old = request.query_value("AWSAccessKeyId").is_some();
        old.then_some("SigV2")
    })?;
    Some(SignatureNote { version, method: "QueryString" })
}
