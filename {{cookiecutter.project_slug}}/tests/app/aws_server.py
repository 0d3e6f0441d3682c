"""An AWS on this machine for `app.aws`: checks signatures, answers as it is told, and fails when it is told to."""

import json
import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class AwsServer(ThreadingHTTPServer):
    """The first requests meet `faults`; `answer` makes the answer to the others."""

    def __init__(self, service: str, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.service = service
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.stopped = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: AwsServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append({"headers": dict(self.headers), **json.loads(body)})
        if self.server.faults:
            return self.server.faults.pop(0)(self)
        sent = {name: value for name, value in self.headers.items() if name in self.headers["authorization"]}
        expected = botocore_authorization(self.server.service, "us-east-1", sent, body, "testing", "testing")
        if self.headers["authorization"] != expected:
            return self.reply(400, {"__type": "InvalidSignatureException", "message": "The signature does not match."})
        self.reply(200, self.server.answer(self.server.requests[-1]))

    def reply(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


Fault = Callable[[Handler], None]


def throttle(handler: Handler) -> None:
    handler.reply(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})


def deny(handler: Handler) -> None:
    handler.reply(400, {"__type": "AccessDeniedException", "Message": "my-role is not authorized"})


def break_down(handler: Handler) -> None:
    handler.send_error(503)


def hang_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang(handler: Handler) -> None:
    handler.server.stopped.wait()


def botocore_authorization(
    service: str, region: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str
) -> str:
    request: Any = AWSRequest("POST", f"http://{headers['host']}/", headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(access_key, secret_key), service, region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    signed = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed}, Signature={signature}"
