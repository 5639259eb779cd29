"""Bad input gets a clear answer in the protocol's own shape, and a record where a call was made."""

import json
import re
import socket
import struct
import time

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness import ALICE, Echo, Keys, Reader, Trailbox, http, ok, raw_call, scope, wait_for

JSON_TYPE = "application/x-amz-json-1.1"
QUARANTINE = "000000000000"


def behave(seen):
    """An upstream that hangs up when asked to."""
    if "vanish" in seen.line or b"vanish" in seen.body:
        return None
    return ok()


@pytest.fixture(scope="module")
def upstream():
    server = Echo(behave=behave).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def box(tmp_path_factory, upstream):
    server = Trailbox(
        tmp_path_factory.mktemp("bad-input"), upstreams=[f"s3={upstream.url}", upstream.url],
        principals=[("alice", ALICE)],
    ).start()
    wait_for("both probes of the upstream", lambda: len(upstream.seen) >= 2, timeout=10)
    yield server
    assert server.stop() == 0


@pytest.fixture(autouse=True)
def still_well(box):
    yield
    assert box.process.alive(), "Trailbox did not survive it"
    assert http(f"{box.admin}/readyz")[0] == 200


def signed(box, service, method="POST", path="/", body=b"", headers=None, keys=ALICE, secret=None, at=None):
    """A signed request as bytes; `secret` and `at` make it a wrong or an old one."""
    request = AWSRequest(method, f"{box.url}{path}", headers=headers or {}, data=body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    auth = kind(Credentials(keys.access_key_id, secret or keys.secret), service, "us-east-1")
    if at is not None:
        import botocore.auth
        import datetime

        moment = datetime.datetime.fromtimestamp(at, datetime.UTC).replace(tzinfo=None)
        held = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *_, **__: moment
        try:
            auth.add_auth(request)
        finally:
            botocore.auth.get_current_datetime = held
    else:
        auth.add_auth(request)
    return plain(box, method, path, body, dict(request.headers.items()))


def plain(box, method, path, body=b"", headers=None):
    held = {"Host": f"127.0.0.1:{box.port}", "Content-Length": str(len(body))} | (headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in held.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def record_where(box, fits, **filters):
    return wait_for("its record", lambda: [r for r in box.records(**filters) if fits(r)], timeout=10, pause=0.3)[-1]


SHAPES = {
    "s3": (lambda **more: dict(path="/bad/input", method="PUT", body=b"x", **more),
           r"<Error>.*<Code>{code}</Code>.*</Error>"),
    "iam": (lambda **more: dict(body=b"Action=CreateUser&Version=2010-05-08&UserName=bad", headers={
        "Content-Type": "application/x-www-form-urlencoded"}, **more),
        r"<ErrorResponse.*<Error>.*<Code>{code}</Code>.*</ErrorResponse>"),
    "dynamodb": (lambda **more: dict(body=b'{"TableName":"bad"}', headers={
        "X-Amz-Target": "DynamoDB_20120810.DeleteTable", "Content-Type": "application/x-amz-json-1.0"}, **more),
        r'"__type":\s*"[^"]*{code}"'),
    "ec2": (lambda **more: dict(body=b"Action=DeleteVpc&Version=2016-11-15&VpcId=vpc-1", headers={
        "Content-Type": "application/x-www-form-urlencoded"}, **more),
        r"<Response>.*<Code>{code}</Code>.*</Response>"),
}


@pytest.mark.parametrize("service", SHAPES)
def test_a_wrong_signature_is_refused_before_the_upstream_sees_it(box, upstream, service):
    parts, shape = SHAPES[service]
    before = len(upstream.seen)
    status, _, body = raw_call(box.port, signed(box, service, secret="wrong", **parts()))
    assert status in (400, 401, 403), body
    code = "(SignatureDoesNotMatch|InvalidSignatureException|AuthFailure)"
    assert re.search(shape.format(code=code), body.decode(), re.S), body
    assert len(upstream.seen) == before
    # Who signs wrongly is nobody we know: the record is kept in quarantine, with the claim.
    record = record_where(box, lambda r: re.search(code, r.get("errorCode", "")) and r[
        "eventSource"].startswith(service), account=QUARANTINE)
    assert record["responseElements"] is None
    assert record["userIdentity"] == {
        "type": "Unknown", "accountId": QUARANTINE, "accessKeyId": ALICE.access_key_id}
    assert ALICE.secret not in json.dumps(record)


@pytest.mark.parametrize("service", SHAPES)
@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off_by_more_than_a_quarter_of_an_hour_is_refused(box, upstream, service, minutes):
    parts, shape = SHAPES[service]
    before = len(upstream.seen)
    request = signed(box, service, at=time.time() + minutes * 60, **parts())
    status, _, body = raw_call(box.port, request)
    assert status in (400, 401, 403), body
    code = "(RequestTimeTooSkewed|SignatureDoesNotMatch|InvalidSignatureException|RequestExpired)"
    assert re.search(shape.format(code=code), body.decode(), re.S), body
    assert len(upstream.seen) == before


@pytest.mark.parametrize("service", SHAPES)
def test_a_right_signature_passes(box, upstream, service):
    parts, _ = SHAPES[service]
    before = len(upstream.seen)
    status, _, body = raw_call(box.port, signed(box, service, **parts()))
    assert status == 200, body
    assert len(upstream.seen) == before + 1


KNOWN = ALICE.access_key_id
MALFORMED = [
    f"AWS4-HMAC-SHA256 Credential={KNOWN}/20260101/us-east-1, SignedHeaders=host, Signature=00",
    f"AWS4-HMAC-SHA256 Credential={KNOWN}/20260101/us-east-1/s3/aws4_request",
    f"AWS4-HMAC-SHA256 Credential={KNOWN}/20260101/us-east-1/s3/aws4_request, SignedHeaders=, Signature=",
    f"AWS4-HMAC-SHA256 Credential={KNOWN}/tomorrow/us-east-1/s3/aws4_request, SignedHeaders=host, Signature={'0' * 64}",
]
NONSENSE = [
    "AWS4-HMAC-SHA256 garbage",
    "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=, Signature=",
    "AWS4-HMAC-SHA256 " + "A" * 4000,
]


def with_authorization(box, header, key):
    return plain(box, "PUT", f"/bad/{key}", b"x", {
        "Authorization": header, "x-amz-date": "20260101T000000Z", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_signature_of_a_known_key_is_refused(box, upstream, header):
    before = len(upstream.seen)
    status, _, body = raw_call(box.port, with_authorization(box, header, "malformed"))
    assert 400 <= status < 500, body
    assert re.search(rb"<Error><Code>\w+</Code><Message>.+</Message>", body), body
    assert len(upstream.seen) == before
    record_where(box, lambda r: "/bad/malformed" in json.dumps(r) or (
        r["requestParameters"] or {}).get("key") == "malformed", account=QUARANTINE)


@pytest.mark.parametrize("at", range(len(NONSENSE)))
def test_what_claims_no_key_at_all_is_the_upstreams_to_judge_and_is_recorded(box, upstream, at):
    request = with_authorization(box, NONSENSE[at], f"nonsense-{at}")
    status, _, _ = raw_call(box.port, request)
    assert status == 200
    assert [seen.raw for seen in upstream.seen if f"nonsense-{at}" in seen.line] == [request]
    record = record_where(box, lambda r: (r["requestParameters"] or {}).get("key") == f"nonsense-{at}",
                          account=QUARANTINE)
    assert record["userIdentity"]["type"] == "Unknown"


def test_the_body_must_be_the_signed_one(box, upstream):
    before = len(upstream.seen)
    request = signed(box, "dynamodb", body=b'{"TableName":"aaa"}', headers={
        "X-Amz-Target": "DynamoDB_20120810.DeleteTable", "Content-Type": "application/x-amz-json-1.0"})
    status, _, body = raw_call(box.port, request.replace(b"aaa", b"bbb"))
    assert status in (400, 403), body
    assert len(upstream.seen) == before


@pytest.mark.parametrize(("body", "code"), [
    (b"{", "SerializationException"),
    (b"[1,2]", "SerializationException"),
    (b'{"MaxResults": "many"}', "SerializationException"),
    (b'{"MaxResults": 1' + b"0" * 400 + b"}", "SerializationException"),
    (b"\xff\xfe\x00", "SerializationException"),
    (b"[" * 100_000, "SerializationException"),
])
def test_json_that_is_none_is_told_so(box, body, code):
    request = signed(box, "cloudtrail", body=body, headers={
        "Content-Type": JSON_TYPE,
        "X-Amz-Target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"})
    status, _, answer = raw_call(box.port, request)
    assert status == 400, answer
    assert json.loads(answer)["__type"].endswith(code), answer


BOMB = (b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
        b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b"<Delete><Object><Key>&c;&x;</Key></Object></Delete>")


@pytest.mark.parametrize(("service", "path", "headers", "body", "name"), [
    ("s3", "/bad?delete", {}, BOMB, "DeleteObjects"),
    ("s3", "/bad?delete", {}, b"<Delete><Object>" * 5000, "DeleteObjects"),
    ("dynamodb", "/", {"X-Amz-Target": "DynamoDB_20120810.DeleteTable",
                       "Content-Type": "application/x-amz-json-1.0"}, b"{not json", "DeleteTable"),
    ("monitoring", "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm",
     {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}, b"\xbf\xff\xff\x9f" + b"\x9b" * 60,
     "PutMetricAlarm"),
    ("iam", "/", {"Content-Type": "application/x-www-form-urlencoded"},
     b"Action=DeleteUser&Version=2010-05-08&UserName=%zz%ff&&=&UserName", "DeleteUser"),
])
def test_a_body_that_is_not_what_it_claims_passes_unchanged_and_is_recorded(
        box, upstream, service, path, headers, body, name):
    method = "POST"
    before = len(upstream.seen)
    status, _, answer = raw_call(box.port, signed(box, service, method, path, body, headers))
    assert status == 200, answer
    assert upstream.seen[before].body == body
    record = record_where(box, lambda r: r["eventName"] == name, username="alice")
    assert "root:" not in json.dumps(record)
    assert len(json.dumps(record)) < 100_000


def test_gzip_bombs_are_not_blown_up(box, upstream):
    import gzip

    body = gzip.compress(b'{"a":"' + b"a" * 200_000_000 + b'"}', 9)
    before = len(upstream.seen)
    request = signed(box, "monitoring", body=body, headers={
        "X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData", "Content-Encoding": "gzip",
        "Content-Type": "application/x-amz-json-1.0"})
    status, _, answer = raw_call(box.port, request, timeout=60)
    assert status == 200, answer
    assert upstream.seen[before].body == body
    status_text = open(f"/proc/{box.process.pid}/status").read()
    resident = int(re.search(r"VmHWM:\s+(\d+) kB", status_text)[1])
    assert resident < 400_000, f"{resident} kB resident"


def test_a_truncated_upload_is_no_success(box):
    request = signed(box, "s3", "PUT", "/bad/truncated", b"x" * 100_000, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    with socket.create_connection(("127.0.0.1", box.port), timeout=15) as link:
        link.sendall(request[:-50_000])
        link.shutdown(socket.SHUT_WR)
        status, _, body = Reader(link).answer()
    assert status is None or status >= 400, (status, body)
    record = record_where(box, lambda r: (r["requestParameters"] or {}).get("key") == "truncated")
    assert record.get("errorCode"), record


def test_a_client_that_vanishes_leaves_a_record(box, upstream):
    request = signed(box, "s3", "PUT", "/bad/vanished-client", b"x" * 10)
    link = socket.create_connection(("127.0.0.1", box.port))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.sendall(request)
    wait_for("the call upstream", lambda: any("vanished-client" in line for line in upstream.lines))
    link.close()
    record_where(box, lambda r: (r["requestParameters"] or {}).get("key") == "vanished-client")


@pytest.mark.parametrize(("service", "parts"), [
    ("s3", dict(method="PUT", path="/bad/vanish-upstream", body=b"x")),
    ("iam", dict(body=b"Action=CreateUser&Version=2010-05-08&UserName=vanish", headers={
        "Content-Type": "application/x-www-form-urlencoded"})),
    ("dynamodb", dict(body=b'{"TableName":"vanish"}', headers={
        "X-Amz-Target": "DynamoDB_20120810.DeleteTable", "Content-Type": "application/x-amz-json-1.0"})),
])
def test_an_upstream_that_vanishes_is_a_502_and_asked_only_once(box, upstream, service, parts):
    before = len(upstream.seen)
    status, _, body = raw_call(box.port, signed(box, service, **parts))
    assert status == 502, (status, body)
    assert re.search(rb"<Code>|__type", body), body
    assert len(upstream.seen) == before + 1, "the call was repeated"
    record = record_where(box, lambda r: "vanish" in json.dumps(r["requestParameters"]) and r.get(
        "errorCode") and r["eventSource"].startswith(service))
    assert record["responseElements"] is None


def test_an_upstream_that_is_down_is_a_502_with_a_record(make_trailbox):
    from harness import free_port

    box = make_trailbox(upstreams=[f"http://127.0.0.1:{free_port()}"], principals=[("alice", ALICE)]).start()
    status, _, body = raw_call(box.port, signed(box, "iam", body=b"Action=ListUsers&Version=2010-05-08", headers={
        "Content-Type": "application/x-www-form-urlencoded"}))
    assert status in (502, 503, 504) and b"<ErrorResponse" in body, (status, body)
    record = wait_for("its record", lambda: [r for r in box.records() if r["eventName"] == "ListUsers"])[0]
    assert record["errorCode"]


@pytest.mark.parametrize(("service", "method", "path", "headers", "body"), [
    ("nosuchservice", "POST", "/v9/things?x=1", {}, b"{}"),
    ("dynamodb", "POST", "/", {"X-Amz-Target": "DynamoDB_20120810.InventTable",
                               "Content-Type": "application/x-amz-json-1.0"}, b"{}"),
    ("iam", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"},
     b"Action=InventUser&Version=2010-05-08"),
])
def test_what_no_model_knows_is_forwarded_and_recorded_as_unrecognized(
        box, upstream, service, method, path, headers, body):
    before = len(upstream.seen)
    status, _, answer = raw_call(box.port, signed(box, service, method, path, body, headers))
    assert status == 200, answer
    assert len(upstream.seen) == before + 1
    record = record_where(box, lambda r: r["eventName"] == "UnrecognizedOperation" and r[
        "eventSource"].startswith(service))
    assert (record["readOnly"], record["managementEvent"]) == (False, True)


@pytest.mark.parametrize("request_bytes", [
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\nhello",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X-A: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X-A: a\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHo st: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
])
def test_bytes_that_are_no_http_end_with_the_connection_or_a_400(box, upstream, request_bytes):
    before = len(upstream.seen)
    try:
        status, _, _ = raw_call(box.port, request_bytes, timeout=5, half_close=True)
    except (ConnectionError, TimeoutError):
        status = None
    assert status is None or 400 <= status < 600, status
    assert len(upstream.seen) == before, "an upstream saw it"


def test_a_client_cannot_say_who_it_is_in_a_header_of_ours(box):
    forged = Keys("AKIAFORGEDFORGEDFORG", "x")
    status, _, _ = raw_call(box.port, plain(box, "PUT", "/bad/forged", b"x", {
        "Authorization": scope("s3", forged.access_key_id), "x-amz-date": "20260101T000000Z",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-trailbox-caller": "e30="}))
    assert status == 200
    record = record_where(box, lambda r: (r["requestParameters"] or {}).get("key") == "forged",
                          account=QUARANTINE)
    assert record["userIdentity"]["type"] == "Unknown"
