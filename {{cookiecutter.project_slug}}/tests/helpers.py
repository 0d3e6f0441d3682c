"""Helpers for the tests of several packages."""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.lambda_transport import LambdaTransport

LONG_TIMEOUT_S = 60  # for what a busy machine does more slowly


def create_client(handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> httpx.Client:
    """Return a client that sends requests to a Lambda handler."""
    return httpx.Client(transport=LambdaTransport(handler), base_url="https://abc123.example.com")


def wait_until(condition: Callable[[], bool], timeout_s: float = LONG_TIMEOUT_S) -> None:
    """Wait until the condition returns True. Raise AssertionError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)


def run_python(code: str, **environment: str) -> str:
    """Run code in a new process, with additional environment variables. Return its output."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout
