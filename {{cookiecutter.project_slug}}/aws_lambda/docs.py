"""Turn off the documentation of a FastAPI application: set DOCS = "false" under [environment] in deploy.toml."""

from starlette.types import ASGIApp

from aws_lambda.cold_start import is_off
from aws_lambda.errors import unwrap


def hide_docs(app: ASGIApp) -> None:
    """Remove /docs, /redoc and the OpenAPI document, or the paths that replace them, if DOCS is "false"."""
    application = unwrap(app)
    if application is None or not is_off("DOCS"):
        return
    routes = application.router.routes
    routes[:] = [route for route in routes if not is_part_of_fastapi(route)]


def is_part_of_fastapi(route: object) -> bool:
    """Return True if FastAPI itself added the route, for the documentation."""
    return getattr(getattr(route, "endpoint", None), "__module__", "") == "fastapi.applications"
