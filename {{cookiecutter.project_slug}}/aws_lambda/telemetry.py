"""Send the OpenTelemetry data of a request before Lambda freezes the execution environment."""

import sys
import time
from collections.abc import Callable
from threading import Thread

FLUSH_TIMEOUT_S = 0.5
# The modules of the SDK, the module of the API that knows the provider, and its function.
PROVIDERS = [
    ("opentelemetry.sdk.trace", "opentelemetry.trace", "get_tracer_provider"),
    ("opentelemetry.sdk.metrics", "opentelemetry.metrics", "get_meter_provider"),
    ("opentelemetry.sdk._logs", "opentelemetry._logs", "get_logger_provider"),
]
_flushing: list[Thread] = []


def flush_telemetry() -> None:
    """Flush the providers of the OpenTelemetry SDK that are configured, and wait for at most 500 ms.

    The SDK itself may wait for its exporters much longer than the requested time. As long as an earlier call has not
    ended, because the collector does not respond, this function does nothing.
    """
    global _flushing
    if any(thread.is_alive() for thread in _flushing):
        return
    timeout_ms = int(FLUSH_TIMEOUT_S * 1000)
    _flushing = [Thread(target=flush, args=[timeout_ms], daemon=True) for flush in _flush_methods()]
    for thread in _flushing:
        thread.start()
    deadline = time.monotonic() + FLUSH_TIMEOUT_S
    for thread in _flushing:
        thread.join(max(0, deadline - time.monotonic()))


def _flush_methods() -> list[Callable[[int], object]]:
    providers = [getattr(sys.modules[api], name)() for sdk, api, name in PROVIDERS if sdk in sys.modules]
    return [provider.force_flush for provider in providers if hasattr(provider, "force_flush")]
