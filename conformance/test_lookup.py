"""LookupEvents answers as the CloudTrail API Reference says."""

import datetime
import json
import re

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, ALICE, ANYONE, Trailbox, wait_for

USERS = 60


@pytest.fixture(scope="module")
def box(tmp_path_factory, moto):
    server = Trailbox(tmp_path_factory.mktemp("lookup"), upstreams=[moto.url], principals=[("alice", ALICE)]).start()
    iam = server.client("iam")
    for number in range(USERS):
        iam.create_user(UserName=f"look-{number:03}")
    iam.list_users()
    role = iam.create_role(RoleName="look-role", AssumeRolePolicyDocument="{}")["Role"]
    with pytest.raises(ClientError):
        iam.get_user(UserName="look-nobody")
    server.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="look-session")
    wait_for("the last record", lambda: found(server, "EventName", "AssumeRole"))
    yield server
    server.stop()


def ask(box, keys=ALICE, region=None, **parameters):
    trail = box.client("cloudtrail", keys, parameter_validation=False)
    if region:
        from harness import client

        trail = client("cloudtrail", box.url, keys, region=region)
    return trail.lookup_events(**parameters)


def found(box, key, value, **more):
    attributes = [{"AttributeKey": key, "AttributeValue": value}]
    return ask(box, LookupAttributes=attributes, **more)["Events"]


def everything(box, size, **parameters):
    pages = []
    token = None
    while True:
        answer = ask(box, MaxResults=size, **parameters, **({"NextToken": token} if token else {}))
        pages.append(answer["Events"])
        token = answer.get("NextToken")
        if not token:
            return pages


def test_an_event_has_the_members_of_the_reference(box):
    event = found(box, "ResourceName", "look-007")[0]
    record = json.loads(event["CloudTrailEvent"])
    assert set(event) >= {"EventId", "EventName", "ReadOnly", "AccessKeyId", "EventTime", "EventSource", "Username",
                          "Resources", "CloudTrailEvent"}
    assert event["EventId"] == record["eventID"] and re.fullmatch(r"[0-9a-f-]{36}", event["EventId"])
    assert (event["EventName"], event["EventSource"]) == ("CreateUser", "iam.amazonaws.com")
    assert (event["ReadOnly"], event["Username"], event["AccessKeyId"]) == ("false", "alice", ALICE.access_key_id)
    assert {"ResourceType": "AWS::IAM::User", "ResourceName": "look-007"} in event["Resources"]
    assert event["EventTime"].strftime("%Y-%m-%dT%H:%M") == datetime.datetime.strptime(
        record["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC).astimezone(
        event["EventTime"].tzinfo).strftime("%Y-%m-%dT%H:%M")


def test_each_of_the_eight_attributes_finds_and_only_finds(box):
    one = found(box, "ResourceName", "look-011")[0]
    cases = [
        ("EventId", one["EventId"], lambda e: e["EventId"] == one["EventId"]),
        ("EventName", "CreateUser", lambda e: e["EventName"] == "CreateUser"),
        ("ReadOnly", "true", lambda e: e["ReadOnly"] == "true"),
        ("ReadOnly", "false", lambda e: e["ReadOnly"] == "false"),
        ("Username", "alice", lambda e: e["Username"] == "alice"),
        ("ResourceType", "AWS::IAM::User", lambda e: any(
            r["ResourceType"] == "AWS::IAM::User" for r in e["Resources"])),
        ("ResourceName", "look-011", lambda e: any(r["ResourceName"] == "look-011" for r in e["Resources"])),
        ("EventSource", "iam.amazonaws.com", lambda e: e["EventSource"] == "iam.amazonaws.com"),
        ("AccessKeyId", ALICE.access_key_id, lambda e: e["AccessKeyId"] == ALICE.access_key_id),
    ]
    for key, value, fits in cases:
        events = found(box, key, value)
        assert events, f"{key}={value} finds nothing"
        assert all(map(fits, events)), f"{key}={value} finds others"
    for key, value in (("EventName", "createuser"), ("Username", "nobody"), ("EventId", "x" * 36)):
        assert found(box, key, value) == [], f"{key}={value}"


def test_paging_gives_every_event_once_newest_first(box):
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]
    pages = everything(box, 7, LookupAttributes=attributes)
    assert all(len(page) == 7 for page in pages[:-1]) and 0 < len(pages[-1]) <= 7
    ids = [event["EventId"] for page in pages for event in page]
    times = [event["EventTime"] for page in pages for event in page]
    assert len(ids) == len(set(ids)) == USERS
    assert times == sorted(times, reverse=True)


def test_paging_is_stable_while_new_records_arrive(box):
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}]
    first = ask(box, MaxResults=10, LookupAttributes=attributes)
    held = {event["EventId"] for page in everything(box, 50, LookupAttributes=attributes) for event in page}
    for number in range(3):
        box.client("iam").create_user(UserName=f"later-{number}")
    wait_for("later", lambda: found(box, "ResourceName", "later-2"))
    seen, token = [event["EventId"] for event in first["Events"]], first["NextToken"]
    while token:
        answer = ask(box, MaxResults=10, LookupAttributes=attributes, NextToken=token)
        seen += [event["EventId"] for event in answer["Events"]]
        token = answer.get("NextToken")
    assert len(seen) == len(set(seen)) and set(seen) == held


def test_fifty_is_the_page_when_none_is_asked_for(box):
    assert len(ask(box)["Events"]) == 50


def test_a_time_range_includes_both_ends(box):
    event = found(box, "ResourceName", "look-030")[0]
    moment = event["EventTime"]
    second = datetime.timedelta(seconds=1)
    inside = found(box, "ResourceName", "look-030", StartTime=moment, EndTime=moment)
    assert [e["EventId"] for e in inside] == [event["EventId"]]
    assert found(box, "ResourceName", "look-030", StartTime=moment + second) == []
    assert found(box, "ResourceName", "look-030", EndTime=moment - second) == []


def test_another_region_has_its_own_history(box):
    assert ask(box, region="eu-west-1", LookupAttributes=[
        {"AttributeKey": "EventName", "AttributeValue": "CreateUser"}])["Events"] == []


@pytest.mark.parametrize(("parameters", "code"), [
    ({"MaxResults": 0}, "InvalidMaxResultsException"),
    ({"MaxResults": 51}, "InvalidMaxResultsException"),
    ({"NextToken": "nonsense"}, "InvalidNextTokenException"),
    ({"EventCategory": "data"}, "InvalidEventCategoryException"),
    ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "A"},
                           {"AttributeKey": "Username", "AttributeValue": "B"}]},
     "InvalidLookupAttributesException"),
    ({"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "red"}]}, "ValidationException"),
    ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "a" * 2001}]},
     "InvalidLookupAttributesException"),
    ({"StartTime": datetime.datetime(2026, 1, 2), "EndTime": datetime.datetime(2026, 1, 1)},
     "InvalidTimeRangeException"),
])
def test_what_the_reference_forbids_is_refused_with_its_code(box, parameters, code):
    with pytest.raises(ClientError) as refused:
        ask(box, **parameters)
    error = refused.value.response
    assert error["Error"]["Code"] == code
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_token_serves_only_the_question_it_came_from(box):
    token = ask(box, MaxResults=1)["NextToken"]
    with pytest.raises(ClientError) as refused:
        found(box, "EventName", "CreateUser", NextToken=token)
    assert refused.value.response["Error"]["Code"] == "InvalidNextTokenException"


def test_a_key_nobody_knows_is_refused_and_recorded(box):
    with pytest.raises(ClientError) as refused:
        ask(box, keys=ANYONE)
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_an_operation_that_is_not_answered_says_so(box):
    with pytest.raises(ClientError) as refused:
        box.client("cloudtrail").list_dashboards()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "compat" in refused.value.response["Error"]["Message"]


def test_the_command_line_takes_several_attributes_and_free_text(box):
    both = box.lookup("--event-name", "CreateUser", "--username", "alice", "--limit", "5")
    assert len(both) == 5 and {r["eventName"] for r in both} == {"CreateUser"}
    assert box.lookup("--event-name", "CreateUser", "--username", "nobody") == []
    text = box.lookup("--text", "look-042", "--limit", "0")
    assert text and all("look-042" in json.dumps(r) for r in text)
    table = box.run("lookup", "--event-name", "AssumeRole").stdout
    assert "sts:AssumeRole" in table and "alice" in table


def test_history_survives_a_restart(box):
    before = {r["eventID"] for r in box.records()}
    box.stop()
    box.start()
    after = {r["eventID"] for r in box.records()}
    assert before <= after
    assert found(box, "ResourceName", "look-000")[0]["Username"] == "alice"
    assert ACCOUNT in found(box, "ResourceName", "look-000")[0]["CloudTrailEvent"]
