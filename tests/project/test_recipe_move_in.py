"""Test the recipe that moves an existing FastAPI service into a project, with the services in tests/project/services.

Each service is written in another style, and none of its files is edited.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.database import new_database
from scripts.projects import Answers, Project, combination_name, share_venv
from tests.support.bake import Bake
from tests.support.recipes import (
    LARGEST,
    MOVE_IN,
    Step,
    add_to_lock,
    copy_generated_files,
    deployed,
    follow,
    read_commands,
    read_recipes,
)
from tests.support.uvicorn_server import uvicorn

SERVICES = Path(__file__).with_name("services")
# Headers that each server sets in its own way, or that depend on the time at which a file was copied.
NOT_COMPARED = {"connection", "date", "etag", "last-modified", "server", "transfer-encoding"}
ALEMBIC_FILES = ("alembic.ini", "migrations")

Request = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Service:
    """An existing service, and what its owner enters at each step of the recipe."""

    name: str
    package: str  # its path in the folder of the service
    uvicorn: list[str]
    application: str | None  # the lines of aws_lambda/application.py; None if the line of the sample fits
    health_path: str
    requests: list[Request]
    modules: list[str] = field(default_factory=list)  # files and folders next to the package
    dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)  # and the lines that they add to the lock
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    test_values: dict[str, str] = field(default_factory=dict)
    is_strict: bool = False  # its code passes the linters of the project

    @property
    def path(self) -> Path:
        """The folder of the service."""
        return SERVICES / self.name


ADMIN = {"Authorization": "Bearer correct horse"}
LIBRARY = Service(
    name="library",
    package="app",
    uvicorn=["app.main:app"],
    application=None,
    health_path="/api/v1/utils/health-check/",
    variables={"PROJECT_NAME": "Library", "BACKEND_CORS_ORIGINS": '["https://library.example"]'},
    secrets={"SECRET_KEY": "correct horse"},
    requests=[
        ("GET", "/api/v1/utils/health-check/", {}),
        ("GET", "/api/v1/utils/health-check", {}),
        ("GET", "/docs", {}),
        ("GET", "/api/v1/openapi.json", {}),
        ("GET", "/openapi.json", {}),
        ("GET", "/", {}),
        ("POST", "/api/v1/books/", {"json": {"title": "Dune"}}),
        ("POST", "/api/v1/books/", {"json": {"title": "Dune"}, "headers": {"Authorization": "Bearer wrong"}}),
        ("POST", "/api/v1/books/", {"json": {"title": "Zoë 🚀", "isbn": "9"}, "headers": ADMIN}),
        ("POST", "/api/v1/books/", {"json": {"title": "Dune", "isbn": "9"}, "headers": ADMIN}),
        ("POST", "/api/v1/books/", {"json": {"isbn": 9}, "headers": ADMIN}),
        ("POST", "/api/v1/books/", {"content": b"{", "headers": {**ADMIN, "content-type": "application/json"}}),
        ("GET", "/api/v1/books/?limit=1", {"headers": {"Origin": "https://library.example"}}),
        ("GET", "/api/v1/books/?limit=many", {}),
        ("GET", "/api/v1/books/1", {}),
        ("GET", "/api/v1/books/99", {}),
        ("DELETE", "/api/v1/books/1", {}),
        (
            "OPTIONS",
            "/api/v1/books/",
            {"headers": {"Origin": "https://library.example", "Access-Control-Request-Method": "POST"}},
        ),
    ],
)
ORDERS = Service(
    name="orders",
    package="orders",
    uvicorn=["--factory", "orders.app:create_app"],
    application="from orders.app import create_app\n\napp = create_app()\n",
    health_path="/ping",
    modules=["version.py"],
    dependencies={"jinja2": ("jinja2==", "markupsafe==")},
    variables={"ORDERS_CURRENCY": "CHF", "ORDERS_ALLOWED_HOSTS": "127.0.0.1,*.localhost,smoke-test.internal"},
    requests=[
        ("GET", "/ping", {}),
        ("HEAD", "/ping", {}),
        *[("POST", "/orders", {"json": {"item": "screw", "amount": 1}})] * 3,
        ("POST", "/orders", {"json": {"item": "screw", "amount": "many"}}),
        ("GET", "/orders/7", {}),
        ("GET", "/orders/seven", {}),
        ("GET", "/static/style.css", {}),
        ("GET", "/static/../app.py", {}),
        ("GET", "/missing", {}),
        ("GET", "/broken", {}),
        ("GET", "/docs", {}),
        ("GET", "/openapi.json", {}),
    ],
)
KEY = {"X-API-Key": "s3cr3t"}
PORTAL = Service(
    name="portal",
    package="src/portal",
    uvicorn=["--app-dir", "src", "portal.main:app"],
    application="from portal.main import app\n",
    health_path="/openapi.json",
    secrets={"PORTAL_API_KEY": "s3cr3t"},
    test_values={"PORTAL_API_KEY": "a-key"},
    is_strict=True,
    requests=[
        ("GET", "/", {"headers": KEY}),
        ("GET", "/", {}),
        ("HEAD", "/", {"headers": KEY}),
        ("GET", "/assets/app.js", {"headers": KEY}),
        ("GET", "/assets/logo.png", {"headers": {**KEY, "accept-encoding": "identity"}}),
        ("GET", "/assets/logo.png", {"headers": {**KEY, "accept-encoding": "gzip"}}),
        ("GET", "/assets/logo.png", {"headers": {**KEY, "range": "bytes=0-9", "accept-encoding": "identity"}}),
        ("GET", "/settings/profile", {"headers": {**KEY, "accept": "text/html"}}),
        ("GET", "/assets/missing.js", {"headers": KEY}),
        ("GET", "/api/me", {"headers": KEY}),
        ("GET", "/api/me", {}),
        ("GET", "/api/missing", {"headers": KEY}),
        ("GET", "/docs", {"headers": KEY}),
        ("GET", "/health", {"headers": KEY}),
        ("GET", "/predict", {"headers": KEY}),
        ("GET", "/openapi.json", {}),
    ],
)
FUNCTION_URL = {"endpoint": "function_url", "secrets": "ssm"}
HTTP_API = {"endpoint": "http_api", "secrets": "secrets_manager"}
MOVES: list[tuple[Service, Answers]] = [
    (LIBRARY, {**FUNCTION_URL, "migrations": "alembic", "cold_starts": "accept"}),
    (LIBRARY, {**HTTP_API, "migrations": "alembic", "cold_starts": "provisioned_concurrency"}),
    (ORDERS, {**FUNCTION_URL, "migrations": "none", "cold_starts": "snapstart"}),
    (ORDERS, {**HTTP_API, "migrations": "none", "cold_starts": "accept"}),
    (PORTAL, {**FUNCTION_URL, "migrations": "none", "cold_starts": "accept"}),
    (PORTAL, {**HTTP_API, "migrations": "none", "cold_starts": "provisioned_concurrency"}),
]
each_move = pytest.mark.parametrize(
    ("service", "answers"), MOVES, ids=[f"{service.name}-{combination_name(answers)}" for service, answers in MOVES]
)


def move_in(project: Project, service: Service) -> Project:
    """Follow the recipe with the paths, names and values of the service."""
    replace_package(project, service)
    for step in read_recipes(project)[MOVE_IN]:
        if step.file == "aws_lambda/application.py":
            if service.application:
                text = step.text.replace("+from shop.main import app", "+" + service.application.replace("\n", "\n+"))
                follow(project, [Step(step.file, step.language, text.removesuffix("\n+"))])
        elif step.file == ".dockerignore":
            listed = [Path(service.package).name, *service.modules]
            text = step.text.replace("+!shop", "\n".join(f"+!{name}" for name in listed))
            follow(project, [Step(step.file, step.language, text)])
        elif step.file == "pyproject.toml":
            if not service.is_strict:
                follow(project, [step])
        else:
            follow(project, [Step(step.file, step.language, step.text.replace("/ping", service.health_path))])
    for name, packages in service.dependencies.items():
        project.edit("pyproject.toml", "image of the service", f'image of the service\n    "{name}",')
        add_to_lock(project.path, packages)
    variables = "".join(f"\n{name} = '{value}'" for name, value in service.variables.items())
    project.edit("deploy.toml", "[environment]", f"[environment]{variables}\n#")
    names = "".join(f'"{name}", ' for name in service.secrets)
    project.edit("deploy.toml", "secrets = [", f"secrets = [{names}")
    values = "".join(f'\n    {name}="{value}",' for name, value in service.test_values.items())
    project.edit("conftest.py", 'AWS_EC2_METADATA_DISABLED="true",', f'AWS_EC2_METADATA_DISABLED="true",{values}')
    (project.path / ".venv").unlink()
    share_venv(project.path)
    return project


def replace_package(project: Project, service: Service) -> None:
    """Run the commands of the recipe that replace the sample."""
    paths = {
        "../shop/shop": f"{service.path}/{service.package}",
        "../shop/migrations": "",
        "../shop": str(service.path),
    }
    for command in read_commands(project, MOVE_IN):
        if "alembic" in command and not (service.path / "alembic.ini").exists():
            continue
        for old, new in paths.items():
            command = command.replace(old, new)
        subprocess.run(["/bin/sh", "-ec", command], cwd=project.path, check=True)
    for name in service.modules:
        subprocess.run(["cp", "-R", str(service.path / name), "."], cwd=project.path, check=True)


@contextmanager
def with_uvicorn(service: Service) -> Iterator[str]:
    """Run the service as it is with uvicorn, on a database that its own migrations created."""
    environment = {**service.variables, **service.secrets}
    if not (service.path / "alembic.ini").exists():
        with uvicorn(service.path, service.uvicorn, environment) as url:
            yield url
        return
    with new_database() as database:
        environment["DATABASE_URL"] = database
        upgrade = [sys.executable, "-B", "-m", "alembic", "upgrade", "head"]
        subprocess.run(upgrade, cwd=service.path, env=environment, check=True)
        with uvicorn(service.path, service.uvicorn, environment) as url:
            yield url


def responses(url: str, requests: list[Request]) -> list[tuple[Request, int, dict[str, str], bytes]]:
    """Return the status, the headers and the body of each response."""
    result = []
    one_request_each = httpx.Limits(max_keepalive_connections=0)  # uvicorn closes the connection after some errors
    headers = {"x-request-id": "my-id"}
    with httpx.Client(base_url=url, headers=headers, limits=one_request_each, timeout=30, trust_env=False) as client:
        for request in requests:
            method, path, parameters = request
            response = client.request(method, path, **parameters)
            compared = {
                name: re.sub(r"https?://[^/\s]+", "", value)
                for name, value in response.headers.items()
                if name not in NOT_COMPARED and not name.startswith(("x-amzn-", "apigw-"))
            }
            result.append((request, response.status_code, compared, response.content))
    return result


@each_move
def test_a_moved_service_responds_as_with_uvicorn(
    bake: Bake, tmp_path: Path, service: Service, answers: Answers
) -> None:
    with with_uvicorn(service) as url:
        expected = responses(url, service.requests)
    project = move_in(copy_generated_files(bake(**answers), tmp_path / "my-api"), service)
    with deployed(project, service.secrets) as deployment:
        actual = responses(deployment.url, service.requests)
    for response, (request, status, headers, body) in zip(actual, expected, strict=True):
        if "x-request-id" not in headers:
            assert response[2].pop("x-request-id"), request
        if "content-type" not in headers:
            # docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html: "content-type is application/json" by default
            assert response[2].pop("content-type") == "application/json"
        assert response == (request, status, headers, body)


def test_only_two_files_and_the_migrations_name_the_package(bake: Bake) -> None:
    project = bake(**LARGEST)
    names_package = re.compile(r"(?m)^\s*(from|import) app\b|^!app$|\bapp\.main\b")
    files = {name for name, text in project.texts() if names_package.search(text) and not name.endswith(".md")}
    of_the_sample = {name for name in files if name.startswith(("app/", "tests/app/"))}
    assert files - of_the_sample == {".dockerignore", "aws_lambda/application.py", "migrations/env.py"}


@pytest.mark.parametrize("service", [LIBRARY, ORDERS, PORTAL], ids=lambda service: service.name)
def test_a_project_with_a_moved_service_passes_its_checks(bake: Bake, tmp_path: Path, service: Service) -> None:
    (answers,) = [answers for moved, answers in MOVES[::2] if moved is service]
    project = move_in(copy_generated_files(bake(**answers), tmp_path / "my-api"), service)
    assert "No problems found." in project.run("make check").stdout
    project.run("make lint")
    result = project.run("make test")
    names = [file.stem for file in (service.path / "tests").glob("test_*.py")]
    assert all(f"tests/{name}.py" in result.stdout for name in names)
