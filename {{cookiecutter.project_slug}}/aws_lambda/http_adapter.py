"""The adapter between Lambda's HTTP events (payload format 2.0) and an ASGI application."""

import json
import logging
from typing import Any
{% if cookiecutter.endpoint == 'http_api' %}
from urllib.parse import quote
{% endif %}

from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Response, Scope

from aws_lambda.access_log import request_id
from aws_lambda.lifespan import use_event_loop
from aws_lambda.telemetry import flush_telemetry

MAX_RESPONSE_BYTES = 6_291_556  # Lambda ends the execution environment when a response is larger
MAX_BYTES_PER_CHARACTER = 6  # in JSON: \u0000

TEXT_MIME_TYPES = [*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml"]  # responses of other types are sent as base64

logger = logging.getLogger(__name__)


class EventError(Exception):
    """The event is not an HTTP request."""


class HttpEvent(HTTPGateway):
    """An HTTP request in payload format 2.0. Raise EventError for any other event."""

    @classmethod
    def infer(cls, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> bool:
        """Return True: this class rejects all other events."""
        return True

    def __init__(self, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> None:
        super().__init__(event, context, config)
        use_event_loop()
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
        flush_telemetry()
        # ASGI headers are Latin-1 (RFC 9110, section 5.5), but Mangum decodes them as UTF-8.
        headers = [[name, value.decode("latin-1").encode()] for name, value in response["headers"]]
        result = super().__call__({**response, "headers": headers})
        if len(result["body"]) * MAX_BYTES_PER_CHARACTER < MAX_RESPONSE_BYTES:
            return result
        size = len(json.dumps(result, ensure_ascii=False).encode())
        if size <= MAX_RESPONSE_BYTES:
            return result
        request = f"{self.scope['method']} {self.scope['path']}"
        logger.error("%s: the response is %d bytes; Lambda allows %d", request, size, MAX_RESPONSE_BYTES)
        return {
            "statusCode": 500,
            "headers": {"content-type": "application/json", "x-request-id": request_id(self.scope)},
            "body": json.dumps({"detail": "Response Too Large", "request_id": request_id(self.scope)}),
            "isBase64Encoded": False,
        }
