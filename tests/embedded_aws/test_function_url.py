"""Test function URLs: configuration, authorization, events, responses, errors and moving the alias."""

import http.client
import json
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from embedded_aws import Delays, EmbeddedAws, ManualClock
from tests.support.http_api import create_http_api
from tests.support.sample_function import (
    ECHO,
    NAME,
    HttpResponse,
    SampleFunction,
    raises_client_error,
    send_request,
)
from tests.support.sample_queue import wait_until

FORBIDDEN = "Forbidden. For troubleshooting Function URL authorization issues, see: "
RETURNS_BODY = "import json\n\ndef handler(event, context):\n    return json.loads(event['body'])\n"


def read_event(url: str, *args: Any, **options: Any) -> Any:
    """Send a request to a function that returns its event. Return the event."""
    status, body, _ = send_request(url, *args, **options)
    assert status == 200
    return json.loads(body)


@pytest.fixture
def respond(sample: SampleFunction) -> Callable[[Any], HttpResponse]:
    """Return the HTTP response of a URL whose function returns this result."""
    url = sample.public_url(RETURNS_BODY)
    return lambda result: send_request(url, "POST", "/", json.dumps(result), {"Content-Type": "application/json"})


def test_the_event_has_payload_format_2_0(sample: SampleFunction) -> None:
    url = sample.public_url()
    host = url.removeprefix("http://").rstrip("/")
    event = read_event(url, "GET", "/caf%C3%A9/a%20b?x=1&x=2&y=%26&z=", headers={"User-Agent": "me", "X-Name": "v"})
    assert event["version"] == "2.0"
    assert event["routeKey"] == "$default"
    assert event["rawPath"] == "/caf%C3%A9/a%20b"
    assert event["rawQueryString"] == "x=1&x=2&y=%26&z="
    assert event["queryStringParameters"] == {"x": "1,2", "y": "&", "z": ""}
    assert event["headers"]["x-name"] == "v"
    assert event["headers"]["host"] == host
    assert event["headers"]["x-forwarded-proto"] == "https"
    assert event["isBase64Encoded"] is False
    assert not {"body", "cookies"} & set(event)
    context = event["requestContext"]
    assert {"accountId", "apiId", "domainName", "domainPrefix", "requestId", "time", "timeEpoch"} <= set(context)
    assert (context["stage"], context["routeKey"]) == ("$default", "$default")
    assert context["http"] == {
        "method": "GET",
        "path": "/caf%C3%A9/a%20b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "me",
    }


def test_cookies_are_split_and_repeated_headers_are_joined(sample: SampleFunction) -> None:
    url = sample.public_url()
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=60)
    connection.putrequest("GET", "/")
    for name, value in [("X-Many", "1"), ("x-many", "2"), ("Cookie", "a=1; b=2")]:
        connection.putheader(name, value)
    connection.endheaders()
    event = json.loads(connection.getresponse().read())
    assert event["headers"]["x-many"] == "1,2"
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]


@pytest.mark.parametrize(
    ("content_type", "body", "is_text"),
    [
        ("application/json", '{"a": "é"}'.encode(), True),
        ("text/plain; charset=utf-8", b"hello", True),
        ("application/problem+json", b"{}", True),
        ("application/octet-stream", b"hello", False),
        ("application/x-www-form-urlencoded", b"a=1", False),
        ("text/plain", b"\xff\xfe", False),
        ("image/png", b"\x89PNG", False),
    ],
)
def test_bodies_that_are_not_text_are_encoded_as_base64(
    sample: SampleFunction, content_type: str, body: bytes, is_text: bool
) -> None:
    event = read_event(sample.public_url(), "POST", "/", body, {"Content-Type": content_type})
    assert event["isBase64Encoded"] is not is_text
    assert event["body"] == (body.decode() if is_text else b64encode(body).decode())


def test_chunked_bodies_and_all_methods_are_accepted(sample: SampleFunction) -> None:
    url = sample.public_url()
    chunks = iter([b'{"a":', b"1}"])
    event = read_event(url, "PUT", "/", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
    assert event["body"] == '{"a":1}'
    assert read_event(url, "PROPFIND")["requestContext"]["http"]["method"] == "PROPFIND"


def test_a_result_with_all_fields_becomes_the_response(respond: Callable[[Any], HttpResponse]) -> None:
    status, body, headers = respond(
        {
            "statusCode": 201,
            "headers": {"X-Name": "v", "content-type": "image/png"},
            "cookies": ["a=1; HttpOnly", "b=2"],
            "body": b64encode(b"\x89PNG").decode(),
            "isBase64Encoded": True,
        }
    )
    assert (status, body) == (201, b"\x89PNG")
    assert (headers["x-name"], headers["content-type"]) == ("v", "image/png")
    assert headers.get_all("set-cookie") == ["a=1; HttpOnly", "b=2"]
    assert headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"message": "hi"}, b'{"message": "hi"}'),
        ("hi", b"hi"),
        ([1], b"[1]"),
        ({"statusCode": 200, "body": "hi"}, b"hi"),
    ],
)
def test_missing_fields_of_the_response_are_inferred(
    respond: Callable[[Any], HttpResponse], result: Any, expected: bytes
) -> None:
    status, body, headers = respond(result)
    assert (status, body, headers["content-type"]) == (200, expected, "application/json")


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "many"},
        {"statusCode": 1000},
        {"statusCode": 200, "headers": "no"},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"x-name": "a\r\nset-cookie: b=c"}},
        {"statusCode": 200, "headers": {"x-name": "a\nb"}},
        {"statusCode": 200, "headers": {"x-name": "a\0"}},
        {"statusCode": 200, "headers": {"x name": "a"}},
        {"statusCode": 200, "cookies": ["a=b\r\nc: d"]},
    ],
)
def test_an_invalid_result_is_a_502(respond: Callable[[Any], HttpResponse], result: Any) -> None:
    assert respond(result)[0] == 502


def test_responses_to_head_and_with_status_204_have_no_body(sample: SampleFunction) -> None:
    source = "def handler(event, context):\n    code = 204 if event['rawPath'] == '/none' else 200\n"
    url = sample.public_url(
        source + "    return {'statusCode': code, 'headers': {'content-length': '5'}, 'body': ''}\n"
    )
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=60)
    for method, path, length in [("HEAD", "/", "5"), ("GET", "/none", None), ("HEAD", "/", "5")]:
        connection.request(method, path)  # on the same connection, where a body would break the next response
        response = connection.getresponse()
        assert (response.read(), response.headers["content-length"]) == (b"", length)


def test_a_public_url_needs_two_permissions(sample: SampleFunction) -> None:
    url = sample.public_url()
    permissions: list[tuple[str, str, dict[str, Any]]] = [
        ("url", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("function", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ]
    for statement, action, conditions in permissions:
        sample.client.remove_permission(FunctionName=NAME, Qualifier="live", StatementId=statement)
        status, body, _ = send_request(url)
        assert status == 403
        assert json.loads(body)["Message"].startswith(FORBIDDEN)
        sample.allow(statement, action, **conditions)
        assert send_request(url)[0] == 200


@pytest.mark.parametrize("difference", ["AWS_IAM", "other-qualifier"])
def test_a_permission_with_another_auth_type_or_qualifier_is_not_sufficient(
    sample: SampleFunction, difference: str
) -> None:
    url = sample.public_url()
    sample.client.remove_permission(FunctionName=NAME, Qualifier="live", StatementId="url")
    if difference == "AWS_IAM":
        sample.allow("url", "lambda:InvokeFunctionUrl", FunctionUrlAuthType="AWS_IAM")
    else:
        sample.client.add_permission(
            FunctionName=NAME,
            StatementId="url",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )
    assert send_request(url)[0] == 403


def test_a_url_with_iam_authorization_needs_a_valid_signature(sample: SampleFunction) -> None:
    url = sample.public_url()
    sample.client.update_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="AWS_IAM")
    assert send_request(url)[0] == 403
    environ = sample.aws.environ

    def send_signed(secret: str, signed_body: bytes, body: bytes) -> int:
        request = AWSRequest("POST", f"{url}path?b=2&a=1", {"Content-Type": "text/plain"}, signed_body)
        SigV4Auth(Credentials(environ["AWS_ACCESS_KEY_ID"], secret), "lambda", "us-east-1").add_auth(request)
        return send_request(url, "POST", "/path?b=2&a=1", body, dict(request.headers))[0]

    assert send_signed(environ["AWS_SECRET_ACCESS_KEY"], b"body", b"body") == 200
    assert send_signed("wrong", b"body", b"body") == 403
    assert send_signed(environ["AWS_SECRET_ACCESS_KEY"], b"body", b"other") == 403


@pytest.mark.parametrize("failure", ["raise ValueError('x')", "import os; os._exit(1)", "import time; time.sleep(60)"])
def test_an_exception_a_crash_or_a_time_out_is_a_502(sample: SampleFunction, failure: str) -> None:
    url = sample.public_url(f"def handler(event, context):\n    {failure}\n", Timeout=1)
    status, body, _ = send_request(url)
    assert (status, body) == (502, b"Internal Server Error")


def test_too_many_requests_are_a_429(sample: SampleFunction) -> None:
    url = sample.public_url()
    sample.client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    status, body, _ = send_request(url)
    assert status == 429
    assert json.loads(body)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_a_body_over_the_limit_is_a_413(sample: SampleFunction) -> None:
    url = sample.public_url("def handler(event, context):\n    return len(event['body'])\n")
    assert send_request(url, "POST", "/", b"x" * 7_000_000)[0] == 413
    assert send_request(url, "POST", "/", b"x" * 4_000_000)[:2] == (200, b"5333336")


def test_moving_the_alias_fails_no_request_and_old_responses_end(sample: SampleFunction) -> None:
    source = "import time\n\ndef handler(event, context):\n    time.sleep(0.01)\n    return {}\n"
    url = sample.public_url(source.format("'old'"))
    sample.update(source.format("'new'"))
    sample.publish()
    sample.invoke(Qualifier="2")

    def send_requests() -> list[tuple[int, bytes]]:
        return [send_request(url)[:2] for _ in range(15)]

    with ThreadPoolExecutor(5) as pool:
        clients = [pool.submit(send_requests) for _ in range(4)]
        while not any(environment.invocations > 5 for environment in sample.aws.environments(NAME)):
            time.sleep(0.005)
        sample.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2")
        results = [client.result() for client in clients]
    for responses in results:
        assert {status for status, _ in responses} == {200}
        bodies = [body for _, body in responses]
        assert bodies == sorted(bodies, reverse=True)  # first b"old", then b"new"
    assert send_request(url)[1] == b"new"


@pytest.mark.parametrize(("endpoint", "status"), [("function URL", 403), ("HTTP API", 404)])
def test_a_new_url_refuses_connections_and_then_requests_for_some_seconds(
    tmp_path: Path, endpoint: str, status: int
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html: each function URL has its own host name.

    The name does not resolve at first. The ports of the embedded AWS have no name, so they refuse connections.
    """
    with EmbeddedAws(clock=ManualClock(), delays=Delays(connect_s=20, url_s=5)) as aws:
        sample = SampleFunction(aws, tmp_path)
        url = sample.public_url() if endpoint == "function URL" else create_http_api(sample)[1]  # these wait for 10 s
        with pytest.raises(ConnectionRefusedError):
            send_request(url)
        sample.aws.clock.advance(10)
        assert send_request(url)[0] == status
        sample.aws.clock.advance(5)
        assert send_request(url)[0] == 200


def test_the_real_clock_can_be_advanced_until_a_new_url_accepts_connections(tmp_path: Path) -> None:
    with EmbeddedAws(delays=Delays(connect_s=30, role_s=0)) as aws:
        sample = SampleFunction(aws, tmp_path)
        sample.create()
        url = sample.client.create_function_url_config(FunctionName=NAME, AuthType="NONE")["FunctionUrl"]
        with pytest.raises(ConnectionRefusedError):
            send_request(url)
        aws.clock.advance(30)
        assert send_request(url)[0] == 403
        sample.client.delete_function_url_config(FunctionName=NAME)
        with pytest.raises(ConnectionRefusedError):
            send_request(url)


def test_a_new_url_accepts_connections_in_real_time(tmp_path: Path) -> None:
    with EmbeddedAws(delays=Delays(connect_s=0.5, role_s=0)) as aws:
        sample = SampleFunction(aws, tmp_path)
        sample.create()
        url = sample.client.create_function_url_config(FunctionName=NAME, AuthType="NONE")["FunctionUrl"]

        def accepts_connections() -> bool:
            with suppress(ConnectionRefusedError):
                return send_request(url)[0] == 403
            return False

        wait_until(accepts_connections)


def test_a_deleted_url_is_closed(sample: SampleFunction) -> None:
    url = sample.public_url(ECHO)
    sample.client.delete_function_url_config(FunctionName=NAME, Qualifier="live")
    with pytest.raises(ConnectionRefusedError):
        send_request(url)


def test_a_url_belongs_to_an_alias_and_never_to_a_version(live: SampleFunction) -> None:
    created = live.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
    assert created["FunctionUrl"].endswith("/")
    assert created["FunctionArn"] == f"arn:aws:lambda:us-east-1:123456789012:function:{NAME}:live"
    with raises_client_error("ResourceConflictException", "FunctionUrlConfig exists for this Lambda function"):
        live.client.create_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="NONE")
    for qualifier in ("1", "$LATEST"):
        with raises_client_error("ValidationException"):
            live.client.create_function_url_config(FunctionName=NAME, Qualifier=qualifier, AuthType="NONE")
    with raises_client_error("ResourceNotFoundException"):
        live.client.get_function_url_config(FunctionName=NAME)
    live.client.update_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="AWS_IAM")
    config = live.client.get_function_url_config(FunctionName=NAME, Qualifier="live")
    assert (config["AuthType"], config["FunctionUrl"]) == ("AWS_IAM", created["FunctionUrl"])
    assert len(live.client.list_function_url_configs(FunctionName=NAME)["FunctionUrlConfigs"]) == 1
    live.client.delete_function_url_config(FunctionName=NAME, Qualifier="live")
    with raises_client_error("ResourceNotFoundException", "The resource you requested does not exist."):
        live.client.delete_function_url_config(FunctionName=NAME, Qualifier="live")
