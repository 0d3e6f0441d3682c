"""HTTP to a function and back: a request becomes a v2.0 event, the function's answer becomes the response."""

import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qsl

from embedded_aws.http_server import read_body

TEXT_TYPES = ("application/json", "application/xml", "application/javascript")


@dataclass(frozen=True)
class Reply:
    """An HTTP response. Headers are pairs, since Set-Cookie may come more than once."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def json(cls, status: int, **members: object) -> Self:
        """An answer of AWS's own."""
        body = json.dumps(members, separators=(",", ":")).encode()
        return cls(status, body, [("Content-Type", "application/json")])


class MalformedAnswer(Exception):
    """The function answered something that is no response."""


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
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-response-payload

    Raises MalformedAnswer.
    """
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
    except (ValueError, TypeError, AttributeError) as error:
        raise MalformedAnswer from error
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


def handler(serve: Callable[[Request], Reply]) -> Callable[..., BaseHTTPRequestHandler]:
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
