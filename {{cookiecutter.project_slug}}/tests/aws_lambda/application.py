"""A small application with routes for the tests of the adapter."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    FastAPI,
    HTTPException,
    Query,
    Request,
    Response,
)
from fastapi.responses import RedirectResponse, StreamingResponse


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    app.state.starts = getattr(app.state, "starts", 0) + 1
    yield {"loop": asyncio.get_running_loop(), "requests": []}


def create_app(**options: Any) -> FastAPI:
    app = FastAPI(**{"lifespan": lifespan} | options)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "healthy"}

    @app.api_route("/echo/{path:path}", methods=["GET", "HEAD", "OPTIONS", "PUT"], include_in_schema=False)
    async def echo(request: Request, path: str, q: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
        return {
            "method": request.method,
            "path": path,
            "raw_path": request.scope["raw_path"].decode(),
            "q": q,
            "url": str(request.url),
            "client": request.client.host if request.client else None,
        }

    @app.get("/cookies")
    async def cookies(
        response: Response, first: Annotated[str, Cookie()] = "", second: Annotated[str, Cookie()] = ""
    ) -> list[str]:
        response.set_cookie("session", "abc", secure=True, httponly=True)
        response.set_cookie("theme", "dark", expires=3600)
        return [first, second]

    @app.post("/body")
    async def body(request: Request) -> Response:
        return Response(await request.body(), media_type=request.headers["content-type"])

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse((f"{n}\n" for n in range(3)), media_type="text/plain")

    @app.get("/gzip")
    async def compressed() -> Response:
        return Response(gzip.compress(b"content"), media_type="text/plain", headers={"content-encoding": "gzip"})

    @app.get("/headers")
    async def headers(request: Request, response: Response) -> str:
        response.headers.append("vary", "accept")
        response.headers.append("vary", "origin")
        response.headers["content-disposition"] = 'attachment; filename="résumé.pdf"'
        return request.headers["x-list"]

    @app.get("/request-id")
    async def own_request_id(response: Response) -> None:
        response.headers["X-Request-ID"] = "my-id"

    @app.get("/redirect")
    async def redirect() -> RedirectResponse:
        return RedirectResponse("/health", 303)

    @app.delete("/empty", status_code=204)
    async def empty() -> None:
        return None

    @app.get("/large/{size}")
    async def large(size: int) -> str:
        return "x" * size

    @app.post("/numbers")
    async def numbers(numbers: Annotated[list[float], Body()]) -> None:
        return None

    @app.get("/error")
    async def error() -> None:
        raise ValueError("a bug")

    @app.get("/error/thread")
    def error_in_a_thread() -> None:
        raise ValueError("a bug")

    @app.get("/error/response", response_model=int)
    async def error_in_the_response() -> str:
        return "not a number"

    @app.get("/error/stream")
    async def error_in_a_stream() -> StreamingResponse:
        def chunks() -> Iterator[str]:
            yield "1"
            raise ValueError("a bug")

        return StreamingResponse(chunks())

    @app.get("/error/background")
    async def error_in_a_background_task(tasks: BackgroundTasks) -> str:
        tasks.add_task(error)
        return "fine"

    @app.get("/error/http")
    async def http_exception() -> None:
        raise HTTPException(500, "on purpose")

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        request.state.requests.append(1)
        request.state.is_new = not hasattr(request.state, "is_new")
        return {
            "requests": len(request.state.requests),
            "is_new": request.state.is_new,
            "same_loop": request.state.loop is asyncio.get_running_loop(),
        }

    @app.get("/asyncio-run")
    def run_another_loop() -> int:
        return asyncio.run(asyncio.sleep(0, 7))

    return app
