"""Fixtures: the servers behind Trailbox, and Trailbox in front of them."""

import pytest

from harness import ALICE, Moto, Seaweed, Trailbox


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    server = Moto(tmp_path_factory.mktemp("moto")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    server = Seaweed(tmp_path_factory.mktemp("seaweed")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def trailbox(tmp_path_factory, moto, seaweed):
    """Trailbox as a person would run it: S3 to one server, the rest to another."""
    server = Trailbox(
        tmp_path_factory.mktemp("trailbox"), upstreams=[f"s3={seaweed.url}", moto.url],
        principals=[("alice", ALICE)],
    ).start()
    yield server
    assert server.stop() == 0, f"did not end well: {server.log}"


@pytest.fixture
def make_trailbox(tmp_path):
    """Makes servers for one test; stops them and keeps their logs."""
    made = []

    def make(**settings):
        server = Trailbox(tmp_path / f"trailbox-{len(made)}", **settings)
        made.append(server)
        return server

    yield make
    for server in made:
        if server.process:
            server.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of Trailbox's log with a failed test."""
    report = (yield).get_result()
    if report.when != "call" or not report.failed:
        return
    for value in item.funcargs.values():
        if isinstance(value, Trailbox) and value.log.exists():
            tail = value.log.read_text(errors="replace")[-3000:]
            report.sections.append((f"log {value.log}", tail))
