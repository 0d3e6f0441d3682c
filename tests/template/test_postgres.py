"""Does the PostgreSQL of the tests end with them, however they end?"""

import signal
import subprocess
import sys
import time

import psycopg
import pytest

from scripts.projects import TEMPLATE

SERVE = """
from scripts.database import postgres
with postgres() as url:
    print(url, flush=True)
    input()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_ends_with_those_who_use_it(how: signal.Signals) -> None:
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, cwd=TEMPLATE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout
        url = user.stdout.readline().strip()
        assert answer(url) == ""
        user.send_signal(how)
    deadline = time.monotonic() + 30
    while "refused" not in answer(url):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answer(url: str) -> str:
    """What keeps one from connecting; empty when nothing does."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""
