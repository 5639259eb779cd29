"""Objects stream: constant memory on the way, every body form whole at the end.

The upstream here is Trailbox's own embedded store, so that recorder and engine
are both measured, and the store is tried with stock clients too.
"""

import base64
import hashlib
import io
import pathlib
import re

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import ALICE, REGION, Keys, Trailbox, wait_for

SIZE = 96 * 1024 * 1024
MEMORY_KB = 120_000


class Pattern(io.RawIOBase):
    """So many bytes, made as they are read: nothing is held on this side."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def read(self, count=-1):
        count = self.size - self.at if count is None or count < 0 else min(count, self.size - self.at)
        block = bytes(range(256))
        start = self.at % 256
        data = (block * (count // 256 + 2))[start:start + count]
        self.at += count
        return data

    def md5(self):
        made = hashlib.md5()
        self.seek(0)
        while data := self.read(1 << 20):
            made.update(data)
        self.seek(0)
        return made.hexdigest()


def peak(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def family(pid):
    """A process and its children."""
    pids = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        pids += [int(child) for child in (task / "children").read_text().split()]
    return pids


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    server = Trailbox(tmp_path_factory.mktemp("streaming"), principals=[("alice", ALICE)],
                      config='[listen]\ntls = "self-signed"\n')
    server.start()
    yield server
    assert server.stop() == 0


def s3(box, keys=ALICE, **config):
    return boto3.client(
        "s3", endpoint_url=f"https://localhost:{box.port}", region_name=REGION, verify=str(box.data / "tls-cert.pem"),
        aws_access_key_id=keys.access_key_id, aws_secret_access_key=keys.secret,
        config=Config(proxies={}, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )


def test_a_large_object_passes_in_constant_memory_and_comes_back_whole(box):
    made = s3(box)
    made.create_bucket(Bucket="large")
    body = Pattern(SIZE)
    want = body.md5()
    answer = made.put_object(Bucket="large", Key="one", Body=body, ContentLength=SIZE)
    assert answer["ETag"] == f'"{want}"'
    got, count = hashlib.md5(), 0
    for chunk in made.get_object(Bucket="large", Key="one")["Body"].iter_chunks(1 << 20):
        got.update(chunk)
        count += len(chunk)
    assert (count, got.hexdigest()) == (SIZE, want)
    peaks = {pid: peak(pid) for pid in family(box.process.pid)}
    assert len(peaks) == 2 and max(peaks.values()) < MEMORY_KB, peaks
    records = wait_for("both records", lambda: (lambda held: held if len(held) == 2 else None)([
        r for r in box.records() if r["eventName"] in ("PutObject", "GetObject")]))
    put, get = records
    assert get["additionalEventData"]["bytesTransferredOut"] == SIZE
    assert put["additionalEventData"]["bytesTransferredIn"] >= SIZE


def test_every_form_of_a_body_arrives_whole(box):
    """Over TLS botocore sends a trailer; otherwise a header, or neither."""
    forms = {
        "trailer": (dict(), dict(Body=Pattern(300_000))),
        "header": (dict(), dict(Body=Pattern(300_000).read(), ChecksumAlgorithm="SHA256")),
        "unsigned": (dict(request_checksum_calculation="when_required"), dict(Body=Pattern(300_000))),
        "md5": (dict(request_checksum_calculation="when_required"), dict(
            Body=Pattern(300_000).read(),
            ContentMD5=base64.b64encode(hashlib.md5(Pattern(300_000).read()).digest()).decode())),
        "signed": (dict(request_checksum_calculation="when_required", payload=True), dict(
            Body=Pattern(300_000).read())),
        "empty": (dict(), dict(Body=b"")),
    }
    s3(box).create_bucket(Bucket="forms")
    for name, (config, arguments) in forms.items():
        signed = {"s3": {"addressing_style": "path", "payload_signing_enabled": True}} if config.pop(
            "payload", False) else {}
        made = boto3.client(
            "s3", endpoint_url=f"https://localhost:{box.port}", region_name=REGION,
            verify=str(box.data / "tls-cert.pem"), aws_access_key_id=ALICE.access_key_id,
            aws_secret_access_key=ALICE.secret,
            config=Config(**({"proxies": {}, "s3": {"addressing_style": "path"}} | config | signed)),
        )
        made.put_object(Bucket="forms", Key=name, **arguments)
        held = made.get_object(Bucket="forms", Key=name)
        assert held["Body"].read() == (b"" if name == "empty" else Pattern(300_000).read()), name
        assert "aws-chunked" not in held.get("ContentEncoding", ""), name


def test_the_store_refuses_whom_nobody_knows(box):
    for keys in (Keys("AKIANOBODYNOBODYNOBO", "x"), Keys(ALICE.access_key_id, "wrong")):
        with pytest.raises(ClientError) as refused:
            s3(box, keys).list_buckets()
        assert refused.value.response["Error"]["Code"] in ("InvalidAccessKeyId", "SignatureDoesNotMatch")


def test_a_session_from_our_own_sts_may_use_the_store(box):
    sts = boto3.client(
        "sts", endpoint_url=f"https://localhost:{box.port}", region_name=REGION, verify=str(box.data / "tls-cert.pem"),
        aws_access_key_id=ALICE.access_key_id, aws_secret_access_key=ALICE.secret, config=Config(proxies={}))
    assert sts.get_caller_identity()["Arn"].endswith(":user/alice")
    session = Keys.of(sts.get_session_token()["Credentials"])
    made = boto3.client(
        "s3", endpoint_url=f"https://localhost:{box.port}", region_name=REGION, verify=str(box.data / "tls-cert.pem"),
        aws_access_key_id=session.access_key_id, aws_secret_access_key=session.secret,
        aws_session_token=session.token, config=Config(proxies={}, s3={"addressing_style": "path"}))
    made.create_bucket(Bucket="by-session")
    record = wait_for("its record", lambda: [r for r in box.records() if r["eventName"] == "CreateBucket" and (
        r["requestParameters"].get("bucketName") == "by-session")])[0]
    assert record["userIdentity"]["accessKeyId"] == session.access_key_id
    assert record["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "false"


def test_names_that_are_hard_to_carry_arrive_as_they_are(box):
    made = s3(box)
    made.create_bucket(Bucket="names")
    keys = ["a/../b", "a//b", "trailing/", "space and+plus", "percent%2Fencoded", "ünï/cødé", "quo'te\"", "~tilde*!()",
            "k" * 1000]
    for key in keys:
        made.put_object(Bucket="names", Key=key, Body=key.encode())
    listed = [held["Key"] for held in made.list_objects_v2(Bucket="names")["Contents"]]
    assert sorted(listed) == sorted(keys)
    for key in keys:
        assert made.get_object(Bucket="names", Key=key)["Body"].read() == key.encode()
    recorded = {r["requestParameters"]["key"] for r in wait_for("the records", lambda: (
        lambda held: held if len(held) >= len(keys) else None)([
            r for r in box.records() if r["eventName"] == "PutObject" and (
                r["requestParameters"]["bucketName"] == "names")]))}
    assert recorded == set(keys)
