"""The journal's own commands: one owner at a time; damage is named, set aside, recorded, never hidden."""

import json

from harness import Echo, plain_request, raw_call, wait_for


def journal(box, what, *flags):
    """Runs `trailbox journal`; its exit code and what it printed."""
    return box.run("journal", what, *flags, check=False)


def test_damage_is_named_by_check_and_recorded_after_repair(make_trailbox):
    with Echo() as upstream:
        box = make_trailbox(mode="test", upstreams=[f"s3={upstream.url}"]).start()
        for n in range(3):
            raw_call(box.port, plain_request(box.port, f"/bucket/key-{n}"))
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
        assert found.returncode == 1, found.stdout
        (finding,) = json.loads(found.stdout)["findings"]
        assert finding["file"].endswith(segment.name) and finding["framesLost"] == 1, finding

        repaired = journal(box, "repair", "--output", "json")
        assert repaired.returncode == 0, repaired.stderr
        (copy,) = json.loads(repaired.stdout)["quarantined"]
        assert open(copy, "rb").read() == bytes(damaged)
        assert journal(box, "check").returncode == 0
        box.start()
        wait_for("the record of the repair", lambda: "RepairJournal" in [r["eventName"] for r in box.records()])
