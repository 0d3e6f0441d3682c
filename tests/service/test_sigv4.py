"""Test that aws_lambda/sigv4.py computes the same signatures as botocore."""

import json
import random
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.bake import Bake

SIGN = """
import json, sys
from aws_lambda.sigv4 import authorization
for service, region, headers, body, access_key, secret_key in json.load(open(sys.argv[1])):
    print(authorization(service, region, headers, body.encode(), access_key, secret_key))
"""


def random_request(seed: int) -> list[Any]:
    """Return service, Region, headers, body, access key and secret key of a request."""
    generator = random.Random(seed)  # noqa: S311

    def text(alphabet: str, max_length: int) -> str:
        return "".join(generator.choices(alphabet, k=generator.randint(1, max_length)))

    date = f"{generator.randint(2020, 2040)}{generator.randint(1, 12):02}{generator.randint(1, 28):02}"
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": text("abcdefghijklmnopqrstuvwxyz-.", 40),
        "x-amz-date": f"{date}T{generator.randint(0, 235959):06}Z",
        "x-amz-target": text("AmazonService.GetThing", 30),
    }
    if generator.random() < 0.5:
        headers["x-amz-security-token"] = text("ABCabc123/+=", 800)
    return [
        generator.choice(["sqs", "dynamodb"]),
        generator.choice(["us-east-1", "eu-central-1", "ap-southeast-7"]),
        headers,
        text('{}":aäß€🎉\n ', 300),
        text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 20),
        text("ABCabc123/+", 40),
    ]


def botocore_signature(
    service: str, region: str, headers: dict[str, str], body: str, access_key: str, secret_key: str
) -> str:
    request: Any = AWSRequest("POST", f"http://{headers['host']}/", headers=headers, data=body.encode())
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(access_key, secret_key), service, region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    signed_headers = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed_headers}, Signature={signature}"


def test_signatures_of_50_random_requests_equal_those_of_botocore(
    bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    requests = [random_request(seed) for seed in range(50)]
    file = tmp_path_factory.mktemp("requests") / "requests.json"
    file.write_text(json.dumps(requests), encoding="utf-8")
    signatures = bake().run(["python", "-c", SIGN, str(file)]).stdout.splitlines()
    assert signatures == [botocore_signature(*request) for request in requests]
