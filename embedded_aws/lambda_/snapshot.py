"""SnapStart: INIT runs once for a version, and each execution environment is a fork of the initialized process."""

import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from typing import IO, Any

from embedded_aws.ecr.images import Image
from embedded_aws.lambda_.execution_environment import ExecutionEnvironment, Outcome
from embedded_aws.lambda_.launcher import SnapshotLauncher


class Snapshot:
    """The snapshot of one version. It is also the Launcher of the environments that are restored from it.

    `failure` is the outcome of an INIT that failed. `launcher` starts the process for INIT.
    """

    def __init__(self, launcher: SnapshotLauncher) -> None:
        self.failure: Outcome | None = None
        self._control, self._process_control = socket.socketpair()
        self.launcher = InitLauncher(launcher, self._process_control)
        self._sending = threading.Lock()
        self._environment: ExecutionEnvironment | None = None
        self._taken = threading.Event()

    def take(self, environment: ExecutionEnvironment) -> None:
        """Run INIT in this environment, in the background. `launcher` must be the launcher of the environment."""
        self._environment = environment
        threading.Thread(target=self._initialize, args=(environment,), daemon=True).start()

    def taken(self, timeout_s: float = 0) -> bool:
        """Wait at most this long, in real time. Return True if INIT has succeeded or failed."""
        return self._taken.wait(timeout_s)

    def start(self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]) -> Any:
        """Restore an environment. It keeps the environment variables of INIT except the address of its Runtime API."""
        reader, writer = os.pipe()
        try:
            message = json.dumps({"AWS_LAMBDA_RUNTIME_API": runtime_api}).encode()
            with self._sending:
                socket.send_fds(self._control, [message], [output.fileno(), writer])
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return RestoredProcess(reader)

    def close(self) -> None:
        """Stop the process that ran INIT."""
        self._control.close()
        if self._environment:
            self._environment.stop()

    def _initialize(self, environment: ExecutionEnvironment) -> None:
        try:
            self.failure = environment.initialize()
        finally:
            self._process_control.close()
            self._taken.set()


class InitLauncher:
    """Starts the process that runs INIT and then forks when `control` requests it."""

    def __init__(self, launcher: SnapshotLauncher, control: socket.socket) -> None:
        self._launcher = launcher
        self._control = control

    def start(
        self, image: Image, environ: dict[str, str], runtime_api: str, output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start the image's command against the Runtime API at this address."""
        return self._launcher.start_snapshot(image, environ, runtime_api, output, self._control)


class RestoredProcess:
    """A forked process, with the methods of Popen that an execution environment needs.

    It is not a child of this process. Its parent sends the process ID, and later the exit status, through the pipe
    `status`.
    """

    def __init__(self, status: int) -> None:
        self._status = os.fdopen(status, "rb")
        self.pid = int(self._status.readline() or 0)

    def kill(self) -> None:
        """Kill the process and everything it started."""
        with suppress(ProcessLookupError, PermissionError):
            if self.pid:
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the process has ended. Return its exit code, as Popen does."""
        with self._status:
            return os.waitstatus_to_exitcode(int(self._status.read() or 0))
