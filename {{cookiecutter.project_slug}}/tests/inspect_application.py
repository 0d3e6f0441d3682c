"""Import the service as Lambda does, send requests to it, and describe it. `python -m tests.check_application` runs this.

The current folder contains only the files of the image. The description is written to the file that is the argument.
"""

import inspect
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import SimpleNamespace
from typing import Any

STREAMS = {"EventSourceResponse", "StreamingResponse"}  # of FastAPI, Starlette and sse-starlette


class ImageFinder(PathFinder):
    """Finds the modules of the image, and not those that are only installed for development."""

    hidden: frozenset[str] = frozenset()

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> Any:
        return None if fullname.partition(".")[0] in cls.hidden else super().find_spec(fullname, path, target)


class LoggedErrors(logging.Handler):
    """Collects the descriptions of the exceptions that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.errors.append(describe(record.exc_info[1]))


def describe(error: BaseException) -> str:
    """Return the type, the message and the place of an exception, without the values that pydantic rejected."""
    message = str(error)
    if type(error).__name__ == "ValidationError" and isinstance(error, ValueError):
        details = error.errors(include_url=False, include_input=False, include_context=False)  # type: ignore[attr-defined]
        message = ", ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details)
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    places = [f" ({file.relative_to(Path.cwd())}:{line})" for file, line in frames if file.is_relative_to(Path.cwd())]
    return f"{type(error).__name__}: {message}{''.join(places[-1:])}"


def set_secrets(secrets: dict[str, str]) -> None:
    """Set the secrets, so that load_secrets() does not read them from AWS."""
    os.environ.update(secrets)
    os.environ.pop("SECRET_NAMES", None)


def import_handler(secrets: dict[str, str]) -> Callable[[Any, Any], Any]:
{% if cookiecutter.cold_starts == 'snapstart' %}
    """Return the Lambda handler after a restore, which sets the secrets."""
    from snapshot_restore_py import get_after_restore  # type: ignore[import-untyped]

    from aws_lambda.restore import on_restore

    on_restore(lambda: set_secrets(secrets))
    from aws_lambda.handler import handler

    for function, args, kwargs in get_after_restore():
        function(*args, **kwargs)
{% else %}
    """Set the secrets, and return the Lambda handler."""
    set_secrets(secrets)
    from aws_lambda.handler import handler

{% endif %}
    return handler


def call(handler: Callable[[Any, Any], Any], event: dict[str, Any]) -> dict[str, Any]:
    """Return the status of the response, the exceptions that were logged, and whether the host was rejected."""
    logged = LoggedErrors()
    logging.getLogger().addHandler(logged)
    context = SimpleNamespace(aws_request_id="check", get_remaining_time_in_millis=lambda: 30_000)
    try:
        response = handler(event, context)
    except Exception as error:
        return {"status": None, "errors": [describe(error)], "rejects_host": False}
    finally:
        logging.getLogger().removeHandler(logged)
    rejects_host = "Invalid host header" in response["body"]  # from Starlette's TrustedHostMiddleware
    return {"status": response["statusCode"], "errors": logged.errors, "rejects_host": rejects_host}


def missing_variables() -> dict[str, list[str]]:
    """Return the variables that each settings class of the service requires, and that are not set."""
    if "pydantic_settings" not in sys.modules:
        return {}
    from pydantic import ValidationError
    from pydantic_settings import BaseSettings

    own_modules = {path.stem for path in Path.cwd().iterdir()}
    missing = {}
    for settings in subclasses(BaseSettings):
        if settings.__subclasses__() or settings.__module__.partition(".")[0] not in own_modules:
            continue  # the base of other settings, or the settings of a library
        try:
            settings()
        except ValidationError as error:
            absent = [details["loc"] for details in error.errors() if details["type"] == "missing"]
            missing[settings.__name__] = [variable_name(settings, location) for location in absent]
        except Exception:  # a request or the import reports it, if the service uses these settings
            continue
    return {name: variables for name, variables in missing.items() if variables}


def subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def variable_name(settings: Any, location: tuple[int | str, ...]) -> str:
    """Return the environment variable of a field. pydantic reports an alias, or the name of the field."""
    name, *nested = map(str, location)
    field = settings.model_fields.get(name)
    prefix = settings.model_config["env_prefix"] if field and field.validation_alias is None else ""
    return (settings.model_config["env_nested_delimiter"] or ".").join([prefix + name, *nested]).upper()


def list_routes(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over the paths and routes, including those of mounted applications."""
    fastapi_routing: Any = sys.modules.get("fastapi.routing")
    # Newer versions of FastAPI keep included routers apart.
    contexts = getattr(fastapi_routing, "iter_route_contexts", iter)
    for route in contexts(routes):
        path = prefix + (getattr(route, "path", None) or "")
        if getattr(route, "endpoint", None):
            yield path, route
        else:
            yield from list_routes(getattr(route, "routes", None) or [], path)


def streams(route: Any) -> bool:
    """Return True if the route declares a response that is sent in parts."""
    if inspect.isasyncgenfunction(route.endpoint) or inspect.isgeneratorfunction(route.endpoint):
        return True
    declared = [getattr(route, "response_class", None), getattr(route.endpoint, "__annotations__", {}).get("return")]
    names = {cls.rpartition(".")[2] for cls in declared if isinstance(cls, str)}  # from __future__ import annotations
    names |= {base.__name__ for cls in declared if inspect.isclass(cls) for base in cls.__mro__}
    return bool(names & STREAMS) or "text/event-stream" in str(getattr(route, "responses", ""))


def describe_routes() -> dict[str, list[str]] | None:
    """Return the paths of routes by kind, or None if the application is neither a Starlette nor a FastAPI application."""
    from aws_lambda.application import app
    from aws_lambda.docs import is_part_of_fastapi
    from aws_lambda.errors import unwrap

    application = unwrap(app)
    if application is None:
        return None
    from starlette.routing import WebSocketRoute

    kinds: dict[str, list[str]] = {"all": [], "websocket": [], "stream": [], "sync": [], "get": []}
    for path, route in list_routes(application.routes):
        if isinstance(getattr(route, "original_route", route), WebSocketRoute):
            kinds["websocket"].append(path)
            continue
        if is_part_of_fastapi(route):
            continue
        kinds["all"].append(path)
        if inspect.isfunction(route.endpoint) and not is_asynchronous(route.endpoint):
            kinds["sync"].append(path)
        if streams(route):
            kinds["stream"].append(path)
        elif "GET" in (getattr(route, "methods", None) or ()) and "{" not in path:
            kinds["get"].append(path)
    return kinds


def is_asynchronous(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def unknown_jobs() -> list[str]:
    """Return the jobs of the service that the jobs function does not know, as "module.name"."""
    jobs: Any = sys.modules.get("aws_lambda.jobs")
    if jobs is None:
        return []
    own_modules = {path.stem for path in Path.cwd().iterdir()}
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in own_modules]
    values = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, jobs.Job)}
    try:
        unknown = [
            job for job in values.values() if "JOBS_MODULE" not in os.environ or jobs.find_job(job.__name__) is not job
        ]
    except (Exception, SystemExit):  # describe_jobs() reports what is wrong with that module
        return []
    return [f"{job.__module__}.{job.__name__}" for job in unknown]


def describe_jobs(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the jobs function responds to the check of the deploy tool, or the error that it raises."""
    set_secrets(request["secrets"])
    try:
        from aws_lambda.job_handler import handler

        return {"error": None, **handler({"check": request["scheduled_jobs"]}, None)}
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        is_missing = missing is not None and f"{os.environ['JOBS_MODULE']}.".startswith(f"{missing}.")
        return {"error": describe(error), "is_missing": is_missing}


def describe_service(request: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the service."""
    started_s = time.perf_counter()
    try:
        handler = import_handler(request["secrets"])
        error = None
    except (Exception, SystemExit) as exception:
{% if cookiecutter.cold_starts == 'snapstart' %}
        from aws_lambda.restore import SecretsNotLoadedError

        cause = exception.__cause__ if isinstance(exception, SecretsNotLoadedError) else None
        error = describe(cause or exception)
        set_secrets(request["secrets"])
{% else %}
        error = describe(exception)
{% endif %}
    description: dict[str, Any] = {"import_s": time.perf_counter() - started_s, "error": error}
    # The application starts after its import.
    description["is_imported"] = "aws_lambda.application" in sys.modules
    description["missing"] = missing_variables()
    if description["is_imported"]:
        description["routes"] = describe_routes()
        description["unknown_jobs"] = unknown_jobs()
    if error is None:
        description["responses"] = {name: call(handler, event) for name, event in request["events"].items()}
    return description


{% if cookiecutter.migrations == 'alembic' %}
def describe_migrations(request: dict[str, Any]) -> dict[str, Any]:
    """Upgrade the database to the newest revision. Return the error, if there is one."""
    set_secrets(request["secrets"])
    try:
        from alembic import command
        from alembic.config import Config

        command.upgrade(Config("alembic.ini"), "head")
    except (Exception, SystemExit) as error:
        return {"error": describe(error)}
    return {"error": None}


{% endif %}
def main(request: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the part of the service that the request names."""
    ImageFinder.hidden = frozenset(request["hidden"])
    sys.meta_path[sys.meta_path.index(PathFinder)] = ImageFinder
{% if cookiecutter.migrations == 'alembic' %}
    parts = {"service": describe_service, "jobs": describe_jobs, "migrations": describe_migrations}
{% else %}
    parts = {"service": describe_service, "jobs": describe_jobs}
{% endif %}
    return parts[request["part"]](request)


if __name__ == "__main__":
    output = Path(sys.argv.pop())
    output.write_text(json.dumps(main(json.load(sys.stdin))), "utf-8")
