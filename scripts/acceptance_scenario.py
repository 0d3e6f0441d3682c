"""The acceptance scenario: the life of a service from its first deploy to its deletion, checked through its URL.

test_every_combination.py runs it on the embedded AWS, and acceptance_on_aws.py on a real account.
"""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http.client import HTTPException
from typing import Any, Protocol

from scripts.deploy_tool import Run
from scripts.project_changes import add_secret
from scripts.projects import Project

FLOWER = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'
HEALTHY = '    return {"status": "healthy"}'
POLL_S = 2.0
TIMEOUT_S = 90  # AWS needs seconds to move an alias, and to show a log line


class Deploy(Protocol):
    """The type of the function that runs ./deploy.sh."""

    def __call__(self, *arguments: str, typed: str = "") -> Run:
        """Run ./deploy.sh with `typed` as its standard input."""
        ...


def run_scenario(
    project: Project,
    deploy: Deploy,
    image: Callable[[], list[str]],
    name: str,
    *,
    unchanged: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> str:
    """Run the scenario and return the URL of the service. If a check fails, raise AssertionError and delete nothing.

    `image` returns the arguments for the project's image, or an empty list if ./deploy.sh builds it. `name` is the name
    that destroy asks for. `unchanged` is a context manager for deploys that must not change anything.
    """
    url = check_success(deploy(*image())).url
    check_response(url, 200, {"ok": True})

    with unchanged():
        check_output(deploy("plan", "--detailed-exitcode", *image()), "\nNothing to change.\n")
        check_output(deploy(*image()), "\nNothing to deploy: ")

    add_secret(project)
    check_success(deploy("secret", "set", "API_KEY", typed="value"))
    check_success(deploy(*image()))
    fingerprint = hashlib.sha256(b"value").hexdigest()
    check_response(f"{url}mark", 200, fingerprint)
    for path in ("", "health", "docs"):
        check_response(url + path, 200)
    check_response(f"{url}predict", 200, body=FLOWER)
    check_response(f"{url}nothing-here", 404, {"detail": "Not Found"})

    project.edit("app/routers/health.py", HEALTHY, '    raise KeyError("colour")')
    bad_release = deploy(*image())
    assert bad_release.code == 1, f"a release whose /health fails exited with code {bad_release.code}: {bad_release}"
    for text in ("failed its smoke test, GET /health", "KeyError: 'colour'", "\nNo traffic was moved."):
        assert text in bad_release.err, f"{text!r} is missing in:\n{bad_release.err}"
    check_response(f"{url}mark", 200, fingerprint)

    check_output(deploy("rollback"), "Version 1 is live instead of 2.")
    check_response(f"{url}mark", 404)
    check_output(deploy("rollback", "2"), "Version 2 is live instead of 1.")
    check_response(f"{url}mark", 200, fingerprint)
    status = deploy("status")
    check_output(status, "version 2")
    check_output(status, url)
    eventually(lambda: check_output(deploy("logs"), "GET /nothing-here 404"))

    if project.answers.get("migrations") == "alembic":
        check_output(deploy("migrate", "downgrade", "base"), "0001 → empty")
    purge = ["--purge"] if project.answers.get("secrets") == "secrets_manager" else []
    check_output(deploy("destroy", *purge, typed=f"{name}\n"), "\n0 left\n")
    return url


def check_success(run: Run) -> Run:
    """Return the run. Raise AssertionError with its output if it failed."""
    assert run.code == 0, f"./deploy.sh exited with code {run.code}:\n{run.out}{run.err}"
    return run


def check_output(run: Run, text: str) -> None:
    """Raise AssertionError if the run failed or its output does not contain the text."""
    check_success(run)
    assert text in run.out, f"{text!r} is missing in:\n{run.out}"


def check_response(url: str, status: int, content: object = None, *, body: bytes | None = None) -> None:
    """Send a GET request, or a POST request with a body, until the response has this status and content.

    Any content is accepted if it is None. Raise AssertionError after TIMEOUT_S.
    """

    def check() -> None:
        try:
            response = fetch(url, body)
        except (OSError, HTTPException) as error:
            raise AssertionError(f"no response from {url}: {error}") from error
        expected = (status, response[1] if content is None else content)
        assert response == expected, f"{url} returns {response}, not {expected}"

    eventually(check)


def eventually(check: Callable[[], None]) -> None:
    """Call `check` until it raises no AssertionError. Raise the last one after TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            check()
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def fetch(url: str, body: bytes | None = None) -> tuple[int, object]:
    """Send a GET request, or a POST request with a JSON body, and return the status and the content of the response."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, _read_content(response)
    except urllib.error.HTTPError as error:
        return error.code, _read_content(error)


def _read_content(response: Any) -> object:
    content = response.read()
    return json.loads(content) if response.headers["Content-Type"] == "application/json" else content
