"""Error responses as JSON, on Lambda only, for errors that occur before the response has started.

Exception handlers of the application take precedence.
"""

import sys
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from aws_lambda.access_log import request_id

MAX_INPUT_LENGTH = 100_000  # characters of invalid input in a response


def unwrap(app: ASGIApp) -> Starlette | None:
    """Return the Starlette or FastAPI application inside of its middleware, or None for any other ASGI application."""
    application: Any = app
    while not isinstance(application, Starlette) and hasattr(application, "app"):
        application = application.app
    return application if isinstance(application, Starlette) else None


def add_error_handlers(app: ASGIApp) -> None:
    """Add the error responses to a Starlette or FastAPI application. Leave any other ASGI application as it is."""
    application = unwrap(app)
    if application is None:
        return
    handlers = application.exception_handlers
    if Exception not in handlers and 500 not in handlers:
        application.add_exception_handler(Exception, internal_server_error)
    if "fastapi" in sys.modules:
        from fastapi.exception_handlers import request_validation_exception_handler
        from fastapi.exceptions import RequestValidationError

        if handlers.get(RequestValidationError) is request_validation_exception_handler:
            application.add_exception_handler(RequestValidationError, unprocessable_content)


async def internal_server_error(request: Request, error: Exception) -> Response:
    """Respond to an unhandled exception. Mangum logs it with its traceback."""
    content = {"detail": "Internal Server Error", "request_id": request_id(request.scope)}
    return JSONResponse(content, status_code=500)


async def unprocessable_content(request: Request, error: Any) -> Response:
    """Respond like FastAPI, but leave out the input if it is large or cannot be written as JSON, such as NaN."""
    from fastapi.encoders import jsonable_encoder
    from fastapi.exception_handlers import request_validation_exception_handler

    errors = error.errors()
    body = request.scope.get("aws.event", {}).get("body") or ""
    if len(errors) * len(body) <= MAX_INPUT_LENGTH:  # each error may contain the whole body
        try:
            return await request_validation_exception_handler(request, error)
        except (ValueError, RecursionError):
            pass
    without_input = [{key: value for key, value in item.items() if key != "input"} for item in errors]
    return JSONResponse({"detail": jsonable_encoder(without_input)}, status_code=422)
