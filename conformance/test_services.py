"""Stock clients over eleven services succeed unchanged, and each call is found.

One table drives it: a step is a boto3 call and what its record must hold. The
record's parts are compared by containment: more members are fine, other values
are not.
"""

import base64
import dataclasses
import datetime
import io
import json
import re
import typing
import zipfile

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, ALICE, Keys, contains, wait_for

OMITTED = object()
ALICE_IDENTITY = {
    "type": "IAMUser",
    "principalId": re.compile("AIDA[A-Z0-9]{16,17}"),
    "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
    "accountId": ACCOUNT,
    "accessKeyId": ALICE.access_key_id,
    "userName": "alice",
}


@dataclasses.dataclass
class Step:
    """One call and what is expected of its record."""

    service: str
    method: str
    arguments: dict
    name: str
    parameters: typing.Any = None
    response: typing.Any = None
    read_only: bool = False
    data: bool = False
    error: str | None = None
    wire_error: str | None = None
    source: str | None = None
    keep: typing.Callable | None = None

    @property
    def event_source(self):
        return f"{self.source or self.service}.amazonaws.com"

    def __str__(self):
        return f"{self.service}.{self.method}"


def archive():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr("main.py", "def handler(event, context):\n    return event\n")
    return held.getvalue()


TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
MEMO = {}


def remember(name, pick):
    return lambda answer: MEMO.__setitem__(name, pick(answer))


def later(name):
    """A value that an earlier step answers."""
    return lambda: MEMO[name]


def s3_steps():
    bucket, key = "conf-bucket", "folder/a b+ü.txt"
    return [
        Step("s3", "create_bucket", {"Bucket": bucket}, "CreateBucket", {"bucketName": bucket}),
        Step("s3", "list_buckets", {}, "ListBuckets", {}, read_only=True),
        Step("s3", "put_bucket_policy", {"Bucket": bucket, "Policy": json.dumps({
                 "Version": "2012-10-17", "Statement": [{
                     "Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "s3:*",
                     "Resource": [f"arn:aws:s3:::{bucket}/*"]}]})},
             "PutBucketPolicy", {"bucketName": bucket, "bucketPolicy": {"Version": "2012-10-17"}}),
        Step("s3", "put_object", {"Bucket": bucket, "Key": key, "Body": b"hello" * 1000, "Metadata": {"k": "v"}},
             "PutObject", {"bucketName": bucket, "key": key}, data=True),
        Step("s3", "get_object", {"Bucket": bucket, "Key": key}, "GetObject",
             {"bucketName": bucket, "key": key}, read_only=True, data=True),
        Step("s3", "head_object", {"Bucket": bucket, "Key": key}, "HeadObject",
             {"bucketName": bucket, "key": key}, read_only=True, data=True),
        Step("s3", "copy_object", {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": key}},
             "CopyObject", {"bucketName": bucket, "key": "copy", "x-amz-copy-source": lambda v: bucket in v},
             data=True),
        Step("s3", "list_objects_v2", {"Bucket": bucket, "Prefix": "folder/"}, "ListObjects",
             {"bucketName": bucket, "list-type": "2", "prefix": "folder/"}, read_only=True, data=True),
        Step("s3", "create_multipart_upload", {"Bucket": bucket, "Key": "big"}, "CreateMultipartUpload",
             {"bucketName": bucket, "key": "big"}, data=True, keep=remember("upload", lambda a: a["UploadId"])),
        Step("s3", "upload_part", {"Bucket": bucket, "Key": "big", "PartNumber": 1, "UploadId": later("upload"),
                                   "Body": b"x" * 6_000_000},
             "UploadPart", {"bucketName": bucket, "key": "big", "partNumber": "1"}, data=True,
             keep=remember("etag", lambda a: a["ETag"])),
        Step("s3", "complete_multipart_upload",
             {"Bucket": bucket, "Key": "big", "UploadId": later("upload"), "MultipartUpload": lambda: {
                 "Parts": [{"PartNumber": 1, "ETag": MEMO["etag"]}]}},
             "CompleteMultipartUpload", {"bucketName": bucket, "key": "big"}, data=True),
        Step("s3", "get_object", {"Bucket": bucket, "Key": "missing"}, "GetObject",
             {"bucketName": bucket, "key": "missing"}, read_only=True, data=True, error="NoSuchKey"),
        Step("s3", "delete_objects", {"Bucket": bucket, "Delete": {"Objects": [{"Key": key}, {"Key": "copy"}]}},
             "DeleteObjects", {"bucketName": bucket}, data=True),
        Step("s3", "delete_object", {"Bucket": bucket, "Key": "big"}, "DeleteObject",
             {"bucketName": bucket, "key": "big"}, data=True),
        Step("s3", "delete_bucket", {"Bucket": bucket}, "DeleteBucket", {"bucketName": bucket}),
        Step("s3", "delete_bucket", {"Bucket": "conf-no-such"}, "DeleteBucket", {"bucketName": "conf-no-such"},
             error="NoSuchBucket"),
    ]


def iam_steps():
    return [
        Step("iam", "create_user", {"UserName": "conf-user", "Tags": [{"Key": "t", "Value": "1"}]}, "CreateUser",
             {"userName": "conf-user", "tags": [{"key": "t", "value": "1"}]},
             {"user": {"userName": "conf-user", "path": "/", "arn": f"arn:aws:iam::{ACCOUNT}:user/conf-user"}}),
        Step("iam", "create_access_key", {"UserName": "conf-user"}, "CreateAccessKey", {"userName": "conf-user"},
             {"accessKey": lambda k: k["userName"] == "conf-user" and "secretAccessKey" not in k}),
        Step("iam", "create_role", {"RoleName": "conf-role", "AssumeRolePolicyDocument": TRUST}, "CreateRole",
             {"roleName": "conf-role", "assumeRolePolicyDocument": TRUST},
             {"role": {"roleName": "conf-role"}}, keep=remember("role", lambda a: a["Role"]["Arn"])),
        Step("iam", "get_user", {"UserName": "conf-user"}, "GetUser", {"userName": "conf-user"}, read_only=True),
        Step("iam", "get_user", {"UserName": "conf-nobody"}, "GetUser", {"userName": "conf-nobody"},
             read_only=True, error="NoSuchEntityException", wire_error="NoSuchEntity"),
    ]


def sts_steps():
    return [
        Step("sts", "get_caller_identity", {}, "GetCallerIdentity", read_only=True),
        Step("sts", "assume_role", {"RoleArn": later("role"), "RoleSessionName": "conf"}, "AssumeRole",
             {"roleSessionName": "conf"},
             {"assumedRoleUser": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/conf-role/conf"},
              "credentials": lambda c: c["accessKeyId"].startswith("ASIA") and "secretAccessKey" not in c
              and "sessionToken" not in c},
             read_only=True),
    ]


def ec2_steps():
    return [
        Step("ec2", "create_vpc", {"CidrBlock": "10.9.0.0/16"}, "CreateVpc", {"cidrBlock": "10.9.0.0/16"},
             {"vpc": {"cidrBlock": "10.9.0.0/16"}}),
        Step("ec2", "describe_vpcs", {}, "DescribeVpcs", {}, read_only=True),
        Step("ec2", "delete_vpc", {"VpcId": "vpc-00000000"}, "DeleteVpc", {"vpcId": "vpc-00000000"},
             error="Client.InvalidVpcID.NotFound", wire_error="InvalidVpcID.NotFound"),
    ]


def kms_steps():
    return [
        Step("kms", "create_key", {"Description": "conf"}, "CreateKey", {"description": "conf"},
             {"keyMetadata": {"description": "conf", "enabled": True}},
             keep=remember("key", lambda a: a["KeyMetadata"]["KeyId"])),
        Step("kms", "encrypt", {"KeyId": later("key"), "Plaintext": b"hidden-plaintext"}, "Encrypt",
             lambda p: p["keyId"] == MEMO["key"] and "plaintext" not in p, read_only=True),
        Step("kms", "describe_key", {"KeyId": "00000000-0000-0000-0000-000000000000"}, "DescribeKey",
             {"keyId": "00000000-0000-0000-0000-000000000000"}, read_only=True, error="NotFoundException"),
    ]


def sqs_steps():
    return [
        Step("sqs", "create_queue", {"QueueName": "conf", "Attributes": {"VisibilityTimeout": "5"}}, "CreateQueue",
             {"queueName": "conf"}, {"queueUrl": re.compile(r"http.*/conf")},
             keep=remember("queue", lambda a: a["QueueUrl"])),
        Step("sqs", "send_message", {"QueueUrl": later("queue"), "MessageBody": "hidden-message"}, "SendMessage",
             {"queueUrl": re.compile(r"http.*/conf")}, data=True),
        Step("sqs", "receive_message", {"QueueUrl": later("queue")}, "ReceiveMessage",
             {"queueUrl": re.compile(r"http.*/conf")}, data=True, read_only=None),
        Step("sqs", "get_queue_url", {"QueueName": "conf-missing"}, "GetQueueUrl", {"queueName": "conf-missing"},
             read_only=True, error=re.compile(".*(NonExistentQueue|QueueDoesNotExist)"),
             wire_error=re.compile(".*(NonExistentQueue|QueueDoesNotExist)")),
        Step("sqs", "delete_queue", {"QueueUrl": later("queue")}, "DeleteQueue",
             {"queueUrl": re.compile(r"http.*/conf")}),
    ]


def sns_steps():
    return [
        Step("sns", "create_topic", {"Name": "conf"}, "CreateTopic", {"name": "conf"},
             {"topicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:conf"},
             keep=remember("topic", lambda a: a["TopicArn"])),
        Step("sns", "publish", {"TopicArn": later("topic"), "Message": "hidden-message"}, "Publish",
             {"topicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:conf"}, data=True),
        Step("sns", "get_topic_attributes", {"TopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:none"},
             "GetTopicAttributes", {"topicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:none"}, read_only=True,
             error=re.compile("NotFound(Exception)?"), wire_error=re.compile("NotFound(Exception)?")),
    ]


def dynamodb_steps():
    return [
        Step("dynamodb", "create_table",
             {"TableName": "conf", "BillingMode": "PAY_PER_REQUEST",
              "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
              "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]},
             "CreateTable", {"tableName": "conf", "billingMode": "PAY_PER_REQUEST",
                             "keySchema": [{"attributeName": "id", "keyType": "HASH"}]},
             {"tableDescription": {"tableName": "conf"}}),
        Step("dynamodb", "put_item", {"TableName": "conf", "Item": {"id": {"S": "1"}, "v": {"S": "hidden-item"}}},
             "PutItem", {"tableName": "conf"}, data=True),
        Step("dynamodb", "get_item", {"TableName": "conf", "Key": {"id": {"S": "1"}}}, "GetItem",
             {"tableName": "conf"}, data=True, read_only=True),
        Step("dynamodb", "describe_table", {"TableName": "conf-missing"}, "DescribeTable",
             {"tableName": "conf-missing"}, read_only=True, error="ResourceNotFoundException"),
    ]


def lambda_steps():
    return [
        Step("lambda", "create_function",
             {"FunctionName": "conf", "Runtime": "python3.12", "Handler": "main.handler", "Role": later("role"),
              "Code": {"ZipFile": archive()}},
             "CreateFunction20150331", lambda p: p["functionName"] == "conf" and "zipFile" not in p.get("code", {}),
             {"functionName": "conf", "runtime": "python3.12"}),
        Step("lambda", "invoke", {"FunctionName": "conf", "Payload": b'"hidden-payload"'}, "Invoke",
             {"functionName": "conf"}, data=True, read_only=None),
        Step("lambda", "get_function", {"FunctionName": "conf-missing"}, "GetFunction20150331v2",
             {"functionName": "conf-missing"}, read_only=True, error="ResourceNotFoundException"),
    ]


def cloudwatch_steps():
    return [
        Step("cloudwatch", "put_metric_alarm",
             {"AlarmName": "conf", "MetricName": "m", "Namespace": "n", "Period": 60, "EvaluationPeriods": 1,
              "Threshold": 1.5, "ComparisonOperator": "GreaterThanThreshold", "Statistic": "Sum"},
             "PutMetricAlarm", {"alarmName": "conf", "threshold": 1.5, "evaluationPeriods": 1},
             source="monitoring"),
        Step("cloudwatch", "describe_alarms", {"AlarmNames": ["conf"]}, "DescribeAlarms",
             {"alarmNames": ["conf"]}, read_only=True, source="monitoring"),
    ]


def secretsmanager_steps():
    return [
        Step("secretsmanager", "create_secret", {"Name": "conf", "SecretString": "hidden-secret"}, "CreateSecret",
             lambda p: p["name"] == "conf" and "secretString" not in p, {"name": "conf"}),
        Step("secretsmanager", "get_secret_value", {"SecretId": "conf"}, "GetSecretValue", {"secretId": "conf"},
             read_only=True),
        Step("secretsmanager", "get_secret_value", {"SecretId": "conf-missing"}, "GetSecretValue",
             {"secretId": "conf-missing"}, read_only=True, error="ResourceNotFoundException"),
    ]


STEPS = [
    step
    for steps in (s3_steps, iam_steps, sts_steps, ec2_steps, kms_steps, sqs_steps, sns_steps, dynamodb_steps,
                  lambda_steps, cloudwatch_steps, secretsmanager_steps)
    for step in steps()
]


@dataclasses.dataclass
class Done:
    """A step that was made: when, and what the client heard."""

    step: Step
    began: datetime.datetime
    ended: datetime.datetime
    request_id: str | None
    error: str | None


def perform(trailbox, step):
    began = datetime.datetime.now(datetime.UTC)
    error, answer = None, None
    try:
        arguments = {k: v() if callable(v) else v for k, v in step.arguments.items()}
        answer = getattr(trailbox.client(step.service), step.method)(**arguments)
        for part in ("Body", "Payload"):
            if part in answer and hasattr(answer[part], "read"):
                answer[part].read()
        if step.keep:
            step.keep(answer)
    except ClientError as refused:
        answer, error = refused.response, refused.response["Error"]["Code"]
    except KeyError as missing:
        answer, error = {"ResponseMetadata": {}}, f"an earlier step did not answer {missing}"
    ended = datetime.datetime.now(datetime.UTC)
    return Done(step, began, ended, answer["ResponseMetadata"].get("RequestId"), error)


@pytest.fixture(scope="module")
def done(trailbox):
    """Every step, made once in order."""
    return [perform(trailbox, step) for step in STEPS]


@pytest.fixture(scope="module")
def management(trailbox, done):
    """Management records by source, as `aws cloudtrail lookup-events` gives them."""
    sources = sorted({step.event_source for step in STEPS})

    def ask(source):
        answer = trailbox.aws("cloudtrail", "lookup-events", "--output", "json", "--lookup-attributes",
                              f"AttributeKey=EventSource,AttributeValue={source}").stdout
        return [json.loads(event["CloudTrailEvent"]) for event in json.loads(answer)["Events"]]

    return {source: ask(source) for source in sources}


@pytest.fixture(scope="module")
def data(trailbox, done):
    """Data records, as `trailbox lookup` gives them."""
    return trailbox.lookup("--category", "data", "--limit", "0")


@pytest.mark.parametrize("at", range(len(STEPS)), ids=[str(step) for step in STEPS])
def test_the_client_hears_what_the_server_says(done, at):
    step, heard = STEPS[at], done[at].error
    want = step.wire_error or step.error
    assert not contains(heard, want), f"client heard {heard}"


def record_of(done, held):
    """The record of a call: by request id where the answer has one, else by name and time."""
    step = done.step
    named = [r for r in held if r["eventName"] == step.name and r["eventSource"] == step.event_source]
    by_id = [r for r in named if done.request_id and r.get("requestID") == done.request_id]
    if by_id:
        return by_id[0]
    slack = datetime.timedelta(seconds=1)
    return next((
        r for r in named
        if done.began - slack <= moment(r) <= done.ended + slack and ("errorCode" in r) == bool(step.error)
    ), None)


def moment(record):
    return datetime.datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize("at", range(len(STEPS)), ids=[str(step) for step in STEPS])
def test_each_call_is_found_with_who_what_where_and_when(done, management, data, at):
    step = STEPS[at]
    held = data if step.data else management[step.event_source]
    record = record_of(done[at], held)
    assert record, f"no record of {step.name} ({step.event_source}) among {sorted({r['eventName'] for r in held})}"
    expected = {
        "eventName": step.name,
        "eventSource": step.event_source,
        "eventType": "AwsApiCall",
        "eventVersion": "1.11",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": lambda text: "Boto3" in text or "boto" in text.lower(),
        "recipientAccountId": ACCOUNT,
        "managementEvent": not step.data,
        "eventCategory": "Data" if step.data else "Management",
        "userIdentity": ALICE_IDENTITY,
    }
    if step.read_only is not None:
        expected["readOnly"] = step.read_only
    if step.error:
        expected["errorCode"] = step.error
        expected["responseElements"] = None
    if step.parameters is not None:
        expected["requestParameters"] = step.parameters
    if step.response is not None:
        expected["responseElements"] = step.response
    told = contains(record, expected, step.name)
    assert not told, f"{told}\n{json.dumps(record, indent=1)}"
    assert bool(step.error) == ("errorCode" in record), record.get("errorCode")
    slack = datetime.timedelta(seconds=1)
    assert done[at].began - slack <= moment(record) <= done[at].ended + slack
    assert set(record["userIdentity"]) == set(ALICE_IDENTITY)


def test_a_bulk_delete_names_every_deleted_key(data, done):
    assert done
    keys = {
        (r.get("serviceEventDetails") or r.get("requestParameters") or {}).get("key")
        or json.dumps(r.get("resources"), ensure_ascii=False)
        for r in data
        if r["eventName"] == "DeleteObject" and r["eventType"] == "AwsServiceEvent"
    }
    for key in ("folder/a b+ü.txt", "copy"):
        assert any(key in str(held) for held in keys), keys


def test_what_must_stay_secret_is_in_no_record(trailbox, management, data):
    everything = json.dumps([management, data])
    for hidden in ("hidden-", ALICE.secret, base64.b64encode(b"hidden-plaintext").decode()[:16]):
        assert hidden not in everything
    log = trailbox.log.read_text(errors="replace")
    assert ALICE.secret not in log


def test_records_are_visible_within_a_second(trailbox):
    trailbox.client("iam").create_user(UserName="conf-quick")

    def seen():
        events = trailbox.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": "conf-quick"}])["Events"]
        return [event for event in events if event["EventName"] == "CreateUser"]

    found = wait_for("CreateUser in LookupEvents", seen, timeout=1.0, pause=0.02)
    assert found[0]["Username"] == "alice"


def test_trailbox_records_its_own_calls(trailbox):
    trailbox.client("cloudtrail").lookup_events(MaxResults=1)
    events = wait_for("LookupEvents in LookupEvents", lambda: trailbox.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "LookupEvents"}])["Events"])
    record = json.loads(events[0]["CloudTrailEvent"])
    told = contains(record, {"eventSource": "cloudtrail.amazonaws.com", "readOnly": True,
                             "userIdentity": ALICE_IDENTITY})
    assert not told


def test_the_cli_copies_objects_both_ways(trailbox, tmp_path):
    trailbox.aws("s3", "mb", "s3://conf-cli")
    (tmp_path / "small").write_bytes(b"small")
    (tmp_path / "large").write_bytes(bytes(range(256)) * 40_000)
    trailbox.aws("s3", "cp", "--recursive", "--exclude", "trailbox*", tmp_path, "s3://conf-cli/up")
    trailbox.aws("s3", "cp", "s3://conf-cli/up/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()
    listed = trailbox.aws("s3", "ls", "s3://conf-cli/up/").stdout
    assert "small" in listed and "10240000" in listed
    names = {(r["eventName"], r["requestParameters"].get("key")) for r in trailbox.lookup(
        "--category", "data", "--limit", "0") if (r.get("requestParameters") or {}).get("bucketName") == "conf-cli"}
    wanted = {("PutObject", "up/small"), ("CreateMultipartUpload", "up/large"), ("UploadPart", "up/large"),
              ("CompleteMultipartUpload", "up/large"), ("HeadObject", "up/large"), ("GetObject", "up/large")}
    assert wanted <= names, wanted - names


CLI = {
    "iam": ("list-users", "ListUsers"),
    "sts": ("get-caller-identity", "GetCallerIdentity"),
    "ec2": ("describe-subnets", "DescribeSubnets"),
    "kms": ("list-keys", "ListKeys"),
    "sqs": ("list-queues", "ListQueues"),
    "sns": ("list-topics", "ListTopics"),
    "dynamodb": ("list-tables", "ListTables"),
    "lambda": ("list-functions", "ListFunctions20150331"),
    "cloudwatch": ("list-dashboards", "ListDashboards"),
    "secretsmanager": ("list-secrets", "ListSecrets"),
}


@pytest.mark.parametrize("service", CLI)
def test_the_cli_works_unchanged_over_every_service(trailbox, service):
    command, name = CLI[service]
    # For SQS alone this CLI passes over AWS_ENDPOINT_URL.
    trailbox.aws(service, command, *(["--endpoint-url", trailbox.url] if service == "sqs" else []))
    source = "monitoring" if service == "cloudwatch" else service
    held = wait_for(f"{name} of the CLI", lambda: [
        r for r in trailbox.lookup("--event-name", name, "--event-source", f"{source}.amazonaws.com")
        if "aws-cli" in r["userAgent"]])
    assert not contains(held[0], {"userIdentity": ALICE_IDENTITY, "readOnly": True, "eventCategory": "Management"})


def test_presigned_urls_work_and_name_their_signer(trailbox, seaweed):
    import urllib.request

    s3 = trailbox.client("s3", signature_version="s3v4")
    s3.create_bucket(Bucket="conf-presigned")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "conf-presigned", "Key": "k"})
    request = urllib.request.Request(put, data=b"presigned", method="PUT", headers={"content-type": ""})
    assert urllib.request.urlopen(request).status == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "conf-presigned", "Key": "k"})
    assert urllib.request.urlopen(get).read() == b"presigned"
    record = wait_for("the presigned GET", lambda: [
        r for r in trailbox.lookup("--category", "data", "--event-name", "GetObject", "--limit", "0")
        if r["requestParameters"].get("bucketName") == "conf-presigned"])[0]
    told = contains(record, {"userIdentity": ALICE_IDENTITY, "additionalEventData": {
        "AuthenticationMethod": "QueryString", "SignatureVersion": "SigV4"}})
    assert not told, record


def test_a_denied_call_is_recorded_with_its_error(trailbox, moto):
    iam = trailbox.client("iam")
    iam.create_user(UserName="conf-denied")
    keys = Keys.of(iam.create_access_key(UserName="conf-denied")["AccessKey"])
    moto.judge_from(0)
    try:
        with pytest.raises(ClientError) as refused:
            trailbox.client("iam", keys).list_users()
    finally:
        moto.judge_from(1_000_000_000)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    events = wait_for("the denied call", lambda: trailbox.client("cloudtrail").lookup_events(LookupAttributes=[
        {"AttributeKey": "AccessKeyId", "AttributeValue": keys.access_key_id}])["Events"])
    record = json.loads(events[0]["CloudTrailEvent"])
    told = contains(record, {
        "eventName": "ListUsers", "errorCode": "AccessDenied", "errorMessage": re.compile(".*conf-denied.*"),
        "userIdentity": {"type": "IAMUser", "userName": "conf-denied", "accessKeyId": keys.access_key_id}})
    assert not told, record
