#!/usr/bin/env python3
"""The smallest request of every operation of every service, as botocore sends it.

One JSON object a line on standard output:

    service, operation          names in botocore
    method, target              as on the wire; target is path and query
    headers                     [[name, value], ...], Host included
    body_b64                    the body
    event_source, event_name    what CloudTrail would write

Requests are made by real clients for ENDPOINT (default http://localhost:4747),
signed with a well-known example key, and caught before they are sent. What is
expected is derived from botocore's models and the published rules of naming,
on purpose not from Trailbox's own table.

    python serialise.py [--endpoint URL] [--service NAME ...] > requests.jsonl
"""

import argparse
import base64
import json
import re
import sys
import urllib.parse

import botocore.awsrequest
import botocore.config
import botocore.session
import botocore.tokens

# Sources that are not the signing name.
SOURCES = {
    "application-insights": "application-insights.amazonaws.com",
    "marketplace-agreement": "agreement-marketplace.amazonaws.com",
    "marketplace-discovery": "discovery-marketplace.amazonaws.com",
    "servicecatalog-appregistry": "servicecatalog-appregistry.amazonaws.com",
    "sso-oidc": "sso.amazonaws.com",
}

S3_NAMES = {
    "ListObjectsV2": "ListObjects",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
}

LAMBDA_V2 = {
    "AddPermission",
    "GetFunction",
    "GetFunctionConfiguration",
    "GetPolicy",
    "RemovePermission",
    "TagResource",
    "UntagResource",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
}

LAMBDA_PLAIN = re.compile(r"^Invoke|FunctionUrlConfig|^GetFunctionCodeSigningConfig$")


def event_source(service, model, request):
    """The signing name, else the endpoint prefix.

    S3 signs some calls with the name of a part of it, and so they are logged.
    """
    if service in SOURCES:
        return SOURCES[service]
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", text_of(request, "Authorization"))
    if service in ("s3", "s3control") and scope:
        return f"{scope.group(1)}.amazonaws.com"
    return f"{model.signing_name or model.endpoint_prefix}.amazonaws.com"


def event_name(service, operation):
    """The name on the wire, with the habits of S3 and Lambda."""
    name = operation.wire_name
    if service == "s3":
        return S3_NAMES.get(name, name)
    if service == "s3control":
        return name.replace("PublicAccessBlock", "AccountPublicAccessBlock")
    if service == "lambda" and not LAMBDA_PLAIN.search(name):
        date = re.match(r"/(\d{4})-(\d\d)-(\d\d)/", operation.http["requestUri"])
        if date:
            name += "".join(date.groups()) + ("v2" if name in LAMBDA_V2 else "")
    return name


def smallest(shape, name="", depth=0):
    """The smallest value of a shape: required members only."""
    kind = shape.type_name
    if kind == "structure":
        required = shape.required_members
        if getattr(shape, "is_tagged_union", False) and not required:
            required = list(shape.members)[:1]
        if depth > 12:
            return {}
        return {key: smallest(shape.members[key], key, depth + 1) for key in required}
    if kind == "list":
        least = shape.metadata.get("min", 0)
        if depth > 12 or not least:
            return []
        return [smallest(shape.member, name, depth + 1) for _ in range(min(least, 3))]
    if kind == "map":
        return {}
    if kind == "string":
        return text(shape, name)
    if kind == "blob":
        return b"x"
    if kind == "boolean":
        return False
    if kind in ("integer", "long"):
        return max(int(shape.metadata.get("min", 1)), 1)
    if kind in ("float", "double"):
        return 1.0
    if kind == "timestamp":
        return 1767225600
    return "x"


def text(shape, name):
    """A text that endpoint rules and serialisers accept."""
    if shape.enum:
        return shape.enum[0]
    lowered = name.lower()
    if "account" in lowered and "id" in lowered:
        return "123456789012"
    if lowered == "bucket":
        return "example-bucket"
    if lowered == "predictendpoint":
        return "http://localhost:4747"
    if lowered == "kvsarn":
        return "arn:aws:cloudfront::123456789012:key-value-store/x"
    if lowered.endswith("arn"):
        return "arn:aws:example:us-east-1:123456789012:thing/x"
    return "x" * max(1, min(int(shape.metadata.get("min", 1) or 1), 64))


class Caught(Exception):
    """Carries the request out of the client."""

    def __init__(self, request):
        super().__init__("caught")
        self.request = request


def catch(request, **_):
    """Ends the call before anything is sent."""
    raise Caught(request)


def session_for_tests():
    """A session with the example key and an example bearer token."""
    session = botocore.session.Session()
    session.set_credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    token = botocore.tokens.FrozenAuthToken("example-token")
    session.get_auth_token = lambda *_, **__: token
    session.register_component("token_provider", Provider(token))
    return session


class Provider:
    """Hands out one bearer token."""

    def __init__(self, token):
        self._token = token

    def load_token(self, *_, **__):
        """The token."""
        return self

    def get_frozen_token(self):
        """The token."""
        return self._token


def text_of(request, header):
    """A header field as text; empty when there is none."""
    value = request.headers.get(header, "")
    return value.decode() if isinstance(value, bytes) else value


def body_of(request):
    """The body as bytes, whatever botocore holds."""
    body = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    return body.read()


def line(client, service, name, endpoint):
    """One request as a dictionary."""
    model = client.meta.service_model
    operation = model.operation_model(name)
    parameters = smallest(operation.input_shape) if operation.input_shape else {}
    try:
        # Not the method of that name: bidirectional streams have none.
        client._make_api_call(name, parameters)
    except Caught as caught:
        request = caught.request
    else:
        raise RuntimeError("the request was not caught")
    url = urllib.parse.urlsplit(request.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [["Host", urllib.parse.urlsplit(endpoint).netloc]]
    for key, value in request.headers.items():
        if key.lower() != "host":
            headers.append([key, value.decode() if isinstance(value, bytes) else str(value)])
    return {
        "service": service,
        "operation": name,
        "method": request.method,
        "target": target,
        "headers": headers,
        "body_b64": base64.b64encode(body_of(request)).decode(),
        "event_source": event_source(service, model, request),
        "event_name": event_name(service, operation),
    }


def main():
    """Writes every line; says on standard error what could not be made."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", default="http://localhost:4747")
    parser.add_argument("--service", action="append")
    arguments = parser.parse_args()
    session = session_for_tests()
    config = botocore.config.Config(
        parameter_validation=False,
        inject_host_prefix=False,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        disable_request_compression=True,
    )
    failed = 0
    for service in arguments.service or session.get_available_services():
        endpoint = arguments.endpoint
        if session.get_service_model(service).signature_version == "bearer":
            # botocore sends bearer tokens to HTTPS only; nothing is sent here.
            endpoint = endpoint.replace("http://", "https://")
        signing = None
        if service == "cloudfront-keyvaluestore":
            # Its own choice, SigV4A, needs a compiled extra.
            signing = botocore.config.Config(signature_version="v4")
        client = session.create_client(
            service,
            region_name="us-east-1",
            endpoint_url=endpoint,
            config=config.merge(signing) if signing else config,
        )
        client.meta.events.register_first("before-send.*", catch)
        for name in client.meta.service_model.operation_names:
            try:
                print(json.dumps(line(client, service, name, arguments.endpoint)))
            except Exception as error:  # noqa: BLE001 - every reason is reported
                failed += 1
                print(f"{service} {name}: {type(error).__name__}: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
