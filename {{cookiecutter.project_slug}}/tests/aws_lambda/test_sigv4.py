import socket

import pytest

from aws_lambda import sigv4
from tests.aws_lambda.aws_server import (
    AwsServer,
    Fault,
    botocore_authorization,
    deny,
    disconnect,
    fail,
    hang,
    throttle,
)
from tests.helpers import LONG_TIMEOUT_S, wait_until

HANG_TIMEOUT_S = 0.5


def call() -> object:
    return sigv4.call_aws("store", "AmazonStore.Get", {"Name": "grün"})


def test_request_is_signed(aws_server: AwsServer) -> None:
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


def test_signature_equals_the_one_of_botocore() -> None:
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": "dynamodb.eu-central-1.amazonaws.com",
        "x-amz-date": "20260731T235959Z",
        "x-amz-security-token": "token/+=",
        "x-amz-target": "DynamoDB_20120810.GetItem",
    }
    args = ("dynamodb", "eu-central-1", headers, '{"a": "grün"}'.encode(), "AKIA123", "secret/+")
    assert sigv4.authorization(*args) == botocore_authorization(*args)


def test_endpoint_of_one_service_takes_precedence(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STORE", aws_server.url)
    assert call() == {"Got": "grün"}


@pytest.mark.parametrize("fault", [throttle, fail, disconnect, hang])
def test_transient_error_is_retried_once(aws_server: AwsServer, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    aws_server.faults = [fault]
    if fault is hang:
        monkeypatch.setattr(sigv4, "TIMEOUT_S", HANG_TIMEOUT_S)

    def sleep(delay_s: float) -> None:
        delays.append(delay_s)
        wait_until(lambda: not aws_server.faults)  # a busy server may accept the first request after its timeout
        monkeypatch.setattr(sigv4, "TIMEOUT_S", LONG_TIMEOUT_S)

    response = sigv4.call_aws("store", "AmazonStore.Get", {"Name": "grün"}, sleep=sleep)
    assert response == {"Got": "grün"}
    assert delays == [sigv4.RETRY_DELAY_S]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (throttle, "^AmazonStore.Get: ThrottlingException: Rate exceeded$"),
        (fail, "^AmazonStore.Get: 127.0.0.1:[0-9]+ responded with status 503$"),
        (disconnect, "no response from 127.0.0.1:.*interface endpoint for store$"),
        (hang, "no response from 127.0.0.1:.*timed out"),
    ],
)
def test_second_transient_error_is_raised(
    aws_server: AwsServer, fault: Fault, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws_server.faults = [fault, fault]
    if fault is hang:
        monkeypatch.setattr(sigv4, "TIMEOUT_S", HANG_TIMEOUT_S)
    with pytest.raises(sigv4.TransientAwsError, match=message):
        call()
    wait_until(lambda: len(aws_server.requests) >= 2)
    assert len(aws_server.requests) == 2


def test_other_errors_are_not_retried(aws_server: AwsServer) -> None:
    aws_server.faults = [deny]
    with pytest.raises(sigv4.AwsError, match=r"^AmazonStore.Get: AccessDeniedException: my-role is not authorized$"):
        call()
    assert len(aws_server.requests) == 1


def test_refused_connection_is_an_error(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(sigv4.AwsError, match=f"no response from 127.0.0.1:{port}"):
        call()
