"""A test suite of yours, under Trailbox: copy these two fixtures."""

import pathlib
import subprocess
import sys

import boto3
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness import Trailbox, binary, clean_env  # noqa: E402 - the suite's own way to start a server


@pytest.fixture(scope="session")
def recorder(tmp_path_factory):
    """`trailbox serve --mode test`: takes every key, answers S3 itself."""
    server = Trailbox(tmp_path_factory.mktemp("assert"), mode="test").start()
    yield server
    server.stop()


@pytest.fixture
def s3(recorder):
    """A stock client: nothing but the endpoint says that Trailbox is there."""
    return boto3.client(
        "s3", endpoint_url=recorder.url, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture
def recorded(recorder):
    """`recorded('count(…) == 1')` fails the test with Trailbox's own words."""

    def check(expression):
        command = [binary(), "assert", "--data", str(recorder.data), expression]
        run = subprocess.run(command, env=clean_env(), capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, f"{expression}\n{run.stdout}{run.stderr}"

    check.command = lambda expression: subprocess.run(
        [binary(), "assert", "--data", str(recorder.data), expression], env=clean_env(), capture_output=True,
        text=True, timeout=60)
    return check
