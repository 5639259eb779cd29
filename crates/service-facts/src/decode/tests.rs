//! Every decoder against every operation of the table.

use super::{DecodeError, Tree, decode_error, decode_request, decode_response};
use crate::model::{Protocol, Service, ShapeKind};
use crate::{Facts, Route};
use proptest::prelude::*;
use std::sync::Arc;
use trailbox_exchange::{Headers, RequestHead, ResponseHead};

/// A call of that operation of that service.
fn route(service: &Arc<Service>, operation: Option<usize>, protocol: Protocol) -> Route {
    Route {
        protocol,
        operation,
        labels: vec![("Bucket".into(), "b".into()), ("Id".into(), "i".into())],
        event_source: "x.amazonaws.com".into(),
        event_name: "X".into(),
        region: None,
        scope_service: None,
        access_key_id: None,
        global_region: None,
        service: Some(Arc::clone(service)),
    }
}

fn named(service: &str, operation: &str, protocol: Protocol) -> Route {
    let facts = Facts::embedded();
    let service = facts.service(service).unwrap();
    route(service, service.operation(operation), protocol)
}

fn asked(route: &Route, fields: &[(&'static str, &'static str)], body: &str) -> Tree {
    let headers: Headers = fields.iter().copied().collect();
    let head = RequestHead { method: "POST".into(), target: "/".into(), headers };
    decode_request(route, &head, body.as_bytes()).unwrap().unwrap()
}

/// The names of the members that were understood, and of those that were not.
fn names(route: &Route, tree: &Tree) -> (Vec<String>, Vec<String>) {
    let Tree::Structure(shape, known, unknown) = tree else { return Default::default() };
    let members = route.service.as_ref().unwrap().members(*shape);
    (
        known.iter().map(|(at, _)| members[*at as usize].name.clone()).collect(),
        unknown.iter().map(|(name, _)| name.clone()).collect(),
    )
}

#[test]
fn one_operation_reads_the_same_from_json_form_and_cbor() {
    let json = named("cloudwatch", "DeleteAlarms", Protocol::Json);
    let from_json = asked(&json, &[], r#"{"AlarmNames":["a","b"]}"#);
    let form = named("cloudwatch", "DeleteAlarms", Protocol::Query);
    let from_form = asked(
        &form,
        &[],
        "Action=DeleteAlarms&Version=2010-08-01&AlarmNames.member.1=a&AlarmNames.member.2=b",
    );
    let cbor = named("cloudwatch", "DeleteAlarms", Protocol::Cbor);
    let fields = [("smithy-protocol", "rpc-v2-cbor")];
    assert_eq!(from_json, from_form);
    let mut bytes = Vec::new();
    let value = ciborium::Value::Map(vec![(
        ciborium::Value::Text("AlarmNames".into()),
        ciborium::Value::Array(vec![
            ciborium::Value::Text("a".into()),
            ciborium::Value::Text("b".into()),
        ]),
    )]);
    ciborium::into_writer(&value, &mut bytes).unwrap();
    let headers: Headers = fields.into_iter().collect();
    let head = RequestHead { method: "POST".into(), target: "/".into(), headers };
    assert_eq!(decode_request(&cbor, &head, &bytes).unwrap().unwrap(), from_json);
}

#[test]
fn what_the_model_does_not_know_is_kept_beside_what_it_knows() {
    let json = named("sqs", "CreateQueue", Protocol::Json);
    let tree = asked(&json, &[], r#"{"QueueName":"q","Colour":"red"}"#);
    assert_eq!(names(&json, &tree), (vec!["QueueName".into()], vec!["Colour".into()]));
    let form = named("iam", "CreateUser", Protocol::Query);
    let tree =
        asked(&form, &[], "Action=CreateUser&Version=1&UserName=u&Colour.1=red&X-Amz-Date=1");
    assert_eq!(names(&form, &tree), (vec!["UserName".into()], vec!["Colour".into()]));
}

#[test]
fn a_body_of_the_wrong_kind_is_an_error() {
    let json = named("sqs", "CreateQueue", Protocol::Json);
    let head = RequestHead::default();
    assert_eq!(decode_request(&json, &head, b"[]"), Err(DecodeError::Kind("an object")));
    assert!(matches!(decode_request(&json, &head, b"{"), Err(DecodeError::Json { .. })));
}

#[test]
fn a_stream_of_events_is_not_a_document() {
    let subscribe = named("kinesis", "SubscribeToShard", Protocol::Json);
    let head = ResponseHead { status: 200, headers: Headers::new() };
    assert_eq!(decode_response(&subscribe, &head, b"\x00\x00\x00\x10"), Ok(None));
    let body = r#"{"ConsumerARN":"c","ShardId":"s"}"#;
    assert_eq!(names(&subscribe, &asked(&subscribe, &[], body)).0, ["ConsumerARN", "ShardId"]);
}

#[test]
fn every_output_in_the_table_is_a_structure() {
    for service in Facts::embedded().services() {
        for operation in &service.operations {
            for shape in [operation.input, operation.output].into_iter().flatten() {
                let kind = &service.shape(shape).unwrap().kind;
                assert!(matches!(kind, ShapeKind::Structure { .. }), "{}", operation.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever arrives, for whatever operation, decoding ends without a panic.
    #[test]
    fn arbitrary_bytes_never_panic(
        service: prop::sample::Index, operation: prop::sample::Index, protocol in 0..4_usize,
        head in prop_oneof![Just(""), Just("{\"a\":"), Just("<a>"), Just("a.1.b=")],
        body: Vec<u8>, status in 200..600_u16, cbor: bool,
    ) {
        let facts = Facts::embedded();
        let services: Vec<&Arc<Service>> = facts.services().collect();
        let service = services[service.index(services.len())];
        let protocol = service.protocols[protocol % service.protocols.len()];
        let operation = operation.index(service.operations.len());
        let route = route(service, Some(operation), protocol);
        let kind = if cbor { "application/cbor" } else { "text/plain" };
        let headers: Headers = [("content-type", kind)].into_iter().collect();
        let body = [head.as_bytes(), &body].concat();
        let request =
            RequestHead { method: "PUT".into(), target: "/b/k?a=1".into(), headers: headers.clone() };
        let _ = decode_request(&route, &request, &body);
        let response = ResponseHead { status, headers };
        let _ = decode_response(&route, &response, &body);
        let error = decode_error(&route, "PUT", &response, &body);
        prop_assert!(error.is_some() || status < 400);
    }
}
