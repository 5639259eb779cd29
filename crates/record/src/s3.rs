//! Parameters and answers of S3, which follow the wire, not the model.
//!
//! Source: spec/gateway.md 3.8, 4.1, 4.5.

use crate::call::Call;
use crate::orgjson::{self, ByName};
use crate::secrets;
use serde_json::{Map, Value};
use trailbox_exchange::{Headers, ResponseHead};
use trailbox_service_facts::decode::{DecodeError, parse_xml, plain_body};

/// Header fields of a request that speak of the transfer, not of the call.
const UNRECORDED: [&str; 13] = [
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-user-agent",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-te",
    "x-amz-account-id",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// Header fields of an answer that are recorded elsewhere or not at all.
const UNANSWERED: [&str; 3] = ["x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region"];

/// Operations whose body is content, not parameters.
const CONTENT: [&str; 6] = [
    "PutObject",
    "UploadPart",
    "DeleteObjects",
    "CompleteMultipartUpload",
    "SelectObjectContent",
    "WriteGetObjectResponse",
];

/// The value of a label of the URI; absent when empty.
pub(crate) fn label<'a>(call: &Call<'a>, name: &str) -> Option<&'a str> {
    let (_, value) = call.route.labels.iter().find(|(held, _)| held == name)?;
    (!value.is_empty()).then_some(value.as_str())
}

/// `requestParameters`, and why the body could not be read.
pub(crate) fn request(call: &Call<'_>) -> (Map<String, Value>, Option<DecodeError>) {
    let mut object = Map::new();
    if call.route.service_name() != "s3control" {
        for (name, key) in [("Bucket", "bucketName"), ("Key", "key")] {
            if let Some(value) = label(call, name) {
                object.insert(key.to_owned(), Value::from(value));
            }
        }
    }
    object.insert("Host".to_owned(), Value::from(call.request.host()));
    for (name, value) in call.request.query_pairs() {
        if !secrets::is_secret_parameter(&name) {
            orgjson::add(&mut object, &name, Value::from(value.as_ref()));
        }
    }
    fields(&mut object, &call.request.headers, |name| !UNRECORDED.contains(&name));
    let wrong = body(call, &mut object).err();
    (object, wrong)
}

/// Adds the `x-amz-*` fields that `wanted` lets through, in lower case.
fn fields(object: &mut Map<String, Value>, headers: &Headers, wanted: impl Fn(&str) -> bool) {
    for (name, value) in headers.iter() {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if !name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-")) {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if wanted(&name) && !secrets::is_secret_header(&name) {
            object.insert(name, Value::from(String::from_utf8_lossy(value).as_ref()));
        }
    }
}

/// Adds what the body says: a policy as JSON, any other document by its root.
fn body(call: &Call<'_>, object: &mut Map<String, Value>) -> Result<(), DecodeError> {
    let operation = call.route.operation_name();
    let bytes = &call.request_body.bytes;
    if bytes.is_empty() || CONTENT.contains(&operation) {
        return Ok(());
    }
    let plain = plain_body(&call.request.headers, bytes)?;
    if operation == "PutBucketPolicy" {
        let policy: Value = serde_json::from_slice(&plain)
            .map_err(|err| DecodeError::Json { line: err.line(), column: err.column() })?;
        object.insert("bucketPolicy".to_owned(), policy);
        return Ok(());
    }
    if plain.trim_ascii_start().first() != Some(&b'<') {
        return Ok(());
    }
    let root = parse_xml(&plain)?;
    object.insert(root.local().to_owned(), orgjson::value(&root, ByName));
    Ok(())
}

/// `responseElements`: the answer's own header fields.
pub(crate) fn response(head: &ResponseHead) -> Option<Value> {
    let mut object = Map::new();
    fields(&mut object, &head.headers, |name| {
        !UNANSWERED.contains(&name) && !name.starts_with("x-amz-checksum")
    });
    (!object.is_empty()).then_some(Value::Object(object))
}

/// `additionalEventData`, the part that S3 writes.
pub(crate) fn additional(call: &Call<'_>, object: &mut Map<String, Value>) {
    if let Some(signature) = call.context.signature {
        object.insert("SignatureVersion".to_owned(), Value::from(signature.version));
    }
    if let Some(tls) = &call.context.tls {
        object.insert("CipherSuite".to_owned(), Value::from(tls.cipher.as_str()));
    }
    object.insert("bytesTransferredIn".to_owned(), Value::from(call.context.bytes_in));
    if let Some(sse) = encryption(call) {
        object.insert("SSEApplied".to_owned(), Value::from(sse));
    }
    if let Some(signature) = call.context.signature {
        object.insert("AuthenticationMethod".to_owned(), Value::from(signature.method));
    }
    if let Some(id) = call.response.and_then(|answered| answered.head.headers.get("x-amz-id-2")) {
        object.insert("x-amz-id-2".to_owned(), Value::from(id));
    }
    object.insert("bytesTransferredOut".to_owned(), Value::from(call.context.bytes_out));
}

/// How a stored object was encrypted, as far as the exchange tells.
fn encryption(call: &Call<'_>) -> Option<&'static str> {
    let answer = call.response.filter(|answered| answered.head.status < 300)?;
    let own_key = "x-amz-server-side-encryption-customer-algorithm";
    if call.request.headers.contains(own_key) || answer.head.headers.contains(own_key) {
        return Some("SSE_C");
    }
    let stores = matches!(
        call.route.operation_name(),
        "PutObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "CompleteMultipartUpload"
            | "UploadPart"
    );
    if !stores {
        return None;
    }
    let name = "x-amz-server-side-encryption";
    let asked = call.request.headers.contains(name);
    match (answer.head.headers.get(name)?, asked) {
        ("AES256", true) => Some("SSE_S3"),
        ("AES256", false) => Some("Default_SSE_S3"),
        ("aws:kms", true) => Some("SSE_KMS"),
        ("aws:kms", false) => Some("Default_SSE_KMS"),
        _ => None,
    }
}
