import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from aws_lambda.lifespan import Lifespan, LifespanError
from tests.aws_lambda.application import create_app
from tests.aws_lambda.conftest import Start
from tests.helpers import create_client, run_python


def test_application_is_started_once(start: Start) -> None:
    app = create_app()
    client = create_client(start(app))
    assert app.state.starts == 1
    for number in range(1, 4):
        assert client.get("/state").json() == {"requests": number, "is_new": True, "same_loop": True}
    assert app.state.starts == 1


def test_application_is_not_started_by_the_import() -> None:
    app = create_app()
    Lifespan(app)
    assert not hasattr(app.state, "starts")


def test_application_is_stopped_at_the_end_of_the_process() -> None:
    code = """
from contextlib import asynccontextmanager
from aws_lambda.lifespan import Lifespan
from tests.aws_lambda.application import create_app

@asynccontextmanager
async def lifespan(app):
    print("start")
    yield
    print("stop")

Lifespan(create_app(lifespan=lifespan)).start()
"""
    assert run_python(code) == "start\nstop\n"


def test_startup_functions_are_called(start: Start) -> None:
    calls = []
    start(FastAPI(on_startup=[lambda: calls.append("start")]))
    assert calls == ["start"]


def test_exception_during_startup_is_raised() -> None:
    async def connect() -> None:
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError, match="no database"):
        Lifespan(FastAPI(on_startup=[connect])).start()


def test_failure_that_the_application_reports_is_raised() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanError, match=r"^no database$"):
        Lifespan(app).start()


def test_application_need_not_support_the_lifespan(start: Start) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    assert create_client(start(app)).get("/").status_code == 204


def test_background_task_of_the_lifespan_runs_between_requests(start: Start) -> None:
    steps = []

    async def background() -> None:
        while True:
            steps.append(1)
            await asyncio.sleep(0)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(background())
            yield
            task.cancel()

    client = create_client(start(create_app(lifespan=lifespan)))
    before = len(steps)
    client.get("/health")
    assert len(steps) > before


def test_failure_of_a_background_task_is_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ConnectionError("connection lost")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            yield

    client = create_client(start(create_app(lifespan=lifespan)))
    client.get("/stream")
    assert "ConnectionError: connection lost" in caplog.text


def test_route_may_run_another_event_loop(client: httpx.Client) -> None:
    for _ in range(2):
        assert client.get("/asyncio-run").json() == 7
        assert client.get("/state").json()["same_loop"]


def test_another_event_loop_may_run_between_requests(client: httpx.Client) -> None:
    for _ in range(2):
        assert asyncio.run(asyncio.sleep(0, 7)) == 7
        assert client.get("/state").json()["same_loop"]
