//! A journal in memory, and records to put into it.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs, reason = "test support")]

use bytes::Bytes;
use serde_json::json;
use std::sync::Mutex;
use trailbox_clock::Micros;
use trailbox_history::{
    Batch, Entry, EntryKind, Fetched, Sealed, SealedSegment, Source, SourceError, Stream,
};
use trailbox_record::Category;

pub const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
pub const REGIONS: [&str; 2] = ["us-east-1", "eu-central-1"];
pub const NAMES: [&str; 4] = ["CreateBucket", "ListBuckets", "RunInstances", "AssumeRole"];
pub const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// What varies between test records.
#[derive(Debug, Clone)]
pub struct Spec {
    pub id: u16,
    pub account: usize,
    pub region: usize,
    pub category: Category,
    pub name: usize,
    pub user: usize,
    pub time: i64,
}

/// A record's entry, without its sequence.
pub fn entry(spec: &Spec) -> Entry {
    let (account, region) = (ACCOUNTS[spec.account], REGIONS[spec.region]);
    let mut event_id = [7; 16];
    event_id[..2].copy_from_slice(&spec.id.to_be_bytes());
    let category = match spec.category {
        Category::Management => "Management",
        Category::Data => "Data",
        Category::Insight => "Insight",
        Category::NetworkActivity => "NetworkActivity",
    };
    let record = json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": format!("AIDA{}", spec.user),
            "arn": format!("arn:aws:iam::{account}:user/{}", USERS[spec.user]),
            "accountId": account,
            "accessKeyId": format!("AKIA{}", spec.user),
            "userName": USERS[spec.user],
        },
        "eventTime": Micros::from_seconds(spec.time).to_event_time(),
        "eventSource": "s3.amazonaws.com",
        "eventName": NAMES[spec.name],
        "awsRegion": region,
        "sourceIPAddress": "10.0.0.1",
        "userAgent": format!("agent {}", spec.id % 10),
        "requestParameters": {"bucketName": format!("bucket-{}", spec.id % 7)},
        "responseElements": null,
        "requestID": "R",
        "eventID": hyphenated(&event_id),
        "readOnly": NAMES[spec.name].starts_with("List"),
        "resources": [{"ARN": format!("arn:aws:s3:::bucket-{}", spec.id % 7), "accountId": account, "type": "AWS::S3::Bucket"}],
        "eventType": "AwsApiCall",
        "managementEvent": category == "Management",
        "recipientAccountId": account,
        "eventCategory": category,
    });
    Entry {
        sequence: 0,
        kind: EntryKind::Record,
        account: account.to_owned(),
        region: region.to_owned(),
        category: spec.category,
        event_id,
        payload: Bytes::from(record.to_string()),
    }
}

pub fn hyphenated(id: &[u8; 16]) -> String {
    let hex = hex::encode(id);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A journal that lives in memory and is sealed when it is told.
#[derive(Debug, Default)]
pub struct MemorySource(Mutex<Journal>);

#[derive(Debug, Default)]
struct Journal {
    /// Entry `n` has sequence `n + 1`.
    entries: Vec<Entry>,
    sealed: Vec<SealedSegment>,
    through: u64,
    erased: Vec<String>,
}

impl MemorySource {
    pub fn append(&self, mut entry: Entry) -> u64 {
        let mut journal = self.0.lock().unwrap();
        entry.sequence = journal.entries.len() as u64 + 1;
        journal.entries.push(entry);
        journal.entries.len() as u64
    }

    pub fn generation(&self) -> u64 {
        let mut mark = entry(&Spec {
            id: 0,
            account: 0,
            region: 0,
            category: Category::Management,
            name: 0,
            user: 0,
            time: 0,
        });
        mark.kind = EntryKind::Generation;
        mark.payload = Bytes::new();
        self.append(mark)
    }

    /// Seals everything that is not sealed yet as one segment.
    pub fn seal(&self, now: Micros) {
        let mut journal = self.0.lock().unwrap();
        let (first, last) = (journal.through + 1, journal.entries.len() as u64);
        if last < first {
            return;
        }
        for stream in [Stream::Management, Stream::Data] {
            journal.sealed.push(SealedSegment { id: first, stream, first, last, newest: now });
        }
        journal.through = last;
    }

    pub fn erase(&self, account: &str) {
        self.0.lock().unwrap().erased.push(account.to_owned());
    }

    pub fn sealed_count(&self) -> usize {
        self.0.lock().unwrap().sealed.len()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().entries.clone()
    }
}

impl Source for MemorySource {
    fn after(&self, sequence: u64, max: usize) -> Result<Batch, SourceError> {
        let journal = self.0.lock().unwrap();
        let from = usize::try_from(sequence).unwrap();
        let entries: Vec<_> = journal.entries.iter().skip(from).take(max.min(3)).cloned().collect();
        let through = sequence + entries.len() as u64;
        Ok(Batch { entries, through })
    }

    fn sealed(&self) -> Result<Sealed, SourceError> {
        let journal = self.0.lock().unwrap();
        Ok(Sealed { segments: journal.sealed.clone(), through: journal.through })
    }

    fn read(
        &self,
        segment: &SealedSegment,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(), SourceError> {
        let within = |entry: &Entry| (segment.first..=segment.last).contains(&entry.sequence);
        self.entries().into_iter().filter(within).for_each(each);
        Ok(())
    }

    fn fetch(&self, sequence: u64) -> Result<Fetched, SourceError> {
        let journal = self.0.lock().unwrap();
        let entry = &journal.entries[usize::try_from(sequence - 1).unwrap()];
        Ok(Fetched::Present(entry.payload.clone()))
    }

    fn drop_segment(&self, segment: &SealedSegment) -> Result<(), SourceError> {
        self.0.lock().unwrap().sealed.retain(|held| held != segment);
        Ok(())
    }

    fn secret(
        &self,
        account: &str,
        id: Option<u32>,
    ) -> Result<Option<(u32, [u8; 32])>, SourceError> {
        let journal = self.0.lock().unwrap();
        if journal.erased.iter().any(|erased| erased == account) {
            return Ok(None);
        }
        let mut key = [0; 32];
        key[..12].copy_from_slice(account.as_bytes());
        Ok(Some((id.unwrap_or(1), key)))
    }
}
