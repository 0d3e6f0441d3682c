"""Send the OpenTelemetry spans of a request before Lambda freezes the execution environment."""

import sys
from threading import Thread

FLUSH_TIMEOUT_S = 0.5
_flushing: Thread | None = None


def flush_traces() -> None:
    """Flush the tracer provider of the OpenTelemetry SDK, if one is configured, and wait for at most 500 ms.

    The SDK itself may wait for its exporter much longer than the requested time. As long as an earlier call has not
    ended, because the collector does not respond, this function does nothing.
    """
    global _flushing
    if "opentelemetry.sdk.trace" not in sys.modules or (_flushing and _flushing.is_alive()):
        return
    provider = sys.modules["opentelemetry.trace"].get_tracer_provider()
    if flush := getattr(provider, "force_flush", None):
        _flushing = Thread(target=flush, args=[int(FLUSH_TIMEOUT_S * 1000)], daemon=True)
        _flushing.start()
        _flushing.join(FLUSH_TIMEOUT_S)
