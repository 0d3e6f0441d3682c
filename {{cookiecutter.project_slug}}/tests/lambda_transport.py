{% if cookiecutter.endpoint == 'function_url' %}
"""An httpx transport to a Lambda handler: a request becomes the event that a function URL makes of it."""
{% else %}
"""An httpx transport to a Lambda handler: a request becomes the event that API Gateway makes of it."""
{% endif %}

import base64
import json
import time
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
{% if cookiecutter.endpoint == 'function_url' %}
from urllib.parse import parse_qs
{% else %}
from urllib.parse import parse_qs, unquote
{% endif %}

import httpx

TEXT = ("text/", "application/json", "application/javascript", "application/xml")


class LambdaTransport(httpx.BaseTransport):
    def __init__(self, handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
        self.handler = handler

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        context = SimpleNamespace(aws_request_id=str(uuid.uuid4()))
        answer = json.loads(json.dumps(self.handler(event_of(request), context)))
        content = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        return httpx.Response(
            answer["statusCode"],
            headers=[*answer["headers"].items(), *(("set-cookie", cookie) for cookie in answer.get("cookies", []))],
            content=b"" if request.method == "HEAD" else content,
        )


def event_of(request: httpx.Request) -> dict[str, Any]:
{% if cookiecutter.endpoint == 'function_url' %}
    """The request in payload format 2.0, https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html."""
{% else %}
    """The request in payload format 2.0 (the API Gateway guide: http-api-develop-integrations-lambda.html)."""
{% endif %}
    path, _, query = request.url.raw_path.decode().partition("?")
{% if cookiecutter.endpoint == 'http_api' %}
    path = unquote(path)  # as API Gateway does
{% endif %}
    headers = {"x-forwarded-for": "203.0.113.7", "x-forwarded-port": "443", "x-forwarded-proto": "https"}
    headers |= dict(request.headers)
    cookies = headers.pop("cookie", None)
    body = request.read()
    is_text = headers.get("content-type", "").startswith(TEXT)
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
                "userAgent": headers["user-agent"],
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
        parameters = parse_qs(query, keep_blank_values=True)
        event["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
    if body:
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return event
