"""A full disk refuses or forwards as configured, and says so; nothing is dropped in silence."""

import contextlib
import os
import pathlib
import re
import subprocess

import pytest

from harness import Echo, http, ok, plain_request, raw_call, wait_for


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MB of its own, for the data directory."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", place], capture_output=True, text=True)
    if made.returncode:
        reason = f"a small disk cannot be mounted here ({made.stderr.strip()}): this claim was NOT tested"
        print(reason)
        pytest.skip(reason)
    yield place
    subprocess.run(["umount", "-l", place], check=False)


def fill(place):
    """Takes every free byte."""
    with open(place / "filler", "wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
            file.flush()
    with open(place / "crumbs", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 512)
    stat = os.statvfs(place)
    assert stat.f_bavail * stat.f_bsize < 65536


def free(place):
    for name in ("filler", "crumbs"):
        (place / name).unlink(missing_ok=True)


CONFIG = """
[journal]
reserve_bytes = 262144
segment_bytes = 1048576

[recording]
on_failure = "{on_failure}"
"""


def start(make_trailbox, upstream, place, on_failure):
    box = make_trailbox(mode="test", upstreams=[f"s3={upstream.url}"], data=place / "data",
                        config=CONFIG.format(on_failure=on_failure))
    return box.start()


def put(box, name):
    return raw_call(box.port, plain_request(box.port, "PUT", f"/disk/{name}", "s3", b"x" * 2000))


def keys(box):
    return {(r.get("requestParameters") or {}).get("key") for r in box.records()}


@pytest.fixture
def upstream():
    server = Echo(behave=lambda seen: ok()).start()
    yield server
    server.stop()


def until_status(box, wanted, prefix):
    """Writes until an answer has the wanted status; gives how many came before."""
    for number in range(3000):
        status, _, body = put(box, f"{prefix}-{number}")
        if status == wanted:
            return number, body
    raise AssertionError(f"never answered {wanted}")


def test_a_full_disk_refuses_calls_before_the_upstream_sees_them(make_trailbox, upstream, small_disk):
    box = start(make_trailbox, upstream, small_disk, "refuse")
    assert put(box, "before")[0] == 200
    fill(small_disk)
    passed, body = until_status(box, 503, "during")
    assert re.search(rb"<Code>(ServiceUnavailable|InternalError|SlowDown)</Code>", body), body
    seen = len(upstream.seen)
    for number in range(5):
        assert put(box, f"refused-{number}")[0] == 503
    assert len(upstream.seen) == seen, "a refused call reached the upstream"
    status, _, _ = raw_call(box.port, plain_request(box.port, "GET", "/disk/read", "s3"))
    assert status == 503, "reads are refused too unless on_failure_read says otherwise"
    refused = [v for n, v in box.metrics().items() if "refused" in n]
    assert refused and max(refused) >= 6, box.metrics()
    log = box.log.read_text(errors="replace").lower()
    assert re.search(r"refus|no space|full|reserve", log), log[-2000:]

    free(small_disk)

    def admitted():
        if put(box, "after")[0] == 200:
            return True
        box.stop()
        box.start()
        return False

    wait_for("admission again", admitted, timeout=60, pause=1)
    held = keys(box)
    acknowledged = {"before", "after"} | {f"during-{number}" for number in range(passed)}
    assert acknowledged <= held, sorted(acknowledged - held)[:10]


def forwarded_unrecorded(box):
    """Writes until a call is counted as unrecorded; every one must pass. How many did.

    What the journal had taken of the disk before it was full holds some of them.
    """
    for number in range(3000):
        status, _, body = put(box, f"during-{number}")
        assert status == 200, body
        if number % 100 == 99:
            figures = box.metrics()
            unrecorded = [v for n, v in figures.items() if re.search("forward|unrecorded|lost|fail_open|failopen", n)]
            assert unrecorded, figures
            if max(unrecorded) > 0:
                return number + 1
    raise AssertionError("no call was ever counted as unrecorded")


def test_a_full_disk_forwards_calls_when_told_to_and_counts_them(make_trailbox, upstream, small_disk):
    box = start(make_trailbox, upstream, small_disk, "forward")
    assert put(box, "before")[0] == 200
    fill(small_disk)
    passed = forwarded_unrecorded(box)
    assert len([line for line in upstream.lines if "/disk/" in line]) == 1 + passed
    log = box.log.read_text(errors="replace").lower()
    assert re.search(r"no space|full|reserve|forward|unrecorded|cannot", log), log[-2000:]
    assert "before" in keys(box)


def test_readiness_tells_that_calls_are_refused(make_trailbox, upstream, small_disk):
    box = start(make_trailbox, upstream, small_disk, "refuse")
    fill(small_disk)
    until_status(box, 503, "during")

    def unready():
        try:
            return http(f"{box.admin}/readyz")[0] != 200
        except OSError as refused:
            return getattr(refused, "code", 0) == 503

    wait_for("/readyz to say no", unready, timeout=10)
    assert http(f"{box.admin}/healthz")[0] == 200
    assert pathlib.Path(box.data).exists()
