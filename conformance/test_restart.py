"""A restart refuses no connection and fails no call after the stock SDK's retries.

Threads with boto3's own retries, and one that only connects, go on while
Trailbox is restarted: by signal (the next program gets the listening sockets),
and as a service whose sockets its parent holds, as systemd does.
"""

import collections
import signal
import socket
import threading
import time

import pytest

from harness import ANYONE, FULL, Echo, client, http, wait_for

RESTARTS = 10 if FULL else 3
THREADS = 3


class Load:
    """Calls with the stock retries, and bare connections, until it is stopped."""

    def __init__(self, url, port):
        self.url, self.port = url, port
        self.acknowledged, self.failed, self.refused = [], [], []
        self.connected = 0
        self.slowest = 0.0
        self.stopping = threading.Event()
        work = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(THREADS)]
        self.threads = [*work, threading.Thread(target=self._connect, daemon=True)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    def _call(self, number):
        s3 = client("s3", self.url, ANYONE, retries={})
        turn = 0
        while not self.stopping.is_set():
            turn += 1
            name = f"n{number}-{turn}"
            started = time.monotonic()
            try:
                s3.put_object(Bucket="restart", Key=name, Body=b"x" * 100)
                self.acknowledged.append(name)
            except Exception as error:  # noqa: BLE001 - whatever a user would see
                self.failed.append((name, repr(error)))
            self.slowest = max(self.slowest, time.monotonic() - started)
            time.sleep(0.01)

    def _connect(self):
        while not self.stopping.is_set():
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=30).close()
                self.connected += 1
            except OSError as error:
                self.refused.append(repr(error))
            time.sleep(0.002)

    def goes_on(self, calls=20):
        """Waits until so many more calls were acknowledged."""
        before = len(self.acknowledged)
        wait_for("the load to go on", lambda: before + calls <= len(self.acknowledged), 60)


def judge(load, server, echo):
    assert load.failed == []
    assert load.refused == []
    assert 100 < load.connected
    keys = [(record.get("requestParameters") or {}).get("key") for record in server.records(event_name="PutObject")]
    counts = collections.Counter(keys)
    wrong = {name: counts[name] for name in load.acknowledged if counts[name] != 1}
    assert not wrong, f"acknowledged calls that are not recorded exactly once: {wrong}"
    came = sum(line.startswith("PUT ") for line in echo.lines)
    assert came == len(load.acknowledged), "a call reached the upstream twice"
    print(f"{len(load.acknowledged)} calls, {load.connected} connections, slowest call {load.slowest:.2f} s")


@pytest.fixture
def echo():
    server = Echo(keep=False).start()
    yield server
    server.stop()


def starts(server):
    return server.log.read_text(errors="replace").count("# Trailbox records on")


def test_a_restart_by_signal_refuses_no_connection_and_fails_no_call(make_trailbox, echo):
    server = make_trailbox(mode="test", upstreams=[echo.url]).start()
    pid = server.process.pid
    with Load(server.url, server.port) as load:
        load.goes_on()
        for turn in range(RESTARTS):
            server.process.child.send_signal(signal.SIGHUP)
            wait_for("the next program", lambda turn=turn: starts(server) == turn + 2)
            load.goes_on()
        # A configuration that would not start is no reason to stop.
        good = server.config_file.read_text()
        server.config_file.write_text("nonsense = 1")
        server.process.child.send_signal(signal.SIGHUP)
        wait_for("the verdict", lambda: "no restart: the program on disk would not start" in server.log.read_text())
        server.config_file.write_text(good)
        load.goes_on()
    assert server.process.must_live() and server.process.pid == pid
    assert starts(server) == RESTARTS + 1
    judge(load, server, echo)
    ends = [r for r in server.records(event_name="StopRecorder")]
    assert [r["serviceEventDetails"].get("restart") for r in ends] == [True] * RESTARTS
    assert server.stop() == 0


def test_a_service_whose_sockets_are_held_by_its_parent_refuses_nobody(make_trailbox, echo, tmp_path):
    server = make_trailbox(mode="test", upstreams=[echo.url])
    # No port is tried: the sockets that are handed over are served.
    sockets = [("aws", listening(server.port)), ("admin", listening(server.admin_port))]
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(60)
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    server.start(sockets=sockets, **told)
    assert manager.recv(1000) == b"READY=1"
    with Load(server.url, server.port) as load:
        load.goes_on()
        server.process.child.send_signal(signal.SIGHUP)
        assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(1000) == b"READY=1"
        load.goes_on()
        # Replaced by another process altogether: clients wait meanwhile.
        assert server.stop() == 0
        assert manager.recv(1000) == b"STOPPING=1"
        server.start(sockets=sockets, **told)
        assert manager.recv(1000) == b"READY=1"
        load.goes_on()
    assert http(f"{server.admin}/healthz")[0] == 200
    judge(load, server, echo)
    assert server.stop() == 0


def listening(port):
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    link.bind(("127.0.0.1", port))
    link.listen(4096)
    return link
