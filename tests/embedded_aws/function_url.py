"""A function URL over real HTTP: the request becomes a v2.0 event, the function's answer becomes the response."""

import json
import secrets
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from . import signature
from .data_plane import DataPlane
from .errors import AwsError
from .lambda_state import FunctionUrl, LambdaState
from .loopback import LoopbackServer, read_body, stop
from .metrics import LambdaMetrics
from .policy import allows

FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
TEXT_TYPES = ("application/json", "application/xml", "application/javascript")


@dataclass(frozen=True)
class Reply:
    """An HTTP response. Headers are pairs, since Set-Cookie may come more than once."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


class FunctionUrlServer:
    """Opens and serves the URLs of one Region."""

    def __init__(
        self, state: LambdaState, data_plane: DataPlane, metrics: LambdaMetrics, keys: Callable[[], Mapping[str, str]]
    ) -> None:
        self._state = state
        self._data_plane = data_plane
        self._metrics = metrics
        self._keys = keys
        self._servers: list[LoopbackServer] = []

    def open(self, function: str, qualifier: str) -> tuple[str, Callable[[], None]]:
        server = LoopbackServer(_handler(lambda request: self._serve(function, qualifier, request)))
        self._servers.append(server)

        def close() -> None:
            if server in self._servers:
                self._servers.remove(server)
                stop(server)

        return f"http://{server.address}/", close

    def close(self) -> None:
        while self._servers:
            stop(self._servers.pop())

    def _serve(self, function: str, qualifier: str, request: "Request") -> Reply:
        begun = time.monotonic()
        reply = self._reply(function, qualifier, request)
        latency_ms = (time.monotonic() - begun) * 1000
        counts = {
            "UrlRequestCount": 1.0,
            "Url4xxCount": float(reply.status // 100 == 4),
            "Url5xxCount": float(reply.status // 100 == 5),
            "UrlRequestLatency": latency_ms,
        }
        self._metrics.put(self._state.region, function, qualifier, counts)
        return reply

    def _reply(self, function: str, qualifier: str, request: "Request") -> Reply:
        with self._state.lock:
            held = self._state.functions.get(function)
            url = held.urls.get(qualifier) if held else None
            if url is None or held is None:
                return _message(404, None)
            statements = list(held.policies[qualifier].statements) if qualifier in held.policies else []
        if not self._authorized(url, statements, request):
            return _message(403, FORBIDDEN)
        request_id = str(uuid.uuid4())
        payload = json.dumps(event(request, self._state.account, request_id)).encode()
        try:
            result = self._data_plane.invoke(self._state, function, qualifier, payload, trace_id=request.trace_id)
        except AwsError as error:
            return _refusal(error)
        extra = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", request.trace_id)]
        if result.outcome.status != "success":
            return Reply(502, b"Internal Server Error", [("Content-Type", "application/json"), *extra])
        reply = response(result.outcome.payload)
        return Reply(reply.status, reply.body, [*reply.headers, *extra])

    def _authorized(self, url: FunctionUrl, statements: list[dict[str, Any]], request: "Request") -> bool:
        if self._state.clock.time() < url.created_at + self._state.delays.url_s:
            return False
        if url.auth_type == "AWS_IAM":  # same account: a correct signature is enough, the caller may do everything
            address = url.url.rstrip("/") + request.target
            return signature.is_valid(request.method, address, request.headers, request.body, "lambda", self._keys())
        # Since October 2025 a public URL needs both actions: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
        context = {"lambda:FunctionUrlAuthType": "NONE", "lambda:InvokedViaFunctionUrl": "true"}
        actions = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
        return all(allows(statements, action, principal="*", context=context) for action in actions)


@dataclass(frozen=True)
class Request:
    """An HTTP request as it arrived; `headers` lower-cased and joined by commas, `cookies` apart."""

    method: str
    target: str
    protocol: str
    source_ip: str
    headers: dict[str, str]
    cookies: list[str]
    body: bytes
    trace_id: str


def event(request: Request, account: str, request_id: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload"""
    path, _, query = request.target.partition("?")
    host = request.headers.get("host", "")
    now = datetime.now(UTC)
    out: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": request.headers,
        "requestContext": {
            "accountId": "anonymous" if "authorization" not in request.headers else account,
            "apiId": host.partition(".")[0].partition(":")[0],
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if request.cookies:
        out["cookies"] = request.cookies
    if query:
        parameters: dict[str, str] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            parameters[key] = f"{parameters[key]},{value}" if key in parameters else value
        out["queryStringParameters"] = parameters
    if request.body:
        text = _text(request.body, request.headers.get("content-type", ""))
        out["isBase64Encoded"] = text is None
        out["body"] = b64encode(request.body).decode() if text is None else text
    return out


def response(payload: bytes) -> Reply:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-response-payload"""
    answer = json.loads(payload or b"null")
    if not isinstance(answer, dict) or "statusCode" not in answer:  # AWS infers the rest
        inferred = answer.encode() if isinstance(answer, str) else payload
        return Reply(200, inferred, [("Content-Type", "application/json")])
    try:
        status = int(answer["statusCode"])
        body_text = answer.get("body")
        body_text = body_text if isinstance(body_text, str) else "" if body_text is None else json.dumps(body_text)
        body = b64decode(body_text, validate=True) if answer.get("isBase64Encoded") else body_text.encode()
        headers = [(str(k), str(v)) for k, v in (answer.get("headers") or {}).items()]
        cookies = [("Set-Cookie", str(cookie)) for cookie in answer.get("cookies") or []]
        if not 100 <= status <= 599:
            raise ValueError(status)
    except (ValueError, TypeError, AttributeError):
        return Reply(502, b"Internal Server Error", [("Content-Type", "application/json")])
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return Reply(status, body, headers + cookies)


def _text(body: bytes, content_type: str) -> str | None:
    """The body as text when its type is one, None for what AWS passes on as base64."""
    kind = content_type.partition(";")[0].strip().lower()
    if not (kind.startswith("text/") or kind in TEXT_TYPES or kind.endswith(("+json", "+xml"))):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _message(status: int, message: str | None) -> Reply:
    return Reply(status, json.dumps({"Message": message}).encode(), [("Content-Type", "application/json")])


def _refusal(error: AwsError) -> Reply:
    if error.status == 429:
        body = {"Reason": error.members.get("Reason"), "Type": "User", "message": error.message}
        return Reply(429, json.dumps(body).encode(), [("Content-Type", "application/json")])
    if error.status == 413:
        return _message(413, error.message)
    return Reply(502, b"Internal Server Error", [("Content-Type", "application/json")])


def _handler(serve: Callable[[Request], Reply]) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # any method
                return self._any
            raise AttributeError(name)

        def _any(self) -> None:
            reply = serve(self._request())
            self.send_response_only(reply.status)
            self.send_header("Date", self.date_time_string())
            for name, value in reply.headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    self.send_header(name, value.encode().decode("latin-1"))
            if reply.status not in (204, 304):
                length = next((v for k, v in reply.headers if k.lower() == "content-length"), None)
                head = self.command == "HEAD" and length is not None
                self.send_header("Content-Length", str(length) if head else str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD" and reply.status not in (204, 304):
                self.wfile.write(reply.body)
            self.wfile.flush()

        def _request(self) -> Request:
            body = read_body(self.headers, self.rfile)
            headers: dict[str, str] = {}
            cookies: list[str] = []
            for name, value in self.headers.items():
                if name.lower() == "cookie":
                    cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
                elif name.lower() not in ("connection", "transfer-encoding", "expect"):
                    key = name.lower()
                    headers[key] = f"{headers[key]},{value}" if key in headers else value
            trace_id = headers.get("x-amzn-trace-id") or f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
            source_ip = self.client_address[0]
            headers |= {
                "x-amzn-trace-id": trace_id,
                "x-forwarded-proto": "https",
                "x-forwarded-port": "443",
                "x-forwarded-for": ", ".join(filter(None, [headers.get("x-forwarded-for"), source_ip])),
            }
            return Request(self.command, self.path, self.request_version, source_ip, headers, cookies, body, trace_id)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
