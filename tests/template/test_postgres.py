"""Test that the PostgreSQL server of the tests ends with the process that uses it."""

import signal
import subprocess
import sys
import time

import psycopg
import pytest

from scripts.projects import TEMPLATE

START_SERVER = """
from scripts.database import postgres
with postgres() as url:
    print(url, flush=True)
    input()
"""


@pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_its_user(stop_signal: signal.Signals) -> None:
    command = [sys.executable, "-c", START_SERVER]
    with subprocess.Popen(command, cwd=TEMPLATE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout
        url = user.stdout.readline().strip()
        assert connection_error(url) == ""
        user.send_signal(stop_signal)
    deadline = time.monotonic() + 30
    while "refused" not in connection_error(url):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def connection_error(url: str) -> str:
    """Return the error of a connection attempt, or an empty string if it succeeds."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""
