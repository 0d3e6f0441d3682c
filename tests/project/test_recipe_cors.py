"""Test the recipe with which a web page calls the service, in a browser and without one."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from selenium.webdriver import Chrome
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from scripts.project_changes import append
from scripts.projects import combination_name
from tests.support.bake import Bake
from tests.support.browser import chromium
from tests.support.recipes import DEPLOYED, RecipeService, copy_generated_files, deployed, follow, read_recipes

CORS = "Call the service from a web page (CORS)"
LOCAL_ORIGIN = "http://localhost:5173"
ALLOW_ORIGIN, EXPOSE = "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"
BROKEN_ROUTE = """

@app.put("/broken")
async def broken() -> None:
    raise ValueError("a bug")
"""
# Send a request that needs a preflight, and return its status, its request ID and its body.
FETCH = """
const [url, done] = arguments;
fetch(url, {method: "PUT", headers: {"X-Client": "page"}})
    .then(async response => done([response.status, response.headers.get("X-Request-ID"), await response.json()]))
    .catch(error => done([String(error)]));
"""


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """Serve a page and yield its origin."""
    server = make_server("127.0.0.1", 0, Response("<title>page</title>", mimetype="text/html"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module", params=DEPLOYED, ids=combination_name)
def service(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory, page: str
) -> Iterator[RecipeService]:
    """Deploy a project with this recipe, for the scripts of `page`, and with a route that raises an exception."""
    project = copy_generated_files(bake(**request.param), tmp_path_factory.mktemp("cors") / "my-api")
    follow(project, read_recipes(project)[CORS])
    project.edit("app/main.py", LOCAL_ORIGIN, page)
    append(project, "app/main.py", BROKEN_ROUTE)
    with deployed(project) as service:
        yield service


def response_to(url: str, method: str, origin: str, **headers: str) -> Any:
    """Return the response to a request of a script from this origin."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        return urlopen(Request(url, headers={"Origin": origin, **named}, method=method), timeout=30)
    except HTTPError as error:
        return error


def test_every_response_has_cors_headers(service: RecipeService, page: str) -> None:
    for path, method, status in (
        ("", "GET", 200),
        ("none", "GET", 404),
        ("predict", "POST", 422),
        ("broken", "PUT", 500),
    ):
        response = response_to(service.url + path, method, page)
        assert (response.status, response.headers.get_all(ALLOW_ORIGIN)) == (status, [page])
        assert response.headers.get_all(EXPOSE) == ["X-Request-ID"]
        assert response.headers["X-Request-ID"]
        assert response_to(service.url + path, method, "https://evil.example").headers.get_all(ALLOW_ORIGIN) is None
    preflight_headers = {"Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "x-client"}
    preflight = response_to(f"{service.url}broken", "OPTIONS", page, **preflight_headers)
    assert (preflight.status, preflight.headers[ALLOW_ORIGIN]) == (200, page)
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-client"
    assert {record["level"] for record in service.wait_for_log_records("a bug")} == {"ERROR"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with chromium() as browser:
        yield browser


def test_a_script_can_read_the_request_id_of_an_error(service: RecipeService, browser: Chrome, page: str) -> None:
    browser.get(page)
    browser.set_script_timeout(30)
    status, request_id, body = browser.execute_async_script(FETCH, f"{service.url}broken")
    assert (status, body) == (500, {"detail": "Internal Server Error", "request_id": request_id})
    assert service.wait_for_log_records(request_id)
