"""The sample behind Lambda. The tests of the adapter itself are in tests/aws_lambda."""

import subprocess
import sys

import httpx
import pytest

from tests.lambda_transport import LambdaTransport

# These modules are imported when a request needs them, so that no cold start waits for them.
LAZY_MODULES = ["app.iris", "aws_lambda.sigv4", "boto3", "botocore", "pydantic.v1"]


@pytest.fixture
def client() -> httpx.Client:
    from aws_lambda.handler import handler

    return httpx.Client(transport=LambdaTransport(handler), base_url="https://abc123.example.com")


def test_route(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "healthy"}


def test_docs(client: httpx.Client) -> None:
    docs = client.get("/docs")
    assert docs.headers["content-type"].startswith("text/html")
    assert "url: '/openapi.json'" in docs.text
    assert "/predict" in client.get("/openapi.json").json()["paths"]


def test_modules_are_imported_lazily() -> None:
    code = f"import sys, aws_lambda.handler; print([name for name in {LAZY_MODULES} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")
