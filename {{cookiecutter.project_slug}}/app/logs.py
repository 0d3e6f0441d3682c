"""Log levels and the access log. On Lambda the runtime's own log format makes JSON of every record."""

import logging
import os
import time
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

access_log = logging.getLogger("app.access")
JSON_FORMAT = os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
STDOUT = 1  # a write to sys.stdout takes twice as long


def configure_logging() -> None:
    """Plain text outside Lambda; on Lambda the runtime has set up the root logger, and basicConfig does nothing."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("mangum").setLevel(logging.WARNING)  # at INFO it says what the access log says


def request_id(scope: Scope) -> str | None:
    """Lambda's id of this invocation, which is on all its log records; None outside Lambda."""
    return getattr(scope.get("aws.context"), "aws_request_id", None)


def route_template(scope: Scope) -> str | None:
    """The path that the matching route was declared with, such as `/items/{id}`; None where no API route matched.

    A route of an included router does not know the router's prefix: FastAPI keeps it in a context beside the route.
    """
    route: Any = scope.get("route")
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context and context.original_route is route:
        route = context
    mounted_at = scope["root_path"].removeprefix(scope.get("app_root_path", scope["root_path"]))
    return mounted_at + route.path_format if hasattr(route, "path_format") else None


class AccessLog:
    """One log record per request, and Lambda's request id as a header of the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.cold_start = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cold_start, self.cold_start = self.cold_start, False
        started = time.perf_counter()
        status, complete = 500, False

        async def observed_send(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", scope["aws.context"].aws_request_id.encode())]
                message = {**message, "headers": headers}
            else:
                complete = not message.get("more_body", False)
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        finally:
            if access_log.isEnabledFor(logging.INFO):
                fields = {
                    "message": f"{scope['method']} {scope['path']}",
                    "method": scope["method"],
                    "route": route_template(scope),
                    "status": status if complete else 500,  # Mangum answers 500 for a response that broke off
                    "duration_ms": round((time.perf_counter() - started) * 1000, 2),
                    "cold_start": cold_start,
                }
                write_record(fields, request_id(scope))


def write_record(fields: dict[str, object], request_id: str | None) -> None:
    """A record of the access log; on Lambda like the runtime's own, which take four times as long, and past filters."""
    if JSON_FORMAT:
        fields["timestamp"], fields["level"] = datetime.now(UTC), "INFO"
        fields["logger"], fields["requestId"] = access_log.name, request_id
        os.write(STDOUT, to_json(fields) + b"\n")
    else:
        access_log.info(fields.pop("message"), extra=fields)
