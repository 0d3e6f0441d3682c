"""Secrets come from SSM over HTTP, in signed requests, as few as its API allows; no value is ever in a message."""

import json
import random
import socket
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from app import aws
from app.secrets import SecretsError, read_secrets


def botocore_authorization(
    service: str, region: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str
) -> str:
    request: Any = AWSRequest("POST", f"http://{headers['host']}/", headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(access_key, secret_key), service, region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    signed = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed}, Signature={signature}"


class Ssm(ThreadingHTTPServer):
    """An SSM that has `values`, checks signatures, and answers the first requests with `faults`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SsmHandler)
        self.values: dict[str, str] = {}
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Callable[[SsmHandler], None]] = []
        self.stopped = Event()


class SsmHandler(BaseHTTPRequestHandler):
    server: Ssm

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append({"headers": dict(self.headers), **json.loads(body)})
        if self.server.faults:
            return self.server.faults.pop(0)(self)
        sent = {name: value for name, value in self.headers.items() if name in self.headers["authorization"]}
        expected = botocore_authorization("ssm", "us-east-1", sent, body, "testing", "testing")
        if self.headers["authorization"] != expected:
            return self.answer(400, {"__type": "InvalidSignatureException", "message": "The signature does not match."})
        names = self.server.requests[-1]["Names"]
        values = self.server.values
        self.answer(
            200,
            {
                "Parameters": [{"Name": name, "Value": values[name]} for name in names if name in values],
                "InvalidParameters": [name for name in names if name not in values],
            },
        )

    def answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def throttle(handler: SsmHandler) -> None:
    handler.answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})


def deny(handler: SsmHandler) -> None:
    handler.answer(400, {"__type": "AccessDeniedException", "Message": "my-role is not authorized"})


def break_down(handler: SsmHandler) -> None:
    handler.send_error(503)


def hang_up(handler: SsmHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang(handler: SsmHandler) -> None:
    handler.server.stopped.wait()


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ssm]:
    with Ssm() as server:
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("SECRETS_PATH", "/my-api/prod/")
        monkeypatch.setenv("SECRET_NAMES", "API_KEY,DATABASE_URL")
        monkeypatch.setattr(aws, "RETRY_AFTER_S", 0)
        monkeypatch.setattr(aws, "TIMEOUT_S", 0.5)
        server.values = {"/my-api/prod/API_KEY": "s3cr3t", "/my-api/prod/DATABASE_URL": "db://grün"}
        yield server
        server.stopped.set()
        server.shutdown()


def test_one_signed_request(ssm: Ssm) -> None:
    assert read_secrets() == {"api_key": "s3cr3t", "database_url": "db://grün"}
    (request,) = ssm.requests
    assert request["Names"] == ["/my-api/prod/API_KEY", "/my-api/prod/DATABASE_URL"]
    assert request["WithDecryption"] is True
    assert request["headers"]["x-amz-target"] == "AmazonSSM.GetParameters"


def test_session_token_is_sent_and_signed(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token/+=")
    read_secrets()
    headers = ssm.requests[0]["headers"]
    assert headers["x-amz-security-token"] == "token/+="
    assert "x-amz-security-token" in headers["authorization"]


def test_general_endpoint(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SSM")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{ssm.server_port}")
    assert read_secrets()["api_key"] == "s3cr3t"


def test_ten_names_a_request(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"KEY_{n}" for n in range(23)]
    ssm.values = {f"/my-api/prod/{name}": name for name in names}
    monkeypatch.setenv("SECRET_NAMES", ",".join(names))
    assert read_secrets() == {name.lower(): name for name in names}
    assert [len(request["Names"]) for request in ssm.requests] == [10, 10, 3]


def test_missing_secrets_are_named(ssm: Ssm) -> None:
    del ssm.values["/my-api/prod/DATABASE_URL"]
    with pytest.raises(SecretsError, match=r"DATABASE_URL.*\./deploy\.sh secret set DATABASE_URL") as caught:
        read_secrets()
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("fault", [throttle, break_down, hang_up, hang])
def test_one_retry(ssm: Ssm, fault: Callable[[SsmHandler], None]) -> None:
    ssm.faults = [fault]
    assert read_secrets()["api_key"] == "s3cr3t"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (throttle, "AmazonSSM.GetParameters: ThrottlingException: Rate exceeded"),
        (deny, "AmazonSSM.GetParameters: AccessDeniedException: my-role is not authorized"),
        (break_down, "no answer from 127.0.0.1:.*Expecting value"),
        (hang_up, "no answer from 127.0.0.1:.*interface endpoint for ssm"),
        (hang, "no answer from 127.0.0.1:.*timed out"),
    ],
)
def test_then_a_clear_error(ssm: Ssm, fault: Callable[[SsmHandler], None], message: str) -> None:
    ssm.faults = [fault, fault]
    with pytest.raises(aws.AwsError, match=message):
        read_secrets()
    assert len(ssm.requests) <= 2


def test_nothing_listens(ssm: Ssm, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://127.0.0.1:{port}")
    with pytest.raises(aws.AwsError, match=f"no answer from 127.0.0.1:{port}"):
        read_secrets()


def test_own_certificate_store_is_read_once() -> None:
    assert aws._tls() is aws._tls()
    assert aws._tls().check_hostname


@pytest.mark.parametrize("seed", range(50))
def test_signature_is_botocores(seed: int) -> None:
    some = random.Random(seed)

    def text(alphabet: str, longest: int) -> str:
        return "".join(some.choices(alphabet, k=some.randint(1, longest)))

    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": text("abcdefghijklmnopqrstuvwxyz-.", 40),
        "x-amz-date": f"{some.randint(2020, 2040)}{some.randint(1, 12):02}{some.randint(1, 28):02}T{some.randint(0, 235959):06}Z",
        "x-amz-target": text("AmazonSSM.GetParameters", 30),
    }
    if some.random() < 0.5:
        headers["x-amz-security-token"] = text("ABCabc123/+=", 800)
    arguments = (
        some.choice(["ssm", "sts"]),
        some.choice(["us-east-1", "eu-central-1", "ap-southeast-7"]),
        headers,
        text('{}":aäß€🎉\n ', 300).encode(),
        text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 20),
        text("ABCabc123/+", 40),
    )
    assert aws.authorization(*arguments) == botocore_authorization(*arguments)
