//! Records that are not one call: bulk deletes, unknown outcomes, Trailbox's own events.

use crate::build::category;
use crate::call::{Call, CallContext, Category, ParseRecordError, Record};
use crate::writer::{Fields, parse_uuid};
use crate::{derived_id, s3};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use trailbox_clock::Micros;
use trailbox_service_facts::decode::{Element, parse_xml, plain_body};

/// `errorCode` of a call whose answer was never seen.
pub const OUTCOME_UNKNOWN: &str = "Trailbox.OutcomeUnknown";

/// One `DeleteObject` service event per key that `DeleteObjects` reports deleted.
///
/// In quiet mode the answer names failures only; then the keys are those of
/// the request without those. Ids follow from the parent's id, the key and its
/// place, so that a second build makes the same records. Empty for every other
/// call, and for one that failed.
#[must_use]
pub fn bulk_delete(call: &Call<'_>, parent: &Record) -> Vec<Record> {
    let answered = match call.response {
        Some(answered) if call.route.is("s3", "DeleteObjects") && answered.head.status < 300 => {
            answered
        }
        _ => return Vec::new(),
    };
    let answer =
        plain_body(&answered.head.headers, &answered.body.bytes).and_then(|body| parse_xml(&body));
    let Ok(answer) = answer else { return Vec::new() };
    let asked = plain_body(&call.request.headers, &call.request_body.bytes)
        .and_then(|body| parse_xml(&body))
        .unwrap_or_default();
    let quiet = asked.child("Quiet").is_some_and(|quiet| quiet.text.trim() == "true");
    let deleted: Vec<Deleted> =
        if quiet { quietly_deleted(&asked, &answer) } else { named(&answer, "Deleted") };
    deleted
        .iter()
        .zip(0_u64..)
        .map(|(object, place)| deleted_record(call, parent, object, place))
        .collect()
}

/// One object of a bulk delete.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Deleted {
    key: String,
    version: Option<String>,
}

fn named(root: &Element, name: &str) -> Vec<Deleted> {
    root.children
        .iter()
        .filter(|child| child.local() == name)
        .filter_map(|child| {
            let key = child.child("Key")?.text.clone();
            let version = child.child("VersionId").map(|version| version.text.clone());
            Some(Deleted { key, version })
        })
        .collect()
}

fn quietly_deleted(asked: &Element, answer: &Element) -> Vec<Deleted> {
    let failed: HashSet<String> =
        named(answer, "Error").into_iter().map(|object| object.key).collect();
    let mut objects = named(asked, "Object");
    objects.retain(|object| !failed.contains(&object.key));
    objects
}

fn deleted_record(call: &Call<'_>, parent: &Record, object: &Deleted, place: u64) -> Record {
    let bucket = s3::label(call, "Bucket").unwrap_or_default();
    let owner = call.context.bucket_owner.as_deref().unwrap_or(&call.context.account);
    let mut request = Map::new();
    request.insert("bucketName".to_owned(), Value::from(bucket));
    request.insert("key".to_owned(), Value::from(object.key.as_str()));
    if let Some(version) = &object.version {
        request.insert("versionId".to_owned(), Value::from(version.as_str()));
    }
    let context = CallContext {
        event_id: derived_id(&parent.event_id, object.key.as_bytes(), place),
        ..call.context.clone()
    };
    let wire_id = call.response.and_then(crate::answer::request_id);
    let fields = Fields {
        context: &context,
        event_source: &call.route.event_source,
        event_name: "DeleteObject",
        user_agent: call.request.headers.shown("user-agent").map(|agent| format!("[{agent}]")),
        error_code: None,
        error_message: None,
        request: Value::Object(request),
        response: Value::Null,
        additional: Map::new(),
        request_id: wire_id.as_deref().unwrap_or(&context.request_id),
        read_only: false,
        resources: vec![
            json!({"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/{}", object.key)}),
            json!({"accountId": owner, "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}")}),
        ],
        event_type: "AwsServiceEvent",
        api_version: None,
        category: category(call),
        shared_event_id: None,
        service_event_details: None,
        host: Some(call.request.host()),
    };
    Record {
        json: fields.write(),
        event_id: context.event_id,
        category: fields.category,
        read_only: false,
        account: context.account.clone(),
        region: context.region.clone(),
        undecodable: None,
    }
}

/// The record of an intent whose outcome nobody knows: the recorder ended
/// between forwarding the call and seeing its answer.
///
/// # Errors
///
/// When `intent_json` is not a record.
pub fn outcome_unknown(intent_json: &[u8]) -> Result<Record, ParseRecordError> {
    let intent: Map<String, Value> = serde_json::from_slice(intent_json)
        .map_err(|err| ParseRecordError::NotJson(err.to_string()))?;
    let text = |name: &'static str| {
        intent.get(name).and_then(Value::as_str).ok_or(ParseRecordError::Field(name))
    };
    let event_id = parse_uuid(text("eventID")?).ok_or(ParseRecordError::Field("eventID"))?;
    let category =
        Category::parse(text("eventCategory")?).ok_or(ParseRecordError::Field("eventCategory"))?;
    let (account, region) = (text("recipientAccountId")?.to_owned(), text("awsRegion")?.to_owned());
    let read_only = intent.get("readOnly").and_then(Value::as_bool).unwrap_or(false);
    let message = "The call was forwarded; Trailbox ended before it saw the answer.";
    let mut record = Map::with_capacity(intent.len() + 2);
    for (name, value) in intent {
        if name == "requestParameters" {
            record.insert("errorCode".to_owned(), Value::from(OUTCOME_UNKNOWN));
            record.insert("errorMessage".to_owned(), Value::from(message));
        }
        record.insert(name, value);
    }
    let json =
        serde_json::to_vec(&record).map_err(|err| ParseRecordError::NotJson(err.to_string()))?;
    Ok(Record {
        json: json.into(),
        event_id,
        category,
        read_only,
        account,
        region,
        undecodable: None,
    })
}

/// What an event of Trailbox's own is built from.
#[derive(Debug, Clone)]
pub struct ServiceEventContext {
    /// `eventID`.
    pub event_id: [u8; 16],
    /// When it happened.
    pub at: Micros,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// `eventName`, such as `JournalRecovered`.
    pub name: String,
    /// `serviceEventDetails`; no secrets.
    pub details: Value,
}

/// An event of Trailbox's own: what it did without being asked.
#[must_use]
pub fn service_event(context: &ServiceEventContext) -> Record {
    let call = CallContext {
        event_id: context.event_id,
        arrival: context.at,
        account: context.account.clone(),
        region: context.region.clone(),
        source_ip: "trailbox".to_owned(),
        user_identity: json!({"accountId": context.account, "invokedBy": "trailbox"}),
        ..CallContext::default()
    };
    let fields = Fields {
        context: &call,
        event_source: "trailbox",
        event_name: &context.name,
        user_agent: Some("trailbox".to_owned()),
        error_code: None,
        error_message: None,
        request: Value::Null,
        response: Value::Null,
        additional: Map::new(),
        request_id: "",
        read_only: false,
        resources: Vec::new(),
        event_type: "AwsServiceEvent",
        api_version: None,
        category: Category::Management,
        shared_event_id: None,
        service_event_details: Some(context.details.clone()),
        host: None,
    };
    Record {
        json: fields.write(),
        event_id: context.event_id,
        category: Category::Management,
        read_only: false,
        account: context.account.clone(),
        region: context.region.clone(),
        undecodable: None,
    }
}
