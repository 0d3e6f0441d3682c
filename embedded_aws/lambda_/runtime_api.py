"""The Runtime API, through which the runtime of an execution environment gets events and posts responses.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from embedded_aws.http_server import LoopbackServer, read_body

PREFIX = "/2018-06-01/runtime/"
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100  # the limit that AWS's error message states


@dataclass(frozen=True)
class Invocation:
    """The event of one invocation and what the runtime needs for the handler's context."""

    request_id: str
    payload: bytes
    function_arn: str
    deadline_ms: int
    trace_id: str
    client_context: str = ""


@dataclass(frozen=True)
class RuntimeResult:
    """A response or error of the runtime. `kind` is response, error, init_error, restore_error or too_large."""

    kind: str
    payload: bytes
    error_type: str = ""


class RuntimeApi:
    """Serve one runtime. `changed` guards all attributes and is notified of every change."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.ready = False  # the runtime waits for an invocation
        self.posted: RuntimeResult | None = None
        self._next: Invocation | None = None
        self._closed = False
        self._server = LoopbackServer(_handler(self))
        self._server.listen()
        self.address = self._server.address

    def hand_out(self, invocation: Invocation) -> None:
        """Give the runtime its next invocation."""
        with self.changed:
            self.ready, self.posted, self._next = False, None, invocation
            self.changed.notify_all()

    def close(self) -> None:
        """Stop serving. A runtime that waits for an invocation loses its connection."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        self._server.close()

    def initialized(self) -> None:
        """Mark INIT as finished, for a function with SnapStart. The runtime continues after a restore."""
        with self.changed:
            self.ready = True
            self.changed.notify_all()

    def next(self) -> Invocation | None:
        """Wait for the next invocation. Return None once this API is closed."""
        with self.changed:
            self.ready = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._next is not None or self._closed)
            invocation, self._next = self._next, None
            return invocation

    def post(self, posted: RuntimeResult) -> None:
        """Store the response or error of the runtime."""
        with self.changed:
            self.posted = posted
            self.changed.notify_all()


def _handler(api: RuntimeApi) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            if self.path == f"{PREFIX}restore/next":
                api.initialized()
                return self._respond(200, b"")
            invocation = api.next()
            if invocation is None:
                self.close_connection = True
                return None
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Lambda-Runtime-Trace-Id": invocation.trace_id,
                "Lambda-Runtime-Client-Context": invocation.client_context,
            }
            return self._respond(200, invocation.payload, {k: v for k, v in headers.items() if v})

        def do_POST(self) -> None:
            body = read_body(self.headers, self.rfile)
            if self.path == f"{PREFIX}init/error":
                kind = "init_error"
            elif self.path == f"{PREFIX}restore/error":
                kind = "restore_error"
            else:
                kind = "response" if self.path.endswith("/response") else "error"
            if len(body) > MAX_RESPONSE_BYTES:
                api.post(RuntimeResult("too_large", b"", "Function.ResponseSizeTooLarge"))
                return self._respond(413, json.dumps({"errorType": "RequestEntityTooLarge"}).encode())
            self._respond(202, b'{"status":"OK"}')
            return api.post(RuntimeResult(kind, body, self.headers.get("Lambda-Runtime-Function-Error-Type", "")))

        def _respond(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response_only(status)
            # awslambdaric 4.2 crashes if the response to /next has no Content-Type.
            for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
