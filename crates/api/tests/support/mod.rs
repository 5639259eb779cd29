//! An engine on memory: known people, known records, a clock that stands.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs, reason = "test support")]

mod people;
mod source;

pub use people::MemoryPeople;
pub use source::MemorySource;

use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use trailbox_api::{Engine, EngineOptions, EngineParts, OwnAnswer, OwnRequest};
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_exchange::{Headers, RequestHead};
use trailbox_history::{History, HistoryOptions};
use trailbox_identity::{AccessKey, Caller, Directory, Principal, Secret};
use trailbox_journal::disk::SimulatedDisk;

pub const ACCOUNT: &str = "111122223333";
/// 2026-11-22T18:00:00Z.
pub const NOW: i64 = 1_795_370_400;

/// An engine, and what its clock shows.
pub struct World {
    pub engine: Engine,
    pub people: Arc<MemoryPeople>,
    pub source: Arc<MemorySource>,
    pub history: Arc<History>,
    pub clock: Arc<ManualClock>,
}

impl World {
    pub fn new(options: EngineOptions) -> Self {
        let clock = Arc::new(ManualClock::at(Micros::from_seconds(NOW)));
        let source = Arc::new(MemorySource::default());
        for record in records() {
            source.append(&record);
        }
        let disk = Arc::new(SimulatedDisk::new(1));
        let options_of_history = HistoryOptions::new("/history");
        let (port, time) = (Arc::<MemorySource>::clone(&source), Arc::<ManualClock>::clone(&clock));
        let history = Arc::new(History::open(disk, port, time, options_of_history).unwrap());
        history.catch_up().unwrap();
        let people = Arc::new(MemoryPeople::new(directory()));
        let engine = Engine::new(EngineParts {
            history: Arc::clone(&history),
            people: Arc::<MemoryPeople>::clone(&people),
            clock: Arc::<ManualClock>::clone(&clock),
            random: Arc::new(SeededRandom::new(1)),
            token_key: [9; 32],
            options,
        });
        Self { engine, people, source, history, clock }
    }

    pub async fn ask(&self, request: OwnRequest) -> OwnAnswer {
        self.engine.answer(request).await
    }

    /// `admin`, `alice`, `somebody` (a key nobody knows) or `anonymous`.
    pub fn caller(name: &str) -> Caller {
        let directory = directory();
        let known = |id: &str| Caller::verified(&directory, directory.key(id).unwrap());
        match name {
            "admin" => known("AKIAADMIN"),
            "alice" => known("AKIAALICE"),
            "somebody" => Caller::claimed("AKIANOBODYKNOWS", "000000000000"),
            "anonymous" => Caller::anonymous(false, ACCOUNT),
            other => panic!("no caller {other}"),
        }
    }
}

/// A request as the recorder would hand it over.
pub fn request(caller: Caller, service: &str, operation: &str, body: &str) -> OwnRequest {
    let headers = match service {
        "sts" => vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())],
        "cloudtrail" => vec![
            ("Content-Type", "application/x-amz-json-1.1".to_owned()),
            (
                "X-Amz-Target",
                format!("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{operation}"),
            ),
        ],
        _ => Vec::new(),
    };
    OwnRequest {
        service: service.to_owned(),
        operation: operation.to_owned(),
        head: RequestHead {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            headers: headers.into_iter().collect::<Headers>(),
        },
        body: Bytes::from(body.to_owned()),
        caller,
        region: "us-east-1".to_owned(),
        request_id: "11111111-2222-3333-4444-555555555555".to_owned(),
        position: None,
        calls: Some([3, 1, 0, 0]),
    }
}

fn directory() -> Directory {
    let mut directory = Directory::new();
    let mut admin = Principal::user(ACCOUNT, "/", "admin", "AIDAADMIN000000000000");
    admin.administrator = true;
    let alice = Principal::user(ACCOUNT, "/people/", "alice", "AIDAALICE000000000000");
    let role = Principal::role(ACCOUNT, "/", "deployer", "AROADEPLOYER000000000");
    for (principal, id) in [(admin, "AKIAADMIN"), (alice, "AKIAALICE")] {
        let arn = principal.arn.clone();
        directory.add_principal(principal);
        directory.add_key(AccessKey::lasting(id, Secret::new("secret"), &arn));
    }
    directory.add_principal(role);
    directory
}

/// A record; `more` replaces members.
pub fn record(number: u8, name: &str, more: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAALICE000000000000",
            "arn": "arn:aws:iam::111122223333:user/people/alice", "accountId": ACCOUNT,
            "accessKeyId": "AKIAALICE", "userName": "alice",
        },
        "eventTime": Micros::from_seconds(NOW - 600 + i64::from(number)).to_event_time(),
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "aws-cli/2",
        "requestParameters": {"bucketName": "out"},
        "responseElements": null,
        "requestID": "R",
        "eventID": format!("c0ffee00-0000-4000-8000-0000000000{number:02x}"),
        "readOnly": name.starts_with("List"),
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    });
    for (member, value) in more.as_object().unwrap() {
        record[member] = value.clone();
    }
    record
}

fn records() -> Vec<Value> {
    let data = json!({"managementEvent": false, "eventCategory": "Data"});
    let with_key = |key: &str| {
        let mut more = data.clone();
        more["requestParameters"] = json!({"bucketName": "out", "key": key});
        more
    };
    vec![
        record(1, "CreateBucket", &json!({})),
        record(2, "ListBuckets", &json!({"requestParameters": null})),
        record(3, "PutObject", &with_key("a")),
        record(4, "PutObject", &with_key("b")),
        record(
            5,
            "CreateUser",
            &json!({
                "eventSource": "iam.amazonaws.com", "requestParameters": {"userName": "bob"},
                "userIdentity": {"type": "Root", "principalId": ACCOUNT, "arn": "arn:aws:iam::111122223333:root", "accountId": ACCOUNT, "accessKeyId": "AKIAROOT"},
            }),
        ),
        record(6, "DeleteBucket", &json!({"errorCode": "AccessDenied", "errorMessage": "no"})),
        record(7, "CreateBucket", &json!({"awsRegion": "eu-central-1"})),
        record(
            8,
            "CreateTrail",
            &json!({"eventCategory": "Insight", "eventSource": "cloudtrail.amazonaws.com", "eventType": "AwsCloudTrailInsight"}),
        ),
    ]
}
