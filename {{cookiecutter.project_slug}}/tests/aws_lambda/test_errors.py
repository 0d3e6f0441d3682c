import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse

from tests.aws_lambda.application import create_app
from tests.aws_lambda.conftest import Start
from tests.helpers import create_client

AccessLogRecords = Callable[[], list[dict[str, Any]]]


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", ["/error", "/error/thread", "/error/response"])
def test_unhandled_exception_is_500_and_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords, path: str
) -> None:
    response = client.get(path)
    assert response.status_code == 500
    request_id = response.headers["x-request-id"]
    assert response.json() == {"detail": "Internal Server Error", "request_id": request_id}
    (record,) = tracebacks(caplog)
    assert record.levelname == "ERROR"
    assert [fields["status"] for fields in access_log()] == [500]


def test_traceback_contains_the_line(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/error")
    assert 'raise ValueError("a bug")' in caplog.text


def test_exception_during_the_response_is_500_and_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords
) -> None:
    response = client.get("/error/stream")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert len(tracebacks(caplog)) == 1
    assert [fields["status"] for fields in access_log()] == [500]


def test_exception_after_the_response_is_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords
) -> None:
    response = client.get("/error/background")
    assert (response.status_code, response.json()) == (200, "fine")
    assert len(tracebacks(caplog)) == 1
    assert [fields["status"] for fields in access_log()] == [200]


def test_http_exception_with_status_500_has_no_traceback(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords
) -> None:
    response = client.get("/error/http")
    assert (response.status_code, response.json()) == (500, {"detail": "on purpose"})
    assert tracebacks(caplog) == []
    assert [fields["status"] for fields in access_log()] == [500]


def test_requests_succeed_after_an_exception(client: httpx.Client) -> None:
    client.get("/error")
    assert client.get("/health").status_code == 200


def test_validation_error_contains_the_input(client: httpx.Client) -> None:
    response = client.post("/numbers", json=["many"])
    assert response.status_code == 422
    assert [error["input"] for error in response.json()["detail"]] == ["many"]


@pytest.mark.parametrize(
    "body",
    [
        b'["many", NaN]',
        b'{"a": NaN}',
        b'{"a": [1e999, -Infinity]}',
        b'["\\ud800"]',
        b"[" * 900 + b"]" * 900,
        b'{"a": "%s"}' % (b"x" * 1_000_000),
        b"[%s]" % b",".join([b'"%s"' % (b"x" * 1000)] * 20),
    ],
)
def test_validation_error_leaves_out_unsuitable_input(client: httpx.Client, body: bytes) -> None:
    response = client.post("/numbers", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"
    assert len(response.content) < 100_000


@pytest.mark.parametrize("key", [Exception, 500])
def test_handler_of_the_application_takes_precedence(start: Start, key: Any) -> None:
    async def unavailable(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 503)

    response = create_client(start(create_app(exception_handlers={key: unavailable}))).get("/error")
    assert (response.status_code, response.text) == (503, "sorry")


def test_validation_handler_of_the_application_takes_precedence(start: Start) -> None:
    app: FastAPI = create_app()

    @app.exception_handler(RequestValidationError)
    async def bad_request(request: Request, error: RequestValidationError) -> PlainTextResponse:
        return PlainTextResponse("wrong", 400)

    response = create_client(start(app)).post("/numbers", json=["many"])
    assert (response.status_code, response.text) == (400, "wrong")
