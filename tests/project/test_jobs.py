"""Test jobs as the developer of a service sees them: with the type checker, and in the development server."""

import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from scripts.projects import Project, project_environment
from tests.support.bake import Bake
from tests.support.uvicorn_server import uvicorn

TIMEOUT_S = 60
TYPED_JOBS = """
from aws_lambda.jobs import QueuedJob, job, job_id, record_jobs

@job
async def send_receipt(order_id: str, email: str = "") -> None:
    print(job_id())

@job
def count(number: int, /, *, factor: float) -> int:
    return number
"""
ACCEPTED = """
async def route() -> str:
    await send_receipt("1", "x")
    await send_receipt.later("1")
    send_receipt.later_sync("1", email="x")
    number: int = count(1, factor=2)
    await count.later(number, factor=0.5)
    return await send_receipt.later(order_id="1", email="x")
"""
REJECTED = {
    'await send_receipt.later(order_id=1, email="x")': '"order_id"',
    'await send_receipt.later(order="1")': '"order"',
    "await send_receipt.later()": '"order_id"',
    "send_receipt.later_sync(1)": "Argument 1",
    'await count.later("1", factor=1)': "Argument 1",
    "await count.later(number=1, factor=1)": '"number"',
    "text: str = count(1, factor=1)": "str",
    "number: int = await count.later(1, factor=1)": "str",
}

JOBS = """
import asyncio
import os
import time
from pathlib import Path

from aws_lambda.jobs import job, job_id

RESULTS = Path(os.environ["RESULTS"])
GO = Path(os.environ["GO"])

def write(result: object) -> None:
    (RESULTS / job_id()).write_text(str(result))

@job
async def in_the_loop(delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    write(id(asyncio.get_running_loop()))

@job
def in_a_thread() -> None:
    while not GO.exists():
        time.sleep(0.05)
    write("done")

@job
async def fail() -> None:
    raise ValueError("a bug in a job")
"""
ROUTES = """
import asyncio
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from app import jobs

@app.middleware("http")
async def middleware(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    return await call_next(request)

@app.get("/async")
async def queue(delay_s: float = 0, response_s: float = 0) -> list[str]:
    queued = [await jobs.in_the_loop.later(delay_s), await jobs.in_a_thread.later()]
    await asyncio.sleep(response_s)
    return queued

@app.get("/sync")
def queue_in_a_thread() -> list[str]:
    return [jobs.in_the_loop.later_sync(0), jobs.in_a_thread.later_sync()]

@app.get("/fail")
async def fail() -> None:
    await jobs.fail.later()

@app.get("/loop")
async def loop() -> int:
    return id(asyncio.get_running_loop())
"""


def append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)


def test_the_type_checker_knows_the_parameters_of_a_job(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    (project.path / "app/jobs.py").write_text(TYPED_JOBS + ACCEPTED, "utf-8")
    project.run("mypy --strict app/jobs.py")
    calls = "".join(f"    {call}\n" for call in REJECTED)
    append(project.path / "app/jobs.py", f"\nasync def rejected() -> None:\n{calls}")
    first_line = (TYPED_JOBS + ACCEPTED).count("\n") + 3
    output = project.run("mypy --strict app/jobs.py", check=False).stdout
    for line, (call, reason) in enumerate(REJECTED.items(), first_line):
        errors = [text for text in output.splitlines() if text.startswith(f"app/jobs.py:{line}: error: ")]
        assert errors, f"{call} is accepted: {output}"
        assert reason in errors[0]


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Project:
    """Return a project whose routes queue jobs."""
    project = bake().copy(tmp_path)
    (project.path / "app/jobs.py").write_text(JOBS, "utf-8")
    append(project.path / "app/main.py", ROUTES)
    return project


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_text(file: Path, text: str) -> bool:
    return file.exists() and file.read_text("utf-8") == text


def test_jobs_run_in_the_background_of_the_development_server(project: Project, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    go = tmp_path / "go"
    environment = project_environment(project.path) | {"RESULTS": str(results), "GO": str(go)}
    log = tmp_path / "log.txt"
    command = ["aws_lambda.application:app", "--log-config", str(log_config(tmp_path, log))]
    with uvicorn(project.path, command, environment) as url:
        loop = httpx.get(f"{url}/loop", timeout=TIMEOUT_S).text
        for path in ("/async", "/sync"):
            go.unlink(missing_ok=True)
            try:
                in_the_loop, in_a_thread = httpx.get(f"{url}{path}", timeout=TIMEOUT_S).json()
                assert not (results / in_a_thread).exists()
            finally:
                go.touch()  # otherwise the server would never end
            wait_until(partial(has_text, results / in_a_thread, "done"))
            wait_until(partial(has_text, results / in_the_loop, loop))

        before = len(list(results.iterdir()))
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            client.sendall(b"GET /async?delay_s=1&response_s=5 HTTP/1.1\r\nhost: localhost\r\n\r\n")
            time.sleep(0.5)
        # The client has disconnected before the response.
        wait_until(lambda: len(list(results.iterdir())) == before + 2)

        assert httpx.get(f"{url}/fail", timeout=TIMEOUT_S).status_code == 200
        wait_until(lambda: "ValueError: a bug in a job" in log.read_text("utf-8"))
        assert log.read_text("utf-8").count("Traceback") == 1


def log_config(folder: Path, log: Path) -> Path:
    """Return a configuration file of logging that writes all records to a file."""
    file = folder / "logging.ini"
    file.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        f"[logger_root]\nhandlers=file\nlevel=INFO\n[handler_file]\nclass=FileHandler\nargs=({str(log)!r},)\n",
        "utf-8",
    )
    return file
