//! Whole records of whole calls.

use crate::common::signed;
use proptest::prelude::*;
use serde_json::{Value, json};
use trailbox_exchange::Captured;
use trailbox_record::{Failure, TlsDetails, Trust, lookup};

#[test]
fn a_record_has_its_keys_in_the_order_of_aws_and_nothing_else() {
    let mut exchange = signed("iam", "POST", "/")
        .form("Action=CreateUser&Version=2010-05-08&UserName=bob&Path=%2Fteam%2F")
        .answer(
            200,
            "<CreateUserResponse><CreateUserResult><User><UserName>bob</UserName>\
             <CreateDate>2023-07-10T12:24:28Z</CreateDate></User></CreateUserResult>\
             <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></CreateUserResponse>",
        );
    exchange.context.tls =
        Some(TlsDetails { version: "TLSv1.3".into(), cipher: "TLS_AES_128_GCM_SHA256".into() });
    exchange.context.trust = Trust::Claimed;
    exchange.context.region = "us-east-1".into();
    exchange.context.vpc_endpoint = Some("vpce-1".into());
    expect_test::expect![[r#"
        {
          "eventVersion": "1.11",
          "userIdentity": {
            "type": "IAMUser",
            "userName": "ada"
          },
          "eventTime": "2023-11-14T22:13:20Z",
          "eventSource": "iam.amazonaws.com",
          "eventName": "CreateUser",
          "awsRegion": "us-east-1",
          "sourceIPAddress": "192.0.2.1",
          "userAgent": "aws-cli/2",
          "requestParameters": {
            "userName": "bob",
            "path": "/team/"
          },
          "responseElements": {
            "user": {
              "userName": "bob",
              "createDate": "Jul 10, 2023 12:24:28 PM"
            }
          },
          "additionalEventData": {
            "trailboxIdentity": "claimed"
          },
          "requestID": "r-1",
          "eventID": "07070707-0707-0707-0707-070707070707",
          "readOnly": false,
          "eventType": "AwsApiCall",
          "managementEvent": true,
          "recipientAccountId": "111122223333",
          "vpcEndpointId": "vpce-1",
          "eventCategory": "Management",
          "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": "localhost:4747"
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&exchange.record()).unwrap());
}

#[test]
fn a_call_nobody_knows_is_recorded_by_method_path_and_query_without_signatures() {
    let target =
        "/admin/thing?uid=x&X-Amz-Signature=5157&secret-key=hunter2&X-Amz-Security-Token=t";
    let record = signed("nosuchservice", "PUT", target).record();
    assert_eq!(record["eventName"], "UnrecognizedOperation");
    assert_eq!(record["eventSource"], "nosuchservice.amazonaws.com");
    assert_eq!(
        record["requestParameters"],
        json!({"method": "PUT", "path": "/admin/thing", "query": "uid=x"})
    );
}

#[test]
fn s3_answers_of_200_that_hold_an_error_are_errors() {
    let body = "<Error><Code>InternalError</Code><Message>again</Message></Error>";
    let copy = signed("s3", "PUT", "/b/k").field("x-amz-copy-source", "/src/k").answer(200, body);
    let record = copy.record();
    assert_eq!(record["eventName"], "CopyObject");
    assert_eq!(record["errorCode"], "InternalError");
    assert_eq!(record["errorMessage"], "again");
    // An object that looks like an error is an object.
    let get = signed("s3", "GET", "/b/k").answer(200, body).record();
    assert_eq!(get["errorCode"], Value::Null);
}

#[test]
fn a_copy_names_both_objects_and_the_bucket() {
    let copy = signed("s3", "PUT", "/b/k").field("x-amz-copy-source", "src/a%20b?versionId=1");
    let record = copy.record();
    let arns: Vec<&str> =
        record["resources"].as_array().unwrap().iter().filter_map(|r| r["ARN"].as_str()).collect();
    assert_eq!(arns, ["arn:aws:s3:::b/k", "arn:aws:s3:::b", "arn:aws:s3:::src/a b"]);
}

#[test]
fn a_local_failure_is_the_error_of_the_record_and_keeps_the_parameters() {
    let mut exchange =
        signed("sqs", "POST", "/").json("AmazonSQS.CreateQueue", json!({"QueueName": "q"}));
    let failure = Failure { code: "InvalidSignatureException".into(), message: "no".into() };
    exchange.context.failure = Some(failure);
    let record = exchange.record();
    assert_eq!(record["errorCode"], "InvalidSignatureException");
    assert_eq!(record["requestParameters"], json!({"queueName": "q"}));
    assert_eq!(record["responseElements"], Value::Null);
    assert_eq!(record["requestID"], "made-here");
}

#[test]
fn a_body_that_is_not_what_it_claims_is_recorded_and_named() {
    let cases = [
        signed("sqs", "POST", "/").json("AmazonSQS.CreateQueue", json!([1])),
        signed("sqs", "POST", "/")
            .field("X-Amz-Target", "AmazonSQS.CreateQueue")
            .body("{\"QueueName\": \"hunter2"),
        signed("s3", "PUT", "/b?tagging")
            .body("<!DOCTYPE a [<!ENTITY b \"hunter2\">]><Tagging><TagSet>&b;</TagSet></Tagging>"),
        signed(
            "monitoring",
            "POST",
            "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm",
        )
        .field("smithy-protocol", "rpc-v2-cbor")
        .field("content-type", "application/cbor")
        .body(vec![0xbf, 0xff, 0xff]),
    ];
    for exchange in cases {
        let built = exchange.build();
        let why = built.undecodable.expect("a reason");
        assert!(!why.contains("hunter2"), "{why}");
        let record: Value = serde_json::from_slice(&built.json).unwrap();
        assert_ne!(record["eventName"], "UnrecognizedOperation");
        assert!(!record.to_string().contains("hunter2"));
    }
}

#[test]
fn a_body_beyond_the_cap_leaves_a_note_beside_what_the_uri_says() {
    let mut exchange = signed("lambda", "PUT", "/2015-03-31/functions/f1/code").body("{\"ZipF");
    exchange.body = Captured { total: 5_000_000, complete: false, ..exchange.body };
    let record = exchange.record();
    assert_eq!(record["requestParameters"]["functionName"], "f1");
    assert_eq!(record["requestParameters"]["omitted"], true);
    assert_eq!(record["requestParameters"]["originalSize"], 5_000_000);
}

#[test]
fn oversized_fields_are_cut_and_the_record_stays_below_its_limit() {
    let policy = "x".repeat(300_000);
    let exchange = signed("iam", "POST", "/")
        .form(&format!("Action=CreatePolicy&Version=2010-05-08&PolicyDocument={policy}"))
        .field("X-Other", "y");
    let mut exchange = exchange;
    exchange.fields[1].1 = "a".repeat(5000);
    let built = exchange.build();
    assert!(built.json.len() < 256 * 1024);
    let record: Value = serde_json::from_slice(&built.json).unwrap();
    assert_eq!(record["requestParameters"]["omitted"], true);
    assert_eq!(record["userAgent"].as_str().unwrap().len(), 1024);
}

#[test]
fn an_intent_becomes_a_call_of_unknown_outcome() {
    let exchange = signed("sqs", "POST", "/")
        .json("AmazonSQS.CreateQueue", json!({"QueueName": "q"}))
        .answer(500, "{}");
    let intent = exchange.call(trailbox_record::build_intent);
    let before: Value = serde_json::from_slice(&intent.json).unwrap();
    assert_eq!(before["errorCode"], Value::Null);
    let unknown = trailbox_record::outcome_unknown(&intent.json).unwrap();
    let after: Value = serde_json::from_slice(&unknown.json).unwrap();
    assert_eq!(after["errorCode"], "Trailbox.OutcomeUnknown");
    assert_eq!(after["requestParameters"], json!({"queueName": "q"}));
    assert_eq!(unknown.event_id, exchange.context.event_id);
    assert!(lookup::view(&unknown.json).is_ok());
    assert!(trailbox_record::outcome_unknown(b"{}").is_err());
}

#[test]
fn each_deleted_key_has_a_record_of_its_own_and_the_same_one_every_time() {
    let bulk = signed("s3", "POST", "/b?delete")
        .body("<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>")
        .answer(
            200,
            "<DeleteResult><Deleted><Key>a</Key><VersionId>v</VersionId></Deleted>\
             <Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>",
        );
    let parent = bulk.build();
    let records = bulk.call(|call| trailbox_record::bulk_delete(call, &parent));
    assert_eq!(records, bulk.call(|call| trailbox_record::bulk_delete(call, &parent)));
    assert_eq!(records.len(), 1);
    let record: Value = serde_json::from_slice(&records[0].json).unwrap();
    assert_eq!(record["eventName"], "DeleteObject");
    assert_eq!(record["eventType"], "AwsServiceEvent");
    assert_eq!(record["eventCategory"], "Data");
    let want = json!({"bucketName": "b", "key": "a", "versionId": "v"});
    assert_eq!(record["requestParameters"], want);
    assert_ne!(records[0].event_id, parent.event_id);
}

#[test]
fn a_quiet_bulk_delete_counts_what_it_does_not_complain_about() {
    let bulk = signed("s3", "POST", "/b?delete")
        .body(
            "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object>\
             <Object><Key>b</Key></Object></Delete>",
        )
        .answer(200, "<DeleteResult><Error><Key>b</Key></Error></DeleteResult>");
    let parent = bulk.build();
    let records = bulk.call(|call| trailbox_record::bulk_delete(call, &parent));
    assert_eq!(records.len(), 1);
    assert!(String::from_utf8_lossy(&records[0].json).contains("\"key\":\"a\""));
}

#[test]
fn records_of_our_own_name_us_and_carry_their_details() {
    let event = trailbox_record::service_event(&trailbox_record::ServiceEventContext {
        event_id: [1; 16],
        at: trailbox_clock::Micros::from_seconds(0),
        account: "111122223333".into(),
        region: "us-east-1".into(),
        name: "JournalRecovered".into(),
        details: json!({"truncatedBytes": 3}),
    });
    let record: Value = serde_json::from_slice(&event.json).unwrap();
    assert_eq!(record["eventSource"], "trailbox");
    assert_eq!(record["eventType"], "AwsServiceEvent");
    assert_eq!(record["serviceEventDetails"], json!({"truncatedBytes": 3}));
    assert_eq!(lookup::view(&event.json).unwrap().username, None);
}

#[test]
fn content_is_streamed_and_parameters_are_kept() {
    let facts = trailbox_service_facts::Facts::embedded();
    let plan = |exchange: &crate::common::Exchange, read_only| {
        exchange.call(|call| trailbox_record::capture_plan(&facts, call.route, read_only))
    };
    let put = plan(&signed("s3", "PUT", "/b/k"), false);
    assert_eq!((put.request_cap, put.request_required), (0, false));
    let tagging = plan(&signed("s3", "PUT", "/b?tagging"), false);
    assert_eq!((tagging.request_cap, tagging.request_required), (1 << 20, true));
    let bulk = plan(&signed("s3", "POST", "/b?delete"), false);
    assert_eq!((bulk.request_cap, bulk.response_cap), (2 << 20, 2 << 20));
    let get = plan(&signed("s3", "GET", "/b/k"), true);
    assert_eq!((get.response_cap, get.response_on_error_cap), (0, 64 << 10));
    let invoke = plan(&signed("lambda", "POST", "/2015-03-31/functions/f/invocations"), false);
    assert_eq!(invoke.request_cap, 0);
}

fn a_service() -> impl Strategy<Value = crate::common::Exchange> {
    let target = "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm";
    prop_oneof![
        Just(signed("iam", "POST", "/").form("")),
        Just(signed("ec2", "POST", "/").form("")),
        Just(signed("dynamodb", "POST", "/").json("DynamoDB_20120810.PutItem", json!({}))),
        Just(signed("s3", "PUT", "/b?lifecycle")),
        Just(signed("s3", "POST", "/b?delete")),
        Just(signed("lambda", "POST", "/2015-03-31/functions")),
        Just(signed("monitoring", "POST", target).field("smithy-protocol", "rpc-v2-cbor")),
        Just(signed("route53", "POST", "/2013-04-01/hostedzone")),
    ]
}

proptest! {
    /// Whatever is sent and answered, there is one readable record.
    #[test]
    fn every_call_has_a_record(
        exchange in a_service(),
        head in prop_oneof![Just(""), Just("Action=CreateUser&"), Just("Action=RunInstances&"),
            Just("Action=CreateFlowLogs&"), Just("<"), Just("{\""), Just("<a>")],
        body: Vec<u8>, answer: Vec<u8>, status in prop_oneof![Just(200_u16), 200..600_u16],
    ) {
        let body = [head.as_bytes(), &body].concat();
        let built = exchange.body(body).answer(status, answer).build();
        let view = lookup::view(&built.json).unwrap();
        prop_assert_eq!(view.account, "111122223333");
    }
}
