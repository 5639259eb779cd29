"""The upstream sees the client's bytes, and every operation gets its source and name.

`transparency/serialise.py` lets botocore make the smallest request of each
operation. Each is sent twice over raw sockets, straight to an echo server and
through Trailbox; what the server saw must be equal, byte for byte. The records
must then carry the names that the service models and CloudTrail's habits give.

Short form: some thirty services with every protocol. `FULL=1`: all of them.
"""

import base64
import collections
import concurrent.futures
import json
import pathlib
import socket
import subprocess
import sys

import pytest

from harness import FULL, Echo, Reader, Trailbox, clean_env, ok, wait_for

SERVICES = [
    "s3", "s3control", "iam", "sts", "ec2", "kms", "sqs", "sns", "dynamodb", "lambda", "cloudwatch", "logs", "events",
    "secretsmanager", "ssm", "kinesis", "firehose", "rds", "redshift", "route53", "cloudfront", "cloudformation",
    "organizations", "apigateway", "apigatewayv2", "ecs", "ecr", "eks", "efs", "elbv2", "glue", "athena",
    "bedrock-runtime", "sesv2", "config", "cloudtrail-data",
]
OURS = {"cloudtrail", "cloudtrail-data"}
WORKERS = 4
NAMED_RIGHT = 0.998


@pytest.fixture(scope="module")
def requests():
    """Every request as a dictionary, with a mark of its own."""
    command = [sys.executable, pathlib.Path(__file__).parent / "transparency/serialise.py"]
    for service in [] if FULL else SERVICES:
        command += ["--service", service]
    run = subprocess.run(command, env=clean_env(), capture_output=True, text=True, timeout=1800)
    made = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(made) > (15_000 if FULL else 2_000), run.stderr[-2000:]
    failed = len(run.stderr.splitlines())
    assert failed <= len(made) * 0.002, run.stderr[-2000:]
    for number, request in enumerate(made):
        request["mark"] = f"00000000-0000-4000-8000-{number:012}"
    return made


def wire(request):
    """The request as the bytes a client writes."""
    body = base64.b64decode(request["body_b64"])
    headers = [*request["headers"], ["X-Mark", request["mark"]]]
    names = {name.lower(): value for name, value in headers}
    if "chunked" in names.get("transfer-encoding", ""):
        body = (f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b"") + b"0\r\n\r\n"
    elif body and "content-length" not in names:
        headers.append(["Content-Length", str(len(body))])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{request['method']} {request['target']} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def answer(seen):
    mark = seen.header("X-Mark")
    return ok(b"", "application/json", extra=f"x-amzn-requestid: {mark}\r\nx-amz-request-id: {mark}\r\n")


class Link:
    """A connection that is made anew when the other side ends it."""

    def __init__(self, port):
        self.port, self.socket, self.reader = port, None, None

    def call(self, data):
        if not self.socket:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.reader = Reader(self.socket)
        self.socket.sendall(data)
        status, head, _ = self.reader.answer(head_only=data.startswith(b"HEAD "))
        if status is None or "connection: close" in head.lower():
            self.socket.close()
            self.socket = None
        return status


def send_all(port, requests):
    """Sends every request; gives the status of each by mark."""
    def some(part):
        link = Link(port)
        return {request["mark"]: link.call(wire(request)) for request in part}

    parts = [requests[start::WORKERS] for start in range(WORKERS)]
    statuses = {}
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for done in pool.map(some, parts):
            statuses |= done
    return statuses


@pytest.fixture(scope="module")
def run(tmp_path_factory, requests):
    """Everything sent both ways: what the server saw, and the records."""
    saw = {}
    echo = Echo(behave=lambda seen: (saw.__setitem__(seen.header("X-Mark"), seen.raw), answer(seen))[1],
                keep=False).start()
    forwarded = [request for request in requests if request["service"] not in OURS]
    send_all(echo.port, forwarded)
    direct = dict(saw)
    saw.clear()
    limits = "[limits]\nunverified_rate = 1000000\nunverified_burst = 1000000\n"
    box = Trailbox(tmp_path_factory.mktemp("transparency"), mode="test", upstreams=[echo.url], config=limits).start()
    statuses = send_all(box.port, forwarded)
    through = dict(saw)
    records = {}

    def all_there():
        records.update({r.get("requestID"): r for r in box.records()})
        return sum(request["mark"] in records for request in forwarded) >= len(forwarded) - 5

    try:
        wait_for("the records", all_there, timeout=60, pause=2)
    except AssertionError:
        pass  # the tests below say which are missing
    yield forwarded, direct, through, statuses, records
    box.stop()
    echo.stop()


def test_the_upstream_sees_the_same_bytes(run):
    forwarded, direct, through, statuses, _ = run
    differing = [
        (request["service"], request["operation"], statuses[request["mark"]],
         direct.get(request["mark"]), through.get(request["mark"]))
        for request in forwarded if direct.get(request["mark"]) != through.get(request["mark"])
    ]
    assert not differing, f"{len(differing)} of {len(forwarded)} differ, first: {differing[:3]}"
    assert len(direct) == len(forwarded)


def test_every_operation_has_its_source_and_name(run):
    forwarded, _, _, _, records = run
    misses = collections.Counter()
    for request in forwarded:
        record = records.get(request["mark"])
        got = (record["eventSource"], record["eventName"]) if record else ("no record", "")
        if got != (request["event_source"], request["event_name"]):
            misses[(request["service"], request["operation"], *got)] += 1
    right = 1 - len(misses) / len(forwarded)
    print(f"{len(forwarded)} operations, {right:.3%} named right")
    for miss in sorted(misses):
        print("  missed:", *miss)
    assert right >= NAMED_RIGHT, sorted(misses)[:50]
    assert not [miss for miss in misses if miss[2] == "no record"]
