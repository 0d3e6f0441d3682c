from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from mangum import Mangum

from aws_lambda.http_adapter import EventError
from tests.lambda_transport import create_event


def test_cookies_are_read_and_set(client: httpx.Client) -> None:
    client.cookies.update({"first": "1", "second": "a=b"})
    response = client.get("/cookies")
    assert response.json() == ["1", "a=b"]
    assert len(response.headers.get_list("set-cookie")) == 2
    assert (response.cookies["session"], response.cookies["theme"]) == ("abc", "dark")


@pytest.mark.parametrize("body", [bytes(range(256)), b"\x89PNG\r\n\x1a\n", "grün".encode("latin-1"), b""])
@pytest.mark.parametrize("media_type", ["application/octet-stream", "image/png", "text/plain", "application/json"])
def test_binary_bodies_are_not_changed(client: httpx.Client, body: bytes, media_type: str) -> None:
    if media_type.startswith(("text", "application/json")):
        body = body.decode("latin-1").encode()  # AWS decodes these types as UTF-8
    response = client.post("/body", content=body, headers={"content-type": media_type})
    assert response.content == body


def test_form_body_is_not_changed(client: httpx.Client) -> None:
    response = client.post("/body", data={"name": "Zoë", "tag": ["a", "b"]})
    assert response.content == b"name=Zo%C3%AB&tag=a&tag=b"


@pytest.mark.parametrize("media_type", ["application/problem+json", "image/svg+xml", "application/json", "text/csv"])
def test_text_is_not_sent_as_base64(client: httpx.Client, handler: Mangum, media_type: str) -> None:
    request = client.build_request("POST", "/body", content="ü", headers={"content-type": media_type})
    context: Any = SimpleNamespace(aws_request_id="1")
    result = handler(create_event(request), context)
    assert (result["body"], result["isBase64Encoded"]) == ("ü", False)


def test_query_parameter_can_be_repeated(client: httpx.Client) -> None:
    assert client.get("/echo/x?q=1&q=two%2C%202&q=%C3%BC&q=&q=a+b").json()["q"] == ["1", "two, 2", "ü", "", "a b"]


@pytest.mark.parametrize("path", ["grün", "日本/語", "a b", "50%", "a+b", "🎉", "a%2Fb"])
def test_paths_are_decoded_once(client: httpx.Client, path: str) -> None:
    response = client.get(f"/echo/{quote(path)}").json()
    assert response["path"] == path
    assert response["raw_path"] == f"/echo/{quote(path)}"


def test_request_contains_the_url_and_the_client_address(client: httpx.Client) -> None:
    response = client.get("/echo/x?q=1").json()
    assert response["url"] == "https://abc123.example.com/echo/x?q=1"
    assert response["client"] == "203.0.113.7"


def test_redirect_of_a_trailing_slash_keeps_the_host(client: httpx.Client) -> None:
    response = client.get("/health/")
    assert response.status_code == 307
    assert response.headers["location"] == "https://abc123.example.com/health"


def test_head_has_no_body(client: httpx.Client) -> None:
    response = client.head("/echo/x")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["OPTIONS", "PUT"])
def test_other_methods_are_supported(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/echo/x").json()["method"] == method


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_unsupported_method_is_405(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/health")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


def test_unknown_path_is_404(client: httpx.Client) -> None:
    response = client.get("/unknown")
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_stream_is_sent_as_a_whole(client: httpx.Client) -> None:
    assert client.get("/stream").text == "0\n1\n2\n"


def test_compressed_response_is_not_changed(client: httpx.Client) -> None:
    assert client.get("/gzip").text == "content"


def test_compressed_request_is_not_changed(client: httpx.Client) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = client.post("/body", content=b"\x1f\x8b\xff", headers=headers)
    assert response.content == b"\x1f\x8b\xff"


def test_repeated_headers_are_joined_and_latin_1_is_kept(client: httpx.Client) -> None:
    response = client.get("/headers", headers=[("x-list", "a"), ("x-list", "b")])
    assert response.json() == "a, b"
    assert response.headers["vary"] == "accept,origin"
    response.headers.encoding = "latin-1"
    assert response.headers["content-disposition"] == 'attachment; filename="résumé.pdf"'


def test_redirect_can_be_followed(client: httpx.Client) -> None:
    assert client.get("/redirect", follow_redirects=True).json() == {"status": "healthy"}


def test_response_may_be_empty(client: httpx.Client) -> None:
    response = client.delete("/empty")
    assert (response.status_code, response.content) == (204, b"")


def test_docs(client: httpx.Client) -> None:
    docs = client.get("/docs")
    assert docs.headers["content-type"].startswith("text/html")
    assert "url: '/openapi.json'" in docs.text
    assert "/health" in client.get("/openapi.json").json()["paths"]


def test_response_that_is_too_large_is_500(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    assert len(client.get("/large/6000000").json()) == 6_000_000
    response = client.get("/large/6300000")
    assert (response.status_code, response.json()["detail"]) == (500, "Response Too Large")
    assert response.json()["request_id"] == response.headers["x-request-id"]
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage().startswith("GET /large/6300000: the response is 6300")


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.0"},
        {"requestContext": {}},
        {"requestContext": None},
        {"headers": None},
        {"body": "a", "isBase64Encoded": True},
        {"body": {"name": "screw"}},
        {"rawQueryString": "\ud800"},
    ],
)
def test_event_that_is_not_an_http_request_is_rejected(
    client: httpx.Client, handler: Mangum, changes: dict[str, Any]
) -> None:
    event = create_event(client.build_request("GET", "/health")) | changes
    with pytest.raises(EventError, match=r"^The event is not an HTTP request in payload format 2\.0: "):
        handler(event, None)  # type: ignore[arg-type]
    assert client.get("/health").status_code == 200
