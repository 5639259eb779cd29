//! What is recorded, under which Region, and what is not.

use crate::support::{Ask, Bed, Setup, Upstream, answer, eventually, ok};
use trailbox_journal::FrameKind;

#[tokio::test]
async fn each_deleted_object_has_a_record_of_its_own() {
    let upstream = Upstream::answering(|_| {
        ok("<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted>\
            <Error><Key>c</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>")
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object>\
                <Object><Key>c</Key></Object></Delete>";
    let ask = Ask::new("POST", "s3", "/bucket?delete").body(body);
    assert_eq!(bed.call(&ask.signed(bed.now())).await.status, 200);
    let records = bed.wait_for_records(3).await;
    let names: Vec<_> = records.iter().map(|r| r["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, ["DeleteObjects", "DeleteObject", "DeleteObject"]);
}

#[tokio::test]
async fn a_late_error_of_s3_is_an_error() {
    let upstream = Upstream::answering(|_| {
        ok("<Error><Code>InternalError</Code><Message>late</Message></Error>")
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let ask = Ask::new("PUT", "s3", "/b/k").header("x-amz-copy-source", "/b/j");
    bed.call(&ask.signed(bed.now())).await;
    let record = bed.only_record().await;
    assert_eq!(record["eventName"], "CopyObject");
    assert_eq!(record["errorCode"], "InternalError");
}

#[tokio::test]
async fn the_region_is_the_upstreams_and_the_signed_one_is_kept() {
    let upstream = Upstream::agreeable().await;
    let mut setup = Setup::nobody();
    setup.config = toml::from_str(&format!(
        "[upstreams]\n\
         s3 = {{ url = 'http://{0}', region = 'lab-1', verifies_signatures = false }}\n\
         iam = {{ url = 'http://{0}', verifies_signatures = false }}",
        upstream.address
    ))
    .unwrap();
    let bed = setup.start().await;
    bed.call(Ask::new("PUT", "s3", "/b").signed(bed.now())).await;
    bed.call(Ask::query("iam", "Action=ListUsers&Version=2010-05-08").signed(bed.now())).await;
    let records = bed.wait_for_records(2).await;
    assert_eq!(records[0]["awsRegion"], "lab-1");
    assert!(
        records[0]["additionalEventData"].to_string().contains("us-east-1"),
        "{:#}",
        records[0]
    );
    assert_eq!(records[1]["awsRegion"], "us-east-1");
    let frame = bed.frames().into_iter().find(|f| f.kind == FrameKind::Record).unwrap();
    assert_eq!(frame.extension.upstream, "s3");
    assert_eq!(frame.extension.listener, "aws");
    assert_eq!(frame.extension.trust, 3);
}

#[tokio::test]
async fn a_service_nobody_answers_says_how_to_map_it() {
    let bed = Setup::nobody().start().await;
    let answer = bed.call(Ask::json("kms", "TrentService.ListKeys", "{}").signed(bed.now())).await;
    assert_eq!(answer.status, 501);
    assert!(answer.text().contains("--upstream kms=URL"), "{}", answer.text());
    assert_eq!(bed.only_record().await["errorCode"], "Trailbox.NoUpstream");
}

#[tokio::test]
async fn an_unknown_operation_is_recorded_by_its_path() {
    let upstream = Upstream::answering(|_| ok("{}")).await;
    let bed = Setup::with_default(&upstream).start().await;
    let ask = Ask::new("POST", "execute-api", "/prod/hello?x=1").body("{}");
    bed.call(ask.signed(bed.now())).await;
    let record = bed.only_record().await;
    assert_eq!(record["eventName"], "UnrecognizedOperation");
    assert_eq!(record["readOnly"], false);
    assert_eq!(record["managementEvent"], true);
}

#[tokio::test]
async fn a_listed_path_passes_unrecorded_and_a_reset_begins_a_generation() {
    let upstream = Upstream::answering(|_| ok("{}")).await;
    let bed = Setup::with_default(&upstream).test_mode().start().await;
    let reset = "POST /moto-api/reset HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(bed.call(reset).await.status, 200);
    assert_eq!(bed.call("GET /moto-api/reset/ HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 200);
    let record = bed.only_record().await;
    assert_eq!(record["requestParameters"]["key"], "reset/");
    assert_eq!(bed.of_kind(FrameKind::Generation).len(), 1);
}

#[tokio::test]
async fn nothing_passes_unrecorded_in_normal_mode_unless_it_is_listed() {
    for listed in [false, true] {
        let upstream = Upstream::answering(|_| ok("{}")).await;
        let setup = Setup::with_default(&upstream).edit(|config| {
            config.recording.unrecorded_paths = listed.then(|| vec!["/moto-api/reset".to_owned()]);
        });
        let bed = setup.start().await;
        let reset = "POST /moto-api/reset HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(bed.call(reset).await.status, 200);
        assert_eq!(bed.records().len(), usize::from(!listed));
    }
}

/// How many calls the seen counts add up to.
fn seen(bed: &Bed) -> u64 {
    bed.of_kind(FrameKind::Seen).iter().map(|s| s["seen"].as_u64().unwrap()).sum()
}

/// A Region the journal cannot hold costs neither the record nor the counts.
#[tokio::test]
async fn a_frame_the_journal_cannot_hold_is_written_reduced() {
    let upstream = Upstream::agreeable().await;
    let setup = Setup::with_default(&upstream).edit(|config| config.region = "long-".repeat(100));
    let bed = setup.start().await;
    bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    bed.call(Ask::new("GET", "s3", "/b/k").signed(bed.now())).await;
    let records = bed.wait_for_records(2).await;
    assert_eq!(records[0]["eventName"], "GetObject");
    let frame = bed.frames().into_iter().find(|f| f.kind == FrameKind::Record).unwrap();
    assert_eq!(frame.region, "us-east-1");
    eventually(|| seen(&bed) == 2).await;
}

#[tokio::test]
async fn seen_counts_are_journalled_each_second() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    for _ in 0..3 {
        bed.call(Ask::new("GET", "s3", "/b/k").signed(bed.now())).await;
    }
    eventually(|| seen(&bed) == 3).await;
    let frames = bed.frames();
    let counts: Vec<_> = frames.iter().filter(|f| f.kind == FrameKind::Seen).collect();
    assert!(counts.iter().all(|frame| frame.account == crate::support::ACCOUNT));
}

#[tokio::test]
async fn what_cannot_be_decoded_is_recorded_with_what_is_known() {
    let upstream = Upstream::answering(|_| answer(400, "", "nonsense")).await;
    let bed = Setup::with_default(&upstream).start().await;
    let ask = Ask::json("dynamodb", "DynamoDB_20120810.CreateTable", "{not json");
    bed.call(ask.signed(bed.now())).await;
    let record = bed.only_record().await;
    assert_eq!(record["eventName"], "CreateTable");
    assert_eq!(record["userIdentity"]["userName"], "alice");
}
