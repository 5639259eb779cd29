"""`trailbox load` finds every acknowledged call, and is not easily fooled.

It is lied to from both sides: by a way to the server that sends one call twice,
and by a way to the records that hides one, changes one, or invents one.
"""

import asyncio
import json
import re
import threading

import pytest

from harness import FULL, Echo, ok, read_request

SECONDS = "60s" if FULL else "5s"
SHORT = "1s"


def kind_of(seen):
    """What an upstream would answer, as far as records need it."""
    if "x-amz-json" in (seen.header("content-type") or ""):
        if seen.body and b"KeyId" in seen.body:
            return ok(b'{"__type":"NotFoundException","message":"no such key"}',
                      "application/x-amz-json-1.1", "400 Bad Request")
        return ok(b"{}", "application/x-amz-json-1.0")
    if seen.header("smithy-protocol"):
        return ok(b"\xa0", "application/cbor", extra="smithy-protocol: rpc-v2-cbor\r\n")
    if seen.line.startswith("HEAD"):
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    return ok(b"<Answer></Answer>", "text/xml")


@pytest.fixture
def upstream():
    server = Echo(behave=kind_of, keep=False).start()
    yield server
    server.stop()


def load(box, *words, verdict, code):
    run = box.run("load", "--connections", "8", "--output", "json", *words, check=False)
    assert run.returncode == code, run.stderr + run.stdout
    told = json.loads(run.stdout)
    assert re.fullmatch(verdict, told["verdict"]), told
    return told


@pytest.mark.parametrize("protocol", [(), ("--http2",)], ids=["http1", "http2"])
@pytest.mark.parametrize("tls", ["off", "self-signed"])
def test_every_call_of_a_run_is_found_once_with_what_was_sent(make_trailbox, upstream, tls, protocol):
    box = make_trailbox(upstreams=[f"s3={upstream.url}", upstream.url],
                        config=f'[listen]\ntls = "{tls}"\n').start()
    told = load(box, "--duration", SECONDS, *protocol, verdict="verified", code=0)
    assert told["acknowledged"] > 100 and told["unacknowledged"] == 0, told
    assert 0 < told["answeredWithAnError"] < told["acknowledged"], told
    assert told["verification"]["found"] == told["acknowledged"] + 1, "the last call is one more"
    figures = [told["latencyMicros"][name] for name in ("p50", "p90", "p99", "p999", "max")]
    assert figures == sorted(figures) and figures[0] > 0


def test_a_rate_is_kept_whatever_the_server_could_do(make_trailbox, upstream):
    box = make_trailbox(upstreams=[f"s3={upstream.url}", upstream.url]).start()
    told = load(box, "--duration", "2s", "--warm-up", "0s", "--rate", "40", "--services", "s3,sts",
                verdict="verified", code=0)
    assert 60 <= told["acknowledged"] + told["behind"] <= 81, told


def test_a_run_over_a_killed_server_is_verified_all_the_same(make_trailbox, upstream):
    box = make_trailbox(upstreams=[f"s3={upstream.url}", upstream.url]).start()

    def kill():
        box.process.kill()
        box.start()

    timer = threading.Timer(2.0, kill)
    timer.start()
    told = load(box, "--duration", "6s", verdict="verified", code=0)
    timer.join()
    assert told["unacknowledged"] > 0 and told["unconnected"] > 0, told


class Liar:
    """Stands in the way of one side; `request` and `answer` may change what passes."""

    def __init__(self, target, twice=False, answer=lambda body: body):
        self.target, self.twice, self.answer = target, twice, answer
        self.done = False
        self.echo = Echo()
        self.echo._serve = self._serve
        self.echo.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.echo.port}"

    async def _serve(self, reader, writer):
        try:
            far = await asyncio.open_connection("127.0.0.1", self.target)
            while True:
                seen = await read_request(reader, writer)
                head, body = await self._ask(far, seen.raw)
                if self.twice and not self.done and "GetCallerIdentity" in seen.body.decode("latin-1"):
                    self.done = True
                    head, body = await self._ask(far, seen.raw)
                changed = self.answer(body)
                head = re.sub(rb"(?i)content-length: \d+", b"content-length: %d" % len(changed), head)
                writer.write(head + changed)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def _ask(self, far, raw):
        far[1].write(raw)
        await far[1].drain()
        head = await far[0].readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head, await far[0].readexactly(int(length[1]))


def page_liar(change):
    """Changes the first page on which a call of the run other than the last stands."""

    def answer(body):
        page = json.loads(body)
        held = [place for place, record in enumerate(page.get("records", []))
                if (record.get("userAgent") or "").startswith("trailbox-load/")]
        if len(held) < 2:
            return body
        change(page["records"], held[-1])
        return json.dumps(page).encode()

    return answer


def hide(records, place):
    del records[place]


def rename(records, place):
    records[place]["eventName"] = "Nothing"


def invent(records, place):
    run = records[place]["userAgent"].split("/")[1]
    records.append(records[place] | {"userAgent": f"trailbox-load/{run}/999999999"})


@pytest.mark.parametrize(("change", "verdict"), [
    (hide, r"MISSING \d+"), (rename, r"WRONG \d+"), (invent, r"WRONG \d+")])
def test_a_lie_about_the_records_is_told(make_trailbox, upstream, change, verdict):
    box = make_trailbox(upstreams=[upstream.url]).start()
    liar = Liar(box.admin_port, answer=page_liar(change))
    told = load(box, "--duration", SHORT, "--services", "sts", "--admin", liar.address,
                verdict=verdict, code=1)
    assert told["verification"]["examples"], told
    liar.echo.stop()


def test_a_call_made_twice_is_told(make_trailbox, upstream):
    box = make_trailbox(upstreams=[upstream.url]).start()
    liar = Liar(box.port, twice=True)
    load(box, "--duration", SHORT, "--services", "sts", "--endpoint", f"http://{liar.address}",
         verdict="TWICE 1", code=1)
    liar.echo.stop()


def test_what_cannot_be_verified_is_neither_verified_nor_wrong(make_trailbox, upstream):
    box = make_trailbox(upstreams=[upstream.url]).start()
    nobody = box.run("load", "--duration", SHORT, "--endpoint", "http://127.0.0.1:1", check=False)
    assert nobody.returncode == 2 and "is the server running" in nobody.stderr, nobody.stderr
    unknown = box.run("load", "--duration", SHORT, "--endpoint", "127.0.0.1", check=False)
    assert unknown.returncode == 2 and "needs the form" in unknown.stderr, unknown.stderr
