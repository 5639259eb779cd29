"""The power goes: what was acknowledged is on the disk all the same.

The same load and the same claims as in `test_crash.py`, but what is killed is the
machine with its page cache, not the process. Runs in the long form; needs qemu.
"""

import asyncio
import collections
import random
import re

import pytest

from harness import FULL, Echo, wait_for
from machine import PACKAGES, Machine, missing
from test_crash import BUDGET, SEED, Load, name_in, name_of, user_created

CUTS = 10
QUARANTINE = "000000000000"


@pytest.mark.skipif(not FULL, reason="the short form leaves this to the simulated disk")
def test_a_power_cut_loses_nothing_that_was_acknowledged(make_trailbox, tmp_path):
    if absent := missing():
        reason = f"no virtual machine here ({absent}; Debian: {PACKAGES}): power cuts were NOT tested"
        print(reason)
        pytest.skip(reason)
    print(f"SEED={SEED}")
    saw = []
    upstream = Echo(behave=lambda seen: (saw.append(name_of(seen)), user_created(seen))[1], keep=False).start()
    there = f"http://10.0.2.2:{upstream.port}"
    listen = '[listen]\naddress = "0.0.0.0:4747"\n'
    # A machine's clock may lie; nothing here rests on it.
    config = f'{listen}[upstream]\ndefault = "{there}"\ns3 = "{there}"\n{BUDGET}'
    machine = Machine(tmp_path, config).start()
    load, dice = Load(machine.port), random.Random(SEED)

    async def cuts():
        loop = asyncio.get_running_loop()
        for number in range(CUTS + 1):
            # Each life does some work first, however slow the machine is.
            wanted, until = len(load.acknowledged) + 10, loop.time() + 60
            while len(load.acknowledged) < wanted and loop.time() < until:
                await asyncio.sleep(0.05)
            await asyncio.sleep(dice.uniform(0.0, 1.5))
            machine.cut_power()
            if number < CUTS:
                await loop.run_in_executor(None, machine.start)

    asyncio.run(load.run(cuts()))
    upstream.stop()
    assert load.acknowledged, "no call was ever acknowledged"
    losses = machine.losses()
    assert losses >= CUTS // 2, f"only {losses} of {CUTS} cuts lost unsynced bytes: this proves nothing"

    data = tmp_path / "taken-out"
    data.mkdir()
    machine.take_out("/box", data)
    box = make_trailbox(data=data / "box").start()
    held = [r for r in box.records(account=QUARANTINE) if name_in(r)]

    def settled():
        nonlocal held
        held = [r for r in box.records(account=QUARANTINE) if name_in(r)]
        return load.acknowledged <= {name_in(r) for r in held}

    try:
        wait_for("every acknowledged call", settled, timeout=60, pause=1.0)
    except AssertionError:
        lost = sorted(load.acknowledged - {name_in(r) for r in held})
        raise AssertionError(f"SEED={SEED}: acknowledged without record: {lost[:20]}") from None
    counts = collections.Counter(name_in(r) for r in held)
    twice = [name for name, count in counts.items() if count > 1]
    assert not twice, f"SEED={SEED}: recorded more than once: {twice[:20]}"
    mutating = {name for name in saw if re.fullmatch(r"(put|user)-\d+-\d+", name)}
    assert mutating <= set(counts), f"SEED={SEED}: unrecorded: {sorted(mutating - set(counts))[:20]}"
    unknown = {name_in(r) for r in held if r.get("errorCode") == "Trailbox.OutcomeUnknown"}
    assert not unknown & load.acknowledged
    print(f"{CUTS + 1} power cuts, {losses} of which lost unsynced bytes, {load.sent} calls, {len(load.acknowledged)} acknowledged, {len(held)} recorded, "
          f"{len(unknown)} of unknown outcome")
