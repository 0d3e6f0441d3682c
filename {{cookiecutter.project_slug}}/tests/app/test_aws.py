"""A request to AWS is signed, tried twice, and tells what went wrong."""

import random
import socket

import pytest

from app import aws
from tests.app.aws_server import (
    AwsServer,
    Fault,
    botocore_authorization,
    break_down,
    deny,
    hang,
    hang_up,
    throttle,
)


def call() -> object:
    return aws.call("store", "AmazonStore.Get", {"Name": "grün"})


def test_one_signed_request(aws_server: AwsServer) -> None:
    assert call() == {"Got": "grün"}
    (request,) = aws_server.requests
    assert request["Name"] == "grün"
    assert request["headers"]["x-amz-target"] == "AmazonStore.Get"


def test_session_token_is_sent_and_signed(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/+=")
    call()
    headers = aws_server.requests[0]["headers"]
    assert headers["x-amz-security-token"] == "token/+="
    assert "x-amz-security-token" in headers["authorization"]


def test_an_endpoint_of_the_services_own(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STORE", aws_server.url)
    assert call() == {"Got": "grün"}


@pytest.mark.parametrize("fault", [throttle, break_down, hang_up, hang])
def test_one_retry(aws_server: AwsServer, fault: Fault) -> None:
    aws_server.faults = [fault]
    assert call() == {"Got": "grün"}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (throttle, "AmazonStore.Get: ThrottlingException: Rate exceeded"),
        (deny, "AmazonStore.Get: AccessDeniedException: my-role is not authorized"),
        (break_down, "no answer from 127.0.0.1:.*Expecting value"),
{% if cookiecutter.migrations == 'alembic' %}
        (hang_up, "no answer from 127.0.0.1:.*interface endpoint for store"),
{% else %}
        (hang_up, "no answer from 127.0.0.1:.*closed connection"),
{% endif %}
        (hang, "no answer from 127.0.0.1:.*timed out"),
    ],
)
def test_then_a_clear_error(aws_server: AwsServer, fault: Fault, message: str) -> None:
    aws_server.faults = [fault, fault]
    with pytest.raises(aws.AwsError, match=message):
        call()
    assert len(aws_server.requests) <= 2


def test_nothing_listens(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(aws.AwsError, match=f"no answer from 127.0.0.1:{port}"):
        call()


def test_own_certificate_store_is_read_once() -> None:
    assert aws._tls() is aws._tls()
    assert aws._tls().check_hostname


@pytest.mark.parametrize("seed", range(50))
def test_signature_is_botocores(seed: int) -> None:
    some = random.Random(seed)

    def text(alphabet: str, longest: int) -> str:
        return "".join(some.choices(alphabet, k=some.randint(1, longest)))

    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": text("abcdefghijklmnopqrstuvwxyz-.", 40),
        "x-amz-date": f"{some.randint(2020, 2040)}{some.randint(1, 12):02}{some.randint(1, 28):02}T{some.randint(0, 235959):06}Z",
        "x-amz-target": text("AmazonService.GetThing", 30),
    }
    if some.random() < 0.5:
        headers["x-amz-security-token"] = text("ABCabc123/+=", 800)
    arguments = (
        some.choice(["sqs", "dynamodb"]),
        some.choice(["us-east-1", "eu-central-1", "ap-southeast-7"]),
        headers,
        text('{}":aäß€🎉\n ', 300).encode(),
        text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 20),
        text("ABCabc123/+", 40),
    )
    assert aws.authorization(*arguments) == botocore_authorization(*arguments)
