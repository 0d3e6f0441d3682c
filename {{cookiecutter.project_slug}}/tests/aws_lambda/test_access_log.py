import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.routing import Host, Mount, Route

from tests.aws_lambda.application import create_app
from tests.aws_lambda.conftest import Start
from tests.helpers import create_client

AccessLogRecords = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def nested_app() -> FastAPI:
    async def item(item_id: int) -> int:
        return item_id

    inner = APIRouter(prefix="/shelves/{shelf}")
    inner.add_api_route("/items/{item_id:int}", item)
    outer = APIRouter(prefix="/v1")
    outer.include_router(inner)
    outer.add_api_route("/items/{item_id}", item)
    mounted = FastAPI()
    mounted.add_api_route("/items/{item_id}", item)
    mounted.include_router(inner, prefix="/in")
    plain = Mount("/plain", routes=[Route("/{name}", lambda request: None)])
    app = FastAPI(routes=[plain, Host("other.example", app=mounted)])
    app.add_api_route("/items/{item_id}", item)
    app.include_router(outer)
    app.include_router(outer, prefix="/beta")
    app.mount("/mounted", mounted)
    return app


def test_record_contains_the_request_and_its_result(client: httpx.Client, access_log: AccessLogRecords) -> None:
    started = time.perf_counter()
    client.get("/health?token=s3cr3t")
    elapsed_ms = (time.perf_counter() - started) * 1000
    (fields,) = access_log()
    assert fields["message"] == "GET /health"
    assert (fields["method"], fields["route"], fields["status"]) == ("GET", "/health", 200)
    assert 0 < fields["duration_ms"] <= elapsed_ms
    assert fields["cold_start"] is True
    assert "s3cr3t" not in str(fields)


def test_log_level_can_suppress_the_access_log(
    client: httpx.Client, access_log: AccessLogRecords, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aws_lambda.access")
    client.get("/health")
    assert access_log() == []


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("POST", "/numbers", 422, "/numbers"),
        ("GET", "/numbers", 405, "/numbers"),
        ("GET", "/unknown", 404, None),
        ("GET", "/docs", 200, None),
    ],
)
def test_errors_are_logged_with_status_and_route(
    client: httpx.Client, access_log: AccessLogRecords, method: str, path: str, status: int, route: str | None
) -> None:
    client.request(method, path)
    (fields,) = access_log()
    assert (fields["status"], fields["route"]) == (status, route)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/items/7", "/items/{item_id}"),
        ("/items/x", "/items/{item_id}"),
        ("/v1/items/7", "/v1/items/{item_id}"),
        ("/beta/v1/items/7", "/beta/v1/items/{item_id}"),
        ("/v1/shelves/a/items/7", "/v1/shelves/{shelf}/items/{item_id}"),
        ("/mounted/items/7", "/mounted/items/{item_id}"),
        ("/mounted/in/shelves/a/items/7", "/mounted/in/shelves/{shelf}/items/{item_id}"),
        ("/mounted/unknown", None),
        ("/v1/unknown", None),
    ],
)
def test_route_contains_all_prefixes(
    start: Start, nested_app: FastAPI, access_log: AccessLogRecords, path: str, route: str | None
) -> None:
    create_client(start(nested_app)).get(path)
    assert access_log()[-1]["route"] == route


def test_only_the_first_request_is_a_cold_start(client: httpx.Client, access_log: AccessLogRecords) -> None:
    for _ in range(3):
        client.get("/health")
    assert [fields["cold_start"] for fields in access_log()] == [True, False, False]


def test_response_contains_the_request_id(client: httpx.Client) -> None:
    first, second = (client.get("/health").headers["x-request-id"] for _ in range(2))
    assert len(first) == len(second) == 36
    assert first != second


def test_request_id_of_the_application_is_kept(client: httpx.Client) -> None:
    assert client.get("/request-id").headers.get_list("x-request-id") == ["my-id"]


def test_mangum_does_not_log_requests(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/health")
    assert not [record for record in caplog.records if record.name.startswith("mangum")]


def test_filters_of_the_application_apply(client: httpx.Client, access_log: AccessLogRecords) -> None:
    def drop_health_checks(record: logging.LogRecord) -> bool:
        return getattr(record, "route", None) != "/health"

    logger = logging.getLogger("aws_lambda.access")
    logger.addFilter(drop_health_checks)
    client.get("/health")
    client.get("/stream")
    logger.removeFilter(drop_health_checks)
    assert [fields["route"] for fields in access_log()] == ["/stream"]


def test_application_may_be_a_plain_asgi_function(start: Start, access_log: AccessLogRecords) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})

    assert create_client(start(app)).get("/").text == "hello"
    assert [fields["route"] for fields in access_log()] == [None]


def test_application_may_be_wrapped_in_middleware(start: Start) -> None:
    class Middleware:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)

    response = create_client(start(Middleware(create_app()))).get("/error")
    assert response.json() == {"detail": "Internal Server Error", "request_id": response.headers["x-request-id"]}


def test_server_sent_events_are_logged_as_a_warning(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    async def stream(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n"})

    assert create_client(start(stream)).get("/events").text == "data: 1\n\n"
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["GET /events: the client receives server-sent events only when the response is complete"]
