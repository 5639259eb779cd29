"""Every kind of caller has the exact `userIdentity`."""

import json
import re
import time

import pytest
from botocore import UNSIGNED

from harness import ACCOUNT, ALICE, Keys, Trailbox, client, wait_for

TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
STRANGER = Keys("AKIASTRANGERSTRANGER", "whatever-it-was")
QUARANTINE = "000000000000"


@pytest.fixture(scope="module")
def box(tmp_path_factory, moto, seaweed):
    config = (
        '[gateway]\n[[gateway.service_principals]]\nservice = "delivery.logs.amazonaws.com"\n'
        'networks = ["127.0.0.0/8"]\nuser_agent = "log-delivery"\n'
    )
    server = Trailbox(
        tmp_path_factory.mktemp("principals"), config=config, upstreams=[f"s3={seaweed.url}", moto.url],
        principals=[("alice", ALICE)],
    ).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def callers(box):
    """The keys of every kind, made as people make them: through Trailbox."""
    iam, sts = box.client("iam"), box.client("sts")
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=TRUST)["Role"]
    second = iam.create_role(RoleName="writer", AssumeRolePolicyDocument=TRUST)["Role"]
    user = iam.create_user(UserName="bob")["User"]
    bob = Keys.of(iam.create_access_key(UserName="bob")["AccessKey"])
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="monday")
    first = Keys.of(assumed["Credentials"])
    chained = box.client("sts", first).assume_role(RoleArn=second["Arn"], RoleSessionName="tuesday")
    return {
        "role": role, "second": second, "user": user, "bob": bob, "assumed": first,
        "assumed_id": assumed["AssumedRoleUser"]["AssumedRoleId"],
        "chained": Keys.of(chained["Credentials"]),
        "chained_id": chained["AssumedRoleUser"]["AssumedRoleId"],
    }


def identity_of(box, keys, call=lambda made: made.list_users(), service="iam"):
    """Makes one call with `keys` and gives the userIdentity of its record."""
    before = {r["eventID"] for r in box.records()}
    call(box.client(service, keys))
    return wait_for(f"a record of {keys.access_key_id}", lambda: [
        r for r in box.records()
        if r["userIdentity"].get("accessKeyId") == keys.access_key_id and r["eventID"] not in before], timeout=15)[-1]


def context(issuer=None):
    shown = {"sessionIssuer": issuer} if issuer else {}
    return shown | {"attributes": {"creationDate": MOMENT, "mfaAuthenticated": "false"}}


def issuer(role):
    return {"type": "Role", "principalId": role["RoleId"], "arn": role["Arn"], "accountId": ACCOUNT,
            "userName": role["RoleName"]}


def assert_exact(actual, expected):
    """Equal, member for member; a pattern stands for what cannot be known before."""
    def settle(held, want):
        if isinstance(want, dict) and isinstance(held, dict):
            return {name: settle(value, want.get(name)) for name, value in held.items()}
        if isinstance(want, re.Pattern) and want.fullmatch(str(held)):
            return want
        return held

    assert settle(actual, expected) == expected


def test_a_user(box):
    assert_exact(identity_of(box, ALICE)["userIdentity"], {
        "type": "IAMUser", "principalId": re.compile("AIDA[A-Z0-9]+"), "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "accessKeyId": ALICE.access_key_id, "userName": "alice"})


def test_a_user_whose_key_was_learned_from_iam(box, callers):
    bob = callers["bob"]
    assert_exact(identity_of(box, bob)["userIdentity"], {
        "type": "IAMUser", "principalId": callers["user"]["UserId"], "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/bob", "accessKeyId": bob.access_key_id, "userName": "bob"})


def test_the_account_itself(box):
    keys = box.admin_keys()
    found = identity_of(box, keys)["userIdentity"]
    if found["type"] == "Root":
        want = {"type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root",
                "accountId": ACCOUNT, "accessKeyId": keys.access_key_id}
    else:
        want = {"type": "IAMUser", "principalId": re.compile("AIDA[A-Z0-9]+"), "accountId": ACCOUNT,
                "arn": re.compile(rf"arn:aws:iam::{ACCOUNT}:user/.+"), "accessKeyId": keys.access_key_id,
                "userName": re.compile(".+")}
    assert_exact(found, want)


def test_an_assumed_role(box, callers):
    keys, role = callers["assumed"], callers["role"]
    assert_exact(identity_of(box, keys)["userIdentity"], {
        "type": "AssumedRole", "principalId": callers["assumed_id"], "accountId": ACCOUNT,
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/monday", "accessKeyId": keys.access_key_id,
        "sessionContext": context(issuer(role))})


def test_a_chained_role(box, callers):
    keys, role = callers["chained"], callers["second"]
    assert_exact(identity_of(box, keys)["userIdentity"], {
        "type": "AssumedRole", "principalId": callers["chained_id"], "accountId": ACCOUNT,
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/writer/tuesday", "accessKeyId": keys.access_key_id,
        "sessionContext": context(issuer(role))})


def test_a_federated_user(box):
    # moto gives the same key for this and for a session token: use it at once.
    keys = Keys.of(box.client("sts").get_federation_token(Name="partner")["Credentials"])
    alice = {"type": "IAMUser", "principalId": re.compile("AIDA[A-Z0-9]+"), "accountId": ACCOUNT,
             "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "userName": "alice"}
    assert_exact(identity_of(box, keys)["userIdentity"], {
        "type": "FederatedUser", "principalId": f"{ACCOUNT}:partner", "accountId": ACCOUNT,
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/partner", "accessKeyId": keys.access_key_id,
        "sessionContext": context(alice)})


def test_a_session_token(box):
    keys = Keys.of(box.client("sts").get_session_token()["Credentials"])
    assert_exact(identity_of(box, keys)["userIdentity"], {
        "type": "IAMUser", "principalId": re.compile("AIDA[A-Z0-9]+"), "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "accessKeyId": keys.access_key_id, "userName": "alice",
        "sessionContext": context()})


def test_a_service_principal(box):
    made = client("iam", box.url, STRANGER, user_agent="log-delivery")
    made.get_account_summary()
    held = wait_for("the record", lambda: [
        r for r in box.records() if r["eventName"] == "GetAccountSummary"])
    assert_exact(held[-1]["userIdentity"], {"type": "AWSService", "invokedBy": "delivery.logs.amazonaws.com"})
    assert held[-1]["sourceIPAddress"] == "delivery.logs.amazonaws.com"


def test_anonymous(box):
    box.client("s3").create_bucket(Bucket="anyone")
    box.client("s3").put_object(Bucket="anyone", Key="seen-by-nobody", Body=b"x")
    made = box.client("s3", signature_version=UNSIGNED)
    try:
        made.get_object(Bucket="anyone", Key="seen-by-nobody")
    except Exception:  # noqa: BLE001 - whether the upstream lets it in is not the point
        pass
    held = wait_for("the record", lambda: [
        r for r in box.lookup("--category", "data", "--limit", "0", "--event-name", "GetObject")
        if (r["requestParameters"] or {}).get("key") == "seen-by-nobody"])
    assert_exact(held[-1]["userIdentity"], {
        "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"})


def test_an_unknown_key_is_a_mere_claim_of_the_quarantine_account(box):
    box.client("iam", STRANGER).list_roles()
    held = wait_for("the record", lambda: [
        r for r in box.records(account=QUARANTINE)
        if r["userIdentity"].get("accessKeyId") == STRANGER.access_key_id])
    assert_exact(held[-1]["userIdentity"], {
        "type": "Unknown", "accountId": QUARANTINE, "accessKeyId": STRANGER.access_key_id})
    assert held[-1]["additionalEventData"]["trailboxIdentity"] == "claimed"
    assert held[-1]["recipientAccountId"] == QUARANTINE


def test_a_verified_key_says_so(box):
    record = identity_of(box, ALICE)
    assert record["additionalEventData"]["trailboxIdentity"] == "verified"


def test_what_was_learned_survives_a_restart(box, callers):
    box.stop()
    box.start()
    time.sleep(0.2)
    found = identity_of(box, callers["assumed"], lambda made: made.list_groups())
    assert found["userIdentity"]["type"] == "AssumedRole"
    assert found["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] == "reader"


def test_a_key_is_adopted_from_the_command_line(box):
    carol = Keys("AKIACAROLCAROLCAROLC", "carol-secret-carol-secret-carol-secret-1")
    box.run("principal", "add", "carol", "--access-key-id", carol.access_key_id, "--secret-stdin",
            stdin=carol.secret + "\n")
    box.client("iam", carol).list_users()
    found = wait_for("a record of the adopted key, from its first call on", lambda: [
        r for r in box.records() if r["userIdentity"].get("accessKeyId") == carol.access_key_id],
        timeout=10)[-1]["userIdentity"]
    assert (found["type"], found["userName"]) == ("IAMUser", "carol")
    assert "carol" in box.run("principal", "list", "--output", "json").stdout


def test_a_removed_key_is_unknown_at_once(box):
    dave = Keys("AKIADAVEDAVEDAVEDAVE", "dave-secret-dave-secret-dave-secret-dave")
    box.run("principal", "add", "dave", "--access-key-id", dave.access_key_id, "--secret-stdin", stdin=dave.secret)
    box.run("principal", "remove", "dave")
    box.client("iam", dave).list_roles()
    held = wait_for("the claim", lambda: [
        r for r in box.records(account=QUARANTINE)
        if r["userIdentity"].get("accessKeyId") == dave.access_key_id], timeout=10)
    assert held[-1]["userIdentity"]["type"] == "Unknown"
