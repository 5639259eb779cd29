//! Routes of single requests.

use super::{Route, RouteHints, is_data_event, read_only};
use crate::facts::Facts;
use crate::model::Protocol;
use proptest::prelude::*;
use trailbox_exchange::RequestHead;

fn head(line: &str, headers: &[(&str, &str)]) -> RequestHead {
    let (method, target) = line.split_once(' ').unwrap();
    RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    }
}

/// Headers of a call signed for a service; the host says nothing.
fn signed(service: &str) -> Vec<(&'static str, String)> {
    let credential = format!("Credential=AKIAEXAMPLE/20260101/eu-west-1/{service}/aws4_request");
    vec![
        ("Host", "localhost:4747".to_owned()),
        ("Authorization", format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host")),
    ]
}

fn call(line: &str, service: &str, more: &[(&str, &str)], form: Option<&str>) -> Route {
    let own = if service.is_empty() { Vec::new() } else { signed(service) };
    let mut headers: Vec<(&str, &str)> = own.iter().map(|(n, v)| (*n, v.as_str())).collect();
    headers.extend(more);
    let form = form.map(str::as_bytes);
    Facts::embedded().route(&head(line, &headers), form, &RouteHints::default())
}

fn names(route: &Route) -> [&str; 3] {
    [route.service_name(), &route.event_source, &route.event_name]
}

fn label<'a>(route: &'a Route, name: &str) -> Option<&'a str> {
    route.labels.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_target_names_the_operation_and_the_scope_the_rest() {
    let target = [("X-Amz-Target", "TrentService.Decrypt")];
    let route = call("POST /", "kms", &target, None);
    assert_eq!(names(&route), ["kms", "kms.amazonaws.com", "Decrypt"]);
    assert_eq!(route.protocol, Protocol::Json);
    assert_eq!(route.region.as_deref(), Some("eu-west-1"));
    assert_eq!(route.scope_service.as_deref(), Some("kms"));
    assert_eq!(route.access_key_id.as_deref(), Some("AKIAEXAMPLE"));
    assert_eq!(names(&call("POST /", "", &target, None))[2], "Decrypt", "unsigned");
}

#[test]
fn older_cbor_has_a_target_too() {
    let headers = [
        ("X-Amz-Target", "Kinesis_20131202.PutRecord"),
        ("Content-Type", "application/x-amz-cbor-1.1"),
    ];
    let route = call("POST /", "kinesis", &headers, None);
    assert_eq!((names(&route)[2], route.protocol), ("PutRecord", Protocol::Cbor));
}

#[test]
fn one_service_is_taken_in_every_protocol_it_speaks() {
    let json = [("X-Amz-Target", "GraniteServiceVersion20100801.PutMetricData")];
    let path = "POST /service/GraniteServiceVersion20100801/operation/PutMetricData";
    let cbor = [("Smithy-Protocol", "rpc-v2-cbor")];
    let form = Some("Action=PutMetricData&Version=2010-08-01");
    let cases = [
        (call("POST /", "monitoring", &json, None), Protocol::Json),
        (call(path, "monitoring", &cbor, None), Protocol::Cbor),
        (call("POST /", "monitoring", &[], form), Protocol::Query),
    ];
    for (route, protocol) in cases {
        assert_eq!(names(&route), ["cloudwatch", "monitoring.amazonaws.com", "PutMetricData"]);
        assert_eq!(route.protocol, protocol);
    }
}

#[test]
fn an_action_may_come_by_get_and_to_the_path_of_a_queue() {
    let route = call("GET /?Action=GetCallerIdentity&Version=2011-06-15", "sts", &[], None);
    assert_eq!((names(&route)[2], route.protocol), ("GetCallerIdentity", Protocol::Query));
    let form = Some("Action=SendMessage&Version=2012-11-05&MessageBody=x");
    let route = call("POST /123456789012/orders", "sqs", &[], form);
    assert_eq!(names(&route), ["sqs", "sqs.amazonaws.com", "SendMessage"]);
    assert_eq!(label(&route, "QueueName"), Some("orders"));
    let route = call("POST /", "ec2", &[], Some("Action=RunInstances&Version=2016-11-15"));
    assert_eq!((names(&route)[2], route.protocol), ("RunInstances", Protocol::Ec2));
}

#[test]
fn the_api_version_tells_load_balancers_apart_and_old_ones_are_known() {
    for (version, service) in [("2015-12-01", "elbv2"), ("2012-06-01", "elb")] {
        let form = format!("Action=DescribeLoadBalancers&Version={version}");
        let route = call("POST /", "elasticloadbalancing", &[], Some(&form));
        assert_eq!(names(&route)[0], service);
    }
    let route = call("POST /", "ec2", &[], Some("Action=DescribeVpcs&Version=2013-10-15"));
    assert_eq!(names(&route)[2], "DescribeVpcs");
}

#[test]
fn unsigned_calls_are_told_by_action_or_by_paths_that_need_no_signature() {
    let form = Some("Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    let route = call("POST /", "", &[("Host", "localhost")], form);
    assert_eq!(names(&route), ["sts", "sts.amazonaws.com", "AssumeRoleWithWebIdentity"]);
    let route = call("GET /federation/credentials?role_name=r&account_id=1", "", &[], None);
    assert_eq!(names(&route)[0..1], ["sso"]);
    let route = call("GET /bucket/a/b.txt", "", &[("Host", "localhost")], None);
    assert_eq!(names(&route), ["s3", "s3.amazonaws.com", "GetObject"]);
    assert_eq!(route.access_key_id, None);
}

#[test]
fn a_default_service_comes_before_paths_that_need_no_signature() {
    let hints = RouteHints { default_service: Some("s3"), ..RouteHints::default() };
    let request = head("GET /federation/credentials", &[("Host", "localhost")]);
    let route = Facts::embedded().route(&request, None, &hints);
    assert_eq!(names(&route), ["s3", "s3.amazonaws.com", "GetObject"]);
}

#[test]
fn s3_calls_are_told_apart_by_path_query_and_header() {
    let cases = [
        ("GET /", "ListBuckets", "ListBuckets"),
        ("GET /b", "ListObjects", "ListObjects"),
        ("GET /b?list-type=2&prefix=x", "ListObjectsV2", "ListObjects"),
        ("GET /b/?versions", "ListObjectVersions", "ListObjectVersions"),
        ("GET /b?location", "GetBucketLocation", "GetBucketLocation"),
        ("GET /b?acl=", "GetBucketAcl", "GetBucketAcl"),
        ("HEAD /b", "HeadBucket", "HeadBucket"),
        ("PUT /b?publicAccessBlock", "PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
        ("PUT /b/k", "PutObject", "PutObject"),
        ("PUT /b/k?x-id=PutObject", "PutObject", "PutObject"),
        ("PUT /b/k?partNumber=1&uploadId=u", "UploadPart", "UploadPart"),
        ("GET /b/k?uploadId=u", "ListParts", "ListParts"),
        ("POST /b/k?uploads", "CreateMultipartUpload", "CreateMultipartUpload"),
        ("POST /b/k?uploadId=u", "CompleteMultipartUpload", "CompleteMultipartUpload"),
        ("DELETE /b/k?uploadId=u", "AbortMultipartUpload", "AbortMultipartUpload"),
        ("POST /b?delete", "DeleteObjects", "DeleteObjects"),
        ("GET /b/k?tagging", "GetObjectTagging", "GetObjectTagging"),
        (
            "GET /b?analytics",
            "ListBucketAnalyticsConfigurations",
            "ListBucketAnalyticsConfigurations",
        ),
        (
            "GET /b?analytics&id=1",
            "GetBucketAnalyticsConfiguration",
            "GetBucketAnalyticsConfiguration",
        ),
        ("GET /b?unknown-thing", "ListObjects", "ListObjects"),
        ("PATCH /b/k", "", "UnrecognizedOperation"),
    ];
    for (line, operation, name) in cases {
        let route = call(line, "s3", &[], None);
        assert_eq!(
            (route.operation_name(), route.event_name.as_str()),
            (operation, name),
            "{line}"
        );
        assert_eq!(route.event_source, "s3.amazonaws.com");
    }
    let copy = [("x-amz-copy-source", "/b/other")];
    assert_eq!(call("PUT /b/k", "s3", &copy, None).operation_name(), "CopyObject");
    let part = "PUT /b/k?partNumber=1&uploadId=u";
    assert_eq!(call(part, "s3", &copy, None).operation_name(), "UploadPartCopy");
}

#[test]
fn buckets_and_keys_are_read_in_both_styles_and_keys_keep_their_slashes() {
    let domains = ["gw.example".to_owned()];
    let hints = RouteHints { s3_domains: &domains, ..RouteHints::default() };
    let cases = [
        ("GET /b/a//b/c%2Fd/", "localhost", Some("b"), Some("a//b/c/d/")),
        (
            "GET /a%20b/c+d",
            "my.bucket.s3.eu-west-1.amazonaws.com",
            Some("my.bucket"),
            Some("a b/c+d"),
        ),
        ("GET /k", "b.gw.example:4747", Some("b"), Some("k")),
        ("GET /b/k", "gw.example:4747", Some("b"), Some("k")),
        ("GET /", "b.gw.example", Some("b"), None),
        ("GET /v20180820/jobs/x", "b.gw.example", Some("b"), Some("v20180820/jobs/x")),
    ];
    for (line, host, bucket, key) in cases {
        let mut headers = signed("s3");
        headers[0].1 = host.to_owned();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let route = Facts::embedded().route(&head(line, &headers), None, &hints);
        assert_eq!((label(&route, "Bucket"), label(&route, "Key")), (bucket, key), "{line} {host}");
    }
}

#[test]
fn presigned_and_old_signatures_are_claims_too() {
    let presigned = "GET /b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20260101%2Fus-west-2%2Fs3%2Faws4_request&X-Amz-Signature=0";
    let route = call(presigned, "", &[], None);
    assert_eq!(names(&route)[2], "GetObject");
    assert_eq!(route.region.as_deref(), Some("us-west-2"));
    let old = [("Authorization", "AWS AK:c2ln"), ("Host", "localhost")];
    let route = call("PUT /b", "", &old, None);
    assert_eq!((names(&route)[2], route.access_key_id.as_deref()), ("CreateBucket", Some("AK")));
    let token = "GET /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AK%2F20260101%2Fr%2Fsts%2Faws4_request";
    assert_eq!(names(&call(token, "", &[], None))[0], "sts");
}

#[test]
fn s3_control_shares_the_signing_name() {
    let account = [("x-amz-account-id", "123456789012")];
    let line = "GET /v20180820/configuration/publicAccessBlock";
    let route = call(line, "s3", &account, None);
    assert_eq!(names(&route), ["s3control", "s3.amazonaws.com", "GetAccountPublicAccessBlock"]);
    let route = call("GET /v20180820/photo.jpg", "s3", &[], None);
    assert_eq!(route.operation_name(), "GetObject");
}

#[test]
fn lambda_names_carry_the_date_of_their_path() {
    let cases = [
        ("POST /2015-03-31/functions", "CreateFunction20150331"),
        ("PUT /2015-03-31/functions/f/code", "UpdateFunctionCode20150331v2"),
        ("POST /2015-03-31/functions/f/invocations", "Invoke"),
        ("POST /2021-10-31/functions/f/url", "CreateFunctionUrlConfig"),
        ("GET /2020-06-30/functions/f/code-signing-config", "GetFunctionCodeSigningConfig"),
    ];
    for (line, name) in cases {
        assert_eq!(call(line, "lambda", &[], None).event_name, name);
    }
    let route = call(
        "GET /2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af",
        "lambda",
        &[],
        None,
    );
    assert_eq!(label(&route, "FunctionName"), Some("arn:aws:lambda:r:1:function:f"));
}

#[test]
fn what_nothing_explains_is_unrecognized_but_keeps_its_source() {
    let cases = [
        (
            call("POST /", "iam", &[], Some("Action=FlyToTheMoon&Version=2010-05-08")),
            ["iam", "iam.amazonaws.com"],
        ),
        (
            call("POST /", "kms", &[("X-Amz-Target", "TrentService.Fly")], None),
            ["kms", "kms.amazonaws.com"],
        ),
        (call("GET /x/y/z", "eks", &[], None), ["eks", "eks.amazonaws.com"]),
        (call("GET /x", "brandnew", &[], None), ["", "brandnew.amazonaws.com"]),
        (call("POST /", "", &[], None), ["", "unknown.amazonaws.com"]),
        (call("PURGE /", "", &[], None), ["", "unknown.amazonaws.com"]),
    ];
    for (route, want) in cases {
        assert_eq!(names(&route), [want[0], want[1], "UnrecognizedOperation"]);
        assert!(route.op().is_none());
    }
}

#[test]
fn sources_follow_the_signing_name_with_few_exceptions() {
    let cases = [
        ("POST /", "rds", "Action=CreateDBInstance&Version=2014-10-31", "rds.amazonaws.com"),
        (
            "POST /",
            "monitoring",
            "Action=ListMetrics&Version=2010-08-01",
            "monitoring.amazonaws.com",
        ),
    ];
    for (line, scope, form, source) in cases {
        assert_eq!(call(line, scope, &[], Some(form)).event_source, source);
    }
    let target = [("X-Amz-Target", "EC2WindowsBarleyService.ListApplications")];
    let route = call("POST /", "applicationinsights", &target, None);
    assert_eq!(route.event_source, "application-insights.amazonaws.com");
    let route = call("GET /b?session", "s3express", &[], None);
    assert_eq!(route.event_source, "s3express.amazonaws.com");
}

#[test]
fn global_services_name_their_region() {
    let route = call("POST /", "iam", &[], Some("Action=ListUsers&Version=2010-05-08"));
    assert_eq!(route.global_region.as_deref(), Some("us-east-1"));
    assert_eq!(call("GET /", "s3", &[], None).global_region, None);
}

#[test]
fn no_header_or_parameter_disguises_a_call_to_a_bucket() {
    let target = [("X-Amz-Target", "DynamoDB_20120810.GetItem")];
    let rpc = [("Smithy-Protocol", "rpc-v2-cbor")];
    let action = "Action=GetCallerIdentity&Version=2011-06-15";
    let local = [("Host", "localhost")];
    let cases = [
        (call("DELETE /b/k", "s3", &target, None), "DeleteObject"),
        (call("POST /b?delete", "s3", &target, None), "DeleteObjects"),
        (call("POST /b?delete", "", &target, None), "DeleteObjects"),
        (call("PUT /b/k", "s3", &[], Some(action)), "PutObject"),
        (call("POST /b?delete", "s3", &[], Some(action)), "DeleteObjects"),
        (call(&format!("POST /b?delete&{action}"), "", &local, None), "DeleteObjects"),
        (
            call("POST /service/a/operation/ListMetrics?uploads", "s3", &rpc, None),
            "CreateMultipartUpload",
        ),
    ];
    for (route, name) in cases {
        assert_eq!(names(&route), ["s3", "s3.amazonaws.com", name]);
    }
    let facts = Facts::embedded();
    let hints = RouteHints { flavour: Some("rgw"), ..RouteHints::default() };
    let request = head("PUT /admin/user?uid=x", &target);
    assert_eq!(facts.route(&request, None, &hints).event_name, "RgwAdminCreateUser");
}

#[test]
fn an_unsigned_form_is_understood_on_the_host_of_a_bucket_server() {
    let form = Some("Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
    let route = call("POST /", "", &[("Host", "s3.corp.example")], form);
    assert_eq!(names(&route), ["sts", "sts.amazonaws.com", "AssumeRoleWithWebIdentity"]);
}

#[test]
fn flags_follow_tables_verb_and_hint() {
    let facts = Facts::embedded();
    let json =
        |target: &str, service: &str| call("POST /", service, &[("X-Amz-Target", target)], None);
    let cases = [
        (json("TrentService.Decrypt", "kms"), true, false),
        (json("TrentService.CreateKey", "kms"), false, false),
        (json("DynamoDB_20120810.GetItem", "dynamodb"), true, true),
        (json("DynamoDB_20120810.PutItem", "dynamodb"), false, true),
        (json("DynamoDB_20120810.CreateTable", "dynamodb"), false, false),
        (json("AmazonSQS.ReceiveMessage", "sqs"), true, true),
        (json("AmazonSQS.CreateQueue", "sqs"), false, false),
        (
            json("AWSCognitoIdentityService.GetCredentialsForIdentity", "cognito-identity"),
            false,
            true,
        ),
        (call("GET /b/k", "s3", &[], None), true, true),
        (call("GET /b/k?acl", "s3", &[], None), true, true),
        (call("HEAD /b", "s3", &[], None), true, true),
        (call("GET /b?acl", "s3", &[], None), true, false),
        (call("PUT /b", "s3", &[], None), false, false),
        (call("POST /b?delete", "s3", &[], None), false, true),
        (call("POST /2015-03-31/functions/f/invocations", "lambda", &[], None), false, true),
        (call("POST /", "sts", &[], Some("Action=AssumeRole&Version=2011-06-15")), true, false),
        (
            call("POST /", "sts", &[], Some("Action=GetFederationToken&Version=2011-06-15")),
            false,
            false,
        ),
    ];
    for (route, reads, data) in cases {
        let flags = (read_only(&facts, &route, "POST"), is_data_event(&facts, &route));
        assert_eq!(flags, (reads, data), "{}", route.event_name);
    }
    let unknown = call("GET /x", "brandnew", &[], None);
    assert!(read_only(&facts, &unknown, "GET") && !read_only(&facts, &unknown, "POST"));
    assert!(!is_data_event(&facts, &unknown));
}

#[test]
fn a_browser_upload_is_named_and_is_data() {
    let form = [("Content-Type", "multipart/form-data; boundary=x"), ("Host", "localhost")];
    let route = call("POST /bucket", "", &form, None);
    assert_eq!(names(&route), ["s3", "s3.amazonaws.com", "PostObject"]);
    assert_eq!(label(&route, "Bucket"), Some("bucket"));
    assert!(is_data_event(&Facts::embedded(), &route));
}

#[test]
fn apis_of_the_upstream_are_named_by_its_flavour() {
    let facts = Facts::embedded();
    let cases = [
        (
            "rgw",
            "PUT /admin/user?uid=x&display-name=X",
            "rgw.admin",
            "RgwAdminCreateUser",
            false,
            false,
        ),
        ("rgw", "GET /admin/user?uid=x", "rgw.admin", "RgwAdminGetUser", true, false),
        ("rgw", "PUT /admin/user?quota&uid=x", "rgw.admin", "RgwAdminSetUserQuota", false, false),
        ("rgw", "DELETE /admin/bucket?object=k", "rgw.admin", "RgwAdminRemoveObject", false, false),
        ("rgw", "GET /admin/metadata/user/x", "rgw.admin", "RgwAdminGetMetadata", true, false),
        ("rgw", "POST /admin/new-thing", "rgw.admin", "RgwAdminPostNewThing", false, false),
        ("rgw", "GET /swift/v1/c/o/p", "swift", "SwiftGetObject", true, true),
        ("swift", "PUT /v1/AUTH_me/c", "swift", "SwiftCreateContainer", false, false),
        ("swift", "GET /auth/v1.0", "swift", "SwiftGetAuthToken", true, false),
        (
            "minio",
            "PUT /minio/admin/v3/add-user?accessKey=x",
            "minio.admin",
            "MinioAdminAddUser",
            false,
            false,
        ),
        ("minio", "GET /bucket/key", "s3.amazonaws.com", "GetObject", true, true),
        ("rgw", "GET /bucket/key", "s3.amazonaws.com", "GetObject", true, true),
    ];
    for (flavour, line, source, name, reads, data) in cases {
        let hints = RouteHints { flavour: Some(flavour), ..RouteHints::default() };
        let headers = signed("s3");
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let request = head(line, &headers);
        let route = facts.route(&request, None, &hints);
        assert_eq!(
            (route.event_source.as_str(), route.event_name.as_str()),
            (source, name),
            "{line}"
        );
        assert_eq!(read_only(&facts, &route, &request.method), reads, "{line}");
        assert_eq!(is_data_event(&facts, &route), data, "{line}");
    }
}

proptest! {
    #[test]
    fn any_head_has_a_route(
        method in "[A-Z]{0,7}|\\PC{0,3}",
        target in "(/[a-z0-9%{}?&=._-]{0,12}){0,6}|\\PC{0,40}",
        host in "[a-z0-9.:-]{0,30}|\\PC{0,9}",
        authorization in "(AWS4-HMAC-SHA256 Credential=|AWS |Bearer )?[A-Za-z0-9/,: =-]{0,60}",
        amz_target in "[A-Za-z0-9_.]{0,30}",
        form in proptest::collection::vec(any::<u8>(), 0..60),
        flavour in prop_oneof![Just(None), Just(Some("rgw")), Just(Some("minio")), Just(Some("swift"))],
    ) {
        let headers = [
            ("Host", host.as_str()),
            ("Authorization", &authorization),
            ("X-Amz-Target", &amz_target),
        ];
        let given = if amz_target.is_empty() { &headers[..2] } else { &headers[..] };
        let request = RequestHead {
            method,
            target,
            headers: given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        };
        let facts = Facts::embedded();
        let domains = ["gw.example".to_owned(), String::new()];
        let hints = RouteHints { flavour, s3_domains: &domains, default_service: None };
        let route = facts.route(&request, Some(&form), &hints);
        prop_assert!(!route.event_name.is_empty() && !route.event_source.is_empty());
        prop_assert!(route.operation.is_none() || route.op().is_some());
        let _ = (read_only(&facts, &route, &request.method), is_data_event(&facts, &route));
    }
}

#[test]
fn an_action_beside_an_object_is_no_call() {
    let query = "Action=CreateAccessKey&Version=2010-05-08&UserName=admin";
    let object = call(&format!("GET /bucket/answer.xml?{query}"), "iam", &[], None);
    assert_eq!(object.operation_name(), "");
    let posted = call("POST /bucket/answer.xml", "iam", &[], Some(query));
    assert_eq!(posted.operation_name(), "");
    let host = [("Host", "bucket.s3.localhost")];
    let hidden = Facts::embedded().route(
        &head(
            &format!("GET /?{query}"),
            &[host[0], ("Authorization", signed("iam")[1].1.as_str())],
        ),
        None,
        &RouteHints::default(),
    );
    assert_eq!(hidden.operation_name(), "");
    assert_eq!(
        call(&format!("GET /?{query}"), "iam", &[], None).operation_name(),
        "CreateAccessKey"
    );
    let queue = "POST /000000000000/jobs";
    let form = Some("Action=SendMessage&Version=2012-11-05&MessageBody=x");
    assert_eq!(call(queue, "sqs", &[], form).operation_name(), "SendMessage");
}
