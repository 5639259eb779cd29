//! Requests that are honest HTTP and mean to mislead: whoever reads the record
//! must see what the upstream saw.

use crate::support::{Ask, KEY, Setup, Upstream, ok};
use serde_json::{Value, json};

/// Alice's signed calls on `targets`, one after the other: the records, in order.
async fn recorded(method: &'static str, service: &'static str, targets: &[&str]) -> Vec<Value> {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    for target in targets {
        let request = Ask::new(method, service, target).signed(bed.now());
        let answer = bed.call(&request).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let seen = upstream.requests();
        assert_eq!(seen.last().unwrap().raw, request, "{target} was changed on its way");
    }
    bed.wait_for_records(targets.len()).await
}

#[tokio::test]
async fn a_path_is_never_tidied_and_its_key_is_what_was_meant() {
    let cases = [
        ("/b//k", "/k"),
        ("/b/../other/k", "../other/k"),
        ("/b/%2e%2e/%2E%2e/k", "../../k"),
        ("/b/k;v=1", "k;v=1"),
        ("/b/a%2Fb%252F", "a/b%2F"),
        ("/b/a+b%20c", "a+b c"),
        ("/b/%0d%0aforged%1b[2J", "\r\nforged\u{1b}[2J"),
        ("/b/./k", "./k"),
        ("/b/k%00.txt", "k\0.txt"),
    ];
    let targets: Vec<_> = cases.iter().map(|case| case.0).collect();
    let records = recorded("PUT", "s3", &targets).await;
    for ((target, key), record) in cases.iter().zip(&records) {
        assert_eq!(record["eventName"], "PutObject", "{target}");
        assert_eq!(record["requestParameters"]["bucketName"], "b", "{target}");
        assert_eq!(record["requestParameters"]["key"], *key, "{target}");
    }
}

#[tokio::test]
async fn only_the_exact_path_that_config_lists_passes_unrecorded() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream)
        .edit(|config| config.recording.unrecorded_paths = Some(vec!["/health".to_owned()]))
        .start()
        .await;
    let tricks = ["//health", "/health/", "/%68ealth", "/health;x", "/HEALTH", "/b/../health"];
    for target in ["/health"].iter().chain(&tricks) {
        let get = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(bed.call(get).await.status, 200, "{target}");
    }
    assert_eq!(bed.wait_for_records(tricks.len()).await.len(), tricks.len());
}

/// A reader that takes the first value and a server that takes the last one
/// would tell of different calls.
#[tokio::test]
async fn an_operation_that_is_said_twice_is_not_taken_for_the_harmless_one() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let now = bed.now();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let requests = [
        Ask::query("iam", "Action=ListUsers&Action=DeleteUser&Version=2010-05-08&UserName=a"),
        Ask::query("iam", "Action=DeleteUser&Version=2010-05-08&Action=ListUsers&UserName=a"),
        Ask::new("POST", "iam", "/?Action=ListUsers&Version=2010-05-08")
            .header(form.0, form.1)
            .body("Action=DeleteUser&Version=2010-05-08&UserName=a"),
        Ask::json("dynamodb", "DynamoDB_20120810.ListTables", "{}")
            .header("x-amz-target", "DynamoDB_20120810.DeleteTable"),
    ];
    for ask in &requests {
        assert_eq!(bed.call(ask.signed(now)).await.status, 200, "{ask:?}");
    }
    for (ask, record) in requests.iter().zip(bed.wait_for_records(requests.len()).await) {
        assert_eq!(record["readOnly"], false, "{ask:?}: {record}");
        assert_ne!(record["eventName"], "ListUsers", "{ask:?}");
        assert_ne!(record["eventName"], "ListTables", "{ask:?}");
    }
}

#[tokio::test]
async fn query_keys_that_stand_twice_are_all_in_the_record() {
    let targets = ["/b?list-type=2&prefix=a&prefix=b&prefix=%63", "/b/k?versionId=1&versionId=2"];
    let records = recorded("GET", "s3", &targets).await;
    for (record, values) in records.iter().zip([&["a", "b", "c"][..], &["1", "2"]]) {
        let text = record["requestParameters"].to_string();
        assert!(values.iter().all(|value| text.contains(&format!("\"{value}\""))), "{text}");
    }
}

#[tokio::test]
async fn a_signature_must_cover_the_host_and_stand_once() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let honest = String::from_utf8(Ask::new("PUT", "s3", "/b/k").signed(bed.now())).unwrap();
    let authorization = honest.lines().find(|line| line.starts_with("authorization:")).unwrap();
    let cases = [
        ("a host left out", honest.replace("SignedHeaders=host;", "SignedHeaders=")),
        ("another one in front", {
            let other = authorization.replace(KEY, "AKIASOMEBODYELSE0000");
            honest.replace(authorization, &format!("{other}\r\n{authorization}"))
        }),
        ("another one behind", {
            let other = authorization.replace("Signature=", "Signature=0");
            honest.replace(authorization, &format!("{authorization}\r\n{other}"))
        }),
        ("one in the query, too", {
            honest.replace("PUT /b/k ", "PUT /b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256 ")
        }),
        ("an unsigned grant", honest.replace("\r\n\r\n", "\r\nx-amz-acl: public-read\r\n\r\n")),
        ("another host", honest.replace("Host: localhost:4747", "Host: other")),
        ("a later date", honest.replace("x-amz-date: 2026", "x-amz-date: 2027")),
        ("letters of other scripts", honest.replace("/s3/aws4", "/\u{455}3/aws4")),
        ("other case", honest.replace("SignedHeaders=host", "SignedHeaders=Host")),
    ];
    for (what, request) in &cases {
        assert_ne!(*request, honest, "{what}");
        let answer = bed.call(request).await;
        assert!((400..=403).contains(&answer.status), "{what}: {}", answer.text());
    }
    for ((what, _), record) in cases.iter().zip(bed.wait_for_records(cases.len()).await) {
        assert!(record["errorCode"].is_string(), "{what}: {record}");
        assert_ne!(record["userIdentity"]["type"], "IAMUser", "{what}: {record}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// Signature Version 4 allows it within its quarter of an hour; each is a call.
#[tokio::test]
async fn a_replay_is_a_call_of_its_own_until_it_is_too_old() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let request = Ask::new("DELETE", "s3", "/b/k").signed(bed.now());
    for _ in 0..3 {
        assert_eq!(bed.call(&request).await.status, 200);
    }
    bed.clock.advance(16 * 60 * 1_000_000);
    assert_eq!(bed.call(&request).await.status, 403);
    let records = bed.wait_for_records(4).await;
    let ids: std::collections::BTreeSet<_> =
        records.iter().map(|record| record["eventID"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(records[3]["errorCode"], "RequestTimeTooSkewed");
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn bodies_as_deep_as_they_like_are_recorded_within_bounds() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let now = bed.now();
    let deep = ["{\"a\":", "[", "{\"M\":{\"a\":"].map(|open| open.repeat(50_000));
    for body in &deep {
        let ask = Ask::json("dynamodb", "DynamoDB_20120810.DeleteTable", body);
        assert_eq!(bed.call(ask.signed(now)).await.status, 200);
    }
    let nested = format!("<Delete>{}</Delete>", "<Object>".repeat(50_000));
    let ask = Ask::new("POST", "s3", "/b?delete").body(nested);
    assert_eq!(bed.call(ask.signed(now)).await.status, 200);
    let cbor = [vec![0x9f_u8; 100_000], vec![0xff; 100_000]].concat();
    let target = "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm";
    let ask = Ask::new("POST", "monitoring", target)
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("Content-Type", "application/cbor")
        .body(cbor);
    assert_eq!(bed.call(ask.signed(now)).await.status, 200);
    let records = bed.wait_for_records(5).await;
    let names = ["DeleteTable", "DeleteTable", "DeleteTable", "DeleteObjects", "PutMetricAlarm"];
    for (record, name) in records.iter().zip(names) {
        assert_eq!(record["eventName"], name);
        assert!(record.to_string().len() < 300_000, "{name}");
    }
}

#[tokio::test]
async fn what_is_not_utf_8_is_recorded_as_text_all_the_same() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut agent = b"PUT /b/k HTTP/1.1\r\nHost: h\r\nUser-Agent: jos\xe9 \xff\xfe\r\n".to_vec();
    agent.extend_from_slice(b"x-amz-meta-\xc3: \xff\r\nContent-Length: 0\r\n\r\n");
    let requests = [
        agent,
        b"PUT /b/k HTTP/1.1\r\nHost: h\r\nUser-Agent: jos\xe9 \xff\xfe\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
        b"PUT /b/%ff%c0%ae HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"PUT /b/\xff HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ];
    let statuses = [400, 200, 200, 400];
    for (request, status) in requests.iter().zip(statuses) {
        assert_eq!(bed.call(request).await.status, status, "{}", request.escape_ascii());
    }
    let records = bed.wait_for_records(2).await;
    assert_eq!(records.len(), 2);
    let agent = records[0]["userAgent"].as_str().unwrap();
    assert!(agent.contains("jos") && agent.contains('\u{fffd}'), "{agent}");
    assert_eq!(records[1]["requestParameters"]["key"], "\u{fffd}\u{fffd}\u{fffd}");
}

/// Whoever reads the log on a terminal, line by line, is not to be fooled.
#[tokio::test]
async fn a_caller_writes_no_lines_into_the_log() {
    let log = crate::support::Log::default();
    let _guard = log.listen();
    let upstream = Upstream::agreeable().await;
    let bed = Setup::nobody().start().await;
    let forged = "x%0a2026-11-22T18:00:00Z%20ERROR%20forged%1b[2J";
    let credential = format!("AK%2F20261122%2Fus-east-1%2F{forged}%2Faws4_request");
    let presigned = format!(
        "/b/{forged}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}\
         &X-Amz-Date=20261122T180000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
    );
    for target in [&presigned, &format!("/{forged}")] {
        let get = format!("GET {target} HTTP/1.1\r\nHost: h\r\nUser-Agent: {forged}\r\n\r\n");
        bed.call(get).await;
    }
    let form = format!("Action=x%0aforged%1b[2J&Version={forged}");
    bed.call(Ask::query("iam", &form).signed(bed.now())).await;
    bed.wait_for_records(3).await;
    let text = log.text();
    assert!(text.contains("refused"), "{text}");
    assert!(!text.contains('\u{1b}'), "{}", text.escape_debug());
    assert!(text.lines().all(|line| line.starts_with("LOG ")), "{text}");
    assert_eq!(upstream.requests().len(), 0);
}

/// What it is about, the length that is said, and what is done to the body.
type Lie = (&'static str, u64, fn(&mut Vec<u8>));

#[tokio::test]
async fn an_aws_chunked_body_that_lies_is_stopped_and_told() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        while let Some(request) = peer.request().await {
            assert!(!request.raw.ends_with(b"\r\n0;chunk"), "a lie came to its end");
            peer.write(&ok("")).await;
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let now = bed.now();
    let ask = Ask::new("PUT", "s3", "/b/k");
    let lies: [Lie; 4] = [
        ("a byte of the payload", 5, |body| {
            let at = body.windows(5).position(|part| part == b"hello").unwrap();
            body[at] ^= 1;
        }),
        ("a signature", 5, |body| {
            let at = body.windows(16).position(|part| part == b"chunk-signature=").unwrap() + 16;
            body[at] = if body[at] == b'0' { b'1' } else { b'0' };
        }),
        ("the length that was signed", 6, |_| {}),
        ("an end that never comes", 5, |body| {
            let end = body.len() - 8;
            body.truncate(end);
            body.extend_from_slice(b"00000000");
        }),
    ];
    for (what, declared, lie) in lies {
        let mut headers = trailbox_sigv4::sign_streaming(ask.request(now), declared, None, true);
        let mut body = headers.1.chunk(b"hello");
        body.extend(headers.1.finish(&[]));
        lie(&mut body);
        headers.0.push(("Content-Length".to_owned(), body.len().to_string()));
        let mut request = ask.written(&headers.0, None);
        request.extend_from_slice(&body);
        let answer = bed.call(&request).await;
        assert!((400..=403).contains(&answer.status), "{what}: {}", answer.text());
    }
    for record in bed.wait_for_records(4).await {
        assert!(record["errorCode"].is_string(), "{record}");
        assert_eq!(record["requestParameters"]["bucketName"], json!("b"));
    }
}

/// Without `x-amz-content-sha256` a signature can be judged only by the body: an
/// upstream that answers early must not be what lets a forger in.
#[tokio::test]
async fn nobody_is_let_through_before_his_signature_can_be_judged() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let forged = Ask::new("POST", "lambda", "/2015-03-31/functions").by(KEY, "a guess", None);
    let mut added = trailbox_sigv4::sign(forged.request(bed.now()));
    added.retain(|(name, _)| name != "x-amz-content-sha256");
    for (_, value) in &mut added {
        *value = value.replace("x-amz-content-sha256;", "");
    }
    let request = forged.written(&added, Some(&vec![b'x'; 300_000]));
    let mut peer = bed.connect().await;
    peer.write(&request[..request.len() - 100_000]).await;
    assert_eq!(peer.come_within(std::time::Duration::from_millis(300)).await, b"");
    peer.write(&request[request.len() - 100_000..]).await;
    assert_eq!(peer.answer(false).await.status, 403);
    assert_eq!(upstream.requests().len(), 0);
    assert!(bed.only_record().await["errorCode"].is_string());
}

#[tokio::test]
async fn a_form_does_not_hide_its_operation_behind_its_length_or_its_type() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let harmless = "/?Action=ListUsers&Version=2010-05-08";
    let hidden = "&Action=DeleteUser&Version=2010-05-08&UserName=a";
    let long = Ask::new("POST", "iam", harmless)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(["x=", &"y".repeat(5 << 20), hidden].concat())
        .signed(bed.now());
    let mut odd = Ask::new("POST", "iam", harmless).body(&hidden[1..]).signed(bed.now());
    let at = odd.windows(2).position(|end| end == b"\r\n").unwrap() + 2;
    odd.splice(
        at..at,
        *b"Content-Type: application/x-www-form-urlencoded; x=\xff\r\nContent-Type: text/plain\r\n",
    );
    for request in [&long, &odd] {
        assert_eq!(bed.call(request).await.status, 200);
    }
    for record in bed.wait_for_records(2).await {
        assert_eq!(record["eventName"], "UnrecognizedOperation", "{record}");
        assert_eq!(record["readOnly"], false, "{record}");
    }
}

#[tokio::test]
async fn no_other_protocol_is_upgraded_to_by_a_second_field() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let fields = [
        "Upgrade: h2c\r\n",
        "Upgrade: websocket, h2c\r\n",
        "Upgrade: websocket\r\nUpgrade: h2c\r\n",
        "Upgrade: TLS/1.0\r\n",
        "",
    ];
    for field in fields {
        let get = format!("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n{field}\r\n");
        assert_eq!(bed.call(get).await.status, 501, "{field}");
    }
    let odd = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: \xff, h2c\r\n\r\n";
    assert_eq!(bed.call(odd).await.status, 501);
    assert_eq!(upstream.requests().len(), 0);
}

/// A server says such things to anybody.
#[tokio::test]
async fn an_answer_given_before_anybody_looked_vouches_for_nobody() {
    let answers = [
        ("DELETE", "/b/k", 405, "<Error><Code>MethodNotAllowed</Code></Error>"),
        ("PUT", "/B_/k", 400, "<Error><Code>InvalidBucketName</Code></Error>"),
        ("GET", "/minio/health/live", 200, ""),
    ];
    for (method, target, status, body) in answers {
        let upstream = Upstream::scripted(move |_, mut peer| async move {
            while peer.request().await.is_some() {
                peer.write(&crate::support::answer(status, "", body)).await;
            }
        })
        .await;
        let mut setup = Setup::with_default(&upstream);
        let default = setup.config.default_upstream.as_mut().unwrap();
        default.verifies_signatures = trailbox_gateway::config::VerifiesSignatures::Yes;
        let service = if target.starts_with("/minio") { "nothing" } else { "s3" };
        let bed = setup.start().await;
        let stranger = Ask::new(method, service, target).by("AKIASTRANGER00000000", "x", None);
        assert_eq!(bed.call(stranger.signed(bed.now())).await.status, status);
        let record = bed.only_record().await;
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "claimed", "{target}");
    }
}
