"""An httpx transport that calls a Lambda handler with the event of each request, as AWS does."""

import base64
import json
import time
import urllib.parse
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx

TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


class LambdaTransport(httpx.BaseTransport):
    def __init__(self, handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
        self.handler = handler

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        context = SimpleNamespace(aws_request_id=str(uuid.uuid4()))
        result = json.loads(json.dumps(self.handler(create_event(request), context)))
        content = base64.b64decode(result["body"]) if result["isBase64Encoded"] else result["body"].encode()
        headers = [*result["headers"].items(), *(("set-cookie", cookie) for cookie in result.get("cookies", []))]
        return httpx.Response(
            result["statusCode"],
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            content=b"" if request.method == "HEAD" else content,
        )


def create_event(request: httpx.Request) -> dict[str, Any]:
    """Return the event of a request in payload format 2.0.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads
    """
    path, _, query = request.url.raw_path.decode().partition("?")
{% if cookiecutter.endpoint == 'http_api' %}
    path = urllib.parse.unquote(path)
{% endif %}
    headers = {"x-forwarded-for": "203.0.113.7", "x-forwarded-port": "443", "x-forwarded-proto": "https"}
    headers |= dict(request.headers)
    cookies = headers.pop("cookie", None)
    body = request.read()
    is_text = headers.get("content-type", "").startswith(TEXT_TYPES) and "content-encoding" not in headers
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc123",
            "domainName": request.url.host,
            "domainPrefix": request.url.host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": bool(body) and not is_text,
    }
    if cookies:
        event["cookies"] = cookies.split("; ")
    if query:
        parameters = urllib.parse.parse_qs(query, keep_blank_values=True)
        event["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
    if body:
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return event
