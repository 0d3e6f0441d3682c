"""Test that bad requests and events get a defined response and do not end the execution environment."""

import gzip
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from scripts.project_changes import append
from scripts.projects import CHOICES
from tests.support.bake import Bake
from tests.support.deploy_tool import DeployTool, push_image

NAME = "my-api-prod"
ROUTES = """

@app.get("/large/{size}")
async def large(size: int) -> str:
    return "x" * size


@app.post("/count")
async def count(request: Request) -> list[int]:
    return [len(request.headers), len(request.query_params), len(request.cookies), len(await request.body())]
"""
FLOWER = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'
JSON = b"Content-Type: application/json\r\n"
PREDICT = b"POST /predict"

# The request line, headers and body, and the expected status.
HTTP_REQUESTS: dict[str, tuple[tuple[bytes, ...], int]] = {
    "path that is not UTF-8": ((b"GET /%FF%FE%ED%A0%80",), 404),
    "path with raw bytes": ((b"GET /\xff\xfe",), 404),
    "path with NUL and dots": ((b"GET /%00/..%2f..",), 404),
    "path of 8 kB": ((b"GET /" + b"a" * 8000,), 404),
    "query that is not UTF-8": ((b"GET /health?a=%FF&%C0=\xff&&&==",), 200),
    "repeated header that is not UTF-8": ((b"GET /health", b"X-A: \xff\xfe\r\nX-A: 2\r\n"), 200),
    "repeated header with malformed cookies": ((b"GET /health", b"Cookie: a=\xff; =; ;;\r\nCookie: a=2\r\n"), 200),
    "thousands of headers": ((b"GET /health", b"".join(b"X-%d: 1\r\n" % n for n in range(5000))), 431),
    "HEAD": ((b"HEAD /health",), 405),
    "OPTIONS": ((b"OPTIONS /health",), 405),
    "TRACE": ((b"TRACE /health",), 405),
    "unknown method": ((b"BREW /health",), 405),
    "no body": ((PREDICT, JSON), 422),
    "no content type": ((PREDICT, b"", FLOWER), 422),
    "malformed content type": ((PREDICT, b"Content-Type: \xff/;;=\r\n", FLOWER), 422),
    "multipart form without a boundary": ((PREDICT, b"Content-Type: multipart/form-data\r\n", FLOWER), 422),
    "form that is not UTF-8": (
        (PREDICT, b"Content-Type: application/x-www-form-urlencoded\r\n", b"%FF=%FF&" * 2000),
        422,
    ),
    "compressed body": ((PREDICT, JSON + b"Content-Encoding: gzip\r\n", gzip.compress(FLOWER)), 400),
    "all byte values": ((PREDICT, JSON, bytes(range(256))), 422),
    "900 nested arrays": ((PREDICT, JSON, b"[" * 900 + b"]" * 900), 422),
    "100,000 nested arrays": ((PREDICT, JSON, b"[" * 100_000), 400),
    "lone surrogate": ((PREDICT, JSON, FLOWER.replace(b"5.1", b'"\\ud800"')), 422),
    "NUL character": ((PREDICT, JSON, FLOWER.replace(b"5.1", b'"\\u0000"')), 422),
    "number of 4,000 digits": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"9" * 4000)), 422),
    "number of 40,000 digits": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"9" * 40_000)), 400),
    "NaN": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"NaN")), 422),
    "infinity": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"1e999")), 422),
    "invalid body of 5.9 MB": ((PREDICT, JSON, b'{"x": "%s"}' % (b"y" * 5_900_000)), 422),
    "response of 6 MB": ((b"GET /large/6000000",), 200),
    "response over the limit": ((b"GET /large/6300000",), 500),
}
POST = {"method": "POST", "path": "/count", "sourceIp": "203.0.113.7"}
REQUEST: dict[str, Any] = {
    "version": "2.0",
    "rawPath": "/count",
    "rawQueryString": "",
    "headers": {"host": "abc123.example.com"},
    "requestContext": {"http": POST},
    "isBase64Encoded": False,
}
# Changes to the event, and the expected numbers of headers, parameters, cookies and bytes.
LARGE_EVENTS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "thousands of headers": ({"headers": {f"x-{n}": "1" for n in range(5000)}}, [5000, 0, 0, 0]),
    "thousands of cookies": ({"cookies": [f"c{n}=1" for n in range(5000)]}, [2, 0, 5000, 0]),
    "thousands of parameters": ({"rawQueryString": "&".join(f"q{n}=1" for n in range(5000))}, [1, 5000, 0, 0]),
    "header of 1 MB": ({"headers": {"x": "y" * 1_000_000}}, [1, 0, 0, 0]),
    "body of 6 MB": ({"body": "x" * 6_000_000}, [1, 0, 0, 6_000_000]),
}
OTHER_EVENTS: dict[str, object] = {
    "schedule": {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}},
    "queue": {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    "list": [],
    "null": None,
    "text": "text",
    "number": 5,
    "empty object": {},
    "no headers": REQUEST | {"headers": None},
    "number as a header": REQUEST | {"headers": {"x": 1}},
    "lone surrogate in a header": REQUEST | {"headers": {"x": "\ud800"}},
    "lone surrogate in the body": REQUEST | {"body": "\ud800"},
    "list as body": REQUEST | {"body": ["x"]},
    "truncated base64": REQUEST | {"body": "a", "isBase64Encoded": True},
    "base64 that is not ASCII": REQUEST | {"body": "ü", "isBase64Encoded": True},
    "cookies that are numbers": REQUEST | {"cookies": [1]},
    "host with two ports": REQUEST | {"headers": {"host": "a:b:c"}},
    "payload format 1.0": REQUEST | {"version": "1.0"},
}


@dataclass
class Service:
    aws: EmbeddedAws
    url: str

    def send_request(
        self, line: bytes, headers: bytes = b"", body: bytes = b"", *, chunked: bool = False
    ) -> tuple[int, bytes]:
        """Send the bytes as they are, and return status and body of the response."""
        host, port = self.url.removeprefix("http://").rstrip("/").split(":")
        if chunked:
            headers += b"Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            headers += b"Content-Length: %d\r\n" % len(body)
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = b"%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n" % (line, host.encode(), headers)
            connection.sendall(head + body)
            response = b"".join(iter(lambda: connection.recv(2**20), b""))
        head, _, content = response.partition(b"\r\n\r\n")
        return int(head.split()[1]), content

    def invoke(self, event: object) -> dict[str, Any]:
        """Invoke the live version and return its result or Lambda's description of the error."""
        payload = json.dumps(event).encode()
        response = self.aws.client("lambda").invoke(FunctionName=NAME, Qualifier="live", Payload=payload)
        result: dict[str, Any] = json.loads(response["Payload"].read())
        return result

    def logged_errors(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.aws.log_messages(f"/aws/lambda/{NAME}")]
        return [line for line in lines if line.get("level") == "ERROR"]


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_bad_input_is_answered_and_does_not_end_the_environment(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    project = bake(endpoint=endpoint).copy(tmp_path)
    project.edit("app/main.py", "from fastapi import FastAPI", "from fastapi import FastAPI, Request")
    append(project, "app/main.py", ROUTES)
    with EmbeddedAws(clock=ManualClock()) as aws:  # so that the alarms see all requests in one period
        run = DeployTool(project, aws)("--image", push_image(project, aws))
        assert run.code == 0, run.err
        service = Service(aws, run.url)
        before = [(environment.pid, environment.alive) for environment in aws.environments(NAME)]

        check_http_requests(service)
        assert not aws.alarm_fires(f"{NAME}-errors")
        assert aws.alarm_fires(f"{NAME}-5xx")  # because of the response over the limit
        check_requests_over_the_limit(service, endpoint)
        check_large_events(service)
        check_other_events(service)
        assert aws.alarm_fires(f"{NAME}-errors")

        assert service.send_request(b"GET /health") == (200, b'{"status":"healthy"}')
        assert [(environment.pid, environment.alive) for environment in aws.environments(NAME)] == before


def check_http_requests(service: Service) -> None:
    responses = {name: service.send_request(*request) for name, (request, _) in HTTP_REQUESTS.items()}
    assert {name: status for name, (status, _) in responses.items()} == {
        name: status for name, (_, status) in HTTP_REQUESTS.items()
    }
    large = [name for name, (status, content) in responses.items() if status in (400, 422) and len(content) > 100_000]
    assert not large, "large input is repeated in the response"
    assert json.loads(responses["response over the limit"][1])["detail"] == "Response Too Large"
    assert [error["message"].partition(": ")[0] for error in service.logged_errors()] == ["GET /large/6300000"]
    assert service.send_request(PREDICT, JSON, FLOWER, chunked=True)[0] == 200


def check_requests_over_the_limit(service: Service, endpoint: str) -> None:
    before = len(service.logged_errors())
    for size in (6_300_000, 11_000_000):
        status, content = service.send_request(PREDICT, JSON, b'"%s"' % (b"y" * size))
        if endpoint == "http_api" and size < 10_000_000:  # API Gateway accepts it, and Lambda does not
            assert (status, content) == (500, b'{"message":"Internal Server Error"}')
            log = service.aws.log_messages(f"/aws/apigateway/{NAME}")
            assert "Request must be smaller than 6291456 bytes" in log[-1]
        else:
            assert status == 413
    assert len(service.logged_errors()) == before


def check_large_events(service: Service) -> None:
    for name, (changes, expected) in LARGE_EVENTS.items():
        response = service.invoke(REQUEST | changes)
        assert (response["statusCode"], json.loads(response["body"])) == (200, expected), name


def check_other_events(service: Service) -> None:
    for name, event in OTHER_EVENTS.items():
        before = service.logged_errors()
        result = service.invoke(event)
        assert result["errorType"] == "EventError", name
        assert result["errorMessage"].startswith("The event is not an HTTP request in payload format 2.0: "), name
        (error,) = service.logged_errors()[len(before) :]
        assert error["errorMessage"] == result["errorMessage"]
