"""The clock of the emulated AWS. States that change with time are computed from it, so tests need not wait."""

import threading
import time
from collections.abc import Callable
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

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once this much time has passed on this clock, or now if it is 0."""


class RealClock:
    """The time of this machine, plus what the clock was advanced by."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._callbacks = _Callbacks()

    def time(self) -> float:
        """Return the current time."""
        return time.time() + self._offset_s

    def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        time.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Set this clock forward."""
        self._offset_s += seconds
        self._callbacks.run(self.time())

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once this much time has passed on this clock, or now if it is 0."""
        due_s = self.time() + seconds
        self._callbacks.add(due_s, callback)
        if seconds <= 0:
            self._callbacks.run(due_s)
            return
        timer = threading.Timer(seconds, self._callbacks.run, [due_s])
        timer.daemon = True
        timer.start()


class ManualClock:
    """A clock that changes only when it is advanced. `sleep` advances it and returns immediately."""

    def __init__(self, start_s: float | None = None) -> None:
        self._now_s = time.time() if start_s is None else start_s
        self._lock = threading.Lock()
        self._callbacks = _Callbacks()

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
        self._callbacks.run(self._now_s)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once this much time has passed on this clock, or now if it is 0."""
        self._callbacks.add(self._now_s + seconds, callback)
        self._callbacks.run(self._now_s)


class _Callbacks:
    """Functions to call at a certain time, each once."""

    def __init__(self) -> None:
        self._pending: list[tuple[float, Callable[[], None]]] = []
        self._lock = threading.Lock()

    def add(self, time_s: float, callback: Callable[[], None]) -> None:
        with self._lock:
            self._pending.append((time_s, callback))

    def run(self, now_s: float) -> None:
        """Call the functions whose time has come."""
        with self._lock:
            due = [callback for time_s, callback in self._pending if time_s <= now_s]
            self._pending = [entry for entry in self._pending if entry[0] > now_s]
        for callback in due:
            callback()


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
    delete_s: float = 0.0  # a function is in state Deleting
    mapping_s: float = 0.3  # an event source mapping is in state Creating, Updating or Deleting
    poll_retry_s: float = 0.5  # an event source mapping receives no messages after an error
    queue_ready_s: float = 0.0  # a new queue is not found; about 1 s on AWS
    queue_name_s: float = 2.0  # the name of a deleted queue is reserved; 60 s on AWS
    move_s: float = 0.3  # a task that moves messages to another queue is running
    group_s: float = 0.3  # a schedule group is in state DELETING
    certificate_record_s: float = 0.0  # a new certificate has no validation record; some seconds on AWS
    connect_s: float = 0.3  # a new public URL refuses connections
    url_s: float = 0.0  # then a new function URL responds with 403, and a new HTTP API with 404
    async_retry_s: float = 1.0  # before the first retry of an asynchronous invocation
    init_timeout_s: float = 10.0
    integration_timeout_s: float = 30.0  # of an HTTP API
