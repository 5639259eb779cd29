"""Users and keys synced from a Ceph RGW or an IAM: who calls is verified and named.

CI plays the RGW's admin API; FULL=1 syncs a real Ceph. The IAM is moto.
"""

import http.client
import json
import re
import threading
import time
import urllib.parse
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import ceph
from harness import ACCOUNT, FULL, REGION, Keys, client, free_port, http as fetch, wait_for

SYNC = Keys("SYNCSYNCSYNCSYNCSYNC", "sync-secret-sync-secret-sync-secret-sync")
USERS = 1000
BUCKETS = b'<?xml version="1.0"?><ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>'


def signed(keys, method, url, body=b""):
    """The headers that a stock signer adds."""
    request = AWSRequest(method, url, data=body)
    S3SigV4Auth(Credentials(keys.access_key_id, keys.secret), "s3", REGION).add_auth(request)
    return dict(request.headers.items())


def call(link, base, keys, method, target, body=b""):
    """One signed call on a connection that is kept."""
    link.request(method, target, body=body or None, headers=signed(keys, method, base + target, body))
    answer = link.getresponse()
    return answer.status, answer.read()


class Rgw:
    """The admin API of an RGW as Ceph documents it, and an S3 that lists no buckets."""

    def __init__(self, page=300):
        self.users, self.page, self.asked, self.fault = {}, page, Counter(), None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize, disable_nagle_algorithm = 1 << 16, True

            def log_message(self, *_):
                pass

            def do_GET(self):  # noqa: N802
                status, body = outer.answer(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, keys, **more):
        """A user with `(key's user, Keys)`; `name` may be `tenant$user`."""
        tenant, _, user = name.rpartition("$")
        self.users[name] = {
            "tenant": tenant, "user_id": user, "display_name": name, "email": "", "suspended": 0,
            "max_buckets": 1000, "subusers": [], "swift_keys": [], "caps": [], "op_mask": "read, write, delete",
            "keys": [{"user": of, "access_key": k.access_key_id, "secret_key": k.secret} for of, k in keys],
        } | more

    def answer(self, request):
        url = urllib.parse.urlsplit(request.path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        if not url.path.startswith("/admin/"):
            return 200, BUCKETS
        if not self.is_signed(request):
            return 403, b'{"Code":"SignatureDoesNotMatch","RequestId":"tx1","HostId":"h"}'
        self.asked[url.path] += 1
        if self.fault and url.path == self.fault[0]:
            return self.fault[1:]
        if url.path == "/admin/metadata/user":
            return 200, json.dumps(self.names(asked)).encode()
        user = self.users.get(asked.get("uid"))
        if user is None:
            return 404, b'{"Code":"NoSuchUser","RequestId":"tx1","HostId":"h"}'
        return 200, json.dumps(user).encode()

    def names(self, asked):
        names = sorted(self.users)
        if "max-entries" not in asked:
            return names
        start = int(asked.get("marker", "0"))
        end = start + min(self.page, int(asked["max-entries"]))
        # Ceph 16.2 writes this one as text.
        more = "true" if end < len(names) else "false"
        page = {"keys": names[start:end], "truncated": more, "count": len(names[start:end])}
        return page | ({"marker": str(end)} if end < len(names) else {})

    def is_signed(self, request):
        """Signs the same request again, with the secret that only both know."""
        given = request.headers.get("Authorization", "")
        names = re.search(r"SignedHeaders=([^,]+)", given)[1].split(";")
        again = AWSRequest("GET", self.url + request.path)
        for name in names:
            again.headers[name] = request.headers[name]
        again.context["timestamp"] = request.headers["x-amz-date"]
        signer = S3SigV4Auth(Credentials(SYNC.access_key_id, SYNC.secret), "s3", REGION)
        text = signer.string_to_sign(again, signer.canonical_request(again))
        return given.endswith("Signature=" + signer.signature(text, again)) and SYNC.access_key_id in given

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def rgw():
    server = Rgw()
    yield server
    server.stop()


def sync(box, kind, url, *words, keys=SYNC, check=True):
    run = box.run("principal", "sync", kind, "--endpoint", url, "--access-key-id", keys.access_key_id,
                  "--secret-stdin", "--output", "json", *words, stdin=keys.secret, check=check)
    return json.loads(run.stdout) if run.returncode == 0 else run.stderr


def user_keys(number):
    return Keys(f"RGWKEY{number:014}", f"secret/of+user-{number:05}-{'x' * 20}")


def labelled(box, name):
    """The values of one figure by their only label."""
    text = fetch(f"{box.admin}/metrics")[1].decode()
    return {label: float(value) for label, value in re.findall(rf'^{name}{{\w+="([^"]*)"}} (\S+)$', text, re.M)}


def every_key_calls(box, named):
    """One call with every key; every record is verified and names the key's user."""
    before = labelled(box, "trailbox_calls_total")["verified"]
    link = http.client.HTTPConnection("127.0.0.1", box.port)
    for keys in named:
        status, body = call(link, box.url, keys, "GET", "/")
        assert status == 200, body
    link.close()
    wanted = {keys.access_key_id: name for keys, name in named.items()}
    records = wait_for("every record", lambda: [
        found for found in [[r for r in box.records(event_name="ListBuckets")
                             if r["userIdentity"].get("accessKeyId") in wanted]] if len(found) >= len(wanted)])[0]
    assert len(records) == len(wanted)
    for record in records:
        identity = record["userIdentity"]
        name = wanted.pop(identity["accessKeyId"])
        assert (identity["type"], identity["userName"], identity["accountId"]) == ("IAMUser", name, ACCOUNT)
        assert identity["arn"] == f"arn:aws:iam::{ACCOUNT}:user/{name}"
        assert identity["principalId"].startswith("AIDA")
        assert record["additionalEventData"]["trailboxIdentity"] == "verified", record
        assert record["recipientAccountId"] == ACCOUNT and "errorCode" not in record
    assert not wanted
    assert labelled(box, "trailbox_calls_total")["verified"] >= before + len(named)


def test_every_call_of_a_thousand_synced_keys_is_verified_and_named(rgw, make_trailbox):
    named = {}
    for number in range(USERS - 2):
        keys = user_keys(number)
        rgw.add(f"user-{number:04}", [(f"user-{number:04}", keys)])
        named[keys] = f"user-{number:04}"
    rgw.add("acme$bob", [("acme$bob", user_keys(5001)), ("acme$bob:swift", user_keys(5002))])
    named |= {user_keys(5001): "acme$bob", user_keys(5002): "acme$bob:swift"}
    rgw.add("gone", [("gone", user_keys(5003))], suspended=1)
    rgw.add("bad name", [("bad name", user_keys(5004))])
    box = make_trailbox(upstreams=[f"s3={rgw.url}"]).start()

    dry = sync(box, "rgw", rgw.url, "--dry-run")
    assert dry["dryRun"] and dry["keysAdded"] == USERS + 1
    assert len(json.loads(box.run("principal", "list", "--output", "json").stdout)) == 1
    begun = time.monotonic()
    report = sync(box, "rgw", rgw.url)
    print(f"{USERS + 1} keys synced in {time.monotonic() - begun:.2f} s, command line included")
    assert (report["users"], report["keys"], report["keysWithSecret"]) == (USERS + 1, USERS + 1, USERS + 1)
    assert report["leftOut"] == 1 and "bad name" in report["notes"][0]
    assert rgw.asked["/admin/metadata/user"] == 2 * 4, "the list is paged"

    every_key_calls(box, named)

    assert call(http.client.HTTPConnection("127.0.0.1", box.port), box.url, user_keys(5003), "GET", "/")[0] == 403
    again = sync(box, "rgw", rgw.url)
    assert not any(again[f"{what}{how}"] for what in ("users", "keys") for how in ("Added", "Removed"))
    synced = box.records(event_name="SyncPrincipals")
    assert len(synced) == 3 and synced[0]["eventSource"] == "trailbox" and synced[0]["readOnly"] is False
    calls = labelled(box, "trailbox_calls_total")
    assert calls["verified"] / sum(calls.values()) > 0.99
    assert labelled(box, "trailbox_principal_sync_keys") == {f"sync:rgw:{rgw.url}": USERS + 1}
    written = json.dumps(box.records()) + box.log.read_text()
    assert SYNC.secret not in written and user_keys(7).secret not in written


def test_what_is_listed_no_more_is_refused_and_comes_back(rgw, make_trailbox):
    for number in range(5):
        rgw.add(f"u{number}", [(f"u{number}", user_keys(number))])
    box = make_trailbox(upstreams=[f"s3={rgw.url}"]).start()
    sync(box, "rgw", rgw.url)
    link = http.client.HTTPConnection("127.0.0.1", box.port)
    held = rgw.users.pop("u3")
    report = sync(box, "rgw", rgw.url)
    assert (report["usersRemoved"], report["keysRemoved"]) == (1, 1)
    assert call(link, box.url, user_keys(3), "GET", "/")[0] == 403
    assert call(link, box.url, user_keys(2), "GET", "/")[0] == 200
    listed = {p["name"]: p for p in json.loads(box.run("principal", "list", "--output", "json").stdout)}
    key = listed["u3"]["keys"][0]
    assert key["removed"] and not key["active"] and key["source"] == f"sync:rgw:{rgw.url}"
    rgw.users["u3"] = held
    assert sync(box, "rgw", rgw.url)["keysAdded"] == 1
    assert call(link, box.url, user_keys(3), "GET", "/")[0] == 200


@pytest.mark.parametrize(("fault", "said"), [
    (("/admin/metadata/user", 500, b""), "500"),
    (("/admin/metadata/user", 200, b'{"keys":["u0","u1'), "JSON"),
    (("/admin/metadata/user", 200, b'{"keys":["u0"],"truncated":true,"count":1}'), "marker"),
    (("/admin/metadata/user", 200, b'{"keys":["u0"],"truncated":false,"count":3}'), "count"),
    (("/admin/metadata/user", 200, b"[]"), "lists nobody"),
    (("/admin/user", 403, b'{"Code":"AccessDenied"}'), "users=read"),
    (("/admin/user", 200, b'{"user_id":"u0","suspended":0}'), "users=read"),
])
def test_a_source_in_trouble_marks_nobody(rgw, make_trailbox, fault, said):
    for number in range(3):
        rgw.add(f"u{number}", [(f"u{number}", user_keys(number))])
    box = make_trailbox(upstreams=[f"s3={rgw.url}"]).start()
    sync(box, "rgw", rgw.url)
    rgw.fault = fault
    told = sync(box, "rgw", rgw.url, check=False)
    assert isinstance(told, str) and said in told, told
    assert SYNC.secret not in told
    link = http.client.HTTPConnection("127.0.0.1", box.port)
    for number in range(3):
        assert call(link, box.url, user_keys(number), "GET", "/")[0] == 200
    assert labelled(box, "trailbox_principal_sync_failures_total") == {f"sync:rgw:{rgw.url}": 1}
    if fault[2] == b"[]":
        assert sync(box, "rgw", rgw.url, "--allow-empty")["usersRemoved"] == 3


def test_a_configured_source_is_followed(rgw, make_trailbox, tmp_path):
    (tmp_path / "sync.secret").write_text(SYNC.secret)
    rgw.add("early", [("early", user_keys(1))])
    box = make_trailbox(upstreams=[f"s3={rgw.url}"], config=f"""
[[principal_sync]]
kind = "rgw"
endpoint = "{rgw.url}"
access_key_id = "{SYNC.access_key_id}"
secret_file = "{tmp_path}/sync.secret"
every = "1s"
prefix = "ceph-"
""").start()
    link = http.client.HTTPConnection("127.0.0.1", box.port)

    def caller(keys):
        call(link, box.url, keys, "GET", "/")
        return box.records(access_key_id=keys.access_key_id)[-1]["userIdentity"].get("userName")

    wait_for("the first sync", lambda: caller(user_keys(1)) == "ceph-early", timeout=20, pause=0.5)
    rgw.fault = ("/admin/metadata/user", 503, b"")
    wait_for("a failure", lambda: labelled(box, "trailbox_principal_sync_failures_total")[f"sync:rgw:{rgw.url}"] > 0,
             timeout=30, pause=0.5)
    rgw.fault = None
    rgw.add("late", [("late", user_keys(2))])
    wait_for("the next sync", lambda: caller(user_keys(2)) == "ceph-late", timeout=30, pause=0.5)
    assert labelled(box, "trailbox_principal_sync_last_success_seconds")[f"sync:rgw:{rgw.url}"] > time.time() - 60


@pytest.mark.parametrize("verifies", [True, False])
def test_keys_of_an_iam_are_named_when_the_upstream_vouches(moto, make_trailbox, verifies):
    iam = client("iam", moto.url, Keys("AKIAADMINADMINADMINX", "any"))
    mark = f"{'yes' if verifies else 'no'}-{time.time_ns()}"
    made = {}
    for number in range(130):
        name = f"{mark}-{number:03}"
        iam.create_user(UserName=name, Path="/synced/")
        if number < 12:
            made[name] = Keys.of(iam.create_access_key(UserName=name)["AccessKey"])
    flag = str(verifies).lower()
    box = make_trailbox(config=f'[upstream]\ndefault = {{ url = "{moto.url}", verifies_signatures = {flag} }}\n'
                               '[embedded]\nservices = ["s3"]\n').start()
    report = sync(box, "iam", moto.url)
    assert report["users"] >= 130 and report["keys"] >= 12 and report["keysWithSecret"] == 0

    account = ACCOUNT if verifies else "000000000000"
    for keys in made.values():
        box.client("sqs", keys).list_queues()
    found = {}
    for record in wait_for("the records", lambda: [
            r for r in [box.records(event_name="ListQueues", account=account)] if len(r) >= len(made)])[0]:
        found[record["userIdentity"]["accessKeyId"]] = record
    for name, keys in made.items():
        record = found[keys.access_key_id]
        trust = record["additionalEventData"]["trailboxIdentity"]
        if verifies:
            assert (trust, record["userIdentity"]["userName"], record["recipientAccountId"]) == (
                "upstream", name, ACCOUNT)
            assert record["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/synced/{name}"
        else:
            assert (trust, record["userIdentity"]["type"], record["recipientAccountId"]) == (
                "claimed", "Unknown", "000000000000")
    # Nobody vouches for it in front of Trailbox's own services.
    refused = box.aws("cloudtrail", "lookup-events", keys=next(iter(made.values())), check=False)
    assert refused.returncode != 0 and "UnrecognizedClientException" in refused.stderr


@pytest.mark.skipif(not FULL, reason="a real Ceph is for FULL=1")
def test_every_key_of_a_real_ceph_is_verified_and_named(tmp_path, make_trailbox):
    lacking = ceph.missing()
    if lacking:
        pytest.fail(f"FULL=1 wants a real Ceph and {', '.join(lacking)} is not installed: {ceph.__doc__}")
    cluster = ceph.Ceph(tmp_path / "ceph")
    try:
        cluster.start()
        cluster.run("radosgw-admin", "user", "create", "--uid=sync", "--display-name=sync",
                    "--caps=users=*;metadata=read", f"--access-key={SYNC.access_key_id}",
                    f"--secret-key={SYNC.secret}")
        link = http.client.HTTPConnection("127.0.0.1", cluster.port)
        named = {SYNC: "sync"}
        for number in range(USERS):
            keys, name = user_keys(number), f"user-{number:04}" if number % 100 else f"acme$user-{number:04}"
            query = {"uid": name, "display-name": name, "access-key": keys.access_key_id,
                     "secret-key": keys.secret, "key-type": "s3", "format": "json"}
            status, body = call(link, cluster.url, SYNC, "PUT", "/admin/user?" + urllib.parse.urlencode(query))
            assert status == 200, body
            named[keys] = name
        box = make_trailbox(upstreams=[f"s3={cluster.url}"]).start()
        begun = time.monotonic()
        report = sync(box, "rgw", cluster.url)
        print(f"{report['keys']} keys of a real Ceph synced in {time.monotonic() - begun:.2f} s")
        assert report["keysWithSecret"] == USERS + 1 and report["conflicts"] == report["leftOut"] == 0
        every_key_calls(box, named)
        cluster.run("radosgw-admin", "user", "rm", "--uid=user-0001")
        cluster.run("radosgw-admin", "user", "suspend", "--uid=user-0002")
        report = sync(box, "rgw", cluster.url)
        assert (report["usersRemoved"], report["keysRemoved"], report["keysChanged"]) == (1, 1, 1)
        link = http.client.HTTPConnection("127.0.0.1", box.port)
        statuses = [call(link, box.url, user_keys(number), "GET", "/")[0] for number in (1, 2, 3)]
        assert statuses == [403, 403, 200]
    finally:
        cluster.stop()
