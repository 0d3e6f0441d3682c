"""An exception that nothing handles: one answer, one record with the traceback."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, HTTPException
from fastapi.responses import StreamingResponse

from tests.lambda_transport import event_of

AccessLogRecords = Callable[[], list[dict[str, Any]]]

broken = APIRouter()


@pytest.fixture
def routes() -> APIRouter:
    return broken


@broken.get("/bug")
async def bug() -> None:
    raise ValueError("a bug")


@broken.get("/bug/thread")
def bug_in_a_thread() -> None:
    raise ValueError("a bug")


@broken.get("/bug/response", response_model=int)
async def bug_in_the_response() -> str:
    return "not a number"


@broken.get("/bug/stream")
async def bug_in_a_stream() -> StreamingResponse:
    def numbers() -> Iterator[str]:
        yield "1"
        raise ValueError("a bug")

    return StreamingResponse(numbers())


@broken.get("/bug/background")
async def bug_in_the_background(tasks: BackgroundTasks) -> str:
    tasks.add_task(bug)
    return "fine"


@broken.get("/large/{size}")
async def large(size: int) -> str:
    return "x" * size


@broken.get("/refuse")
async def refuse() -> None:
    raise HTTPException(500, "said so")


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", ["/bug", "/bug/thread", "/bug/response"])
def test_exception(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords, path: str
) -> None:
    response = client.get(path)
    assert response.status_code == 500
    request_id = response.headers["x-request-id"]
    assert response.json() == {"detail": "Internal Server Error", "request_id": request_id}
    (record,) = tracebacks(caplog)
    assert record.levelname == "ERROR"
    assert [fields["status"] for fields in access_log()] == [500]


def test_traceback_names_the_line(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/bug")
    assert 'raise ValueError("a bug")' in caplog.text


def test_exception_in_the_middle_of_a_response(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords
) -> None:
    response = client.get("/bug/stream")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert len(tracebacks(caplog)) == 1
    assert [fields["status"] for fields in access_log()] == [500]


def test_exception_after_the_response(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords
) -> None:
    response = client.get("/bug/background")
    assert (response.status_code, response.json()) == (200, "fine")
    assert len(tracebacks(caplog)) == 1
    assert [fields["status"] for fields in access_log()] == [200]


def test_a_500_on_purpose_is_no_exception(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, access_log: AccessLogRecords
) -> None:
    response = client.get("/refuse")
    assert (response.status_code, response.json()) == (500, {"detail": "said so"})
    assert tracebacks(caplog) == []
    assert [fields["status"] for fields in access_log()] == [500]


def test_a_response_that_is_too_large_for_lambda(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    assert len(client.get("/large/6000000").json()) == 6_000_000
    response = client.get("/large/6300000")
    assert (response.status_code, response.json()["detail"]) == (500, "Response Too Large")
    assert response.json()["request_id"] == response.headers["x-request-id"]
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage().startswith("GET /large/6300000: a response of 6300")


def test_the_environment_lives_on(client: httpx.Client) -> None:
    client.get("/bug")
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"requestContext": {}},
        {"requestContext": None},
        {"headers": None},
        {"body": "a", "isBase64Encoded": True},
        {"body": {"name": "screw"}},
        {"rawQueryString": "\ud800"},
    ],
)
def test_an_event_that_is_no_request_fails_the_invocation(client: httpx.Client, changes: dict[str, Any]) -> None:
    from app.main import handler

    event = event_of(client.build_request("GET", "/health")) | changes
    with pytest.raises(Exception, match=r"no HTTP request in payload format 2\.0"):
        handler(event, None)  # type: ignore[arg-type]
    assert client.get("/health").status_code == 200
