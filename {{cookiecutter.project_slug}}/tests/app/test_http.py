"""What HTTP carries survives the trip through an event, both ways."""

import gzip
from types import SimpleNamespace
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import APIRouter, Cookie, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from tests.lambda_transport import event_of

echo = APIRouter()


@pytest.fixture
def routes() -> APIRouter:
    return echo


@echo.api_route("/echo/{path:path}", methods=["GET", "HEAD", "OPTIONS", "PUT"])
async def echo_request(request: Request, path: str, q: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": path,
        "q": q,
        "url": str(request.url),
        "client": request.client.host if request.client else None,
    }


@echo.get("/cookies")
async def echo_cookies(
    response: Response, first: Annotated[str, Cookie()] = "", second: Annotated[str, Cookie()] = ""
) -> list[str]:
    response.set_cookie("session", "abc", secure=True, httponly=True)
    response.set_cookie("theme", "dark", expires=3600)
    return [first, second]


@echo.post("/body")
async def echo_body(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers["content-type"])


@echo.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse((f"{n}\n" for n in range(3)), media_type="text/plain")


@echo.get("/gzip")
async def zipped() -> Response:
    return Response(gzip.compress(b"squeezed"), media_type="text/plain", headers={"content-encoding": "gzip"})


@echo.get("/headers")
async def echo_headers(request: Request, response: Response) -> str:
    response.headers.append("vary", "accept")
    response.headers.append("vary", "origin")
    return request.headers["x-list"]


@echo.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/health", 303)


@echo.delete("/nothing", status_code=204)
async def nothing() -> None:
    return None


def test_cookies(client: httpx.Client) -> None:
    client.cookies.update({"first": "1", "second": "a=b"})
    response = client.get("/cookies")
    assert response.json() == ["1", "a=b"]
    assert len(response.headers.get_list("set-cookie")) == 2
    assert (response.cookies["session"], response.cookies["theme"]) == ("abc", "dark")


@pytest.mark.parametrize("body", [bytes(range(256)), b"\x89PNG\r\n\x1a\n", "grün".encode("latin-1"), b""])
@pytest.mark.parametrize("media_type", ["application/octet-stream", "image/png", "text/plain", "application/json"])
def test_binary_bodies(client: httpx.Client, body: bytes, media_type: str) -> None:
    if media_type.startswith(("text", "application/json")):
        body = body.decode("latin-1").encode()  # AWS passes a text type on as text, and takes it to be UTF-8
    response = client.post("/body", content=body, headers={"content-type": media_type})
    assert response.content == body


def test_form_bodies(client: httpx.Client) -> None:
    response = client.post("/body", data={"name": "Zoë", "tag": ["a", "b"]})
    assert response.content == b"name=Zo%C3%AB&tag=a&tag=b"


@pytest.mark.parametrize("media_type", ["application/problem+json", "image/svg+xml", "application/json", "text/csv"])
def test_text_is_not_base64_encoded(client: httpx.Client, media_type: str) -> None:
    from app.main import handler

    request = client.build_request("POST", "/body", content="ü", headers={"content-type": media_type})
    context: Any = SimpleNamespace(aws_request_id="1")
    answer = handler(event_of(request), context)
    assert (answer["body"], answer["isBase64Encoded"]) == ("ü", False)


def test_multi_value_query(client: httpx.Client) -> None:
    assert client.get("/echo/x?q=1&q=two%2C%202&q=%C3%BC&q=&q=a+b").json()["q"] == ["1", "two, 2", "ü", "", "a b"]


@pytest.mark.parametrize("path", ["grün", "日本/語", "a b", "50%", "a+b", "🎉", "a%2Fb"])
def test_utf8_paths(client: httpx.Client, path: str) -> None:
    assert client.get(f"/echo/{quote(path)}").json()["path"] == path


def test_url_and_client_are_the_public_ones(client: httpx.Client) -> None:
    echoed = client.get("/echo/x?q=1").json()
    assert echoed["url"] == "https://abc123.example.com/echo/x?q=1"
    assert echoed["client"] == "203.0.113.7"


def test_head_has_no_body(client: httpx.Client) -> None:
    response = client.head("/echo/x")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["OPTIONS", "PUT"])
def test_other_methods(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/echo/x").json()["method"] == method


def test_head_of_a_get_route_is_405(client: httpx.Client) -> None:
    response = client.head("/health")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


def test_streams_are_collected(client: httpx.Client) -> None:
    assert client.get("/stream").text == "0\n1\n2\n"


def test_compressed_bodies(client: httpx.Client) -> None:
    assert client.get("/gzip").text == "squeezed"


def test_repeated_headers(client: httpx.Client) -> None:
    response = client.get("/headers", headers=[("x-list", "a"), ("x-list", "b")])
    assert response.json() == "a, b"
    assert response.headers["vary"] == "accept,origin"


def test_redirects(client: httpx.Client) -> None:
    assert client.get("/redirect", follow_redirects=True).json() == {"status": "healthy"}


def test_empty_responses(client: httpx.Client) -> None:
    response = client.delete("/nothing")
    assert (response.status_code, response.content) == (204, b"")
