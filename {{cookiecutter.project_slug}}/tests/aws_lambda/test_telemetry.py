import sys
from threading import Event
from types import ModuleType
from typing import Any

import pytest

from aws_lambda import telemetry
from tests.helpers import run_python

PATIENT_TIMEOUT_S = 30


class TracerProvider:
    def __init__(self) -> None:
        self.flushed: list[int] = []
        self.collector_responds = Event()

    def force_flush(self, timeout_millis: int) -> bool:
        self.flushed.append(timeout_millis)
        return self.collector_responds.wait(30)


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
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", PATIENT_TIMEOUT_S)
    provider.collector_responds.set()
    telemetry.flush_telemetry()
    telemetry.flush_telemetry()
    assert provider.flushed == [30_000, 30_000]


def test_unreachable_collector_delays_only_one_request(
    provider: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "FLUSH_TIMEOUT_S", 0.05)
    for _ in range(20):
        telemetry.flush_telemetry()
    assert len(provider.flushed) == 1
    assert [thread.is_alive() for thread in telemetry._flushing] == [True]  # so the calls did not wait for its end
    provider.collector_responds.set()


def test_sdk_is_not_imported() -> None:
    code = "import sys; from aws_lambda.telemetry import flush_telemetry; flush_telemetry(); print('opentelemetry' in sys.modules)"
    assert run_python(code) == "False\n"
