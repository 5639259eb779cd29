"""`kill -9` loses nothing that was acknowledged, repeats nothing, hides nothing.

Many connections send calls, each with a name of its own, to an upstream that
counts what it saw. Trailbox, or its engine, is killed at random moments. In the
end: every acknowledged call has a record, none has two, and every mutating call
that the upstream saw has a record or is marked `Trailbox.OutcomeUnknown`.
"""

import asyncio
import collections
import contextlib
import os
import pathlib
import random
import re
import signal
import time

from harness import FULL, Echo, ok, read_request, scope, wait_for

KILLS = 100 if FULL else 5
LINKS = 8
PAUSE = 0.0 if FULL else 0.004
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)


def request(kind, name, port):
    """One call of a kind; every name is used once."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    if kind == "user":
        body = f"Action=CreateUser&Version=2010-05-08&UserName={name}".encode()
        head = f"POST / HTTP/1.1\r\n{host}Authorization: {scope('iam')}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    elif kind == "put":
        body = name.encode() * 20
        head = f"PUT /crash/{name} HTTP/1.1\r\n{host}Authorization: {scope('s3')}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
    else:
        body = b""
        head = f"GET /crash/{name} HTTP/1.1\r\n{host}Authorization: {scope('s3')}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
    return f"{head}x-amz-date: {stamp}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def name_of(seen):
    """The name a request carries, for the upstream."""
    if seen.line.startswith("POST"):
        return seen.body.decode().rsplit("UserName=", 1)[-1]
    return seen.line.split(" ")[1].rsplit("/", 1)[-1]


def name_in(record):
    parameters = record.get("requestParameters") or {}
    return parameters.get("userName") or parameters.get("key")


class Load:
    """Clients that never repeat a call, and remember what they heard."""

    def __init__(self, port):
        self.port = port
        self.acknowledged = set()
        self.sent = 0
        self.stopping = False

    async def run(self, kills):
        links = [asyncio.create_task(self.link(number)) for number in range(LINKS)]
        await kills
        self.stopping = True
        await asyncio.gather(*links)

    async def link(self, number):
        turn = 0
        while not self.stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                while not self.stopping:
                    turn += 1
                    kind = ("put", "user", "get", "put")[turn % 4]
                    name = f"{kind}-{number}-{turn}"
                    self.sent += 1
                    writer.write(request(kind, name, self.port))
                    await writer.drain()
                    status = await asyncio.wait_for(self.answer(reader), 20)
                    if status == 200:
                        self.acknowledged.add(name)
                    if PAUSE:
                        await asyncio.sleep(PAUSE)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                pass
            finally:
                writer.close()

    async def answer(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(line.split(":")[1]) for line in head.split("\r\n")
                       if line.lower().startswith("content-length:")), 0)
        await reader.readexactly(length)
        return int(head.split(" ")[1])


def engine_of(pid):
    """The engine below a recorder, read off /proc."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        children = (task / "children").read_text().split()
        if children:
            return int(children[0])
    return None


async def kill_often(box, dice, told):
    loop = asyncio.get_running_loop()
    for turn in range(KILLS):
        await asyncio.sleep(dice.uniform(0.2, 1.2))
        engine = engine_of(box.process.pid)
        if turn % 4 == 3 and engine:
            told.append("engine")
            os.kill(engine, signal.SIGKILL)
            continue
        told.append("recorder")
        box.process.kill()
        await loop.run_in_executor(None, box.start)
    await asyncio.sleep(0.5)


BUDGET = "[limits]\nunverified_rate = 1000000\nunverified_burst = 1000000\n"


def user_created(seen):
    if seen.line.startswith("POST"):
        return ok(b"<CreateUserResponse><CreateUserResult><User><Path>/</Path></User></CreateUserResult>"
                  b"</CreateUserResponse>", "text/xml")
    return ok()


def test_kills_lose_nothing_and_repeat_nothing(make_trailbox):
    print(f"SEED={SEED}")
    saw = []
    upstream = Echo(behave=lambda seen: (saw.append(name_of(seen)), user_created(seen))[1], keep=False).start()
    box = make_trailbox(mode="test", upstreams=[f"s3={upstream.url}", upstream.url], config=BUDGET).start()
    load, told = Load(box.port), []

    async def all_of_it():
        await load.run(kill_often(box, random.Random(SEED), told))

    asyncio.run(all_of_it())
    upstream.stop()
    assert load.acknowledged, "no call was ever acknowledged"

    def settled():
        held = [r for r in box.records() if name_in(r)]
        names = {name_in(r) for r in held}
        return held if load.acknowledged <= names else None

    try:
        held = wait_for("every acknowledged call in the history", settled, timeout=60, pause=1.0)
    except AssertionError:
        names = {name_in(r) for r in box.records()}
        raise AssertionError(f"SEED={SEED}: acknowledged without record: "
                             f"{sorted(load.acknowledged - names)[:20]}") from None
    counts = collections.Counter(name_in(r) for r in held)
    twice = [name for name, count in counts.items() if count > 1]
    assert not twice, f"SEED={SEED}: recorded more than once: {twice[:20]}"
    ids = collections.Counter(r["eventID"] for r in held)
    assert max(ids.values()) == 1, f"SEED={SEED}: an eventID stands twice"
    # Trailbox probes an upstream once, with names of its own.
    mutating = {name for name in saw if re.fullmatch(r"(put|user)-\d+-\d+", name)}
    assert mutating <= set(counts), (
        f"SEED={SEED}: the upstream saw, nobody recorded: {sorted(mutating - set(counts))[:20]}")
    unknown = [r for r in held if r.get("errorCode") == "Trailbox.OutcomeUnknown"]
    wrongly = {name_in(r) for r in unknown} & load.acknowledged
    assert not wrongly, f"SEED={SEED}: acknowledged, yet of unknown outcome: {sorted(wrongly)[:20]}"
    print(f"{load.sent} calls, {len(load.acknowledged)} acknowledged, {len(held)} recorded, "
          f"{len(unknown)} of unknown outcome, kills: {told}")


def test_a_call_cut_off_by_a_kill_is_of_unknown_outcome(make_trailbox):
    """The upstream has the call, the answer never comes, the recorder dies."""
    arrived = []
    upstream = Echo(keep=False).start()

    async def held(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            arrived.append(await read_request(reader))
            await asyncio.sleep(600)

    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(held, "127.0.0.1", 0), upstream.loop).result(10)
    port = server.sockets[0].getsockname()[1]
    box = make_trailbox(mode="test", upstreams=[f"s3=http://127.0.0.1:{port}"]).start()
    import socket

    with socket.create_connection(("127.0.0.1", box.port)) as link:
        link.sendall(request("put", "cut-off", box.port))
        wait_for("the call upstream", lambda: [seen for seen in arrived if "cut-off" in seen.line])
        box.process.kill()
    box.start()
    record = wait_for("its record", lambda: [r for r in box.records() if name_in(r) == "cut-off"])
    assert [r.get("errorCode") for r in record] == ["Trailbox.OutcomeUnknown"]
    assert (record[0]["eventName"], record[0]["requestParameters"]["bucketName"]) == ("PutObject", "crash")
    upstream.stop()


def test_a_graceful_stop_loses_nothing_and_leaves_no_unknown(make_trailbox):
    upstream = Echo(keep=False).start()
    box = make_trailbox(mode="test", upstreams=[f"s3={upstream.url}", upstream.url], config=BUDGET).start()
    load = Load(box.port)

    async def stop_once():
        await asyncio.sleep(1.0)
        status = await asyncio.get_running_loop().run_in_executor(None, box.stop)
        assert status == 0
        await asyncio.get_running_loop().run_in_executor(None, box.start)

    asyncio.run(load.run(stop_once()))
    upstream.stop()
    held = [r for r in box.records() if name_in(r)]
    assert load.acknowledged <= {name_in(r) for r in held}
    assert not [r for r in held if r.get("errorCode") == "Trailbox.OutcomeUnknown"]
