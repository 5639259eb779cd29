//! How long lookups take, and how large the index is.
//!
//! `cargo bench -p trailbox-history --bench lookup` indexes a million made-up
//! management records through sealed segments of 43,000 (64 MiB of 1.5 KB
//! records), merges as `upkeep` does, and asks the questions people ask.
//! `RECORDS=10000000` sets another size. Records are made again when they are
//! fetched, so the journal's own reading time is not in the figures: this is
//! for work on the index. What a `LookupEvents` call costs whole, on data that
//! is kept, is `cargo bench -p trailbox-api --bench lookup_events`:
//!
//! ```text
//! RECORDS=10000000 TRAILBOX_BENCH_DATA=/var/tmp/trailbox-10m cargo bench -p trailbox-api --bench lookup_events
//! trailbox serve --data /var/tmp/trailbox-10m      # the same data behind the gateway
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a program that measures and prints"
)]

use bytes::Bytes;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trailbox_clock::{ManualClock, Micros};
use trailbox_history::{
    Attribute, Batch, Entry, EntryKind, Fetched, History, HistoryOptions, Query, Sealed,
    SealedSegment, Source, SourceError, Stream,
};
use trailbox_journal::disk::RealDisk;
use trailbox_record::Category;

const START: i64 = 1_790_000_000;
const SEGMENT: u64 = 43_000;
const PER_SECOND: u64 = 20;
const ROUNDS: u64 = 400;

#[derive(Debug)]
struct Synthetic {
    records: u64,
}

/// A number that depends on `seed` and looks like chance.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (z >> 31)
}

fn event_id(sequence: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mix(sequence).to_be_bytes());
    id[8..].copy_from_slice(&mix(!sequence).to_be_bytes());
    id
}

fn hyphenated(id: &[u8; 16]) -> String {
    let hex = hex::encode(id);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Skewed: small numbers are frequent.
fn skewed(chance: u64, most: u64) -> u64 {
    let a = chance % most;
    let b = (chance >> 20) % most;
    let c = (chance >> 40) % most;
    a.min(b).min(c)
}

fn record(sequence: u64) -> String {
    let chance = mix(sequence ^ 0x5555);
    let time = Micros::from_seconds(START + i64::try_from(sequence / PER_SECOND).unwrap());
    let user = skewed(mix(chance), 2000);
    let (event, bucket) = (skewed(chance, 547), mix(chance ^ 7) % 50_000);
    let read = event % 3 == 0;
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","principalId":"AIDAEXAMPLE{user:010}","arn":"arn:aws:iam::111122223333:user/user-{user}","accountId":"111122223333","accessKeyId":"AKIAEXAMPLE{user:09}","userName":"user-{user}"}},"eventTime":"{}","eventSource":"svc{}.amazonaws.com","eventName":"{}Thing{event}","awsRegion":"us-east-1","sourceIPAddress":"10.{}.{}.7","userAgent":"aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.8 md/arch#x86_64 lang/python#3.13.7","requestParameters":{{"bucketName":"bucket-{bucket}","host":"localhost","filler":"{}"}},"responseElements":null,"requestID":"{:016X}","eventID":"{}","readOnly":{read},"resources":[{{"ARN":"arn:aws:s3:::bucket-{bucket}","accountId":"111122223333","type":"AWS::S3::Bucket"}}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"localhost:4747"}}}}"#,
        time.to_event_time(),
        event % 64,
        if read { "List" } else { "Put" },
        user % 250,
        user / 250,
        "x".repeat(400),
        mix(chance),
        hyphenated(&event_id(sequence)),
    )
}

fn entry(sequence: u64) -> Entry {
    Entry {
        sequence,
        kind: EntryKind::Record,
        account: "111122223333".to_owned(),
        region: "us-east-1".to_owned(),
        category: Category::Management,
        event_id: event_id(sequence),
        payload: Bytes::from(record(sequence)),
    }
}

impl Source for Synthetic {
    fn after(&self, through: u64, _max: usize) -> Result<Batch, SourceError> {
        Ok(Batch { entries: Vec::new(), through })
    }

    fn sealed(&self) -> Result<Sealed, SourceError> {
        let segments = (0..self.records.div_ceil(SEGMENT))
            .map(|at| {
                let (first, last) = (at * SEGMENT + 1, ((at + 1) * SEGMENT).min(self.records));
                let newest =
                    Micros::from_seconds(START + i64::try_from(last / PER_SECOND).unwrap());
                SealedSegment { id: first, stream: Stream::Management, first, last, newest }
            })
            .collect();
        Ok(Sealed { segments, through: self.records })
    }

    fn read(
        &self,
        segment: &SealedSegment,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(), SourceError> {
        (segment.first..=segment.last).map(entry).for_each(each);
        Ok(())
    }

    fn fetch(&self, sequence: u64) -> Result<Fetched, SourceError> {
        Ok(Fetched::Present(Bytes::from(record(sequence))))
    }

    fn drop_segment(&self, _segment: &SealedSegment) -> Result<(), SourceError> {
        Ok(())
    }

    fn secret(&self, _: &str, id: Option<u32>) -> Result<Option<(u32, [u8; 32])>, SourceError> {
        Ok(Some((id.unwrap_or(1), [7; 32])))
    }
}

fn main() {
    let records = std::env::var("RECORDS").ok().and_then(|it| it.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    let end = START + i64::try_from(records / PER_SECOND).unwrap();
    let clock = Arc::new(ManualClock::at(Micros::from_seconds(end + 60)));
    let source = Arc::new(Synthetic { records });
    let options = HistoryOptions::new(dir.path().join("history"));

    let begun = Instant::now();
    let history = History::open(Arc::new(RealDisk), source, clock, options).unwrap();
    let built = begun.elapsed();
    let merged = history.upkeep().unwrap().merged;
    let all = begun.elapsed();
    let stats = history.stats();
    println!(
        "{records} records, {} segments ({merged} merged), {:.1} bytes per record",
        stats.segments,
        stats.segment_bytes as f64 / records as f64
    );
    let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
    println!(
        "made in {:.2} µs per record (records made and read too), merged in {:.2} µs",
        each(built),
        each(all.saturating_sub(built))
    );
    ask(&history, records, end);
}

fn ask(history: &History, records: u64, end: i64) {
    let one = |attribute, value: String| Query {
        filters: vec![(attribute, value)],
        region: Some("us-east-1".into()),
        ..Query::newest("111122223333")
    };
    let plain = Query { region: Some("us-east-1".into()), ..Query::newest("111122223333") };
    let deep = |n: u64| START + i64::try_from(mix(n) % (records / PER_SECOND)).unwrap();
    measure("newest page", |_| {
        black_box(history.lookup(&plain).unwrap());
    });
    measure("frequent EventName", |n| {
        black_box(
            history
                .lookup(&one(Attribute::EventName, format!("ListThing{}", 3 * (n % 5))))
                .unwrap(),
        );
    });
    measure("rare EventName", |n| {
        black_box(
            history
                .lookup(&one(Attribute::EventName, format!("ListThing{}", 540 - 3 * (n % 15))))
                .unwrap(),
        );
    });
    measure("Username", |n| {
        black_box(
            history.lookup(&one(Attribute::Username, format!("user-{}", mix(n) % 2000))).unwrap(),
        );
    });
    measure("ReadOnly", |n| {
        black_box(history.lookup(&one(Attribute::ReadOnly, (n % 2 == 0).to_string())).unwrap());
    });
    measure("ResourceName", |n| {
        black_box(
            history
                .lookup(&one(
                    Attribute::ResourceName,
                    format!("arn:aws:s3:::bucket-{}", mix(n) % 50_000),
                ))
                .unwrap(),
        );
    });
    measure("EventId", |n| {
        let id = hyphenated(&event_id(1 + mix(n) % records));
        assert_eq!(history.lookup(&one(Attribute::EventId, id)).unwrap().records.len(), 1);
    });
    measure("absent value", |n| {
        assert_eq!(
            history.lookup(&one(Attribute::Username, format!("nobody-{n}"))).unwrap().records.len(),
            0
        );
    });
    measure("a minute somewhere", |n| {
        let at = deep(n);
        let range = Query {
            start: Some(Micros::from_seconds(at)),
            end: Some(Micros::from_seconds(at + 60)),
            ..plain.clone()
        };
        black_box(history.lookup(&range).unwrap());
    });
    measure("Username before a time", |n| {
        let end = Some(Micros::from_seconds(deep(n).min(end)));
        black_box(
            history
                .lookup(&Query { end, ..one(Attribute::Username, format!("user-{}", n % 300)) })
                .unwrap(),
        );
    });
    measure("two attributes", |n| {
        let mut query = one(Attribute::Username, format!("user-{}", n % 100));
        query.filters.push((Attribute::EventName, format!("ListThing{}", 3 * (n % 40))));
        black_box(history.lookup(&query).unwrap());
    });
}

fn measure(name: &str, question: impl Fn(u64)) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            let begun = Instant::now();
            question(round);
            begun.elapsed()
        })
        .collect();
    times.sort();
    let at =
        |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!("{name:<24} p50 {:>8.3} ms   p99 {:>8.3} ms", at(50), at(99));
}
