"""No secret and no connection is in the snapshot, and no two environments that were restored from it are alike."""

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from app import aws
from tests.app.test_init import run

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
RESTORE = """
from snapshot_restore_py import get_after_restore
def restore():
    for work, arguments, options in get_after_restore():
        work(*arguments, **options)
"""
SERVICE = """
import app.secrets, app.settings
from pydantic import SecretStr
calls = []
app.secrets.read_secrets = lambda: calls.append("read") or {"api_key": "s3cr3t"}
class Settings(app.settings.Settings):
    api_key: SecretStr
app.settings.Settings = Settings
"""


def test_secrets_are_read_after_the_restore() -> None:
    code = f"{SERVICE}{RESTORE}import app.main\nprint(calls)\nrestore()\nprint(calls)\n"
    code += "print(app.settings.get_settings().api_key.get_secret_value(), calls)"
    done = run(code, SECRET_NAMES="API_KEY", **SNAP_START)
    assert done.stdout == "[]\n['read']\ns3cr3t ['read']\n", done.stderr


def test_without_a_snapshot_they_are_read_at_once() -> None:
    done = run(f"{SERVICE}import app.main\nprint(calls)", SECRET_NAMES="API_KEY")
    assert done.stdout == "['read']\n", done.stderr


def test_whoever_asks_for_them_too_early_is_told() -> None:
    done = run(f"{SERVICE}app.settings.get_settings()", SECRET_NAMES="API_KEY", **SNAP_START)
    assert "SettingsError: get_settings() was called before the restore" in done.stderr


def test_two_restores_draw_different_numbers() -> None:
    code = f"{RESTORE}import app.restore, random\nstate = random.getstate()\ndef number():\n"
    code += "    random.setstate(state)\n    restore()\n    return random.random()\nprint(number() != number())"
    done = run(code, **SNAP_START)
    assert done.stdout == "True\n", done.stderr


def test_start_up_work_is_done_after_the_restore() -> None:
    code = RESTORE + (
        "from contextlib import asynccontextmanager\nfrom fastapi import FastAPI\nfrom app.lifespan import Lifespan\n"
        "@asynccontextmanager\nasync def lifespan(app):\n    print('connect')\n    yield {'pool': 1}\n"
        "service = Lifespan(FastAPI(lifespan=lifespan))\nprint(service.state)\nrestore()\nprint(service.state)"
    )
    done = run(code, **SNAP_START)
    assert done.stdout == "{}\nconnect\n{'pool': 1}\n", done.stderr


class CredentialsHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == "token"
        self.send_response(200 if allowed else 403)
        self.end_headers()
        keys = {"AccessKeyId": "ASIA1", "SecretAccessKey": "secret", "Token": "session"}
        self.wfile.write(json.dumps(keys if allowed else None).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Where Lambda has the credentials of a restored environment: those of INIT would expire."""
    with HTTPServer(("127.0.0.1", 0), CredentialsHandler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token")
        yield server
        server.shutdown()


@pytest.mark.usefixtures("endpoint")
def test_credentials_are_asked_for() -> None:
    assert aws.credentials() == ("ASIA1", "secret", "session")


@pytest.mark.usefixtures("endpoint")
def test_credentials_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    with pytest.raises(aws.AwsError, match=r"no credentials from 127\.0\.0\.1"):
        aws.credentials()


def test_without_a_snapshot_they_are_in_the_environment() -> None:
    assert aws.credentials() == (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], None)
