//! Made-up records with the spread of a real account: few names are frequent,
//! most are rare. The record of a number is always the same.

use trailbox_clock::Micros;

/// The account that a server started without settings uses.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";
/// Ten million records make eighty days.
const APART: i64 = 691_200;

pub const EVENTS: u64 = 547;
pub const SERVICES: u64 = 64;
pub const USERS: u64 = 2000;
pub const BUCKETS: u64 = 50_000;
pub const TYPES: u64 = 60;

/// A number that depends on `seed` and looks like chance.
pub fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (z >> 31)
}

/// 0 to `most - 1`; twice the number is half as frequent (Zipf's law).
fn ranked(chance: u64, most: u64) -> u64 {
    let share = (chance >> 11) as f64 / (1_u64 << 53) as f64;
    ((most as f64 + 1.0).powf(share) as u64).clamp(1, most) - 1
}

/// What a record says, so that it can be asked for.
pub struct Made {
    pub time: Micros,
    pub event_id: [u8; 16],
    pub event: u64,
    pub user: u64,
    pub session: Option<u64>,
    pub bucket: u64,
}

impl Made {
    pub fn of(number: u64, start: Micros) -> Self {
        let chance = mix(number ^ 0x5555);
        let time = Micros(start.0 + i64::try_from(number).unwrap() * APART);
        let user = ranked(mix(chance ^ 1), USERS);
        // Four of ten callers are sessions with keys of their own for an hour.
        let session = (mix(chance ^ 2) % 10 < 4).then_some(user << 24 | (number / 5208));
        let mut event_id = [0; 16];
        event_id[..8].copy_from_slice(&mix(number).to_be_bytes());
        event_id[8..].copy_from_slice(&mix(!number).to_be_bytes());
        let (event, bucket) = (ranked(mix(chance ^ 3), EVENTS), ranked(mix(chance ^ 4), BUCKETS));
        Self { time, event_id, event, user, session, bucket }
    }

    pub fn read_only(&self) -> bool {
        read_only(self.event)
    }

    pub fn access_key(&self) -> String {
        match self.session {
            Some(session) => format!("ASIA{session:016X}"),
            None => format!("AKIAEXAMPLE{:09}", self.user),
        }
    }

    pub fn id_text(&self) -> String {
        let hex = hex::encode(self.event_id);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    pub fn json(&self) -> String {
        let Self { user, event, bucket, .. } = self;
        let (name, key) = (user_name(*user), self.access_key());
        let identity = if self.session.is_some() {
            format!(
                r#"{{"type":"AssumedRole","principalId":"AROAEXAMPLE{user:010}:{name}","arn":"arn:aws:sts::{ACCOUNT}:assumed-role/role-{user}/{name}","accountId":"{ACCOUNT}","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE{user:010}","arn":"arn:aws:iam::{ACCOUNT}:role/role-{user}","accountId":"{ACCOUNT}","userName":"role-{user}"}},"attributes":{{"creationDate":"2026-11-22T18:00:00Z","mfaAuthenticated":"false"}}}}}}"#
            )
        } else {
            format!(
                r#"{{"type":"IAMUser","principalId":"AIDAEXAMPLE{user:010}","arn":"arn:aws:iam::{ACCOUNT}:user/{name}","accountId":"{ACCOUNT}","accessKeyId":"{key}","userName":"{name}"}}"#
            )
        };
        let chance = mix(u64::from_be_bytes(self.event_id[..8].try_into().unwrap()));
        format!(
            r#"{{"eventVersion":"1.11","userIdentity":{identity},"eventTime":"{}","eventSource":"{}","eventName":"{}","awsRegion":"{REGION}","sourceIPAddress":"10.{}.{}.7","userAgent":"aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.13.7 md/pyimpl#CPython cfg/retry-mode#standard","requestParameters":{{"bucketName":"bucket-{bucket}","Host":"bucket-{bucket}.s3.{REGION}.amazonaws.com","maxResults":{},"nextToken":"{:016x}{:016x}{:016x}","filters":[{{"name":"tag:team","values":["team-{}"]}}]}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{:016x}{:016x}","bytesTransferredOut":{}}},"requestID":"{:016X}","eventID":"{}","readOnly":{},"resources":[{{"accountId":"{ACCOUNT}","type":"{}","ARN":"{}"}}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{ACCOUNT}","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"localhost:4747"}}}}"#,
            self.time.to_event_time(),
            event_source(event % SERVICES),
            event_name(*event),
            user % 250,
            user / 250,
            10 + chance % 1000,
            mix(chance ^ 0x10),
            mix(chance ^ 0x11),
            mix(chance ^ 0x12),
            user % 40,
            mix(chance ^ 0x13),
            mix(chance ^ 0x14),
            chance % 10_000,
            chance,
            self.id_text(),
            self.read_only(),
            resource_type(bucket % TYPES),
            resource_name(*bucket),
        )
    }
}

const fn read_only(event: u64) -> bool {
    event % 3 != 2
}

pub fn event_name(event: u64) -> String {
    format!("{}Thing{event}", if read_only(event) { "List" } else { "Put" })
}

pub fn event_source(service: u64) -> String {
    format!("svc{service}.amazonaws.com")
}

pub fn user_name(user: u64) -> String {
    format!("user-{user}")
}

pub fn resource_type(kind: u64) -> String {
    format!("AWS::Made{kind}::Bucket")
}

pub fn resource_name(bucket: u64) -> String {
    format!("arn:aws:s3:::bucket-{bucket}")
}
