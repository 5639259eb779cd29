"""The journal's own commands: one owner at a time; damage is named, set aside, recorded, never hidden."""

import json
import subprocess

import pytest

from harness import Echo, binary, clean_env, ok, plain_request, raw_call, wait_for


@pytest.fixture
def upstream():
    server = Echo(behave=lambda seen: ok()).start()
    yield server
    server.stop()


def journal(box, what, *flags):
    """Runs `trailbox journal`; its exit code and what it printed."""
    command = [binary(), "journal", what, "--data", str(box.data), *flags]
    return subprocess.run(command, env=clean_env(), capture_output=True, text=True, timeout=180)


def test_damage_is_named_by_check_and_recorded_after_repair(make_trailbox, upstream):
    box = make_trailbox(mode="test", upstreams=[f"s3={upstream.url}"]).start()
    for n in range(3):
        assert raw_call(box.port, plain_request(box.port, "PUT", f"/journal/key-{n}", "s3", b"x"))[0] == 200
    beside = journal(box, "check", "--output", "json")
    assert beside.returncode == 0, beside.stderr
    assert json.loads(beside.stdout)["besideServer"] is True
    assert json.loads(journal(box, "stats", "--output", "json").stdout)["writeAmplification"] <= 4
    held = journal(box, "repair")
    assert held.returncode == 2 and f"process {box.process.pid}" in held.stderr, held.stderr
    box.stop()

    segment = next((box.data / "journal").glob("*.open"))
    damaged = bytearray(segment.read_bytes())
    damaged[damaged.index(b"TBfr") + 60] ^= 1
    segment.write_bytes(damaged)
    found = journal(box, "check", "--output", "json")
    assert found.returncode == 1, found.stdout + found.stderr
    (finding,) = json.loads(found.stdout)["findings"]
    assert finding["file"].endswith(segment.name) and finding["framesLost"] == 1, finding

    repaired = journal(box, "repair", "--output", "json")
    assert repaired.returncode == 0, repaired.stderr
    (copy,) = json.loads(repaired.stdout)["quarantined"]
    with open(copy, "rb") as file:
        assert file.read() == bytes(damaged)
    assert journal(box, "check").returncode == 0
    box.start()
    wait_for("the record of the repair", lambda: "RepairJournal" in [r["eventName"] for r in box.records()])


def test_a_second_server_on_the_same_directory_is_refused_with_the_pid_of_the_first(make_trailbox, upstream):
    box = make_trailbox(mode="test", upstreams=[f"s3={upstream.url}"]).start()
    command = [binary(), "serve", "--data", str(box.data), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    second = subprocess.run(command, env=clean_env(), capture_output=True, text=True, timeout=60)
    assert second.returncode == 1 and f"process {box.process.pid}" in second.stderr, second.stderr
