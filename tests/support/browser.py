"""Chromium without a window, for what only a browser can tell. It reaches this machine and nothing else."""

import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from werkzeug.exceptions import NotFound
from werkzeug.middleware.shared_data import SharedDataMiddleware
from werkzeug.serving import make_server

CDN = "cdn.jsdelivr.net"  # from which FastAPI's /docs has its script and style
SWAGGER_UI = "/npm/swagger-ui-dist@5"


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A browser to which the CDN is a server of ours, with the Swagger UI of PyPI's flask-swagger-ui."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        warnings.warn("pages are NOT looked at on this machine: no chromium and chromedriver", stacklevel=2)
        pytest.skip("no chromium and chromedriver")
    with cdn() as port:
        options = ChromeOptions()
        options.binary_location = programs[0] or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",  # root may not have one
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
            f"--host-resolver-rules=MAP {CDN}:443 127.0.0.1:{port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--window-size=1000,1000",
        ):
            options.add_argument(argument)
        browser = Chrome(options, ChromeService(programs[1]))
        try:
            yield browser
        finally:
            browser.quit()


@contextmanager
def cdn() -> Iterator[int]:
    """The port of an HTTPS server that has Swagger UI where the CDN has it."""
    found = find_spec("flask_swagger_ui")
    assert found
    assert found.origin
    files = SharedDataMiddleware(NotFound(), {SWAGGER_UI: str(Path(found.origin).parent / "dist")})
    server = make_server("127.0.0.1", 0, files, threaded=True, ssl_context="adhoc")
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def in_theme(browser: Chrome, theme: str) -> None:
    """From now on the reader prefers that theme, "light" or "dark"."""
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
