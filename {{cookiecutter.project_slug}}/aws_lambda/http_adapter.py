"""The adapter between Lambda's HTTP events (payload format 2.0) and an ASGI application."""

import asyncio
import atexit
import json
import logging
from typing import Any
{% if cookiecutter.endpoint == 'http_api' %}
from urllib.parse import quote
{% endif %}

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Response, Scope
from starlette.types import ASGIApp

from aws_lambda.access_log import AccessLog, request_id
from aws_lambda.errors import add_error_handlers
from aws_lambda.lifespan import Lifespan
from aws_lambda.telemetry import flush_traces

MAX_RESPONSE_BYTES = 6_291_556  # Lambda ends the execution environment when a response is larger
MAX_BYTES_PER_CHARACTER = 6  # in JSON: \u0000

logger = logging.getLogger(__name__)


class LambdaHandler(Mangum):
    """The Lambda handler of an ASGI application. Call start() once, before the first request."""

    def __init__(self, app: ASGIApp) -> None:
        add_error_handlers(app)
        self.application = Lifespan(app)
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        logging.getLogger("mangum").setLevel(logging.WARNING)  # its INFO records repeat the access log
        super().__init__(
            AccessLog(self.application),
            lifespan="off",  # Mangum would start and stop the application for each request
            custom_handlers=[HttpEvent],
            text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml"],  # other types are sent as base64
        )

    def start(self) -> None:
        """Start the application. Raise the error of its lifespan if that fails."""
        self.loop.close()
        self.loop = asyncio.new_event_loop()  # a forked process must not share the file descriptors of a loop
        self.loop.run_until_complete(self.application.start())
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the application. Lambda ends the process without notice, so this runs only elsewhere, such as in tests."""
        if not self.loop.is_closed():
            self.loop.run_until_complete(self.application.stop())
            self.loop.close()

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        """Respond to one event. Raise EventError if it is not an HTTP request."""
        asyncio.set_event_loop(self.loop)  # Mangum uses the current loop, which asyncio.run() and forks reset
        response = super().__call__(event, context)
        flush_traces()
        return response


class EventError(Exception):
    """The event is not an HTTP request."""


class HttpEvent(HTTPGateway):
    """An HTTP request in payload format 2.0. Raise EventError for any other event."""

    @classmethod
    def infer(cls, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> bool:
        return True

    def __init__(self, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> None:
        super().__init__(event, context, config)
        try:
            self._scope = super().scope
            self._body = super().body
{% if cookiecutter.endpoint == 'http_api' %}
            # API Gateway decodes the path and Mangum decodes it again, which would turn a%252Fb into a/b.
            self._scope["path"] = event["requestContext"]["http"]["path"]
            self._scope["raw_path"] = quote(self._scope["path"]).encode()
{% else %}
            self._scope["raw_path"] = event["rawPath"].encode()
{% endif %}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise EventError(f"The event is not an HTTP request in payload format 2.0: {error!r}") from None

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        return self._scope

    @property
    def body(self) -> bytes:
        """The body of the request."""
        return self._body

    def __call__(self, response: Response) -> dict[str, Any]:
        """Return the response in the format that Lambda expects. Replace it with an error if it is too large."""
        # ASGI headers are Latin-1 (RFC 9110, section 5.5), but Mangum decodes them as UTF-8.
        headers = [[name, value.decode("latin-1").encode()] for name, value in response["headers"]]
        result = super().__call__({**response, "headers": headers})
        if len(result["body"]) * MAX_BYTES_PER_CHARACTER < MAX_RESPONSE_BYTES:
            return result
        size = len(json.dumps(result, ensure_ascii=False).encode())
        if size <= MAX_RESPONSE_BYTES:
            return result
        request = f"{self.scope['method']} {self.scope['path']}"
        logger.error("%s: the response has %d bytes, Lambda allows %d", request, size, MAX_RESPONSE_BYTES)
        return {
            "statusCode": 500,
            "headers": {"content-type": "application/json", "x-request-id": request_id(self.scope)},
            "body": json.dumps({"detail": "Response Too Large", "request_id": request_id(self.scope)}),
            "isBase64Encoded": False,
        }
