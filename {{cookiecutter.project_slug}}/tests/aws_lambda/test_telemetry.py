import sys
import time
from threading import Event
from types import ModuleType
from typing import Any

import pytest

from aws_lambda import telemetry
from tests.helpers import LONG_TIMEOUT_S, run_python


class TracerProvider:
    def __init__(self) -> None:
        self.flushed: list[int] = []
        self.collector_responds = Event()

    def force_flush(self, timeout_millis: int) -> bool:
        self.flushed.append(timeout_millis)
        return self.collector_responds.wait(2 * LONG_TIMEOUT_S)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> TracerProvider:
    """Configure a tracer provider, as an application with the OpenTelemetry SDK does."""
    provider = TracerProvider()
    api: Any = ModuleType("opentelemetry.trace")
    api.get_tracer_provider = lambda: provider
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", api)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", ModuleType("opentelemetry.sdk.trace"))
    monkeypatch.setattr(telemetry, "_flushing", [])
    return provider


def test_spans_are_flushed_each_time(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert telemetry.FLUSH_TIMEOUT_S == 0.5
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", LONG_TIMEOUT_S)
    provider.collector_responds.set()
    telemetry.flush_telemetry()
    telemetry.flush_telemetry()
    assert provider.flushed == [LONG_TIMEOUT_S * 1000] * 2


def test_unreachable_collector_delays_only_one_request(
    provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", 0.05)
    telemetry.flush_telemetry()
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", LONG_TIMEOUT_S)
    started = time.monotonic()
    telemetry.flush_telemetry()
    assert time.monotonic() - started < LONG_TIMEOUT_S
    assert len(provider.flushed) == 1
    provider.collector_responds.set()


def test_sdk_is_not_imported() -> None:
    code = "import sys; from aws_lambda.telemetry import flush_telemetry; flush_telemetry(); print('opentelemetry' in sys.modules)"
    assert run_python(code) == "False\n"
