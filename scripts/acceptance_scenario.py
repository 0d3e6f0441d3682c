"""The acceptance scenario: a service from its first deploy to its end, judged by what its owner and its callers see.

Played on the embedded AWS in every combination by test_every_combination.py, and on a real account by acceptance_on_aws.py.
"""

import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from scripts.deploy_tool import Run
from scripts.project_changes import add_secret
from scripts.projects import Project

FLOWER = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'
HEALTHY = '    return {"status": "healthy"}'
POLL_S = 2.0
KNOWN_EVERYWHERE_S = 90  # a moved alias takes seconds to be, and a log line to be found


class Deploy(Protocol):
    def __call__(self, *arguments: str, typed: str = "") -> Run: ...


def play(
    project: Project,
    deploy: Deploy,
    image: Callable[[], list[str]],
    name: str,
    *,
    unchanged: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> str:
    """The URL it had. Raises AssertionError when something is not as it should be, and then leaves what there is.

    `deploy` runs ./deploy.sh; `image` are the arguments by which it finds the project's image, none when it builds one.
    `name` is what destroy asks for; `unchanged` surrounds what must not change anything.
    """
    url = done(deploy(*image())).url
    answers(url, 200, {"ok": True})

    with unchanged():
        says(done(deploy("plan", "--detailed-exitcode", *image())), "\nNothing to change.\n")
        says(done(deploy(*image())), "\nNothing to deploy: ")

    add_secret(project)
    done(deploy("secret", "set", "API_KEY", typed="value"))
    done(deploy(*image()))
    mark = (url + "mark", 200, hashlib.sha256(b"value").hexdigest())
    answers(*mark)
    for path in ("", "health", "docs"):
        answers(url + path, 200)
    answers(url + "predict", 200, body=FLOWER)
    answers(url + "nothing-here", 404, {"detail": "Not Found"})

    project.edit("app/routers/health.py", HEALTHY, '    raise KeyError("colour")')
    bad = deploy(*image())
    assert bad.code == 1, f"a version whose /health fails was not refused: {bad}"
    for text in ("failed its smoke test, GET /health", "KeyError: 'colour'", "\nNo traffic was moved."):
        assert text in bad.err, f"{text!r} is missing in:\n{bad.err}"
    answers(*mark)

    says(done(deploy("rollback")), "Version 1 is live instead of 2.")
    answers(url + "mark", 404)
    says(done(deploy("rollback", "2")), "Version 2 is live instead of 1.")
    answers(*mark)
    status = done(deploy("status"))
    says(status, "version 2")
    says(status, url)
    eventually(lambda: says(done(deploy("logs")), "GET /nothing-here 404"))

    if project.answers.get("migrations") == "alembic":
        says(done(deploy("migrate", "downgrade", "base")), "0001 → empty")
    purge = ["--purge"] if project.answers.get("secrets") == "secrets_manager" else []
    says(done(deploy("destroy", *purge, typed=f"{name}\n")), "\n0 left\n")
    return url


def done(run: Run) -> Run:
    assert run.code == 0, f"./deploy.sh ended with exit code {run.code}:\n{run.out}{run.err}"
    return run


def says(run: Run, text: str) -> None:
    assert text in run.out, f"{text!r} is missing in:\n{run.out}"


def answers(url: str, status: int, content: object = None, *, body: bytes | None = None) -> None:
    """Raises AssertionError unless this is, or soon becomes, what a GET is answered with (a POST, with a body)."""

    def asked() -> None:
        got = fetch(url, body)
        wanted = (status, got[1] if content is None else content)
        assert got == wanted, f"{url} answers {got}, not {wanted}"

    eventually(asked)


def eventually(check: Callable[[], None]) -> None:
    """Raises what `check` raises when it has done so for long."""
    deadline = time.monotonic() + KNOWN_EVERYWHERE_S
    while True:
        try:
            check()
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


def fetch(url: str, body: bytes | None = None) -> tuple[int, object]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, content_of(answer)
    except urllib.error.HTTPError as error:
        return error.code, content_of(error)


def content_of(answer: Any) -> object:
    content = answer.read()
    return json.loads(content) if answer.headers["Content-Type"] == "application/json" else content
