"""What time is it at AWS? States that change by themselves are derived from this clock when read: tests never wait."""

import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    def time(self) -> float:
        """Seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Returns when that much time has passed on this clock."""

    def advance(self, seconds: float) -> None:
        """Moves this clock forward at once."""


class RealClock:
    """Wall-clock time, plus whatever it was advanced by."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def time(self) -> float:
        return time.time() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds


class ManualClock:
    """Stands still until it is advanced; sleeping on it advances it."""

    def __init__(self, start_s: float | None = None) -> None:
        self._now_s = time.time() if start_s is None else start_s
        self._lock = threading.Lock()

    def time(self) -> float:
        return self._now_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now_s += seconds


@dataclass(frozen=True)
class Delays:
    """How long AWS takes, in seconds: brisk for a demo, 1 to 30 s on AWS. `init_timeout_s` and
    `integration_timeout_s` are real time."""

    pending_s: float = 0.4
    update_s: float = 0.3
    publish_s: float = 0.3
    provision_s: float = 0.5
    role_s: float = 0.5
    url_s: float = 0.0
    async_retry_s: float = 1.0
    init_timeout_s: float = 10.0
    integration_timeout_s: float = 30.0
