"""FastAPI imported by shortcuts is the same FastAPI; a new version of it that they do not fit fails here."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

# What a service shows of itself, in a fresh process: its OpenAPI document, answers good and bad, refusals at INIT.
OBSERVED = """
import json, sys
from app.main import app, handler
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
    ("GET", "/openapi.json", None), ("GET", "/", None), ("GET", "/nowhere", None), ("PUT", "/", None),
    ("POST", "/predict", {"sepal_length": -1, "sepal_width": "x", "petal_length": 1.4}),
    ("POST", "/predict", {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}),
]
answers = [client.request(method, path, json=body) for method, path, body in requests]
plain = client_of(Mangum(other, lifespan="off"))
answers += [
    plain.get("/openapi.json"), plain.post("/nodes?limit=2", json={"name": "a", "children": [{"name": "b"}]}),
    plain.post("/nodes?limit=10", json={"children": [{}]}), plain.get("/me"),
    plain.get("/me", headers={"authorization": "Bearer t"}),
]
observed = [[answer.status_code, answer.text] for answer in answers]
for answer in observed:
    answer[1] = answer[1] if "request_id" not in answer[1] else ""

import warnings
warnings.simplefilter("ignore")
from pydantic.v1 import BaseModel as OldModel

class Old(OldModel):
    name: str

def refused(annotation):
    try:
        @other.get("/old")
        def old() -> annotation: ...
    except Exception as error:
        return [type(error).__name__, str(error)]

observed += [refused(Old), refused(list[Old]), refused(Old | None), refused(list), refused(Node)]
print(json.dumps({"observed": observed, "imported": imported, "built": built}))
"""


def run(fast_import: str) -> dict[str, Any]:
    environment = {**os.environ, "FAST_IMPORT": fast_import}
    done = subprocess.run([sys.executable, "-c", OBSERVED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def fast() -> dict[str, Any]:
    return run("true")


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return run("false")


def test_documents_answers_and_refusals_are_the_same(fast: dict[str, Any], plain: dict[str, Any]) -> None:
    assert fast["observed"] == plain["observed"]


def test_pydantics_old_models_are_not_imported(fast: dict[str, Any], plain: dict[str, Any]) -> None:
    assert fast["imported"] == []
    assert "pydantic.v1" in plain["imported"]  # or FastAPI does not need the shortcut any more


def test_models_of_openapi_documents_are_not_built(fast: dict[str, Any], plain: dict[str, Any]) -> None:
    assert (fast["built"], plain["built"]) == (False, True)
