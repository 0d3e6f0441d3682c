"""The service: `app` is the FastAPI application, `handler` is what Lambda calls."""

import gc
import os

from app.fast_import import import_libraries

gc.disable()  # while modules are imported: 7 % less INIT time; enabled again below
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # or it looks for some; "" in deploy.toml lets it
import_libraries()

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from app.events import HttpEvent
from app.lifespan import Lifespan
from app.logs import AccessLog, configure_logging, request_id
{% if cookiecutter.cold_starts == 'snapstart' %}
from app.restore import on_restore
{% endif %}
{% if cookiecutter.migrations == 'alembic' %}
from app.routers import health, items, predict
{% else %}
from app.routers import health, predict
{% endif %}
{% if cookiecutter.cold_starts == 'snapstart' %}
from app.settings import get_settings, get_variables
{% else %}
from app.settings import get_settings
{% endif %}
{% if cookiecutter.cold_starts != 'accept' %}
from app.warm_up import warm_up
{% endif %}

configure_logging()
{% if cookiecutter.cold_starts == 'snapstart' %}
on_restore(get_settings)  # reads the secrets, before whatever else is done then
variables = get_variables()
{% else %}
settings = get_settings()
{% endif %}

app = FastAPI(
    title="{{ cookiecutter.project_name | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
    description="{{ cookiecutter.description | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
{% if cookiecutter.cold_starts == 'snapstart' %}
    openapi_url="/openapi.json" if variables.docs else None,
{% else %}
    openapi_url="/openapi.json" if settings.docs else None,
{% endif %}
)
app.include_router(health.router)
app.include_router(predict.router)
{% if cookiecutter.migrations == 'alembic' %}
app.include_router(items.router)
{% endif %}


@app.exception_handler(RequestValidationError)
async def unprocessable_content(request: Request, error: RequestValidationError) -> JSONResponse:
    """What is wrong, but not the input: FastAPI repeats it for each error, and may not be able to (NaN is no JSON)."""
    problems = [{name: part for name, part in problem.items() if name != "input"} for problem in error.errors()]
    return JSONResponse({"detail": jsonable_encoder(problems)}, status_code=422)


@app.exception_handler(Exception)
async def internal_server_error(request: Request, error: Exception) -> JSONResponse:
    """What a caller sees of an unhandled exception; Mangum writes its one log record, with the traceback."""
    return JSONResponse(
        {"detail": "Internal Server Error", "request_id": request_id(request.scope)},
        status_code=500,
    )


gc.freeze()  # what is loaded by now stays, no collection needs to look at it again
gc.enable()

handler = Mangum(
    AccessLog(Lifespan(app)),
    lifespan="off",  # Mangum would start and stop the application around every request; Lifespan starts it once
    custom_handlers=[HttpEvent],
    text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml"],  # any other type travels base64-encoded
)
{% if cookiecutter.cold_starts != 'accept' %}

warm_up(handler)
{% endif %}
