"""One record for each request, with the fields that queries and the `logs` verb read."""

import json
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from mangum import Mangum
from starlette.routing import Host, Mount, Route

from app import logs
from app.lifespan import Lifespan
from app.logs import AccessLog
from tests.lambda_transport import LambdaTransport

AccessLogRecords = Callable[[], list[dict[str, Any]]]


def nested_service() -> FastAPI:
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
    service = FastAPI(routes=[plain, Host("other.example", app=mounted)])
    service.add_api_route("/items/{item_id}", item)
    service.include_router(outer)
    service.include_router(outer, prefix="/beta")
    service.mount("/mounted", mounted)
    return service


def client_of(service: FastAPI) -> httpx.Client:
    handler = Mangum(AccessLog(Lifespan(service)), lifespan="off")
    return httpx.Client(transport=LambdaTransport(handler), base_url="https://test")


def test_fields(client: httpx.Client, access_log: AccessLogRecords) -> None:
    client.get("/health?token=s3cr3t")
    (fields,) = access_log()
    assert (fields["method"], fields["route"], fields["status"]) == ("GET", "/health", 200)
    assert 0 < fields["duration_ms"] < 1000
    assert isinstance(fields["cold_start"], bool)
    assert "s3cr3t" not in str(fields)


def test_on_lambda_a_record_is_a_line_of_json(
    client: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(logs, "JSON_FORMAT", True)
    response = client.get("/nowhere/%C3%BC%22%0A?token=s3cr3t")
    (line,) = capfd.readouterr().out.splitlines()
    record = json.loads(line)
    assert 0 < record.pop("duration_ms") < 1000
    assert abs(datetime.fromisoformat(record.pop("timestamp")).timestamp() - time.time()) < 10
    assert isinstance(record.pop("cold_start"), bool)
    assert record == {
        "level": "INFO",
        "logger": "app.access",
        "message": 'GET /nowhere/ü"\n',
        "requestId": response.headers["x-request-id"],
        "method": "GET",
        "route": None,
        "status": 404,
    }


@pytest.mark.parametrize("json_format", [True, False])
def test_log_level(
    client: httpx.Client,
    access_log: AccessLogRecords,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    json_format: bool,
) -> None:
    monkeypatch.setattr(logs, "JSON_FORMAT", json_format)
    caplog.set_level(logging.WARNING, "app.access")
    client.get("/health")
    assert capfd.readouterr().out == ""
    assert access_log() == []


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("POST", "/predict", 422, "/predict"),
        ("GET", "/predict", 405, "/predict"),
        ("GET", "/nowhere", 404, None),
        ("GET", "/docs", 200, None),
    ],
)
def test_status_and_route(
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
        ("/mounted/nowhere", None),
        ("/v1/nowhere", None),
    ],
)
def test_route_is_the_whole_template(access_log: AccessLogRecords, path: str, route: str | None) -> None:
    client_of(nested_service()).get(path)
    assert access_log()[-1]["route"] == route


def test_cold_start_is_the_first_request_only(access_log: AccessLogRecords) -> None:
    client = client_of(nested_service())
    for path in ["/items/1", "/items/2", "/items/3"]:
        client.get(path)
    assert [fields["cold_start"] for fields in access_log()] == [True, False, False]


def test_request_id_is_a_header(client: httpx.Client) -> None:
    first, second = (client.get("/health").headers["x-request-id"] for _ in range(2))
    assert len(first) == len(second) == 36
    assert first != second


def test_mangum_does_not_log_requests_too(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client.get("/health")
    assert not [record for record in caplog.records if record.name.startswith("mangum")]
