import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from aws_lambda import sigv4


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
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start a server like the one from which a restored environment gets its credentials."""
    with HTTPServer(("127.0.0.1", 0), CredentialsHandler) as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.server_port}/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token")
        yield
        server.shutdown()


@pytest.mark.usefixtures("endpoint")
def test_restored_environment_fetches_its_credentials() -> None:
    assert sigv4.credentials() == ("ASIA1", "secret", "session")


@pytest.mark.usefixtures("endpoint")
def test_refused_request_for_credentials_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    with pytest.raises(sigv4.AwsError, match=r"No credentials from 127\.0\.0\.1"):
        sigv4.credentials()


def test_request_without_a_response_is_repeated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}/credentials"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token")
        delays: list[float] = []
        with pytest.raises(sigv4.TransientAwsError, match=r"No credentials from 127\.0\.0\.1"):
            sigv4.call_aws("store", "AmazonStore.Get", {}, sleep=delays.append)
        assert delays == [sigv4.RETRY_DELAY_S]


def test_credentials_are_environment_variables_without_a_snapshot() -> None:
    assert sigv4.credentials() == (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], None)
