"""The FastAPI application."""

from fastapi import FastAPI

{% if cookiecutter.migrations == 'alembic' %}
from app.routers import health, items, predict
{% else %}
from app.routers import health, predict
{% endif %}

app = FastAPI(
    title="{{ cookiecutter.project_name | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
    description="{{ cookiecutter.description | replace('\\', '\\\\') | replace('"', '\\u0022') }}",
)
app.include_router(health.router)
app.include_router(predict.router)
{% if cookiecutter.migrations == 'alembic' %}
app.include_router(items.router)
{% endif %}
