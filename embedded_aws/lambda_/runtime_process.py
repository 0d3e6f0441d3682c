"""The process of an execution environment: its Runtime API, its output and its memory."""

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from embedded_aws.cloudwatch.logs import LogStream
from embedded_aws.ecr.images import Image
from embedded_aws.lambda_.launcher import Launcher
from embedded_aws.lambda_.runtime_api import RuntimeApi

READ_POLL_MS = 200
KILL_TIMEOUT_S = 10


class RuntimeProcess:
    """A running process, its Runtime API, and the pipe that carries its stdout and stderr to the log."""

    def __init__(self, launcher: Launcher, image: Image, environ: Mapping[str, str], log: LogStream) -> None:
        self.api = RuntimeApi()
        self.exit_code: int | None = None
        self._log = log
        self._output, write_end = os.pipe()
        self._reading = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False
        self._partial = b""
        try:
            with open(write_end, "wb") as output:
                self.process = launcher.start(image, dict(environ), self.api.address, output)
        except BaseException:
            self.api.close()
            os.close(self._output)
            raise
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The ID of the process whose memory is measured."""
        return int(getattr(self.process, "runtime_pid", self.process.pid))

    @property
    def output_delay_ms(self) -> int:
        """The time by which output can arrive late because another process forwards it, or 0."""
        return int(getattr(self.process, "output_delay_ms", 0))

    def drain(self, wait_ms: int = 0) -> None:
        """Write all output of the process so far to the log, until there is none for this time."""
        with self._reading:
            while self._output >= 0 and _is_readable(self._output, wait_ms) and self._read_lines():
                pass

    def close(self) -> None:
        """Kill the process and its children. Do so once only, since the process ID may be used again later."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self.process.kill()
        self._waiter.join(KILL_TIMEOUT_S)
        self.drain()
        self.api.close()
        with self._reading:
            if self._output >= 0:
                os.close(self._output)
                self._output = -1

    def _wait(self) -> None:
        code = self.process.wait()
        with self.api.changed:
            self.exit_code = code
            self.api.changed.notify_all()

    def _read(self) -> None:
        """Read output between invocations too, so that the pipe never fills up."""
        while self._output >= 0:
            _is_readable(self._output, READ_POLL_MS)
            with self._reading:
                if self._output < 0 or not _is_readable(self._output, 0):
                    continue
                if not self._read_lines():
                    return

    def _read_lines(self) -> bool:
        """Write the lines that can be read to the log. Return False at the end of the output."""
        data = os.read(self._output, 65536)
        *lines, self._partial = (self._partial + data).split(b"\n")
        if not data and self._partial:
            lines, self._partial = [self._partial], b""
        for line in lines:
            self._log.write_line(line.decode(errors="replace"))
        return bool(data)


def _is_readable(descriptor: int, timeout_ms: int) -> bool:
    poll = select.poll()
    with contextlib.suppress(ValueError, OSError):  # another thread has closed it
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_ms))
    return False


def resident_kb(pid: int, *, peak: bool = False) -> int:
    """Return the current or highest resident memory of a process in kB, or 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM" if peak else "VmRSS"))
        return int(line.split()[1])
    except (OSError, StopIteration):
        if Path("/proc/self/status").exists():
            return 0
        ps = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return int(ps.stdout or 0)
