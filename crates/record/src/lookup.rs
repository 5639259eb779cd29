//! What `LookupEvents` says about a record beside the record itself.
//!
//! Source: spec/cloudtrail.md 7. Which parameters name resources is data:
//! `data/lookup_resources.toml`.

use crate::{Category, ParseRecordError};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::OnceLock;
use trailbox_clock::Micros;

/// A record as `LookupEvents` and its filters see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupView {
    /// `EventId`.
    pub event_id: String,
    /// `EventName`.
    pub event_name: String,
    /// `ReadOnly`; absent where the record has none.
    pub read_only: Option<bool>,
    /// `Username`; absent for events of services.
    pub username: Option<String>,
    /// `EventSource`.
    pub event_source: String,
    /// `AccessKeyId`; absent when there is none.
    pub access_key_id: Option<String>,
    /// `EventTime`.
    pub event_time: Micros,
    /// `Resources`: types and names, each pair once.
    pub resources: Vec<(String, String)>,
    /// `eventCategory`.
    pub category: Category,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// `errorCode`.
    pub error_code: Option<String>,
}

/// The fields of a record that a lookup needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(rename = "eventID")]
    event_id: Option<String>,
    event_name: Option<String>,
    event_source: Option<String>,
    event_time: Option<String>,
    event_category: Option<String>,
    aws_region: Option<String>,
    recipient_account_id: Option<String>,
    read_only: Option<Value>,
    error_code: Option<String>,
    #[serde(default)]
    user_identity: Value,
    #[serde(default)]
    request_parameters: Value,
    #[serde(default)]
    response_elements: Value,
    #[serde(default)]
    resources: Value,
}

/// Reads a record for lookups. Accepts imported records: whatever AWS leaves
/// out in old versions may be absent, but not id, name, source and time.
///
/// # Errors
///
/// When `json` is not a record.
pub fn view(json: &[u8]) -> Result<LookupView, ParseRecordError> {
    let stored: Stored =
        serde_json::from_slice(json).map_err(|err| ParseRecordError::NotJson(position(&err)))?;
    let resources = resources(&stored);
    let required = |field: Option<String>, name| field.ok_or(ParseRecordError::Field(name));
    let time = required(stored.event_time, "eventTime")?;
    let event_time =
        Micros::parse_rfc3339(&time).map_err(|_| ParseRecordError::Field("eventTime"))?;
    let category = match stored.event_category.as_deref() {
        Some(text) => Category::parse(text).ok_or(ParseRecordError::Field("eventCategory"))?,
        None => Category::Management,
    };
    Ok(LookupView {
        event_id: required(stored.event_id, "eventID")?,
        event_name: required(stored.event_name, "eventName")?,
        read_only: stored.read_only.as_ref().and_then(flag),
        username: username(&stored.user_identity),
        event_source: required(stored.event_source, "eventSource")?,
        access_key_id: text(&stored.user_identity, "accessKeyId"),
        event_time,
        resources,
        category,
        account: stored.recipient_account_id.unwrap_or_default(),
        region: stored.aws_region.unwrap_or_default(),
        error_code: stored.error_code,
    })
}

/// Where the JSON is broken; never a value of it.
fn position(err: &serde_json::Error) -> String {
    format!("line {}, column {}", err.line(), err.column())
}

/// `true`, or as old records write it, `"true"`.
fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

fn text(object: &Value, name: &str) -> Option<String> {
    object[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// User name of a user, session name of a session, `root` of root.
fn username(identity: &Value) -> Option<String> {
    let session = || {
        let id = identity["principalId"].as_str()?;
        let (_, name) = id.split_once(':')?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    match identity["type"].as_str() {
        Some("Root") => Some("root".to_owned()),
        Some("AssumedRole" | "FederatedUser") => session().or_else(|| text(identity, "userName")),
        Some("AWSService") => None,
        _ => text(identity, "userName"),
    }
}

/// One row of `data/lookup_resources.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceRow {
    /// `eventSource` without `.amazonaws.com`.
    source: String,
    /// `AWS::X::Y`.
    kind: String,
    /// Where names or ARNs stand: `requestParameters.userName`; `[]` behind a
    /// name takes every element of a list.
    paths: Vec<String>,
    /// Only of these events; empty for all of the source.
    #[serde(default)]
    events: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ResourceFile {
    resource: Vec<ResourceRow>,
}

/// The rows by event source.
fn rows() -> &'static HashMap<String, Vec<ResourceRow>> {
    static ROWS: OnceLock<HashMap<String, Vec<ResourceRow>>> = OnceLock::new();
    ROWS.get_or_init(|| {
        // The committed text is proven by a test; a broken one names nothing.
        let file: Option<ResourceFile> =
            toml::from_str(include_str!("../data/lookup_resources.toml")).ok();
        let mut rows: HashMap<String, Vec<ResourceRow>> = HashMap::new();
        for row in file.map(|file| file.resource).unwrap_or_default() {
            rows.entry(format!("{}.amazonaws.com", row.source)).or_default().push(row);
        }
        rows
    })
}

fn resources(stored: &Stored) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let source = stored.event_source.as_deref().unwrap_or("");
    let event = stored.event_name.as_deref().unwrap_or("");
    let named = rows().get(source).into_iter().flatten();
    for row in named.filter(|row| row.events.is_empty() || row.events.iter().any(|e| e == event)) {
        for path in &row.paths {
            collect(stored, path, |name| add(&mut found, kind_of(&row.kind, name), name));
        }
    }
    for entry in stored.resources.as_array().into_iter().flatten() {
        let arn = entry["ARN"].as_str().or_else(|| entry["arn"].as_str());
        if let (Some(kind), Some(arn)) = (entry["type"].as_str(), arn) {
            add(&mut found, kind, arn);
        }
    }
    found
}

/// What the ids of EC2 start with, and the type of what they name.
const EC2_IDS: [(&str, &str); 21] = [
    ("acl", "AWS::EC2::NetworkAcl"),
    ("ami", "AWS::EC2::Ami"),
    ("cgw", "AWS::EC2::CustomerGateway"),
    ("eipalloc", "AWS::EC2::EIP"),
    ("eni", "AWS::EC2::NetworkInterface"),
    ("fl", "AWS::EC2::FlowLog"),
    ("i", "AWS::EC2::Instance"),
    ("igw", "AWS::EC2::InternetGateway"),
    ("key", "AWS::EC2::KeyPair"),
    ("lt", "AWS::EC2::LaunchTemplate"),
    ("nat", "AWS::EC2::NatGateway"),
    ("pcx", "AWS::EC2::VPCPeeringConnection"),
    ("rtb", "AWS::EC2::RouteTable"),
    ("sg", "AWS::EC2::SecurityGroup"),
    ("snap", "AWS::EC2::Snapshot"),
    ("subnet", "AWS::EC2::Subnet"),
    ("vgw", "AWS::EC2::VPNGateway"),
    ("vol", "AWS::EC2::Volume"),
    ("vpc", "AWS::EC2::VPC"),
    ("vpce", "AWS::EC2::VPCEndpoint"),
    ("vpn", "AWS::EC2::VPNConnection"),
];

/// The type of a row; of EC2's tagged resources the one that the id tells.
fn kind_of<'a>(kind: &'a str, name: &str) -> &'a str {
    let told = || {
        let (start, _) = name.split_once('-')?;
        EC2_IDS.iter().find(|(held, _)| *held == start).map(|(_, kind)| *kind)
    };
    if kind == "AWS::EC2::Resource" { told().unwrap_or(kind) } else { kind }
}

fn add(found: &mut Vec<(String, String)>, kind: &str, name: &str) {
    let known = found.iter().any(|(held, other)| held == kind && other == name);
    if !known && !name.is_empty() {
        found.push((kind.to_owned(), name.to_owned()));
    }
}

fn collect(stored: &Stored, path: &str, mut add: impl FnMut(&str)) {
    let Some((root, rest)) = path.split_once('.') else { return };
    let start = match root {
        "requestParameters" => &stored.request_parameters,
        "responseElements" => &stored.response_elements,
        _ => return,
    };
    let mut held = vec![start];
    for part in rest.split('.') {
        let (name, every) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        held = held
            .into_iter()
            .filter_map(|value| value.get(name))
            .flat_map(|value| match value.as_array() {
                Some(elements) if every => elements.iter().collect(),
                _ => vec![value],
            })
            .collect();
    }
    held.into_iter().filter_map(Value::as_str).for_each(&mut add);
}

#[cfg(test)]
mod tests {
    use super::{ResourceFile, username, view};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn the_committed_rows_are_readable_and_well_formed() {
        let file: ResourceFile =
            toml::from_str(include_str!("../data/lookup_resources.toml")).unwrap();
        for row in &file.resource {
            assert_eq!(row.kind.split("::").count(), 3, "{}", row.kind);
            for path in &row.paths {
                let root = path.split('.').next().unwrap();
                assert!(matches!(root, "requestParameters" | "responseElements"), "{path}");
            }
        }
    }

    #[test]
    fn user_names_follow_the_kind_of_the_caller() {
        let cases = [
            (json!({"type": "IAMUser", "userName": "ada"}), Some("ada")),
            (json!({"type": "Root", "userName": "alias"}), Some("root")),
            (json!({"type": "AssumedRole", "principalId": "AROAX:deploy"}), Some("deploy")),
            (json!({"type": "FederatedUser", "principalId": "123456789012:bob"}), Some("bob")),
            (json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}), None),
            (json!({"type": "Unknown", "accessKeyId": "AKIA"}), None),
            (json!(null), None),
        ];
        for (identity, want) in cases {
            assert_eq!(username(&identity).as_deref(), want, "{identity}");
        }
    }

    #[test]
    fn names_and_arns_of_a_call_are_listed_once_each() {
        let record = json!({
            "eventID": "e", "eventName": "CreateUser", "eventSource": "iam.amazonaws.com",
            "eventTime": "2026-11-22T17:00:00Z", "awsRegion": "us-east-1",
            "recipientAccountId": "123456789012", "readOnly": false, "eventCategory": "Management",
            "userIdentity": {"type": "IAMUser", "userName": "ada", "accessKeyId": "AKIAEXAMPLE"},
            "requestParameters": {"userName": "bob"},
            "responseElements": {"user": {"userName": "bob", "userId": "AIDAX",
                "arn": "arn:aws:iam::123456789012:user/bob"}},
        });
        let view = view(record.to_string().as_bytes()).unwrap();
        assert_eq!(view.access_key_id.as_deref(), Some("AKIAEXAMPLE"));
        let pairs: Vec<(&str, &str)> =
            view.resources.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("AWS::IAM::User", "bob"),
                ("AWS::IAM::User", "AIDAX"),
                ("AWS::IAM::User", "arn:aws:iam::123456789012:user/bob"),
            ]
        );
    }

    fn resources_of(source: &str, event: &str, request: Value, response: Value) -> Vec<String> {
        let record = json!({
            "eventID": "e", "eventName": event, "eventSource": source,
            "eventTime": "2026-11-22T17:00:00Z",
            "requestParameters": request, "responseElements": response,
        });
        let resources = view(record.to_string().as_bytes()).unwrap().resources;
        resources.into_iter().map(|(kind, name)| format!("{kind} {name}")).collect()
    }

    #[test]
    fn what_an_id_names_follows_from_the_event_or_the_id() {
        let items =
            json!([{"resourceId": "i-1"}, {"resourceId": "vpce-2"}, {"resourceId": "new-3"}]);
        let tagged = json!({"resourcesSet": {"items": items}});
        assert_eq!(
            resources_of("ec2.amazonaws.com", "CreateTags", tagged, json!(null)),
            ["AWS::EC2::Instance i-1", "AWS::EC2::VPCEndpoint vpce-2", "AWS::EC2::Resource new-3"]
        );
        let of = |event| {
            resources_of("apigateway.amazonaws.com", event, json!(null), json!({"id": "x"}))
        };
        assert_eq!(of("CreateRestApi"), ["AWS::ApiGateway::RestApi x"]);
        assert_eq!(of("CreateDeployment"), ["AWS::ApiGateway::Deployment x"]);
        assert_eq!(
            resources_of("wafv2.amazonaws.com", "CreateIPSet", json!({"name": "n"}), json!(null)),
            ["AWS::WAFv2::IPSet n"]
        );
    }

    #[test]
    fn what_is_not_a_record_is_refused_without_repeating_it() {
        let err = view(b"{\"secret\": hunter2").unwrap_err();
        assert!(!err.to_string().contains("hunter2"));
        assert!(view(b"[]").is_err());
        assert!(view(b"{}").is_err());
    }

    proptest! {
        /// Whatever is stored, reading ends without a panic.
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = view(&bytes);
        }
    }
}
