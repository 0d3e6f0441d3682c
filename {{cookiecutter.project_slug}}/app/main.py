"""The service: `app` is the FastAPI application, `handler` is what Lambda calls."""

import gc

gc.disable()  # while modules are imported: a tenth less INIT time; enabled again on the last lines

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from app.lifespan import Lifespan
from app.logs import AccessLog, configure_logging, request_id
{% if cookiecutter.migrations == 'alembic' %}
from app.routers import health, items, predict
{% else %}
from app.routers import health, predict
{% endif %}
from app.settings import get_settings

configure_logging()
settings = get_settings()

app = FastAPI(
    title="{{ cookiecutter.project_name | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
    description="{{ cookiecutter.description | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
    openapi_url="/openapi.json" if settings.docs else None,
)
app.include_router(health.router)
app.include_router(predict.router)
{% if cookiecutter.migrations == 'alembic' %}
app.include_router(items.router)
{% endif %}


@app.exception_handler(Exception)
async def internal_server_error(request: Request, error: Exception) -> JSONResponse:
    """What a caller sees of an unhandled exception; Mangum writes its one log record, with the traceback."""
    return JSONResponse(
        {"detail": "Internal Server Error", "request_id": request_id(request.scope)},
        status_code=500,
    )


handler = Mangum(
    AccessLog(Lifespan(app)),
    lifespan="off",  # Mangum would start and stop the application around every request; Lifespan starts it once
    text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, "+json", "+xml"],  # any other type travels base64-encoded
)

gc.enable()
gc.freeze()  # what is loaded by now stays, no collection needs to look at it again
