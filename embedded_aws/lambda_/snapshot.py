"""SnapStart: INIT is done once for a version, and every execution environment of it is a copy of that process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from embedded_aws.ecr.images import Image
from embedded_aws.lambda_.launcher import SnapshotLauncher

if TYPE_CHECKING:
    from embedded_aws.lambda_.execution_environment import ExecutionEnvironment, Outcome


class Snapshot:
    """Starts taking itself at once. A Launcher, once it is taken: what it starts are restores."""

    def __init__(self, take: SnapshotLauncher) -> None:
        self.failure: Outcome | None = None
        self._take = take
        self._control, self._theirs = socket.socketpair()
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._initialize, daemon=True)
        self.environment: ExecutionEnvironment | None = None

    def begin(self, environment: ExecutionEnvironment) -> None:
        """Lets this environment do INIT; it was given `first` as its launcher."""
        self.environment = environment
        self._thread.start()

    @property
    def first(self) -> First:
        return First(self._take, self._theirs)

    def taken(self, timeout_s: float) -> bool:
        """Whether it is, or has failed, after at most so long."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> Any:
        """A restore: its variables are those of INIT, but for where its Runtime API is."""
        reading, status = os.pipe()
        try:
            message = json.dumps({"AWS_LAMBDA_RUNTIME_API": runtime_api}).encode()
            with self._sending:
                socket.send_fds(self._control, [message], [output.fileno(), status])
        finally:
            os.close(status)
        return Restored(reading)

    def close(self) -> None:
        self._control.close()
        if self.environment:
            self.environment.stop()

    def _initialize(self) -> None:
        assert self.environment is not None
        self.failure = self.environment.initialize()
        self._theirs.close()


class First:
    """The Launcher of the process that does INIT."""

    def __init__(self, launcher: SnapshotLauncher, control: socket.socket) -> None:
        self._launcher = launcher
        self._control = control

    def start(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return self._launcher.start_snapshot(image, environ, runtime_api, output, self._control)

    def close(self) -> None: ...


class Restored:
    """A copied process, with what of Popen is needed. It is no child of this process: another one tells how it ends."""

    def __init__(self, status: int) -> None:
        self._status = os.fdopen(status, "rb")
        self.pid = int(self._status.readline() or 0)

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self.pid:
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        with self._status:
            return os.waitstatus_to_exitcode(int(self._status.read() or 0))
