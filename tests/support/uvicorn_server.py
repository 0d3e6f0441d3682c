"""Run an application with uvicorn, as its developers do."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

START_TIMEOUT_S = 30


@contextlib.contextmanager
def uvicorn(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Start uvicorn in a folder, yield its URL when it accepts connections, and stop it."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "--log-level", "warning", *arguments]
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_started(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate()


def wait_until_started(port: int, process: "subprocess.Popen[str]") -> None:
    """Wait until the port accepts connections. Raise AssertionError if the process ends."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"uvicorn did not start: {process.communicate()[1]}")
        time.sleep(0.05)
