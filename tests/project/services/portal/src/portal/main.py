"""The API of the portal, and its static front end."""

import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyHeader
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from portal import config

api_key = APIKeyHeader(name="X-API-Key", auto_error=False)


def authenticate(key: Annotated[str | None, Security(api_key)]) -> None:
    """Reject a request without the key."""
    if key is None or not secrets.compare_digest(key, config.API_KEY):
        raise HTTPException(401, "The key is missing or wrong", {"WWW-Authenticate": "APIKey"})


router = APIRouter(prefix="/api")


@router.get("/me")
async def me() -> dict[str, Any]:
    """Describe the caller."""
    return {"name": "portal", "debug": config.DEBUG}


service = FastAPI(title="Portal", docs_url=None, redoc_url=None, dependencies=[Depends(authenticate)])
service.include_router(router)
service.frontend("/", directory=Path(__file__).parent / "dist", fallback="index.html")


class NoIndex:
    """Tell search engines to ignore the portal."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_header(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-robots-tag", b"noindex")]
            await send(message)

        await self.app(scope, receive, send_header)


app = GZipMiddleware(NoIndex(service), minimum_size=500)
