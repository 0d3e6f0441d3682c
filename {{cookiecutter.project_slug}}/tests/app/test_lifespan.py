"""Start-up work runs once per execution environment, before the first request, on the loop that serves requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from mangum import Mangum

from app.lifespan import Lifespan
from tests.lambda_transport import LambdaTransport


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def service(events: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        events.append("start")
        yield {"loop": asyncio.get_running_loop(), "counter": [0]}
        events.append("stop")

    service = FastAPI(lifespan=lifespan)
    router = APIRouter(on_startup=[lambda: events.append("router start")])

    @router.get("/")
    async def root(request: Request) -> list[Any]:
        request.state.counter[0] += 1
        request.state.added = True
        return [request.state.loop is asyncio.get_running_loop(), request.state.counter[0]]

    @router.get("/added")
    async def added(request: Request) -> bool:
        return hasattr(request.state, "added")

    service.include_router(router)
    return service


def client_of(service: FastAPI) -> httpx.Client:
    return httpx.Client(transport=LambdaTransport(Mangum(Lifespan(service), lifespan="off")), base_url="https://test")


def test_entered_once(service: FastAPI, events: list[str]) -> None:
    client = client_of(service)
    assert events == ["start", "router start"]
    assert [client.get("/").json() for _ in range(3)] == [[True, 1], [True, 2], [True, 3]]
    assert events == ["start", "router start"]


def test_requests_do_not_see_each_others_state(service: FastAPI) -> None:
    client = client_of(service)
    client.get("/")
    assert client.get("/added").json() is False


def test_failure_to_start_fails_init() -> None:
    async def no_database() -> None:
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError, match="no database"):
        Lifespan(FastAPI(on_startup=[no_database]))


def test_left_to_the_server_outside_lambda(
    service: FastAPI, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    Lifespan(service)
    assert events == []
