//! Who called, and how far that is proved.

use crate::support::{ACCOUNT, Ask, KEY, Setup, Upstream, answer, eventually, ok};
use serde_json::json;

const WRONG: &str = "not-alices-secret";

fn verifying(upstream: &Upstream) -> Setup {
    let mut setup = Setup::nobody();
    setup.config = toml::from_str(&format!(
        "default_upstream = {{ url = 'http://{}', verifies_signatures = true }}",
        upstream.address
    ))
    .unwrap();
    setup
}

#[tokio::test]
async fn a_wrong_signature_under_a_known_key_is_refused_in_the_protocols_shape() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let now = bed.now();
    let wrong = |ask: Ask| ask.by(KEY, WRONG, None).signed(now);
    let cases = [
        (wrong(Ask::new("GET", "s3", "/b/k")), 403, "<Code>SignatureDoesNotMatch</Code>"),
        (
            wrong(Ask::query("iam", "Action=ListUsers&Version=2010-05-08")),
            403,
            "<Code>SignatureDoesNotMatch</Code>",
        ),
        (
            wrong(Ask::json("dynamodb", "DynamoDB_20120810.ListTables", "{}")),
            400,
            "\"__type\":\"InvalidSignatureException\"",
        ),
    ];
    let count = cases.len();
    for (request, status, want) in cases {
        let answer = bed.call(&request).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(want), "{}", answer.text());
    }
    for record in bed.wait_for_records(count).await {
        assert_eq!(record["recipientAccountId"], "000000000000");
        assert_eq!(record["userIdentity"]["accessKeyId"], KEY);
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "claimed");
        assert!(record["errorCode"].is_string());
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told_so() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let request = Ask::new("GET", "s3", "/b/k").signed(bed.now().plus(-16 * 60 * 1_000_000));
    let answer = bed.call(&request).await;
    assert!(answer.text().contains("RequestTimeTooSkewed"), "{}", answer.text());
    assert_eq!(bed.only_record().await["errorCode"], "RequestTimeTooSkewed");
}

#[tokio::test]
async fn an_unknown_key_passes_and_is_a_mere_claim() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let bed = Setup::with_default(&upstream).start().await;
    let request = Ask::new("GET", "s3", "/b/k").by("AKIASTRANGER", WRONG, None).signed(bed.now());
    assert_eq!(bed.call(&request).await.status, 200);
    let record = bed.only_record().await;
    assert_eq!(record["recipientAccountId"], "000000000000");
    assert_eq!(record["userIdentity"]["type"], "Unknown");
    assert_eq!(record["userIdentity"]["accessKeyId"], "AKIASTRANGER");
    assert_eq!(record["additionalEventData"]["trailboxIdentity"], "claimed");
}

#[tokio::test]
async fn a_verifying_upstream_vouches_unless_it_objects() {
    let denied = "<Error><Code>AccessDenied</Code><Message>x</Message></Error>";
    let unknown = "<Error><Code>InvalidAccessKeyId</Code><Message>x</Message></Error>";
    let cases = [
        ("GET", answer(200, "", "abc"), ACCOUNT, "upstream"),
        ("GET", answer(403, "", denied), ACCOUNT, "upstream"),
        ("GET", answer(404, "", "<Error><Code>NoSuchKey</Code></Error>"), ACCOUNT, "upstream"),
        ("GET", answer(403, "", unknown), "000000000000", "claimed"),
        ("HEAD", answer(403, "", ""), "000000000000", "claimed"),
        ("GET", answer(500, "", ""), "000000000000", "claimed"),
    ];
    for (method, reply, account, trust) in cases {
        let shown = String::from_utf8_lossy(&reply).into_owned();
        let upstream = Upstream::answering(move |_| reply.clone()).await;
        let bed = verifying(&upstream).start().await;
        let ask = Ask::new(method, "s3", "/b/k").by("AKIASTRANGER", WRONG, None);
        bed.call(&ask.signed(bed.now())).await;
        let record = bed.only_record().await;
        assert_eq!(record["recipientAccountId"], account, "{shown}");
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], trust, "{shown}");
    }
}

/// Its id came from a source that tells no secrets.
#[tokio::test]
async fn a_key_without_a_secret_is_named_only_when_a_verifying_upstream_accepts_it() {
    let unknown = "<Error><Code>InvalidAccessKeyId</Code><Message>x</Message></Error>";
    let cases = [
        (true, ok("abc"), "carol", ACCOUNT, "upstream"),
        (true, answer(403, "", unknown), "", "000000000000", "claimed"),
        (false, ok("abc"), "", "000000000000", "claimed"),
    ];
    for (verifies, reply, name, account, trust) in cases {
        let upstream = Upstream::answering(move |_| reply.clone()).await;
        let setup = if verifies { verifying(&upstream) } else { Setup::with_default(&upstream) };
        let bed = setup.start().await;
        let v4 = Ask::new("GET", "s3", "/b/k").by("AKIASECRETLESS", WRONG, None);
        bed.call(&v4.signed(bed.now())).await;
        bed.call(
            "GET /b/k HTTP/1.1\r\nHost: h\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\n\
             Authorization: AWS AKIASECRETLESS:c2lnbmF0dXJl\r\n\r\n",
        )
        .await;
        for record in bed.wait_for_records(2).await {
            let shown = record["userIdentity"]["userName"].as_str().unwrap_or("");
            assert_eq!((shown, &record["recipientAccountId"]), (name, &json!(account)));
            assert_eq!(record["userIdentity"]["accessKeyId"], "AKIASECRETLESS");
            assert_eq!(record["additionalEventData"]["trailboxIdentity"], trust);
        }
    }
}

/// Not even one that is signed with an empty secret.
#[tokio::test]
async fn own_services_refuse_a_key_without_a_secret() {
    let bed = Setup::nobody().start().await;
    for secret in [WRONG, ""] {
        let ask = Ask::json("cloudtrail", "CloudTrail_20131101.LookupEvents", "{}");
        let answer = bed.call(&ask.by("AKIASECRETLESS", secret, None).signed(bed.now())).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("UnrecognizedClientException"), "{}", answer.text());
    }
    for record in bed.wait_for_records(2).await {
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "claimed");
        assert_eq!(record["userIdentity"]["type"], "Unknown");
    }
}

/// At start one deliberately wrong signature is sent, and the answer judged.
#[tokio::test]
async fn a_probe_finds_out_whether_an_upstream_verifies() {
    let refusal = "<Error><Code>InvalidAccessKeyId</Code></Error>";
    for (status, body, trust) in [(403, refusal, "upstream"), (200, "", "claimed")] {
        let upstream = Upstream::answering(move |request| {
            if request.head.contains("trailbox-probe") {
                answer(status, "", body)
            } else {
                ok("abc")
            }
        })
        .await;
        let mut setup = Setup::nobody();
        setup.config =
            toml::from_str(&format!("upstreams.s3 = 'http://{}'", upstream.address)).unwrap();
        let bed = setup.start().await;
        eventually(|| !upstream.requests().is_empty()).await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let ask = Ask::new("GET", "s3", "/b/k").by("AKIASTRANGER", WRONG, None);
        bed.call(&ask.signed(bed.now())).await;
        let record = bed.only_record().await;
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], trust, "{status}");
    }
}

#[tokio::test]
async fn own_services_refuse_a_key_nobody_knows() {
    let bed = Setup::nobody().start().await;
    let now = bed.now();
    let lookup = Ask::json(
        "cloudtrail",
        "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
        "{}",
    );
    let stranger = lookup.clone().by("AKIASTRANGER", WRONG, None).signed(now);
    let answer = bed.call(&stranger).await;
    assert!(answer.text().contains("UnrecognizedClientException"), "{}", answer.text());
    let unsigned = lookup.written(&[], Some(b"{}"));
    let answer = bed.call(&unsigned).await;
    assert!(answer.text().contains("MissingAuthenticationToken"), "{}", answer.text());
    let records = bed.wait_for_records(2).await;
    assert_eq!(records[0]["eventName"], "LookupEvents");
    assert_eq!(records[0]["errorCode"], "UnrecognizedClientException");
    assert_eq!(records[0]["recipientAccountId"], "000000000000");
}

#[tokio::test]
async fn anonymous_calls_are_nobodys() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let bed = Setup::with_default(&upstream).start().await;
    bed.call("GET /public/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let record = bed.only_record().await;
    assert_eq!(
        record["userIdentity"],
        json!({"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"})
    );
    assert_eq!(record["recipientAccountId"], ACCOUNT);
}

#[tokio::test]
async fn a_session_is_learned_before_the_answer_that_showed_it_ends() {
    let upstream = Upstream::answering(|request| {
        if request.text().contains("AssumeRole") {
            ok("<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                <AssumeRoleResult><Credentials><AccessKeyId>ASIALEARNED000000001</AccessKeyId>\
                <SecretAccessKey>learned-secret</SecretAccessKey>\
                <SessionToken>learned-token</SessionToken>\
                <Expiration>2026-11-22T19:00:00Z</Expiration></Credentials><AssumedRoleUser>\
                <AssumedRoleId>AROAROLE:work</AssumedRoleId>\
                <Arn>arn:aws:sts::111122223333:assumed-role/ops/work</Arn></AssumedRoleUser>\
                </AssumeRoleResult></AssumeRoleResponse>")
        } else {
            ok("abc")
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let assume = Ask::query(
        "sts",
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=work\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fops",
    );
    assert_eq!(bed.call(&assume.signed(bed.now())).await.status, 200);
    let frames = bed.frames();
    let learned = frames.iter().position(|f| f.kind == trailbox_journal::FrameKind::Learned);
    let record = frames.iter().position(|f| f.kind == trailbox_journal::FrameKind::Record);
    assert!(learned < record && learned.is_some());

    let session = ("ASIALEARNED000000001", "learned-secret");
    let ask = Ask::new("GET", "s3", "/b/k");
    let good = ask.clone().by(session.0, session.1, Some("learned-token")).signed(bed.now());
    assert_eq!(bed.call(&good).await.status, 200);
    let bad = ask.by(session.0, session.1, Some("another-token")).signed(bed.now());
    assert_eq!(bed.call(&bad).await.status, 400);
    let records = bed.wait_for_records(3).await;
    assert_eq!(records[1]["userIdentity"]["type"], "AssumedRole");
    assert_eq!(
        records[1]["userIdentity"]["arn"],
        "arn:aws:sts::111122223333:assumed-role/ops/work"
    );
    assert_eq!(records[1]["additionalEventData"]["trailboxIdentity"], "verified");
    assert_eq!(records[2]["errorCode"], "InvalidToken");
    let text = records.iter().map(ToString::to_string).collect::<String>();
    for secret in ["learned-secret", "learned-token", "another-token"] {
        assert!(!text.contains(secret), "{secret} in a record");
    }
}

/// Nobody here checks `SigV4A`: a probe with another signature says nothing of it.
#[tokio::test]
async fn a_signature_nobody_checks_names_a_principal_only_where_config_says_so() {
    for (said, name, trust) in [("true", "alice", "upstream"), ("'probe'", "", "claimed")] {
        let upstream = Upstream::answering(|request| {
            if request.head.contains("trailbox-probe") {
                answer(403, "", "<Error><Code>InvalidAccessKeyId</Code></Error>")
            } else {
                ok("abc")
            }
        })
        .await;
        let mut setup = Setup::nobody();
        setup.config = toml::from_str(&format!(
            "default_upstream = {{ url = 'http://{}', verifies_signatures = {said} }}",
            upstream.address
        ))
        .unwrap();
        let bed = setup.start().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        bed.call(format!(
            "GET /b/k HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 20261122T180000Z\r\n\
             X-Amz-Region-Set: us-east-1\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\n\
             Authorization: AWS4-ECDSA-P256-SHA256 Credential={KEY}/20261122/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-region-set, \
             Signature=3045022100aa\r\n\r\n"
        ))
        .await;
        let record = bed.only_record().await;
        assert_eq!(record["userIdentity"]["userName"].as_str().unwrap_or(""), name, "{said}");
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], trust, "{said}");
    }
}

#[tokio::test]
async fn a_preflight_vouches_for_nobody() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let bed = verifying(&upstream).start().await;
    let ask = Ask::new("OPTIONS", "s3", "/b/k").by("AKIASTRANGER", WRONG, None);
    bed.call(&ask.signed(bed.now())).await;
    let record = bed.only_record().await;
    assert_eq!(record["additionalEventData"]["trailboxIdentity"], "claimed");
}

/// Anybody can have a session of an upstream that does not verify.
#[tokio::test]
async fn own_services_refuse_a_session_that_rests_on_a_claim() {
    for test in [false, true] {
        let upstream = Upstream::answering(|_| {
            ok("<AssumeRoleResponse><AssumeRoleResult><Credentials>\
                <AccessKeyId>ASIACLAIMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                <SessionToken>t</SessionToken><Expiration>2026-11-22T19:00:00Z</Expiration>\
                </Credentials><AssumedRoleUser><AssumedRoleId>AROAROLE:w</AssumedRoleId>\
                <Arn>arn:aws:sts::111122223333:assumed-role/ops/w</Arn></AssumedRoleUser>\
                </AssumeRoleResult></AssumeRoleResponse>")
        })
        .await;
        let mut setup = Setup::with_default(&upstream);
        if test {
            setup = setup.test_mode();
        }
        let bed = setup.start().await;
        let assume = Ask::query(
            "sts",
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=w\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fops",
        );
        bed.call(&assume.by("AKIASTRANGER", WRONG, None).signed(bed.now())).await;
        let lookup = Ask::json(
            "cloudtrail",
            "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
            "{}",
        );
        let answer = bed.call(&lookup.by("ASIACLAIMED", "s", Some("t")).signed(bed.now())).await;
        // In test mode it gets as far as the engine, which is not there.
        assert_eq!(answer.status, if test { 503 } else { 400 }, "{}", answer.text());
        let unknown = answer.text().contains("UnrecognizedClientException");
        assert_eq!(unknown, !test, "{}", answer.text());
    }
}

/// An object that looks like an answer of STS or IAM teaches nothing.
#[tokio::test]
async fn what_an_object_says_is_not_learned() {
    let upstream = Upstream::answering(|_| {
        ok("<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey>\
            <UserName>admin</UserName><AccessKeyId>AKIAFORGED</AccessKeyId>\
            <Status>Active</Status><SecretAccessKey>forged</SecretAccessKey>\
            </AccessKey></CreateAccessKeyResult></CreateAccessKeyResponse>")
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let form = "Action=CreateAccessKey&Version=2010-05-08&UserName=admin";
    let object = Ask::new("GET", "iam", &format!("/b/answer.xml?{form}"));
    assert_eq!(bed.call(&object.signed(bed.now())).await.status, 200);
    let mut hidden = Ask::query("iam", form);
    hidden.headers[0].1 = "b.s3.localhost".to_owned();
    assert_eq!(bed.call(&hidden.signed(bed.now())).await.status, 200);
    let learned =
        || bed.frames().iter().filter(|f| f.kind == trailbox_journal::FrameKind::Learned).count();
    assert_eq!(learned(), 0);
    assert_eq!(bed.call(&Ask::query("iam", form).signed(bed.now())).await.status, 200);
    assert_eq!(learned(), 1);
}

#[tokio::test]
async fn in_test_mode_an_unknown_key_belongs_to_the_account() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let bed = Setup::with_default(&upstream).test_mode().start().await;
    let request = Ask::new("GET", "s3", "/b/k").by("AKIASTRANGER", WRONG, None).signed(bed.now());
    bed.call(&request).await;
    let wrong = Ask::new("GET", "s3", "/b/k").by(KEY, WRONG, None).signed(bed.now());
    assert_eq!(bed.call(&wrong).await.status, 403);
    for record in bed.wait_for_records(2).await {
        assert_eq!(record["recipientAccountId"], ACCOUNT);
    }
}

#[tokio::test]
async fn a_service_is_known_by_where_it_calls_from() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let mut setup = Setup::with_default(&upstream);
    let more: trailbox_gateway::config::GatewayConfig = toml::from_str(
        "trusted_proxies = ['127.0.0.0/8']\n\
         [[service_principals]]\nservice = 'backup.example.com'\n\
         networks = ['10.1.0.0/16']\nuser_agent = 'backup/'",
    )
    .unwrap();
    setup.config.trusted_proxies = more.trusted_proxies;
    setup.config.service_principals = more.service_principals;
    let bed = setup.start().await;
    bed.call(
        "GET /b/k HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, 10.1.2.3\r\n\
         User-Agent: backup/1\r\n\r\n",
    )
    .await;
    bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n").await;
    let records = bed.wait_for_records(2).await;
    assert_eq!(
        records[0]["userIdentity"],
        json!({"type": "AWSService", "invokedBy": "backup.example.com"})
    );
    assert_eq!(records[0]["sourceIPAddress"], "backup.example.com");
    assert_eq!(records[1]["sourceIPAddress"], "192.0.2.9");
}
