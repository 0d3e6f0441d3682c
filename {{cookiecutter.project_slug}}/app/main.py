"""The FastAPI application."""

import os

from fastapi import FastAPI

{% if cookiecutter.migrations == 'alembic' %}
from app.routers import health, items, predict
{% else %}
from app.routers import health, predict
{% endif %}

# DOCS is not part of Settings, because the application can be imported before its settings and secrets are set.
app = FastAPI(
    title="{{ cookiecutter.project_name | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
    description="{{ cookiecutter.description | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
    openapi_url=None if os.environ.get("DOCS") == "false" else "/openapi.json",  # None also disables /docs and /redoc
)
app.include_router(health.router)
app.include_router(predict.router)
{% if cookiecutter.migrations == 'alembic' %}
app.include_router(items.router)
{% endif %}
