"""A fake AWS API that verifies signatures and fails on request."""

import json
import socket
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class AwsServer(ThreadingHTTPServer):
    """Apply each of `faults` to one request, and respond to the others with the result of `respond`."""

    def __init__(self, service: str, respond: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), RequestHandler)
        self.service = service
        self.respond = respond
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.stopped = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class RequestHandler(BaseHTTPRequestHandler):
    server: AwsServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append({"headers": dict(self.headers), **json.loads(body)})
        if self.server.faults:
            return self.server.faults.pop(0)(self)
        signed = {name: value for name, value in self.headers.items() if name in self.headers["authorization"]}
        expected = botocore_authorization(self.server.service, "us-east-1", signed, body, "testing", "testing")
        if self.headers["authorization"] != expected:
            return self.reply(400, {"__type": "InvalidSignatureException", "message": "The signature does not match."})
        self.reply(200, self.server.respond(self.server.requests[-1]))

    def reply(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


Fault = Callable[[RequestHandler], None]


def throttle(handler: RequestHandler) -> None:
    handler.reply(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})


def deny(handler: RequestHandler) -> None:
    handler.reply(400, {"__type": "AccessDeniedException", "Message": "my-role is not authorized"})


def fail(handler: RequestHandler) -> None:
    handler.send_error(503)


def disconnect(handler: RequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def hang(handler: RequestHandler) -> None:
    handler.server.stopped.wait()


def botocore_authorization(
    service: str, region: str, headers: Mapping[str, str], body: bytes, access_key: str, secret_key: str
) -> str:
    """Return the Authorization header that botocore creates."""
    request: Any = AWSRequest("POST", f"http://{headers['host']}/", headers=headers, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(access_key, secret_key), service, region)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    signed = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed}, Signature={signature}"
