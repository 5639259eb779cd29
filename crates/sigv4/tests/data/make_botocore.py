#!/usr/bin/env python3
"""Writes botocore.json: requests as botocore signs them, for tests/golden.rs.

Run: python3 make_botocore.py > botocore.json
Every request is made by a stock client (or its presigner) with a fixed clock
and caught before it is sent. Keys are AWS's published example keys.
"""
import base64, datetime, json, sys
import botocore, botocore.auth, botocore.compat, botocore.session, botocore.signers
from botocore.awsrequest import AWSResponse
from botocore.config import Config

KEY, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2Vj/+=EXAMPLE"
NOW = datetime.datetime(2026, 11, 22, 17, 30, 0, tzinfo=datetime.timezone.utc)


def fixed(remove_tzinfo=True):
    return NOW.replace(tzinfo=None) if remove_tzinfo else NOW


for module in (botocore.auth, botocore.compat, botocore.signers if hasattr(botocore, "signers") else botocore.auth):
    if hasattr(module, "get_current_datetime"):
        module.get_current_datetime = fixed

vectors = []
# The host is put first; the others are never signed and differ from run to run.
UNSIGNED = ("host", "user-agent", "amz-sdk-invocation-id", "amz-sdk-request")


def head_of(url):
    rest = url.split("://", 1)[1]
    host, slash, target = rest.partition("/")
    if not slash and "?" in host:
        host, _, target = host.partition("?")
        target = "?" + target
    return host, "/" + target


def note(name, method, url, headers, body, service, token):
    host, target = head_of(url)
    fields = [["Host", host]] + [[n, v.decode() if isinstance(v, bytes) else str(v)] for n, v in headers.items() if n.lower() not in UNSIGNED]
    vectors.append({
        "name": name, "method": method, "target": target, "headers": fields,
        "body": base64.b64encode(body).decode(), "service": service,
        "session_token": TOKEN if token else None,
    })


def client(service, token=False, scheme="https", **options):
    made = botocore.session.get_session().create_client(
        service, region_name="eu-central-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        aws_session_token=TOKEN if token else None,
        endpoint_url=options.pop("endpoint_url", f"{scheme}://localhost:4747"),
        config=Config(retries={"max_attempts": 1, "mode": "standard"}, **options))
    return made


class Caught(Exception):
    pass


def call(name, service, operation, token=False, scheme="https", options=None, **arguments):
    made = client(service, token, scheme, **(options or {}))

    def catch(request, **_):
        body = request.body or b""
        if hasattr(body, "read"):
            body = body.read()
        if isinstance(body, str):
            body = body.encode()
        signing = made.meta.service_model.signing_name
        note(name, request.method, request.url, request.headers, bytes(body), signing, token)
        raise Caught()

    made.meta.events.register("before-send", catch)
    try:
        getattr(made, operation)(**arguments)
    except Caught:
        return
    sys.exit(f"{name} was not sent")


def presign(name, service, operation, token=False, method=None, expires=3600, options=None, **arguments):
    url = client(service, token, **(options or {})).generate_presigned_url(operation, Params=arguments, ExpiresIn=expires, HttpMethod=method)
    note(name, method or "GET", url, {}, b"", service, token)


PATH = {"s3": {"addressing_style": "path"}}
call("s3 list buckets", "s3", "list_buckets")
call("s3 get, plain key", "s3", "get_object", options=PATH, Bucket="in", Key="a/b.txt")
call("s3 get, odd key", "s3", "get_object", options=PATH, Bucket="in", Key="a b+c/(d)*~'é$&=@;:,!//../x%2Fy")
call("s3 get, key with dots and slashes", "s3", "get_object", options=PATH, Bucket="in", Key="a/./b/../c//d/")
call("s3 get, range and conditions", "s3", "get_object", options=PATH, Bucket="in", Key="k", Range="bytes=0-9", IfNoneMatch='"abc"')
call("s3 list with odd prefix", "s3", "list_objects_v2", options=PATH, Bucket="in", Prefix="a b+c/é~*&=%", Delimiter="/", MaxKeys=3)
call("s3 put over http", "s3", "put_object", scheme="http", options=PATH, Bucket="in", Key="k", Body=b"hello", Metadata={"who": "a   b", "x": "1,2"})
call("s3 put over https, checksum trailer", "s3", "put_object", options=PATH, Bucket="in", Key="k", Body=b"hello " * 3000)
call("s3 put without payload signing", "s3", "put_object", options={"s3": {"addressing_style": "path", "payload_signing_enabled": False}, "request_checksum_calculation": "when_required"}, Bucket="in", Key="k", Body=b"hello")
call("s3 put, empty, session token", "s3", "put_object", token=True, scheme="http", options=PATH, Bucket="in", Key="k", Body=b"")
call("s3 copy with odd source", "s3", "copy_object", options=PATH, Bucket="out", Key="k2", CopySource={"Bucket": "in", "Key": "a b+é"})
call("s3 delete objects", "s3", "delete_objects", options=PATH, Bucket="in", Delete={"Objects": [{"Key": "a"}, {"Key": "b<c"}]})
call("s3 create multipart", "s3", "create_multipart_upload", options=PATH, Bucket="in", Key="big", Tagging="a=b&c=d%20e")
call("s3 upload part", "s3", "upload_part", scheme="http", options=PATH, Bucket="in", Key="big", PartNumber=2, UploadId="x+/=", Body=b"y" * 100)
call("s3 virtual host", "s3", "head_object", options={"endpoint_url": "https://s3.example.org", "s3": {"addressing_style": "virtual"}}, Bucket="inbox", Key="k")
presign("s3 presigned get", "s3", "get_object", options={**PATH, "signature_version": "s3v4"}, Bucket="in", Key="a b/é+.txt")
presign("s3 presigned get, session token", "s3", "get_object", token=True, options={**PATH, "signature_version": "s3v4"}, Bucket="in", Key="k", ResponseContentType="text/plain; charset=utf-8", VersionId="v+1")
presign("s3 presigned put", "s3", "put_object", method="PUT", expires=604800, options={**PATH, "signature_version": "s3v4"}, Bucket="in", Key="k")
presign("sts presigned", "sts", "get_caller_identity", token=True, method="GET")
call("sts", "sts", "get_caller_identity", token=True)
call("iam", "iam", "create_user", UserName="Bob+1@x", Path="/ops/", Tags=[{"Key": "a b", "Value": "c&d"}])
call("ec2", "ec2", "run_instances", ImageId="ami-1", MinCount=1, MaxCount=2, UserData="#!/bin/sh\necho é")
call("dynamodb", "dynamodb", "put_item", TableName="t", Item={"k": {"S": "é"}})
call("kms", "kms", "encrypt", KeyId="alias/x", Plaintext=b"p")
call("sqs", "sqs", "send_message", QueueUrl="https://localhost:4747/123456789012/q", MessageBody="hi")
call("lambda, arn in the path", "lambda", "get_function", FunctionName="arn:aws:lambda:eu-central-1:123456789012:function:f", Qualifier="$LATEST")
call("lambda invoke", "lambda", "invoke", FunctionName="f:live", Payload=b'{"a":1}')
call("apigateway, label with a slash", "apigateway", "get_resource", restApiId="a/b c", resourceId="x")
call("iot tags with an arn in the query", "iot", "list_tags_for_resource", resourceArn="arn:aws:iot:eu-central-1:1:thing/a b")
call("omics, unsigned body", "omics", "upload_read_set_part", options={"inject_host_prefix": False}, sequenceStoreId="1234567890", uploadId="1234567890", partSource="SOURCE1", partNumber=1, payload=b"ACGT")
call("mediastore-data, unsigned body", "mediastore-data", "put_object", Body=b"abc", Path="a b/c")
call("cloudtrail", "cloudtrail", "lookup_events", LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "PutObject"}])
call("cloudwatch", "cloudwatch", "put_metric_data", Namespace="n", MetricData=[{"MetricName": "m", "Value": 1.0}])
json.dump({
    "provenance": f"botocore {botocore.__version__} clients with a fixed clock, caught before sending by make_botocore.py",
    "access_key_id": KEY, "secret": SECRET, "region": "eu-central-1", "now": "20261122T173000Z", "vectors": vectors,
}, sys.stdout, indent=1, ensure_ascii=True)
print()
