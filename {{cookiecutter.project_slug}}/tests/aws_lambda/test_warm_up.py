from typing import Any

import pytest

from aws_lambda.cold_start import WARM_UP_TYPE
from aws_lambda.warm_up import warm_up
from tests.aws_lambda.application import create_app
from tests.aws_lambda.conftest import Start
from tests.helpers import create_client


@pytest.mark.parametrize(("type_", "is_warm"), [(WARM_UP_TYPE, True), ("on-demand", False)])
def test_first_request_is_served_before_real_ones(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, type_: str, is_warm: bool
) -> None:
    handler = start(create_app())
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", type_)
    warm_up(handler)
    access_log: Any = handler.app
    assert access_log.cold_start is not is_warm
    assert caplog.records == []


def test_no_route_runs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    app, paths, served = create_app(), [], []

    @app.get("/{path:path}")
    @app.post("/{path:path}")
    async def serve_every_path(path: str) -> None:
        served.append(path)

    async def observed(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            paths.append(scope["path"])
        await app(scope, receive, send)

    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", WARM_UP_TYPE)
    handler = start(observed)
    warm_up(handler)
    assert paths == ["/__warm_up__"]
    assert served == []
    assert create_client(handler).get("/other").status_code == 200
    assert served == ["other"]


def test_error_does_not_fail_init(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", WARM_UP_TYPE)
    warm_up(start(app))
    assert caplog.records == []


def test_event_and_context_are_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", WARM_UP_TYPE)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "my-function")
    calls = []
    warm_up(lambda event, context: calls.append((event, context)) or {})  # type: ignore[arg-type, func-returns-value]
    ((event, context),) = calls
    assert event["requestContext"]["http"]["path"] == event["rawPath"]
    assert context.function_name == "my-function"
    assert context.invoked_function_arn.split(":")[3:] == ["us-east-1", "000000000000", "function", "my-function"]
    assert context.get_remaining_time_in_millis() > 0
