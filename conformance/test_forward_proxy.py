"""Clients that cannot set an endpoint: `HTTPS_PROXY` and `AWS_CA_BUNDLE` are enough.

The AWS CLI and boto3 call the real names of AWS; nobody looks them up, because
`CONNECT` is answered by Trailbox, and its mapping says who answers.
"""

import subprocess

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ProxyConnectionError

from harness import ALICE, REGION, clean_env, http

OBJECT = b"seen by the proxy" * 1000


CONFIG = """
[listen]
forward_proxy = true
"""


@pytest.fixture
def proxy(make_trailbox, moto):
    return make_trailbox(upstreams=[moto.url], principals=[("alice", ALICE)], config=CONFIG).start()


@pytest.fixture
def bundle(proxy):
    return bundle_of(proxy)


def bundle_of(server):
    """What `trailbox proxy-ca` prints, in a file."""
    path = server.directory / "ca.pem"
    path.write_text(server.run("proxy-ca").stdout)
    assert path.read_text().startswith("-----BEGIN CERTIFICATE-----")
    return path


def through(server, trusted, service, settings=None, **more):
    """A stock boto3 client with a proxy and nothing else set."""
    config = Config(proxies={"https": server.url}, retries={"total_max_attempts": 1}, **(settings or {}))
    return boto3.client(
        service, region_name=REGION, verify=str(trusted), config=config,
        aws_access_key_id=ALICE.access_key_id, aws_secret_access_key=ALICE.secret, **more,
    )


def test_the_stock_cli_is_recorded_with_a_proxy_and_a_bundle_alone(proxy, bundle, tmp_path):
    def aws(*words):
        env = clean_env(
            HTTPS_PROXY=proxy.url, AWS_CA_BUNDLE=str(bundle), AWS_MAX_ATTEMPTS="1", **ALICE.env(),
        )
        env.pop("NO_PROXY")
        run = subprocess.run(["aws", *words], env=env, capture_output=True, text=True, timeout=120)
        assert run.returncode == 0, run.stderr
        return run.stdout

    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(OBJECT)
    assert "Arn" in aws("sts", "get-caller-identity")
    aws("iam", "create-user", "--user-name", "through-the-proxy")
    aws("s3", "mb", "s3://through-the-proxy")
    aws("s3", "cp", str(source), "s3://through-the-proxy/key")
    aws("s3", "cp", "s3://through-the-proxy/key", str(back))
    assert back.read_bytes() == OBJECT
    found = aws("cloudtrail", "lookup-events", "--lookup-attributes", "AttributeKey=EventName,AttributeValue=CreateUser")
    assert "through-the-proxy" in found, "our own services are answered inside, too"

    records = proxy.records()
    names = {record["eventName"]: record for record in records if record.get("eventType") == "AwsApiCall"}
    for name in ("GetCallerIdentity", "CreateUser", "CreateBucket", "PutObject", "GetObject", "LookupEvents"):
        record = names[name]
        assert record["userIdentity"]["userName"] == "alice", name
        assert record["tlsDetails"]["clientProvidedHostHeader"].endswith(".amazonaws.com"), name
        assert record["tlsDetails"]["tlsVersion"] == "TLSv1.3"
    assert names["PutObject"]["requestParameters"]["bucketName"] == "through-the-proxy"


def test_boto3_is_recorded_and_other_hosts_are_refused(proxy, bundle):
    table = {
        "TableName": "proxied", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
    }
    through(proxy, bundle, "dynamodb").create_table(**table)
    [record] = proxy.records(event_name="CreateTable")
    assert record["tlsDetails"]["clientProvidedHostHeader"] == "dynamodb.us-east-1.amazonaws.com"

    with pytest.raises(ProxyConnectionError):
        through(proxy, bundle, "sts", endpoint_url="https://sts.example.com").get_caller_identity()
    figures = http(f"{proxy.admin}/metrics")[1].decode()
    assert 'trailbox_proxied_total{what="refused"} 1' in figures
    assert 'trailbox_proxied_total{what="intercepted"}' in figures


def test_a_store_behind_the_name_of_s3_sees_what_was_signed(make_trailbox, seaweed):
    server = make_trailbox(upstreams=[f"s3={seaweed.url}"], principals=[("alice", ALICE)], config=CONFIG).start()
    # Without accounts SeaweedFS takes no chunks with trailers, which boto3 sends over TLS.
    settings = {"s3": {"addressing_style": "path"}, "request_checksum_calculation": "when_required"}
    s3 = through(server, bundle_of(server), "s3", settings)
    s3.create_bucket(Bucket="boto-proxied")
    s3.put_object(Bucket="boto-proxied", Key="k", Body=OBJECT)
    assert s3.get_object(Bucket="boto-proxied", Key="k")["Body"].read() == OBJECT
    [record] = server.records(event_name="PutObject")
    assert record["tlsDetails"]["clientProvidedHostHeader"] == "s3.amazonaws.com"
    assert record["additionalEventData"]["trailboxIdentity"] == "verified"
