"""Re-signing: a real S3 server behind Trailbox that knows another key and has
another name than the ones its callers sign for.

The server looks at every signature; who calls it without Trailbox is refused.
"""

import base64
import datetime
import hashlib
import hmac
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import boto3
import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness import ALICE, ANYONE, REGION, Keys, Seaweed, Trailbox, contains, raw_call, wait_for

UPSTREAM = Keys("AKIAUPSTREAMUPSTREAM", "the-upstreams-secret-the-upstreams-secret")


class Resigned:
    """SeaweedFS with its own key, and Trailbox in front of it."""

    def __init__(self, directory, tls=False):
        self.tls = tls
        self.server = Seaweed(directory / "weed", keys=UPSTREAM).start()
        secret = directory / "upstream.secret"
        secret.write_text(UPSTREAM.secret + "\n")
        self.box = Trailbox(directory / "box", principals=[("alice", ALICE)], config=(
            ('[listen]\ntls = "self-signed"\n' if tls else "")
            + f'[upstream]\ns3 = {{ url = "{self.server.url}", resign = {{ access_key_id = '
            f'"{UPSTREAM.access_key_id}", secret_file = "{secret}" }} }}\n')).start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://localhost:{self.box.port}"

    def stop(self):
        ended = self.box.stop()
        self.server.stop()
        return ended

    def s3(self, keys=ALICE, endpoint=None, **config):
        s3 = {"addressing_style": "path"} | config.pop("s3", {})
        return boto3.client(
            "s3", endpoint_url=endpoint or self.url, region_name=REGION, aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret, verify=str(self.box.data / "tls-cert.pem") if self.tls else None,
            config=Config(proxies={}, retries={"total_max_attempts": 1}, s3=s3, **config))

    def record(self, name, key):
        """The record of a call on an object: the caller's own, whatever was sent on."""
        record = wait_for(f"{name} {key}", lambda: [r for r in self.box.records() if r["eventName"] == name and (
            r["requestParameters"].get("key") == key)])[0]
        assert not contains(record, {
            "userIdentity": {"userName": "alice", "accessKeyId": ALICE.access_key_id},
            "requestParameters": {"Host": f"localhost:{self.box.port}"},
            "additionalEventData": {"trailboxIdentity": "verified"}}), record
        return record


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    made = Resigned(tmp_path_factory.mktemp("resign"))
    made.s3().create_bucket(Bucket="things")
    yield made
    assert made.stop() == 0


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    made = Resigned(tmp_path_factory.mktemp("resign-tls"), tls=True)
    made.s3().create_bucket(Bucket="things")
    yield made
    assert made.stop() == 0


def noise(size):
    block = hashlib.sha512(str(size).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def code_of(call):
    with pytest.raises(ClientError) as refused:
        call()
    return refused.value.response["Error"]["Code"]


def fetch(url, method="GET", body=None):
    request = urllib.request.Request(url, data=body, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_server_believes_its_own_key_only_and_trailbox_its_callers(plain):
    direct = plain.s3(endpoint=plain.server.url)
    assert code_of(lambda: direct.list_objects_v2(Bucket="things")) == "InvalidAccessKeyId"
    for keys, want in ((ANYONE, "InvalidAccessKeyId"), (UPSTREAM, "InvalidAccessKeyId"),
                       (Keys(ALICE.access_key_id, "wrong"), "SignatureDoesNotMatch")):
        assert code_of(lambda: plain.s3(keys).list_objects_v2(Bucket="things")) == want
    assert fetch(f"{plain.url}/things/nothing")[0] == 403
    refused = wait_for("the refusals", lambda: (lambda held: held if len(held) == 3 else None)(
        plain.box.records(account="000000000000")))
    assert all(r["userIdentity"]["type"] == "Unknown" and r["errorCode"] for r in refused)


def test_the_command_line_copies_up_and_down_in_one_and_in_many_parts(plain, tmp_path):
    """Over plain HTTP its parts carry signed hashes."""
    for name, size in (("small.bin", 1000), ("large.bin", 20 * 1024 * 1024 + 17)):
        source, back = tmp_path / name, tmp_path / f"back-{name}"
        source.write_bytes(noise(size))
        endpoint = ("--endpoint-url", plain.url)
        plain.box.aws("s3", "cp", source, f"s3://things/cli/{name}", *endpoint)
        plain.box.aws("s3", "cp", f"s3://things/cli/{name}", back, *endpoint)
        assert back.read_bytes() == source.read_bytes()
    plain.record("PutObject", "cli/small.bin")
    plain.record("CompleteMultipartUpload", "cli/large.bin")
    assert plain.record("UploadPart", "cli/large.bin")["requestID"]
    listed = plain.box.aws("s3", "ls", "s3://things/cli/", "--endpoint-url", plain.url).stdout
    assert "small.bin" in listed and "large.bin" in listed


def test_a_large_object_is_copied_in_parts(plain):
    s3 = plain.s3()
    body = noise(12 * 1024 * 1024)
    s3.put_object(Bucket="things", Key="copy/source", Body=body)
    upload = s3.create_multipart_upload(Bucket="things", Key="copy/target")["UploadId"]
    parts = []
    for number, first in ((1, 0), (2, 6 * 1024 * 1024)):
        last = min(first + 6 * 1024 * 1024, len(body)) - 1
        part = s3.upload_part_copy(
            Bucket="things", Key="copy/target", UploadId=upload, PartNumber=number,
            CopySource={"Bucket": "things", "Key": "copy/source"}, CopySourceRange=f"bytes={first}-{last}")
        parts.append({"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(
        Bucket="things", Key="copy/target", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="things", Key="copy/target")["Body"].read() == body
    plain.record("UploadPartCopy", "copy/target")


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_urls_work_and_end(plain, version):
    s3 = plain.s3(signature_version=version)
    key = f"presigned/{version} +&.txt"
    sign = lambda operation, **more: s3.generate_presigned_url(  # noqa: E731
        operation, Params={"Bucket": "things", "Key": key} | more, ExpiresIn=60)
    if version == "s3":
        # Version 2 signs the content type, which urllib would invent.
        s3.put_object(Bucket="things", Key=key, Body=b"by url")
    else:
        request = urllib.request.Request(sign("put_object"), data=b"by url", method="PUT",
                                         headers={"Content-Type": "text/plain"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(request, timeout=20).status == 200
    assert fetch(sign("get_object")) == (200, b"by url")
    got = plain.record("GetObject", key)
    assert got["additionalEventData"]["AuthenticationMethod"] == "QueryString"
    assert got["additionalEventData"]["SignatureVersion"] == ("SigV4" if version == "s3v4" else "SigV2")
    status, body = fetch(sign("get_object").replace("Signature=", "Signature=0"))
    assert status in (400, 403), body
    expired = AWSRequest("GET", f"{plain.url}/things/x")
    HmacV1QueryAuth(Credentials(ALICE.access_key_id, ALICE.secret), expires=-5).add_auth(expired)
    assert fetch(expired.prepare().url)[0] == 403


def put_forms(s3, prefix):
    """Puts an object in every form a body has in boto3; its name and bytes."""
    body = noise(300_000)
    forms = {
        "default": {}, "crc32": {"ChecksumAlgorithm": "CRC32"}, "sha256": {"ChecksumAlgorithm": "SHA256"},
        "empty": {"Body": b""}, "metadata": {"Metadata": {"a": "  two   words "}, "ContentType": "text/x;  y=z"},
    }
    for name, more in forms.items():
        s3.put_object(**({"Bucket": "things", "Key": f"{prefix}/{name}", "Body": body} | more))
        held = s3.get_object(Bucket="things", Key=f"{prefix}/{name}")
        assert held["Body"].read() == more.get("Body", body), name
    return list(forms)


@pytest.mark.parametrize("signed", [True, False])
def test_every_form_of_a_body_arrives_whole_over_plain_http(plain, signed):
    prefix = f"plain-{signed}"
    for name in put_forms(plain.s3(s3={"payload_signing_enabled": signed}), prefix):
        plain.record("PutObject", f"{prefix}/{name}")


@pytest.mark.parametrize("signed", [True, False])
def test_every_form_of_a_body_arrives_whole_over_tls(tls, signed):
    """Here botocore sends unsigned payloads and STREAMING-UNSIGNED-PAYLOAD-TRAILER."""
    prefix = f"tls-{signed}"
    for name in put_forms(tls.s3(s3={"payload_signing_enabled": signed}), prefix):
        tls.record("PutObject", f"{prefix}/{name}")


def test_lists_names_and_deletions_are_those_of_the_server(plain):
    s3 = plain.s3()
    keys = ["names/space and+plus", "names/percent%2Fencoded", "names/ünï", "names/quo'te\"!()*", "names/a:b@c,d;e"]
    for key in keys:
        s3.put_object(Bucket="things", Key=key, Body=key.encode(), Tagging="a=b%20c")
        assert s3.get_object(Bucket="things", Key=key)["Body"].read() == key.encode(), key
        assert s3.get_object_tagging(Bucket="things", Key=key)["TagSet"] == [{"Key": "a", "Value": "b c"}]
    listed = s3.list_objects_v2(Bucket="things", Prefix="names/", MaxKeys=100)
    assert sorted(held["Key"] for held in listed["Contents"]) == sorted(keys)
    deleted = s3.delete_objects(Bucket="things", Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(deleted["Deleted"]) == len(keys) and "Errors" not in deleted
    assert s3.list_objects_v2(Bucket="things", Prefix="names/")["KeyCount"] == 0
    plain.record("PutObject", "names/ünï")
    assert wait_for("the deletion", lambda: [r for r in plain.box.records() if r["eventName"] == "DeleteObjects"])


class Streamed:
    """An upload in signed chunks, as the AWS documentation has it; botocore sends none."""

    def __init__(self, port, path, body, size, trailer=False, forge=None):
        self.chunks = [body[at:at + size] for at in range(0, len(body), size)] + [b""]
        now = datetime.datetime.now(datetime.timezone.utc)
        self.date = now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.date[:8]}/{REGION}/s3/aws4_request"
        checksum = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        self.trailer = f"x-amz-checksum-crc32:{checksum}" if trailer else None
        headers = {
            "content-encoding": "aws-chunked", "host": f"localhost:{port}", "x-amz-date": self.date,
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else ""),
            "x-amz-decoded-content-length": str(len(body)),
        } | ({"x-amz-trailer": "x-amz-checksum-crc32"} if trailer else {})
        names = ";".join(sorted(headers))
        canonical = "\n".join(["PUT", path, "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
                               headers["x-amz-content-sha256"]])
        self.previous = self.sign("AWS4-HMAC-SHA256", hashlib.sha256(canonical.encode()).hexdigest())
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={ALICE.access_key_id}/{self.scope}, SignedHeaders={names}, "
            f"Signature={self.previous}")
        framed = b"".join(self.chunk(data, place == forge) for place, data in enumerate(self.chunks))
        if trailer:
            # The last chunk's own line end is the trailer's to give.
            framed = framed[:-2] + f"{self.trailer}\r\n".encode()
            signature = self.sign(
                "AWS4-HMAC-SHA256-TRAILER", self.previous, hashlib.sha256(f"{self.trailer}\n".encode()).hexdigest())
            framed += f"x-amz-trailer-signature:{signature}\r\n\r\n".encode()
        headers["content-length"] = str(len(framed))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.request = f"PUT {path} HTTP/1.1\r\n{lines}\r\n".encode() + framed

    def sign(self, kind, *parts):
        key = f"AWS4{ALICE.secret}".encode()
        for part in (self.date[:8], REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        text = "\n".join([kind, self.date, self.scope, *parts])
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def chunk(self, data, forged):
        nothing = hashlib.sha256(b"").hexdigest()
        self.previous = self.sign(
            "AWS4-HMAC-SHA256-PAYLOAD", self.previous, nothing, hashlib.sha256(data).hexdigest())
        data = b"!" * len(data) if forged else data
        return f"{len(data):x};chunk-signature={self.previous}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize("trailer", [False, True])
@pytest.mark.parametrize("size", [8192, 65536, 70_000, 1_000_000])
def test_signed_chunks_are_signed_anew(plain, trailer, size):
    key, body = f"streamed/{trailer}-{size}", noise(1_234_567)
    upload = Streamed(plain.box.port, f"/things/{key}", body, size, trailer)
    status, _, answer = raw_call(plain.box.port, upload.request)
    assert status == 200, answer
    assert plain.s3().get_object(Bucket="things", Key=key)["Body"].read() == body
    put = plain.record("PutObject", key)
    assert put["additionalEventData"]["bytesTransferredIn"] >= len(body)


@pytest.mark.parametrize("trailer", [False, True])
def test_a_forged_chunk_leaves_no_object(plain, trailer):
    key = f"forged/{trailer}"
    upload = Streamed(plain.box.port, f"/things/{key}", noise(400_000), 65536, trailer, forge=3)
    status, _, answer = raw_call(plain.box.port, upload.request)
    assert status == 403 and b"SignatureDoesNotMatch" in answer, answer
    time.sleep(0.2)
    assert code_of(lambda: plain.s3().get_object(Bucket="things", Key=key)) == "NoSuchKey"
    record = [r for r in plain.box.records() if r["eventName"] == "PutObject" and (
        r["requestParameters"]["key"] == key)][0]
    assert record["errorCode"] == "SignatureDoesNotMatch"


def test_what_cannot_be_signed_anew_is_refused_in_the_clients_words(plain):
    post = plain.s3().generate_presigned_post("things", "form")
    boundary = "xxboundaryxx"
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                    for name, value in post["fields"].items())
    body = f'{parts}--{boundary}\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--{boundary}--\r\n'.encode()
    head = (f"POST /things HTTP/1.1\r\nHost: localhost:{plain.box.port}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={boundary}\r\n\r\n").encode()
    status, _, answer = raw_call(plain.box.port, head + body)
    assert status == 501 and b"<Code>NotImplemented</Code>" in answer and b"presigned PUT" in answer


def test_no_secret_is_in_a_record_or_a_log(plain):
    request = AWSRequest("GET", f"{plain.url}/things/nothing", headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    S3SigV4Auth(Credentials(ALICE.access_key_id, ALICE.secret), "s3", REGION).add_auth(request)
    text = plain.box.log.read_text(errors="replace") + str(plain.box.records())
    for secret in (UPSTREAM.secret, ALICE.secret):
        assert secret not in text
    assert urllib.parse.quote(UPSTREAM.access_key_id) not in str(plain.box.records())
