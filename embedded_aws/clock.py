"""The clock of the emulated AWS. States that change with time are computed from it, so tests need not wait."""

import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """A clock in seconds since the epoch."""

    def time(self) -> float:
        """Return the current time."""

    def sleep(self, seconds: float) -> None:
        """Wait until this much time has passed on this clock."""

    def advance(self, seconds: float) -> None:
        """Set this clock forward."""


class RealClock:
    """The time of this machine, plus what the clock was advanced by."""

    def __init__(self) -> None:
        self._offset_s = 0.0

    def time(self) -> float:
        """Return the current time."""
        return time.time() + self._offset_s

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        time.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Set this clock forward."""
        self._offset_s += seconds


class ManualClock:
    """A clock that changes only when it is advanced. `sleep` advances it and returns immediately."""

    def __init__(self, start_s: float | None = None) -> None:
        self._now_s = time.time() if start_s is None else start_s
        self._lock = threading.Lock()

    def time(self) -> float:
        """Return the current time."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Advance this clock instead of waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Set this clock forward."""
        with self._lock:
            self._now_s += seconds


@dataclass(frozen=True)
class Delays:
    """The times that AWS takes, in seconds on the emulator's clock.

    The defaults are short, for demos; AWS takes 1 to 30 s. `init_timeout_s` and `integration_timeout_s` are real time.
    """

    pending_s: float = 0.4  # a new function is in state Pending
    update_s: float = 0.3  # an update of a function is in progress
    publish_s: float = 0.3  # a new version is in state Pending
    provision_s: float = 0.5  # provisioned concurrency is in progress
    role_s: float = 0.5  # services cannot assume a new role
    url_s: float = 0.0  # a new function URL responds with 403
    async_retry_s: float = 1.0  # before the first retry of an asynchronous invocation
    init_timeout_s: float = 10.0
    integration_timeout_s: float = 30.0  # of an HTTP API
