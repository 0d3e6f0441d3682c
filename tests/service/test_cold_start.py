"""Test that the start-up optimizations in aws_lambda/cold_start.py change only the duration of INIT.

These tests fail if a new version of FastAPI or pydantic is incompatible with them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.bake import Bake

# Print the OpenAPI documents, valid and invalid requests, and errors at INIT of two services.
OBSERVE = """
import json, sys
from aws_lambda.handler import app, handler
from typing import Annotated
import httpx
from fastapi import FastAPI, Query, Security
from fastapi.openapi.models import OpenAPI
from fastapi.security import OAuth2PasswordBearer
from mangum import Mangum
from pydantic import BaseModel
from tests.lambda_transport import LambdaTransport

imported = sorted(name for name in sys.modules if name.startswith("pydantic.v1"))
built = OpenAPI.__pydantic_complete__

class Node(BaseModel):
    name: str
    children: "list[Node]" = []

other = FastAPI(servers=[{"url": "https://example.com", "variables": {"x": {"default": "y"}}}])

@other.post("/nodes", openapi_extra={"x-note": 1})
def nodes(node: Node, limit: Annotated[int, Query(le=9, examples=[3])] = 1) -> list[Node]:
    return [node] * limit

@other.get("/me")
def me(token: Annotated[str, Security(OAuth2PasswordBearer("token", scopes={"a": "b"}))]) -> str:
    return token

def client_of(handler):
    return httpx.Client(transport=LambdaTransport(handler), base_url="https://test")

client = client_of(handler)
requests = [
    ("GET", "/openapi.json", None), ("GET", "/", None), ("GET", "/unknown", None), ("PUT", "/", None),
    ("POST", "/predict", {"sepal_length": -1, "sepal_width": "x", "petal_length": 1.4}),
    ("POST", "/predict", {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}),
]
responses = [client.request(method, path, json=body) for method, path, body in requests]
plain = client_of(Mangum(other, lifespan="off"))
responses += [
    plain.get("/openapi.json"), plain.post("/nodes?limit=2", json={"name": "a", "children": [{"name": "b"}]}),
    plain.post("/nodes?limit=10", json={"children": [{}]}), plain.get("/me"),
    plain.get("/me", headers={"authorization": "Bearer t"}),
]
observed = [[response.status_code, response.text] for response in responses]
for response in observed:
    response[1] = response[1] if "request_id" not in response[1] else ""

import warnings
warnings.simplefilter("ignore")
from pydantic.v1 import BaseModel as OldModel

class Old(OldModel):
    name: str

def error_of(annotation):
    try:
        @other.get("/old")
        def old() -> annotation: ...
    except Exception as error:
        return [type(error).__name__, str(error)]

observed += [error_of(Old), error_of(list[Old]), error_of(Old | None), error_of(list), error_of(Node)]
print(json.dumps({"observed": observed, "imported": imported, "built": built}))
"""
PRINT_MODULES = (
    "import aws_lambda.handler, gc, json, sys; print(json.dumps([gc.isenabled(), gc.get_freeze_count(), *sys.modules]))"
)
PRINT_OPENED_FILES = """
import sys
opened = set()
sys.addaudithook(lambda event, arguments: opened.add(arguments[0]) if event == "open" else None)
import aws_lambda.handler
print(sum(str(name).endswith(".py") or str(name).endswith(".pyc") for name in opened))
"""
# Log as on Lambda, and send requests that succeed, that are invalid and that raise an exception.
PRINT_LOG = """
import sys
from awslambdaric.bootstrap import _AWS_LAMBDA_LOG_FORMAT, _AWS_LAMBDA_LOG_LEVEL, StandardLogSink, _setup_logging
log_sink = StandardLogSink()
log_sink.__enter__()
_setup_logging(_AWS_LAMBDA_LOG_FORMAT, _AWS_LAMBDA_LOG_LEVEL, log_sink)

from aws_lambda.handler import app, handler
import logging
import httpx
from tests.lambda_transport import LambdaTransport

@app.get("/sync")
def fail_in_a_thread():
    raise ValueError("first")

@app.get("/async")
async def fail():
    logging.getLogger("app").debug("fails")
    raise ValueError("second")

@app.get("/wrong")
def wrong_response() -> int:
    return "text"

logging.getLogger("httpx").disabled = True
client = httpx.Client(transport=LambdaTransport(handler), base_url="https://test")
for path in ("/", "/health", "/unknown", "/openapi.json", "/docs", "/sync", "/async", "/wrong"):
    client.get(path)
valid = '{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'
for content in ("{", "[]", '{"sepal_length": "x"}', valid):
    client.post("/predict", content=content, headers={"content-type": "application/json"})
"""
# An application that imports in a thread, changes FastAPI and Starlette, and looks into them, all of it during INIT.
UNUSUAL_APPLICATION = """
import threading

def import_modules():
    import fastapi.openapi.docs, starlette.templating, starlette.middleware.sessions

thread = threading.Thread(target=import_modules)
thread.start()

import fastapi
import inspect
import pickle
import starlette.routing
import typing
from fastapi import *
from pydantic import BaseModel
from starlette.middleware.errors import ServerErrorMiddleware
from unittest.mock import patch

calls = []

class ChangedMiddleware(ServerErrorMiddleware):
    async def __call__(self, *arguments):
        calls.append("middleware")
        await super().__call__(*arguments)

fastapi.applications.ServerErrorMiddleware = ChangedMiddleware
original = starlette.routing.Route.matches
starlette.routing.Route.matches = lambda *arguments: calls.append("route") or original(*arguments)
with patch("fastapi.applications.get_openapi", autospec=True) as changed:
    calls.append(str(inspect.signature(changed)))

app = FastAPI(docs_url="/", redoc_url=None)

class Node(BaseModel):
    children: "list[Node]" = []

@app.post("/nodes")
def create_node(node: Node, tasks: BackgroundTasks, x: typing.Annotated[int, Query()] = 1) -> Node:
    tasks.add_task(calls.append, "task")
    return node

thread.join()
facts = [
    sorted(name for name in vars(fastapi) if name[0].isupper()),
    [value.__name__ for _, value in inspect.getmembers(fastapi, inspect.isclass)],
    [pickle.loads(pickle.dumps(value)).__module__ for value in (FastAPI, Request, HTTPException, APIRouter)],
    str(typing.get_type_hints(FastAPI.add_api_route)),
]
"""
PRINT_CALLS = """
import httpx, json
from aws_lambda.handler import handler
from app.main import calls, facts
from tests.lambda_transport import LambdaTransport

client = httpx.Client(transport=LambdaTransport(handler), base_url="https://test")
requests = [("GET", "/"), ("GET", "/openapi.json"), ("GET", "/unknown"), ("POST", "/nodes"), ("POST", "/nodes?x=y")]
responses = [client.request(method, path, json={"children": [{}]}) for method, path in requests]
print(json.dumps([calls, facts, [[response.status_code, response.text] for response in responses]]))
"""
JSON_LOG = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "DEBUG"}
NO_DATABASE = {"DATABASE_URL": "postgresql://none.invalid/none"}


def observe(bake: Bake, fast_import: str) -> dict[str, Any]:
    result = bake().run(["python", "-c", OBSERVE], env={"FAST_IMPORT": fast_import})
    observed: dict[str, Any] = json.loads(result.stdout)
    return observed


@pytest.fixture(scope="module")
def fast(bake: Bake) -> dict[str, Any]:
    return observe(bake, "true")


@pytest.fixture(scope="module")
def plain(bake: Bake) -> dict[str, Any]:
    return observe(bake, "false")


def test_optimizations_change_no_document_response_or_error(fast: dict[str, Any], plain: dict[str, Any]) -> None:
    assert fast["observed"] == plain["observed"]


def log_records(bake: Bake, fast_import: str) -> list[dict[str, Any]]:
    output = bake().run(["python", "-c", PRINT_LOG], env=JSON_LOG | {"FAST_IMPORT": fast_import}).stdout
    records = [json.loads(line) for line in output.splitlines()]
    for record in records:
        assert record.pop("timestamp")
        record.pop("duration_ms", None)
    return records


def test_optimizations_change_no_log_record(bake: Bake) -> None:
    fast, plain = (log_records(bake, fast_import) for fast_import in ("true", "false"))
    assert fast == plain
    assert {record["level"] for record in plain} >= {"DEBUG", "INFO", "ERROR"}
    assert {record.get("errorType") for record in plain} == {None, "ValueError", "ResponseValidationError"}


def test_optimizations_change_nothing_for_an_unusual_application(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    (project.path / "app/main.py").write_text(UNUSUAL_APPLICATION, "utf-8")
    fast, plain = (
        json.loads(project.run(["python", "-c", PRINT_CALLS], env={"FAST_IMPORT": fast_import}).stdout)
        for fast_import in ("true", "false")
    )
    assert fast == plain
    calls, _, responses = plain
    assert {"middleware", "route", "task"} <= {*calls}
    assert [status for status, _ in responses] == [200, 200, 404, 200, 422]


def test_pydantic_v1_is_not_imported(fast: dict[str, Any], plain: dict[str, Any]) -> None:
    assert fast["imported"] == []
    assert "pydantic.v1" in plain["imported"], "FastAPI no longer imports it, so the optimization is obsolete"


def test_init_does_not_build_the_models_of_openapi_documents(fast: dict[str, Any], plain: dict[str, Any]) -> None:
    assert (fast["built"], plain["built"]) == (False, True)


@pytest.mark.parametrize(
    ("answers", "limit"), [({}, 420), ({"migrations": "alembic"}, 560)], ids=["default", "alembic"]
)
def test_init_opens_few_files(bake: Bake, answers: dict[str, str], limit: int) -> None:
    """A new environment reads each file from its disk, so every additional file makes INIT slower."""
    opened = int(bake(**answers).run(["python", "-c", PRINT_OPENED_FILES], env=NO_DATABASE).stdout)
    assert opened < limit


def test_garbage_collection_is_disabled_only_during_the_import(bake: Bake) -> None:
    enabled, frozen, *modules = json.loads(bake().run(["python", "-c", PRINT_MODULES]).stdout)
    assert enabled
    assert frozen > 10_000
    assert "app.main" in modules


@pytest.mark.parametrize("cold_starts", ["accept", "snapstart"])
def test_a_service_without_jobs_imports_no_code_for_them(bake: Bake, cold_starts: str) -> None:
    _, _, *modules = json.loads(bake(cold_starts=cold_starts).run(["python", "-c", PRINT_MODULES]).stdout)
    assert "aws_lambda.secrets" in modules
    assert not {"aws_lambda.jobs", "aws_lambda.job_handler", "aws_lambda.sigv4"} & {*modules}


def test_init_prints_nothing(bake: Bake) -> None:
    result = bake().run(["python", "-c", "import aws_lambda.handler"])
    assert (result.stdout, result.stderr) == ("", "")
