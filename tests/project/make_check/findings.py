"""Test that `make check` finds what would fail on Lambda, with one small application for each finding.

tests/project/test_make_check.py runs this as a test of a generated project.
"""

import re
from pathlib import Path

import pytest
from tests.check_application import check_jobs
from tests.check_fixtures import FASTAPI, JOBS, Check, run_check

pytest_plugins = ["tests.check_fixtures"]

SETTINGS = """
from pydantic import AliasChoices, BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict
class Server(BaseModel):
    host: str
class Base(BaseSettings):
    required_in_a_subclass: str
class Settings(Base):
    required_in_a_subclass: str = ""
    page_size: int
    optional: str | None = None
    token: str = Field(validation_alias=AliasChoices("APP_TOKEN", "TOKEN"))
    key: str = Field(alias="service_key")
class Database(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DB_", env_nested_delimiter="__")
    server: Server
    user: str
    port: int = 5432
"""
LIFESPAN = """
async def lifespan(app):
    raise ValueError("no server")
    yield
"""
ALLOWED_HOSTS = """
from starlette.middleware.trustedhost import TrustedHostMiddleware
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["example.com"])
"""
ROUTES = """
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
@app.get("/plain")
def plain() -> None: ...
@app.get("/class", response_class=StreamingResponse)
async def response_class() -> None: ...
@app.get("/annotation")
def annotation() -> StreamingResponse: ...
router = APIRouter()
@router.get("/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events() -> None: ...
@router.websocket("/chat")
async def chat(websocket) -> None: ...
app.include_router(router, prefix="/api")
app.mount("/live", Starlette(routes=[WebSocketRoute("/feed", chat)]))
"""


def test_variables_of_this_machine_are_not_used(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVEL", "5")
    output = check("import os\nos.environ['LEVEL']")
    assert "PROBLEM  import: KeyError: 'LEVEL' (aws_lambda/application.py:2)\n         It ran with only" in output


@pytest.mark.parametrize(
    ("code", "problem", "advice"),
    [
        ("import httpx", "import: ModuleNotFoundError: No module named 'httpx'", "make lock"),
        ("import deploy", "import: ModuleNotFoundError: No module named 'deploy'", ".dockerignore"),
        ("import os\nprint('reason')\nos._exit(3)", "import: the process ended: reason", "Remove"),
        (FASTAPI.replace("return {}", "import httpx"), "smoke_path: GET /health failed: ModuleNotFound", "make lock"),
        (FASTAPI.replace("return {}", "1 / 0"), "check_path: GET /health failed: ZeroDivisionError", "test values"),
        (FASTAPI + ALLOWED_HOSTS, "smoke_path: GET /health responds with 400", "TrustedHostMiddleware"),
        (LIFESPAN + FASTAPI.replace("()", "(lifespan=lifespan)"), "start: ValueError: no server", "lifespan"),
    ],
)
def test_problems_have_advice(check: Check, code: str, problem: str, advice: str) -> None:
    output = check(code)
    assert f"PROBLEM  {problem}" in output
    assert advice in output.partition(problem)[2].splitlines()[1]


def test_routes_of_routers_and_mounted_applications_are_checked(check: Check) -> None:
    output = check(FASTAPI + ROUTES, smoke_path="/healthz")
    assert "PROBLEM  smoke_path: GET /healthz responds with 404\n" in output
    assert "returns 200, such as /health, /plain.\n" in output
    assert "PROBLEM  WebSockets: /api/chat, /live/feed\n" in output
    assert "note     streams: /class, /annotation, /api/events\n" in output
    assert "note     plain def: 2 of 5 routes: /plain, /annotation\n" in output


def test_slow_imports_are_a_note(check: Check) -> None:
    output = check(f"import time\ntime.sleep(1)\n{FASTAPI}")
    assert re.search(r"note     slow import: .*\baws_lambda \d+ ms", output)
    assert "PROBLEM" not in output


def test_required_settings_without_a_value_are_named(check: Check) -> None:
    output = check(f"{FASTAPI}{SETTINGS}Settings()")
    assert "PROBLEM  import: ValidationError: page_size: Field required" in output
    assert "PROBLEM  settings: Settings requires PAGE_SIZE, APP_TOKEN, SERVICE_KEY\n" in output
    assert "PROBLEM  settings: Database requires DB_SERVER, DB_USER\n" in output
    environment = {"PAGE_SIZE": "5", "TOKEN": "a", "DB_SERVER__HOST": "b"}
    output = check(FASTAPI + SETTINGS, {"DB_USER": "c", "SERVICE_KEY": "d"}, environment=environment)
    assert "ok       settings" in output


def test_rejected_values_are_not_printed(check: Check) -> None:
    output = check(f"{FASTAPI}{SETTINGS}Settings()", environment={"PAGE_SIZE": "sesame"})
    assert "PROBLEM  import: ValidationError: page_size: Input should be a valid integer" in output
    assert "sesame" not in output


def test_other_applications_are_checked_without_their_routes(check: Check) -> None:
    output = check("""
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
""")
    assert "ok       smoke_path" in output
    assert "skipped  routes" in output
    assert "PROBLEM" not in output


@pytest.mark.parametrize(
    ("code", "scheduled", "problem", "advice"),
    [
        (JOBS, "weekly", "aws_lambda.my_jobs has no job weekly", "[jobs.schedule]"),
        (JOBS.replace("@job\n", ""), "nightly", "aws_lambda.my_jobs has no job nightly", "@job"),
        (JOBS, "report", "a schedule cannot pass arguments to report", "default"),
        (JOBS.replace("month: str", "month"), "nightly", "JobError: report: the parameter month needs", "Correct"),
        (JOBS.replace("month: str", "month: 'Missing'"), "nightly", "JobError: report: an annotation is", "Correct"),
        ("import httpx", "nightly", "ModuleNotFoundError: No module named 'httpx'", "make lock"),
        (JOBS.replace("LEVEL", "COLOR"), "nightly", "KeyError: 'COLOR' (aws_lambda/my_jobs.py:4)", "[environment]"),
        ("import os\nprint('reason')\nos._exit(3)", "nightly", "the process ended: reason", "Remove"),
    ],
)
def test_problems_with_jobs_have_one_line_of_advice(
    check_my_jobs: Check, code: str, scheduled: str, problem: str, advice: str
) -> None:
    first, second, *more = check_my_jobs(code, scheduled).splitlines()
    assert first.startswith(f"PROBLEM  jobs: {problem}")
    assert advice in second
    assert not more


@pytest.mark.parametrize("module", ["app.jobs", "aws_lambda.missing"])
def test_a_jobs_module_that_does_not_exist_has_advice(check_my_jobs: Check, module: str) -> None:
    first, second = check_my_jobs(JOBS, module=module).splitlines()
    assert first.startswith("PROBLEM  jobs: ModuleNotFoundError: No module named ")
    assert second.strip() == "Under [jobs] in deploy.toml, set module to the module that contains your jobs."


def test_jobs_that_cannot_be_queued_are_found(check: Check, project: Path) -> None:
    (project / "aws_lambda/my_jobs.py").write_text("", "utf-8")
    code = FASTAPI + "from aws_lambda.jobs import job\n@job\ndef report() -> None: ..."
    output = check(code)
    assert "PROBLEM  jobs: aws_lambda.application.report cannot be queued\n         Add to deploy.toml" in output
    output = check(code, jobs={"module": "aws_lambda.my_jobs"})
    assert "jobs: aws_lambda.application.report cannot be queued\n         Import it in aws_lambda.my_jobs," in output
    assert "PROBLEM" not in check(code, jobs={"module": "aws_lambda.application"})


def test_without_jobs_nothing_is_checked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_check(check_jobs, project, {})
    assert capsys.readouterr().out == ""


def test_a_protected_path_is_not_suggested_again(check: Check) -> None:
    protected = (
        FASTAPI + "from fastapi import HTTPException\n@app.get('/me')\nasync def me():\n    raise HTTPException(401)\n"
    )
    output = check(protected, smoke_path="/me")
    assert "PROBLEM  smoke_path: GET /me responds with 401\n" in output
    assert "returns 200, such as /health.\n" in output


def test_an_invented_secret_may_be_the_reason(check: Check) -> None:
    output = check(f"import os\nint(os.environ['PORT'])\n{FASTAPI}", {"PORT": "a"})
    assert "PROBLEM  import: ValueError: invalid literal" in output
    assert "Secrets have test values." in output
