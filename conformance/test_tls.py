"""The recording port speaks TLS, and the record says which."""

import re

import boto3
import pytest
from botocore.config import Config

from harness import ALICE, REGION, contains, wait_for


@pytest.fixture
def box(make_trailbox, moto):
    server = make_trailbox(upstreams=[moto.url], principals=[("alice", ALICE)],
                           config='[listen]\ntls = "self-signed"\n')
    return server.start()


def test_a_certificate_made_on_request_serves_stock_clients(box):
    made = boto3.client(
        "iam", endpoint_url=f"https://localhost:{box.port}", region_name=REGION,
        verify=str(box.data / "tls-cert.pem"), aws_access_key_id=ALICE.access_key_id,
        aws_secret_access_key=ALICE.secret, config=Config(proxies={}),
    )
    made.create_user(UserName="over-tls")
    record = wait_for("its record", lambda: [r for r in box.records() if r["eventName"] == "CreateUser"])[0]
    told = contains(record, {"tlsDetails": {
        "tlsVersion": re.compile(r"TLSv1\.[23]"), "cipherSuite": re.compile(r"[A-Z0-9_-]+"),
        "clientProvidedHostHeader": f"localhost:{box.port}"}})
    assert not told, record
