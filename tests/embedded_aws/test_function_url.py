"""Does a function URL make the events, and of answers the responses, that AWS makes?"""

import http.client
import json
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from embedded_aws import Delays, EmbeddedAws, ManualClock
from tests.support.sample_function import ECHO, NAME, HttpResponse, SampleFunction, send_request

FORBIDDEN = "Forbidden. For troubleshooting Function URL authorization issues, see: "
GIVEN = "import json\n\ndef handler(event, context):\n    return json.loads(event['body'])\n"


def event_of(url: str, *args: Any, **more: Any) -> Any:
    """The event as the echoing function saw it."""
    status, body, _ = send_request(url, *args, **more)
    assert status == 200
    return json.loads(body)


@pytest.fixture
def reply(sample: SampleFunction) -> Callable[[Any], HttpResponse]:
    """Lets a function answer just this and returns what comes out of the URL."""
    url = sample.public_url(GIVEN)
    return lambda answer: send_request(url, "POST", "/", json.dumps(answer), {"Content-Type": "application/json"})


def test_the_event_is_a_v2_event(sample: SampleFunction) -> None:
    url = sample.public_url()
    host = url.removeprefix("http://").rstrip("/")
    event = event_of(url, "GET", "/caf%C3%A9/a%20b?x=1&x=2&y=%26&z=", headers={"User-Agent": "me", "X-Name": "v"})
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


def test_cookies_and_repeated_headers(sample: SampleFunction) -> None:
    url = sample.public_url()
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=10)
    connection.putrequest("GET", "/")
    for name, value in [("X-Many", "1"), ("x-many", "2"), ("Cookie", "a=1; b=2")]:
        connection.putheader(name, value)
    connection.endheaders()
    event = json.loads(connection.getresponse().read())
    assert event["headers"]["x-many"] == "1,2"
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
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
def test_bodies_that_are_not_text_come_as_base64(
    sample: SampleFunction, content_type: str, body: bytes, text: bool
) -> None:
    event = event_of(sample.public_url(), "POST", "/", body, {"Content-Type": content_type})
    assert event["isBase64Encoded"] is not text
    assert event["body"] == (body.decode() if text else b64encode(body).decode())


def test_chunked_bodies_and_any_method(sample: SampleFunction) -> None:
    url = sample.public_url()
    chunks = iter([b'{"a":', b"1}"])
    event = event_of(url, "PUT", "/", chunks, {"Content-Type": "application/json"}, encode_chunked=True)
    assert event["body"] == '{"a":1}'
    assert event_of(url, "PROPFIND")["requestContext"]["http"]["method"] == "PROPFIND"


def test_a_whole_answer(reply: Callable[[Any], HttpResponse]) -> None:
    status, body, headers = reply(
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
    ("answer", "body"),
    [
        ({"message": "hi"}, b'{"message": "hi"}'),
        ("hi", b"hi"),
        ([1], b"[1]"),
        ({"statusCode": 200, "body": "hi"}, b"hi"),
    ],
)
def test_what_aws_infers(reply: Callable[[Any], HttpResponse], answer: Any, body: bytes) -> None:
    status, got, headers = reply(answer)
    assert (status, got, headers["content-type"]) == (200, body, "application/json")


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "many"},
        {"statusCode": 1000},
        {"statusCode": 200, "headers": "no"},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
    ],
)
def test_an_answer_that_is_no_response_is_a_502(reply: Callable[[Any], HttpResponse], answer: Any) -> None:
    assert reply(answer)[0] == 502


def test_head_and_no_content_have_no_body(sample: SampleFunction) -> None:
    source = "def handler(event, context):\n    code = 204 if event['rawPath'] == '/none' else 200\n"
    url = sample.public_url(
        source + "    return {'statusCode': code, 'headers': {'content-length': '5'}, 'body': ''}\n"
    )
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=10)
    for method, path, length in [("HEAD", "/", "5"), ("GET", "/none", None), ("HEAD", "/", "5")]:
        connection.request(method, path)  # the same connection: a stray body would break the next answer
        response = connection.getresponse()
        assert (response.read(), response.headers["content-length"]) == (b"", length)


def test_both_statements_are_needed(sample: SampleFunction) -> None:
    url = sample.public_url()
    both: list[tuple[str, str, dict[str, Any]]] = [
        ("url", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("function", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ]
    for statement, action, conditions in both:
        sample.client.remove_permission(FunctionName=NAME, Qualifier="live", StatementId=statement)
        status, body, _ = send_request(url)
        assert status == 403
        assert json.loads(body)["Message"].startswith(FORBIDDEN)
        sample.allow(statement, action, **conditions)
        assert send_request(url)[0] == 200


@pytest.mark.parametrize("wrong", ["AWS_IAM", "other-qualifier"])
def test_statements_that_do_not_open_the_url(sample: SampleFunction, wrong: str) -> None:
    url = sample.public_url()
    sample.client.remove_permission(FunctionName=NAME, Qualifier="live", StatementId="url")
    if wrong == "AWS_IAM":
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


def test_iam_needs_a_correct_signature(sample: SampleFunction) -> None:
    url = sample.public_url()
    sample.client.update_function_url_config(FunctionName=NAME, Qualifier="live", AuthType="AWS_IAM")
    assert send_request(url)[0] == 403
    environ = sample.aws.environ

    def signed(secret: str, body: bytes, sent: bytes) -> int:
        request = AWSRequest("POST", f"{url}path?b=2&a=1", {"Content-Type": "text/plain"}, body)
        SigV4Auth(Credentials(environ["AWS_ACCESS_KEY_ID"], secret), "lambda", "us-east-1").add_auth(request)
        return send_request(url, "POST", "/path?b=2&a=1", sent, dict(request.headers))[0]

    assert signed(environ["AWS_SECRET_ACCESS_KEY"], b"body", b"body") == 200
    assert signed("wrong", b"body", b"body") == 403
    assert signed(environ["AWS_SECRET_ACCESS_KEY"], b"body", b"other") == 403


@pytest.mark.parametrize("trouble", ["raise ValueError('x')", "import os; os._exit(1)", "import time; time.sleep(5)"])
def test_trouble_in_the_function_is_a_502(sample: SampleFunction, trouble: str) -> None:
    url = sample.public_url(f"def handler(event, context):\n    {trouble}\n", Timeout=1)
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


def test_moving_the_alias_fails_no_request_and_never_goes_back(sample: SampleFunction) -> None:
    answer = "import time\n\ndef handler(event, context):\n    time.sleep(0.01)\n    return {}\n"
    url = sample.public_url(answer.format("'old'"))
    sample.update(answer.format("'new'"))
    sample.publish()
    sample.invoke(Qualifier="2")

    def client(_: int) -> list[tuple[int, bytes]]:
        return [send_request(url)[:2] for _ in range(15)]

    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(client, number) for number in range(4)]
        while not any(e.invocations > 5 for e in sample.aws.environments(NAME)):
            time.sleep(0.005)
        sample.client.update_alias(FunctionName=NAME, Name="live", FunctionVersion="2")
        answers = [future.result() for future in running]
    for one in answers:
        assert {status for status, _ in one} == {200}
        bodies = [body for _, body in one]
        assert bodies == sorted(bodies, reverse=True)  # b"old" … b"new"
    assert send_request(url)[1] == b"new"


def test_a_new_url_takes_a_while(tmp_path: Path) -> None:
    with EmbeddedAws(clock=ManualClock(), delays=Delays(url_s=5)) as aws:
        sample = SampleFunction(aws, tmp_path)
        url = sample.public_url()
        assert send_request(url)[0] == 403
        sample.wait_until_ready()
        assert send_request(url)[0] == 200


def test_a_deleted_url_is_closed(sample: SampleFunction) -> None:
    url = sample.public_url(ECHO)
    sample.client.delete_function_url_config(FunctionName=NAME, Qualifier="live")
    with pytest.raises(ConnectionRefusedError):
        send_request(url)
