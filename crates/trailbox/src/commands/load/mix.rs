//! The calls of a run: what is sent for a number, and what its record must say.
//!
//! Both follow from the run and the number alone, so nothing of a call has to be
//! remembered. Every call carries its number in the user agent; where the
//! operation has a parameter for it, there too. Start at [`Mix::kind`].

use serde_json::{Value, json};

/// Objects that are written and read again and again.
const SLOTS: u64 = 256;

/// A protocol or service that can be left out with `--services`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Service {
    /// Objects and buckets (REST and XML).
    S3,
    /// Items (JSON).
    Dynamodb,
    /// Keys (JSON).
    Kms,
    /// Who am I (query).
    Sts,
    /// Users (query).
    Iam,
    /// Alarms (CBOR).
    Cloudwatch,
}

/// Which calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Which {
    /// Calls that read and calls that may change something.
    #[default]
    Mixed,
    /// Only calls that read.
    Reads,
    /// Only calls that may change something.
    Mutating,
}

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    PutObject,
    GetObject,
    PresignedGet,
    HeadObject,
    DeleteObject,
    ListBuckets,
    ListObjects,
    GetItem,
    PutItem,
    DescribeKey,
    DisableKey,
    GetCallerIdentity,
    GetUser,
    DeleteUser,
    DescribeAlarms,
    DeleteAlarms,
}

use Kind::{
    DeleteAlarms, DeleteObject, DeleteUser, DescribeAlarms, DescribeKey, DisableKey,
    GetCallerIdentity, GetItem, GetObject, GetUser, HeadObject, ListBuckets, ListObjects,
    PresignedGet, PutItem, PutObject,
};

const KINDS: [Kind; 16] = [
    PutObject,
    GetObject,
    PresignedGet,
    HeadObject,
    DeleteObject,
    ListBuckets,
    ListObjects,
    GetItem,
    PutItem,
    DescribeKey,
    DisableKey,
    GetCallerIdentity,
    GetUser,
    DeleteUser,
    DescribeAlarms,
    DeleteAlarms,
];

/// A request before it is signed.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) target: String,
    /// Signing name.
    pub(super) service: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    pub(super) presigned: bool,
}

/// What the record of a call must say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) source: &'static str,
    pub(super) name: &'static str,
    pub(super) read_only: bool,
    /// Members of `requestParameters`, at any depth of it the operation puts them.
    pub(super) parameters: Vec<(&'static str, Value)>,
}

/// The calls of one run.
#[derive(Debug)]
pub(super) struct Mix {
    /// Eight hex digits: tells the run from every other.
    pub(super) run: String,
    pub(super) bucket: String,
    kinds: Vec<Kind>,
    sizes: Sizes,
    /// As long as the largest object.
    body: Vec<u8>,
}

/// How large objects are: as many between 4 and 8 KiB as between 512 KiB and 1 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    least: usize,
    most: usize,
}

impl std::str::FromStr for Sizes {
    type Err = String;

    /// Reads `COUNT` or `LEAST-MOST`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = text.split_once('-').unwrap_or((text, text));
        match (least.parse(), most.parse()) {
            (Ok(least), Ok(most)) if least <= most => Ok(Self { least, most }),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                Err(format!("{text:?} is neither COUNT nor LEAST-MOST"))
            }
        }
    }
}

impl Sizes {
    fn of(self, chance: u64) -> usize {
        let doublings = (self.most / self.least.max(1)).checked_ilog2().unwrap_or(0);
        let shift = u32::try_from(chance % u64::from(doublings + 1)).unwrap_or(0);
        let within = usize::try_from(chance >> 32).unwrap_or(0) % (self.least.max(1) << shift);
        ((self.least << shift) + within).min(self.most)
    }
}

impl Mix {
    /// `None` when nothing is left to call.
    pub(super) fn new(
        run: String,
        bucket: String,
        services: &[Service],
        which: Which,
        sizes: Sizes,
    ) -> Option<Self> {
        let fits = |kind: &Kind| {
            let wanted = match which {
                Which::Mixed => true,
                Which::Reads => kind.read_only(),
                Which::Mutating => !kind.read_only(),
            };
            wanted && (services.is_empty() || services.contains(&kind.service()))
        };
        let kinds: Vec<Kind> = KINDS.into_iter().filter(fits).collect();
        let body = b"0123456789abcdef".iter().copied().cycle().take(sizes.most).collect();
        (!kinds.is_empty()).then_some(Self { run, bucket, kinds, sizes, body })
    }

    /// Whether objects are among the calls.
    pub(super) fn has_objects(&self) -> bool {
        self.kinds.iter().any(|kind| kind.service() == Service::S3)
    }

    /// The kind of call that a number stands for: evenly mixed, not in turn.
    pub(super) fn kind(&self, number: u64) -> Kind {
        let place = scrambled(number) % self.kinds.len() as u64;
        self.kinds[usize::try_from(place).expect("there are few kinds")]
    }

    /// The user agent of a call, which makes it unique.
    pub(super) fn user_agent(&self, number: u64) -> String {
        format!("{}{number}", self.agent_prefix())
    }

    /// What every user agent of the run begins with.
    pub(super) fn agent_prefix(&self) -> String {
        format!("trailbox-load/{}/", self.run)
    }

    fn key(kind: Kind, number: u64) -> String {
        if kind == DeleteObject {
            format!("gone/{number}")
        } else {
            format!("slot/{}", number % SLOTS)
        }
    }

    fn name(&self, number: u64) -> String {
        format!("load-{}-{number}", self.run)
    }

    /// What is sent for a number.
    pub(super) fn request(&self, number: u64) -> Request {
        let kind = self.kind(number);
        let name = || self.name(number);
        match kind {
            PutObject | GetObject | PresignedGet | HeadObject | DeleteObject => {
                self.object(kind, number)
            }
            ListBuckets => rest("GET", "/".to_owned()),
            ListObjects => {
                rest("GET", format!("/{}?list-type=2&max-keys=10&prefix=slot%2F", self.bucket))
            }
            GetItem => dynamodb(
                "DynamoDB_20120810.GetItem",
                &json!({"TableName": name(), "Key": {"id": {"S": "1"}}}),
            ),
            PutItem => dynamodb(
                "DynamoDB_20120810.PutItem",
                &json!({"TableName": name(), "Item": {"id": {"S": "1"}}}),
            ),
            DescribeKey => kms("TrentService.DescribeKey", &name()),
            DisableKey => kms("TrentService.DisableKey", &name()),
            GetCallerIdentity => {
                form("sts", "Action=GetCallerIdentity&Version=2011-06-15".to_owned())
            }
            GetUser => form("iam", query("GetUser", &name())),
            DeleteUser => form("iam", query("DeleteUser", &name())),
            DescribeAlarms => cbor_call(
                "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
                cbor_text(cbor_text(vec![0xa1], "AlarmNamePrefix"), &name()),
            ),
            DeleteAlarms => {
                let mut body = cbor_text(vec![0xa1], "AlarmNames");
                body.push(0x81);
                cbor_call(
                    "/service/GraniteServiceVersion20100801/operation/DeleteAlarms",
                    cbor_text(body, &name()),
                )
            }
        }
    }

    fn object(&self, kind: Kind, number: u64) -> Request {
        let target = format!("/{}/{}", self.bucket, Self::key(kind, number));
        let methods = [(PutObject, "PUT"), (HeadObject, "HEAD"), (DeleteObject, "DELETE")];
        let method = methods.iter().find(|(held, _)| *held == kind).map_or("GET", |(_, m)| m);
        let body = if kind == PutObject {
            // Another scramble than the kind's: else one kind would have one size.
            self.body[..self.sizes.of(scrambled(!number))].to_vec()
        } else {
            Vec::new()
        };
        Request { body, presigned: kind == PresignedGet, ..rest(method, target) }
    }

    /// What the record of a number must say.
    pub(super) fn expected(&self, number: u64) -> Expected {
        let kind = self.kind(number);
        let name = || Value::from(self.name(number));
        let parameters = match kind {
            PutObject | GetObject | PresignedGet | HeadObject | DeleteObject => vec![
                ("bucketName", Value::from(self.bucket.as_str())),
                ("key", Value::from(Self::key(kind, number))),
            ],
            ListBuckets | GetCallerIdentity => Vec::new(),
            ListObjects => vec![
                ("bucketName", Value::from(self.bucket.as_str())),
                ("prefix", Value::from("slot/")),
            ],
            GetItem | PutItem => vec![("tableName", name())],
            DescribeKey | DisableKey => vec![("keyId", name())],
            GetUser | DeleteUser => vec![("userName", name())],
            DescribeAlarms => vec![("alarmNamePrefix", name())],
            DeleteAlarms => vec![("alarmNames", json!([name()]))],
        };
        Expected {
            source: kind.service().source(),
            name: kind.event_name(),
            read_only: kind.read_only(),
            parameters,
        }
    }
}

/// Turns numbers in a row into numbers that look drawn (the last steps of `SplitMix64`).
fn scrambled(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Service {
    fn source(self) -> &'static str {
        match self {
            Self::S3 => "s3.amazonaws.com",
            Self::Dynamodb => "dynamodb.amazonaws.com",
            Self::Kms => "kms.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
            Self::Iam => "iam.amazonaws.com",
            Self::Cloudwatch => "monitoring.amazonaws.com",
        }
    }
}

impl Kind {
    fn service(self) -> Service {
        match self {
            PutObject | GetObject | PresignedGet | HeadObject | DeleteObject | ListBuckets
            | ListObjects => Service::S3,
            GetItem | PutItem => Service::Dynamodb,
            DescribeKey | DisableKey => Service::Kms,
            GetCallerIdentity => Service::Sts,
            GetUser | DeleteUser => Service::Iam,
            DescribeAlarms | DeleteAlarms => Service::Cloudwatch,
        }
    }

    fn event_name(self) -> &'static str {
        match self {
            PutObject => "PutObject",
            GetObject | PresignedGet => "GetObject",
            HeadObject => "HeadObject",
            DeleteObject => "DeleteObject",
            ListBuckets => "ListBuckets",
            ListObjects => "ListObjects",
            GetItem => "GetItem",
            PutItem => "PutItem",
            DescribeKey => "DescribeKey",
            DisableKey => "DisableKey",
            GetCallerIdentity => "GetCallerIdentity",
            GetUser => "GetUser",
            DeleteUser => "DeleteUser",
            DescribeAlarms => "DescribeAlarms",
            DeleteAlarms => "DeleteAlarms",
        }
    }

    fn read_only(self) -> bool {
        !matches!(self, PutObject | DeleteObject | PutItem | DisableKey | DeleteUser | DeleteAlarms)
    }
}

fn rest(method: &'static str, target: String) -> Request {
    Request {
        method,
        target,
        service: "s3",
        headers: Vec::new(),
        body: Vec::new(),
        presigned: false,
    }
}

fn post(
    service: &'static str,
    target: &str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
) -> Request {
    Request { method: "POST", target: target.to_owned(), service, headers, body, presigned: false }
}

fn dynamodb(target: &'static str, body: &Value) -> Request {
    let headers = vec![("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
    post("dynamodb", "/", headers, body.to_string().into_bytes())
}

fn kms(target: &'static str, key: &str) -> Request {
    let headers = vec![("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    post("kms", "/", headers, json!({"KeyId": key}).to_string().into_bytes())
}

fn form(service: &'static str, body: String) -> Request {
    let headers = vec![("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    post(service, "/", headers, body.into_bytes())
}

fn query(action: &str, user: &str) -> String {
    format!("Action={action}&Version=2010-05-08&UserName={user}")
}

fn cbor_call(target: &str, body: Vec<u8>) -> Request {
    let headers = vec![
        ("accept", "application/cbor"),
        ("content-type", "application/cbor"),
        ("smithy-protocol", "rpc-v2-cbor"),
    ];
    post("monitoring", target, headers, body)
}

/// Appends a text of less than 256 bytes. Source: RFC 8949, section 3.1, major type 3.
fn cbor_text(mut bytes: Vec<u8>, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("names of calls are short");
    bytes.extend([0x78, length]);
    bytes.extend(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::{KINDS, Mix, Service, Sizes, Which, scrambled};
    use std::collections::BTreeSet;

    fn mix(services: &[Service], which: Which) -> Option<Mix> {
        Mix::new("0011aabb".into(), "bucket".into(), services, which, "128".parse().unwrap())
    }

    #[test]
    fn every_kind_of_call_comes_up_and_none_much_more_often() {
        let mix = mix(&[], Which::Mixed).unwrap();
        let mut counts = vec![0; KINDS.len()];
        for number in 0..15_000 {
            let kind = mix.kind(number);
            counts[KINDS.iter().position(|held| *held == kind).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn what_was_not_asked_for_is_not_called() {
        let only = mix(&[Service::Sts, Service::Kms], Which::Reads).unwrap();
        let names: BTreeSet<_> = (0..100).map(|number| only.expected(number).name).collect();
        assert_eq!(names, BTreeSet::from(["DescribeKey", "GetCallerIdentity"]));
        assert!(mix(&[Service::Sts], Which::Mutating).is_none());
    }

    #[test]
    fn objects_are_of_every_size_asked_for_and_of_no_other() {
        let sizes: Sizes = "4096-1048576".parse().unwrap();
        let all: Vec<usize> = (0..2000).map(|number| sizes.of(scrambled(number))).collect();
        assert!(all.iter().all(|size| (4096..=1_048_576).contains(size)));
        assert!(all.iter().any(|size| *size < 8192) && all.iter().any(|size| *size > 600_000));
        assert_eq!("7".parse::<Sizes>().unwrap().of(scrambled(1)), 7);
        assert_eq!("0".parse::<Sizes>().unwrap().of(scrambled(1)), 0);
        assert!("9-1".parse::<Sizes>().is_err() && "x".parse::<Sizes>().is_err());
    }

    #[test]
    fn no_two_user_agents_are_alike() {
        let mix = mix(&[], Which::Mixed).unwrap();
        assert_eq!(mix.user_agent(17), "trailbox-load/0011aabb/17");
    }
}
