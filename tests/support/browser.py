"""A headless Chromium that can reach only this machine."""

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

CDN = "cdn.jsdelivr.net"  # FastAPI's /docs loads the script and the style sheet of Swagger UI from it
SWAGGER_UI = "/npm/swagger-ui-dist@5"


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Start a browser that loads Swagger UI from a local server instead of the CDN. Skip the test without Chromium."""
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(programs):
        warnings.warn("pages are NOT tested on this machine: chromium or chromedriver is not installed", stacklevel=2)
        pytest.skip("chromium or chromedriver is not installed")
    with local_cdn() as port:
        options = ChromeOptions()
        options.binary_location = programs[0] or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",  # the sandbox does not work for root
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
def local_cdn() -> Iterator[int]:
    """Serve the Swagger UI of the package flask-swagger-ui under the CDN's path with HTTPS. Yield the port."""
    package = find_spec("flask_swagger_ui")
    assert package
    assert package.origin
    files = SharedDataMiddleware(NotFound(), {SWAGGER_UI: str(Path(package.origin).parent / "dist")})
    server = make_server("127.0.0.1", 0, files, threaded=True, ssl_context="adhoc")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def set_theme(browser: Chrome, theme: str) -> None:
    """Emulate a reader who prefers the theme, "light" or "dark"."""
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
