"""Convert HTTP requests to events with payload format 2.0, and results of the function to HTTP responses."""

import json
import re
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qsl

from embedded_aws.calls import CLIENT, Call
from embedded_aws.faults import PAGE, PAGE_STATUS, TLS_ALERT, Fault, Faults
from embedded_aws.http_server import read_body, reset_connection

# https://www.rfc-editor.org/rfc/rfc9110#section-5.1 and #section-5.5: a token, and text without control characters
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
FORBIDDEN_IN_HEADER_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
TEXT_TYPES = ("application/json", "application/xml", "application/javascript")


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP response. `headers` is a list of pairs because Set-Cookie can occur more than once."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def json(cls, status: int, **members: object) -> Self:
        """Return a response with a JSON object as its body, as AWS itself sends for errors."""
        body = json.dumps(members, separators=(",", ":")).encode()
        return cls(status, body, [("Content-Type", "application/json")])


class MalformedResponse(Exception):
    """The result of the function cannot be converted to an HTTP response."""


@dataclass(frozen=True)
class HttpRequest:
    """An HTTP request. The names of `headers` are in lower case, and repeated headers are joined by commas.

    `cookies` holds the pairs of the header Cookie, which is not in `headers`.
    """

    method: str
    target: str
    protocol: str
    source_ip: str
    headers: dict[str, str]
    cookies: list[str]
    body: bytes
    trace_id: str


def build_event(request: HttpRequest, account: str, request_id: str) -> dict[str, Any]:
    """Return the event of a function URL.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload
    """
    path, _, query = request.target.partition("?")
    host = request.headers.get("host", "")
    now = datetime.now(UTC)
    event: dict[str, Any] = {
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
        event["cookies"] = request.cookies
    if query:
        parameters: dict[str, str] = {}
        for key, value in parse_qsl(query, keep_blank_values=True):
            parameters[key] = f"{parameters[key]},{value}" if key in parameters else value
        event["queryStringParameters"] = parameters
    if request.body:
        text = _decode_text(request.body, request.headers.get("content-type", ""))
        event["isBase64Encoded"] = text is None
        event["body"] = b64encode(request.body).decode() if text is None else text
    return event


def parse_response(payload: bytes) -> HttpResponse:
    """Return the HTTP response for the result of a function. Raise MalformedResponse.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-response-payload
    """
    result = json.loads(payload or b"null")
    if not isinstance(result, dict) or "statusCode" not in result:  # AWS infers status and content type
        inferred = result.encode() if isinstance(result, str) else payload
        return HttpResponse(200, inferred, [("Content-Type", "application/json")])
    try:
        status = int(result["statusCode"])
        body = _encode_body(result.get("body"), bool(result.get("isBase64Encoded")))
        headers = [(str(name), str(value)) for name, value in (result.get("headers") or {}).items()]
        cookies = [("Set-Cookie", str(cookie)) for cookie in result.get("cookies") or []]
        if not 100 <= status <= 599:
            raise ValueError(status)
        for name, value in headers + cookies:
            if not HEADER_NAME.fullmatch(name) or FORBIDDEN_IN_HEADER_VALUES.search(value):
                raise ValueError(name)
    except (ValueError, TypeError, AttributeError) as error:
        raise MalformedResponse from error
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return HttpResponse(status, body, headers + cookies)


def _encode_body(body: Any, is_base64: bool) -> bytes:
    if body is None:
        return b""
    text = body if isinstance(body, str) else json.dumps(body)
    return b64decode(text, validate=True) if is_base64 else text.encode()


def _decode_text(body: bytes, content_type: str) -> str | None:
    """Return a textual body as text, and None for a body that AWS encodes as base64."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not (media_type.startswith("text/") or media_type in TEXT_TYPES or media_type.endswith(("+json", "+xml"))):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def request_handler(
    respond: Callable[[HttpRequest], HttpResponse], faults: Faults
) -> Callable[..., BaseHTTPRequestHandler]:
    """Return a request handler for `http.server` that answers with the result of `respond`, or as a fault demands."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # http.server looks for a method such as do_GET; any token is an HTTP method
                return self._handle_request
            raise AttributeError(name)

        def _handle_request(self) -> None:
            request = self._read_request()
            fault = faults.affecting(Call("url", request.method, {}, caller=CLIENT))
            if fault is None:
                self._send(respond(request))
                return
            response = respond(request) if fault.runs_call else HttpResponse(200)
            self.close_connection = True
            self._send_fault(fault, response)

        def _send_fault(self, fault: Fault, response: HttpResponse) -> None:
            if fault.kind in PAGE_STATUS:
                self._send(HttpResponse(PAGE_STATUS[fault.kind], b"" if fault.kind.startswith("empty") else PAGE))
            elif fault.kind == "truncated":
                self.send_response_only(response.status)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body[: len(response.body) // 2])
            elif fault.kind == "not_http":
                self.wfile.write(TLS_ALERT)
            elif fault.kind != "closed":
                reset_connection(self.connection)

        def _send(self, response: HttpResponse) -> None:
            self.send_response_only(response.status)
            self.send_header("Date", self.date_time_string())
            for name, value in response.headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    self.send_header(name, value.encode().decode("latin-1"))
            has_body = response.status not in (204, 304)
            if has_body:
                declared = next((value for name, value in response.headers if name.lower() == "content-length"), None)
                length = declared if self.command == "HEAD" and declared is not None else str(len(response.body))
                self.send_header("Content-Length", length)
            self.end_headers()
            if has_body and self.command != "HEAD":
                self.wfile.write(response.body)
            self.wfile.flush()

        def _read_request(self) -> HttpRequest:
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
            protocol = self.request_version
            return HttpRequest(self.command, self.path, protocol, source_ip, headers, cookies, body, trace_id)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
