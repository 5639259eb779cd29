"""HTTP/2 as stock programs speak it: curl in front, and one Trailbox before another."""

import re
import subprocess

import pytest

from harness import ALICE, REGION, clean_env, contains, wait_for


def curl(*words, body=None, service="s3"):
    """Runs the stock curl, signing; the body and what it says of the protocol."""
    listed = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    assert "HTTP2" in listed, "this curl speaks no HTTP/2"
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "--noproxy", "*",
               "--aws-sigv4", f"aws:amz:{REGION}:{service}", "--user", f"{ALICE.access_key_id}:{ALICE.secret}",
               "--write-out", "\n%{http_version} %{http_code}", *words]
    run = subprocess.run(command, env=clean_env(), input=body, capture_output=True, timeout=90)
    assert run.returncode == 0, run.stderr
    answer, _, told = run.stdout.rpartition(b"\n")
    return answer, told.decode().split()


@pytest.mark.parametrize("tls", [False, True])
def test_curl_is_served_and_recorded_in_http_2(make_trailbox, tls):
    config = '[listen]\ntls = "self-signed"\n' if tls else ""
    box = make_trailbox(principals=[("alice", ALICE)], config=config).start()
    scheme, *how = ("https", "--http2", "--insecure") if tls else ("http", "--http2-prior-knowledge")
    url = f"{scheme}://127.0.0.1:{box.port}"
    large = bytes(range(256)) * 20_000

    def ask(*words, body=None, service="s3"):
        answer, told = curl(*how, *words, body=body, service=service)
        assert told == ["2", "200"], (told, answer[:500])
        return answer

    ask("-X", "PUT", f"{url}/over-http2")
    ask("-X", "PUT", "--data-binary", "@-", "-H", "Content-Type: application/octet-stream",
        f"{url}/over-http2/large", body=large)
    assert ask(f"{url}/over-http2/large") == large
    who = ask("--data", "Action=GetCallerIdentity&Version=2011-06-15", url, service="sts")
    assert b"<Arn>" in who

    names = ["CreateBucket", "PutObject", "GetObject", "GetCallerIdentity"]
    records = wait_for("the records", lambda: (found := [
        record for record in box.records() if record["eventName"] in names]) and len(found) == 4 and found)
    for record in records:
        assert record["userIdentity"]["userName"] == "alice", record
        assert "errorCode" not in record, record
        if tls:
            told = contains(record, {"tlsDetails": {
                "tlsVersion": re.compile(r"TLSv1\.[23]"), "clientProvidedHostHeader": f"127.0.0.1:{box.port}"}})
            assert not told, record


def test_stock_clients_pass_through_an_upstream_in_http_2(make_trailbox):
    """boto3 speaks HTTP/1.1 to the first, which speaks HTTP/2 to the second."""
    behind = make_trailbox(principals=[("alice", ALICE)], config='[listen]\ntls = "self-signed"\n').start()
    upstream = f'url = "https://127.0.0.1:{behind.port}", insecure = true, http2 = true'
    front = make_trailbox(principals=[("alice", ALICE)], config=f"[upstream]\ns3 = {{ {upstream} }}\n").start()
    s3 = front.client("s3")
    s3.create_bucket(Bucket="chained")
    body = bytes(range(256)) * 40_000
    s3.put_object(Bucket="chained", Key="large", Body=body)
    assert s3.get_object(Bucket="chained", Key="large")["Body"].read() == body
    assert s3.head_object(Bucket="chained", Key="large")["ContentLength"] == len(body)
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="chained", Key="missing")
    s3.delete_object(Bucket="chained", Key="large")
    for box in (front, behind):
        names = [record["eventName"] for record in box.records() if record["userIdentity"].get("userName") == "alice"]
        for name in ("CreateBucket", "PutObject", "GetObject", "HeadObject", "DeleteObject"):
            assert name in names, (box.directory, names)
