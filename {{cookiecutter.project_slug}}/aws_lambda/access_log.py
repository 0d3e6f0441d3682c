"""Log one record per request.

Lambda writes all records as JSON and includes the fields in `extra`.
"""

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("aws_lambda.access")


def request_id(scope: Scope) -> str | None:
    """Return Lambda's ID of the invocation, which all its log records contain. Return None outside Lambda."""
    return getattr(scope.get("aws.context"), "aws_request_id", None)


def route_template(scope: Scope) -> str | None:
    """Return the path with which the matching route was declared, such as `/items/{item_id}`.

    Return None if no route matched, or if the framework of the application does not tell which one did.
    """
    route: Any = scope.get("route")
    # A route of an included router does not contain the router's prefix. FastAPI keeps the full path in this object.
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context and context.original_route is route:
        route = context
    mounted_at = scope["root_path"].removeprefix(scope.get("app_root_path", scope["root_path"]))
    return mounted_at + route.path_format if hasattr(route, "path_format") else None


class AccessLog:
    """ASGI middleware that logs each request and adds Lambda's request ID to the response as X-Request-ID."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.cold_start = True
        logging.getLogger("mangum").setLevel(logging.WARNING)  # its INFO records repeat the access log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application and log it."""
        cold_start, self.cold_start = self.cold_start, False
        started = time.perf_counter()
        status, complete = 500, False

        async def observe(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                warn_about_stream(message, scope)
                message = add_request_id(message, scope)
            else:
                complete = not message.get("more_body", False)
            await send(message)

        try:
            await self.app(scope, receive, observe)
        finally:
            if logger.isEnabledFor(logging.INFO):
                fields = {
                    "method": scope["method"],
                    "route": route_template(scope),
                    "status": status if complete else 500,  # Mangum returns 500 for an incomplete response
                    "duration_ms": round((time.perf_counter() - started) * 1000, 2),
                    "cold_start": cold_start,
                }
                logger.info("%s %s", scope["method"], scope["path"], extra=fields)


def warn_about_stream(message: Message, scope: Scope) -> None:
    """Log a warning if a response begins that the client expects piece by piece. Lambda waits until it is complete."""
    if any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message.get("headers", ())
    ):
        text = "%s %s: the client receives server-sent events only when the response is complete"
        logger.warning(text, scope["method"], scope["path"])


def add_request_id(message: Message, scope: Scope) -> Message:
    """Return the message with an X-Request-ID header, unless the application already set one."""
    headers = [*message.get("headers", ())]
    if any(name.lower() == b"x-request-id" for name, _ in headers):
        return message
    return {**message, "headers": [*headers, (b"x-request-id", str(request_id(scope)).encode())]}
