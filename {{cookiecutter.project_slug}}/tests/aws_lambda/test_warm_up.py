from typing import Any

import pytest

from aws_lambda.warm_up import WARM_UP_TYPE, warm_up
from tests.aws_lambda.application import create_app
from tests.aws_lambda.conftest import Start


@pytest.mark.parametrize(("type_", "is_warm"), [(WARM_UP_TYPE, True), ("on-demand", False)])
def test_first_request_is_served_before_real_ones(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, type_: str, is_warm: bool
) -> None:
    handler = start(create_app())
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", type_)
    warm_up(handler)
    application: Any = handler.app
    assert application.cold_start is not is_warm
    assert caplog.records == []


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
    assert event["requestContext"]["http"]["path"] == "/health"
    assert context.function_name == "my-function"
    assert context.get_remaining_time_in_millis() > 0
