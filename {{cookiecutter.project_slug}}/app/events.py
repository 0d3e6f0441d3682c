"""The events of Lambda: each must be an HTTP request, and the answer to it must not be longer than Lambda takes."""

import json
import logging
from typing import Any

from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Response, Scope

from app.logs import request_id

MAX_ANSWER_BYTES = 6_291_556  # more ends the environment: "Response payload size exceeded maximum allowed payload size"
MAX_ESCAPE_BYTES = 6  # that JSON needs for one character: \u0000

log = logging.getLogger("app.events")


class EventError(Exception):
    """The function was invoked with something else than an HTTP request."""


class HttpEvent(HTTPGateway):
    """An HTTP request in payload format 2.0; raises EventError, which fails the invocation, for anything else."""

    @classmethod
    def infer(cls, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> bool:
        return True

    def __init__(self, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> None:
        super().__init__(event, context, config)
        try:
            self._scope, self._body = super().scope, super().body
{% if cookiecutter.endpoint == 'http_api' %}
            # API Gateway has decoded the path; Mangum has done it once more, and made a/b of a%252Fb.
            self._scope["path"] = event["requestContext"]["http"]["path"]
{% endif %}
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise EventError(f"the event is no HTTP request in payload format 2.0: {error!r}") from None

    @property
    def scope(self) -> Scope:
        return self._scope

    @property
    def body(self) -> bytes:
        return self._body

    def __call__(self, response: Response) -> dict[str, Any]:
        answer = super().__call__(response)
        if len(answer["body"]) * MAX_ESCAPE_BYTES < MAX_ANSWER_BYTES:
            return answer
        size = len(json.dumps(answer, ensure_ascii=False).encode())
        if size <= MAX_ANSWER_BYTES:
            return answer
        request = f"{self.scope['method']} {self.scope['path']}"
        log.error("%s: a response of %d bytes is too large for Lambda, which takes %d", request, size, MAX_ANSWER_BYTES)
        return {
            "statusCode": 500,
            "headers": {"content-type": "application/json", "x-request-id": request_id(self.scope)},
            "body": json.dumps({"detail": "Response Too Large", "request_id": request_id(self.scope)}),
            "isBase64Encoded": False,
        }
