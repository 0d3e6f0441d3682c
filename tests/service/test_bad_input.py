"""Is bad input answered with a 4xx or a clear 5xx, and does the execution environment live on?"""

import gzip
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import EmbeddedAws
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

# What is sent, and the status of the answer.
HTTP: dict[str, tuple[tuple[bytes, ...], int]] = {
    "path that is no UTF-8": ((b"GET /%FF%FE%ED%A0%80",), 404),
    "path with raw bytes": ((b"GET /\xff\xfe",), 404),
    "path with NUL and dots": ((b"GET /%00/..%2f..",), 404),
    "path of 8 kB": ((b"GET /" + b"a" * 8000,), 404),
    "query that is no UTF-8": ((b"GET /health?a=%FF&%C0=\xff&&&==",), 200),
    "header that is no UTF-8, twice": ((b"GET /health", b"X-A: \xff\xfe\r\nX-A: 2\r\n"), 200),
    "cookies that are none, twice": ((b"GET /health", b"Cookie: a=\xff; =; ;;\r\nCookie: a=2\r\n"), 200),
    "thousands of headers": ((b"GET /health", b"".join(b"X-%d: 1\r\n" % n for n in range(5000))), 431),
    "HEAD": ((b"HEAD /health",), 405),
    "OPTIONS": ((b"OPTIONS /health",), 405),
    "TRACE": ((b"TRACE /health",), 405),
    "no method of HTTP": ((b"BREW /health",), 405),
    "no body": ((PREDICT, JSON), 422),
    "no type": ((PREDICT, b"", FLOWER), 422),
    "no such type": ((PREDICT, b"Content-Type: \xff/;;=\r\n", FLOWER), 422),
    "form without its boundary": ((PREDICT, b"Content-Type: multipart/form-data\r\n", FLOWER), 422),
    "form that is no UTF-8": (
        (PREDICT, b"Content-Type: application/x-www-form-urlencoded\r\n", b"%FF=%FF&" * 2000),
        422,
    ),
    "compressed": ((PREDICT, JSON + b"Content-Encoding: gzip\r\n", gzip.compress(FLOWER)), 400),
    "bytes": ((PREDICT, JSON, bytes(range(256))), 422),
    "deep": ((PREDICT, JSON, b"[" * 900 + b"]" * 900), 422),
    "too deep": ((PREDICT, JSON, b"[" * 100_000), 400),
    "half of a character": ((PREDICT, JSON, FLOWER.replace(b"5.1", b'"\\ud800"')), 422),
    "NUL": ((PREDICT, JSON, FLOWER.replace(b"5.1", b'"\\u0000"')), 422),
    "number of 4,000 digits": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"9" * 4000)), 422),
    "number of 40,000 digits": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"9" * 40_000)), 400),
    "NaN": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"NaN")), 422),
    "infinity": ((PREDICT, JSON, FLOWER.replace(b"5.1", b"1e999")), 422),
    "5.9 MB, wrong": ((PREDICT, JSON, b'{"x": "%s"}' % (b"y" * 5_900_000)), 422),
    "response of 6 MB": ((b"GET /large/6000000",), 200),
    "response of more": ((b"GET /large/6300000",), 500),
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
# What Lambda itself is invoked with, and what was counted of it.
LARGE_EVENTS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "thousands of headers": ({"headers": {f"x-{n}": "1" for n in range(5000)}}, [5000, 0, 0, 0]),
    "thousands of cookies": ({"cookies": [f"c{n}=1" for n in range(5000)]}, [2, 0, 5000, 0]),
    "thousands of parameters": ({"rawQueryString": "&".join(f"q{n}=1" for n in range(5000))}, [1, 5000, 0, 0]),
    "header of 1 MB": ({"headers": {"x": "y" * 1_000_000}}, [1, 0, 0, 0]),
    "body of 6 MB": ({"body": "x" * 6_000_000}, [1, 0, 0, 6_000_000]),
}
NO_REQUESTS: dict[str, object] = {
    "schedule": {"version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}},
    "queue": {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    "list": [],
    "null": None,
    "text": "text",
    "number": 5,
    "nothing": {},
    "no headers": REQUEST | {"headers": None},
    "number as a header": REQUEST | {"headers": {"x": 1}},
    "half of a character in a header": REQUEST | {"headers": {"x": "\ud800"}},
    "half of a character in the body": REQUEST | {"body": "\ud800"},
    "list as body": REQUEST | {"body": ["x"]},
    "base64 that ends too early": REQUEST | {"body": "a", "isBase64Encoded": True},
    "base64 that is not ASCII": REQUEST | {"body": "ü", "isBase64Encoded": True},
    "cookies that are numbers": REQUEST | {"cookies": [1]},
    "port that is none": REQUEST | {"headers": {"host": "a:b:c"}},
    "other version": REQUEST | {"version": "1.0"},
}


@dataclass
class Service:
    aws: EmbeddedAws
    url: str

    def http(self, line: bytes, headers: bytes = b"", body: bytes = b"", *, chunked: bool = False) -> tuple[int, bytes]:
        """Status and body of the answer to a request as it is written here."""
        host, port = self.url.removeprefix("http://").rstrip("/").split(":")
        if chunked:
            headers += b"Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            headers += b"Content-Length: %d\r\n" % len(body)
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = b"%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n" % (line, host.encode(), headers)
            connection.sendall(head + body)
            answer = b"".join(iter(lambda: connection.recv(2**20), b""))
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), content

    def invoke(self, event: object) -> dict[str, Any]:
        """What the caller of Invoke is answered."""
        payload = json.dumps(event).encode()
        answer = self.aws.client("lambda").invoke(FunctionName=NAME, Qualifier="live", Payload=payload)
        told: dict[str, Any] = json.loads(answer["Payload"].read())
        return told

    def errors(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.aws.log_messages(f"/aws/lambda/{NAME}")]
        return [line for line in lines if line.get("level") == "ERROR"]


@pytest.mark.parametrize("endpoint", CHOICES["endpoint"])
def test_it_is_answered_and_the_environment_lives_on(bake: Bake, tmp_path: Path, endpoint: str) -> None:
    project = bake(endpoint=endpoint).copy(tmp_path)
    project.edit("app/main.py", "from fastapi import FastAPI", "from fastapi import FastAPI, Request")
    append(project, "app/main.py", ROUTES)
    with EmbeddedAws() as aws:
        run = DeployTool(project, aws)("--image", push_image(project, aws))
        assert run.code == 0, run.err
        service = Service(aws, run.url)
        before = [(one.pid, one.alive) for one in aws.environments(NAME)]

        http_is_answered(service)
        assert not aws.alarm_fires(f"{NAME}-errors")
        assert aws.alarm_fires(f"{NAME}-5xx")  # by the response that was too large
        what_is_larger_than_lambda_takes_is_refused_by_aws(service, endpoint)
        events_are_answered(service)
        events_that_are_no_requests_fail(service)
        assert aws.alarm_fires(f"{NAME}-errors")

        assert service.http(b"GET /health") == (200, b'{"status":"healthy"}')
        assert [(one.pid, one.alive) for one in aws.environments(NAME)] == before


def http_is_answered(service: Service) -> None:
    answers = {name: service.http(*sent) for name, (sent, _) in HTTP.items()}
    assert {name: status for name, (status, _) in answers.items()} == {
        name: status for name, (_, status) in HTTP.items()
    }
    large = [name for name, (status, content) in answers.items() if status in (400, 422) and len(content) > 100_000]
    assert not large, "large input is repeated in the response"
    assert json.loads(answers["response of more"][1])["detail"] == "Response Too Large"
    assert [error["message"].partition(": ")[0] for error in service.errors()] == ["GET /large/6300000"]
    assert service.http(PREDICT, JSON, FLOWER, chunked=True)[0] == 200


def what_is_larger_than_lambda_takes_is_refused_by_aws(service: Service, endpoint: str) -> None:
    before = len(service.errors())
    for size in (6_300_000, 11_000_000):
        status, content = service.http(PREDICT, JSON, b'"%s"' % (b"y" * size))
        if endpoint == "http_api" and size < 10_000_000:  # which API Gateway takes, and Lambda does not
            assert (status, content) == (500, b'{"message":"Internal Server Error"}')
            log = service.aws.log_messages(f"/aws/apigateway/{NAME}")
            assert "Request must be smaller than 6291456 bytes" in log[-1]
        else:
            assert status == 413
    assert len(service.errors()) == before


def events_are_answered(service: Service) -> None:
    for name, (changes, counted) in LARGE_EVENTS.items():
        answer = service.invoke(REQUEST | changes)
        assert (answer["statusCode"], json.loads(answer["body"])) == (200, counted), name


def events_that_are_no_requests_fail(service: Service) -> None:
    for name, event in NO_REQUESTS.items():
        before = service.errors()
        answer = service.invoke(event)
        assert answer["errorType"] == "EventError", name
        assert answer["errorMessage"].startswith("The event is not an HTTP request in payload format 2.0: "), name
        (error,) = service.errors()[len(before) :]
        assert error["errorMessage"] == answer["errorMessage"]
