"""Test the image of every Dockerfile and every set of packages: its content, and that it works on Lambda."""

import base64
import importlib.util
import io
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import tarfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from cookiecutter.environment import StrictEnvironment
from jinja2 import FileSystemLoader

from embedded_aws.containers.docker_engine import NOBODY, docker
from embedded_aws.containers.task_root import build_task_root
from embedded_aws.ecr.docker_registry import RunningRegistry, running_registry
from embedded_aws.ecr.images import ACCEPTED_MEDIA_TYPES
from scripts.database import postgres
from scripts.projects import (
    CHOICES,
    COMBINATIONS,
    PROJECT_TEMPLATE,
    PROMPTS,
    TEMPLATE,
    Answers,
    Project,
    combination_name,
    pinned_requirements,
)
from tests.support.bake import Bake

USER, PASSWORD = "AWS", "a-password"
NO_DATABASE = "postgresql://none.invalid/none"  # the service connects only when a request needs it
PROJECT_FILES = ("app", "aws_lambda", "migrations", "alembic.ini")  # the files of the project in an image
LIKE_LAMBDA = ["--user", NOBODY, "--read-only", "--tmpfs", "/tmp"]  # noqa: S108


def render_image_inputs(answers: Answers) -> tuple[str, str]:
    """Return the Dockerfile and the requirements of a project. The rest of an image is code of the project."""
    prompts = {name: default[0] if isinstance(default, list) else default for name, default in PROMPTS.items()}
    context: dict[str, Any] = {"cookiecutter": {**prompts, **answers}}
    options = {"context": context, "keep_trailing_newline": True, "loader": FileSystemLoader(PROJECT_TEMPLATE)}
    jinja = StrictEnvironment(**options, **PROMPTS["_jinja2_env_vars"])
    dockerfile, requirements = (jinja.get_template(name).render(context) for name in ("Dockerfile", "requirements.txt"))
    return dockerfile, requirements


def distinct_images() -> list[Answers]:
    """Return answers that together cover every Dockerfile and every set of packages, with few images.

    The default is first, and then the largest combinations.
    """
    images: list[Answers] = []
    seen: set[str] = set()
    for python, answers in itertools.product(CHOICES["python_version"], [COMBINATIONS[0], *reversed(COMBINATIONS)]):
        image = {**answers, "python_version": python} if python != CHOICES["python_version"][0] else answers
        if not seen.issuperset(inputs := render_image_inputs(image)):
            seen.update(inputs)
            images.append(image)
    return images


IMAGES = distinct_images()


@pytest.fixture(scope="module", params=IMAGES, ids=combination_name)
def project(request: pytest.FixtureRequest, bake: Bake, engine: str) -> Project:
    return bake(**request.param, architecture=engine)


@pytest.fixture(scope="module")
def registry() -> Iterator[RunningRegistry]:
    with running_registry(USER, PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def base(project: Project) -> str:
    """Return the base image of the project's image."""
    image = re.findall(r"^FROM (\S+)$", (project.path / "Dockerfile").read_text("utf-8"), re.MULTILINE)[-1]
    if not docker("images", "--quiet", image) and not docker("pull", "--quiet", image):
        warnings.warn(f"images on {image} are NOT tested on this machine, which cannot pull it", stacklevel=1)
        pytest.skip(f"no {image}")
    return str(image)


@pytest.fixture(scope="module")
def image(
    project: Project, base: str, registry: RunningRegistry, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Build and push the image. Return its name in the registry with its digest."""
    folder = project.copy(tmp_path_factory.mktemp("project")).path
    existing = [str(folder / name) for name in PROJECT_FILES if (folder / name).exists()]
    run("chmod", "-R", "go=", *existing)  # like files created with umask 077
    name = f"{registry.host}/image-{uuid.uuid4().hex[:12]}"
    docker_config = tmp_path_factory.mktemp("docker-config")
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (docker_config / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": token}}}))
    run("docker", "build", "--platform", f"linux/{docker_architecture(engine)}", "--tag", name, str(folder))
    try:
        pushed = run("docker", "--config", str(docker_config), "push", name)
        yield f"{name}@{re.findall(r'digest: (sha256:[0-9a-f]{64})', pushed)[0]}"
    finally:
        docker("rmi", "--force", name)


@pytest.fixture(scope="module")
def files(image: str) -> dict[str, bytes]:
    """Return the content of every file below /var/task by its name."""
    container = docker("create", image)
    archived = subprocess.run(["docker", "cp", f"{container}:/var/task", "-"], capture_output=True, check=True).stdout
    docker("rm", container)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        for member in archive:
            if content := archive.extractfile(member) if member.isfile() else None:
                files[member.name.removeprefix("task/")] = content.read()
    return files


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_every_combination_has_one_of_the_tested_images(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    inputs = tuple((project.path / name).read_text("utf-8") for name in ("Dockerfile", "requirements.txt"))
    assert inputs == render_image_inputs(answers)
    dockerfiles, requirements = map(set, zip(*map(render_image_inputs, IMAGES), strict=True))
    assert inputs[0] in dockerfiles
    assert inputs[1] in requirements


def test_an_image_has_one_architecture_and_adds_only_the_task_root(
    image: str, base: str, registry: RunningRegistry, engine: str, request: pytest.FixtureRequest, record_property: Any
) -> None:
    (inspected,) = json.loads(docker("image", "inspect", image))
    (base_inspected,) = json.loads(docker("image", "inspect", base))
    assert inspected["Config"]["Cmd"] == ["aws_lambda.handler.handler"]
    assert inspected["Config"]["Entrypoint"] == base_inspected["Config"]["Entrypoint"]
    layers = len(base_inspected["RootFS"]["Layers"])
    assert inspected["RootFS"]["Layers"][:layers] == base_inspected["RootFS"]["Layers"]
    (manifest, media_type, pushed) = next(
        (manifest, media_type, pushed)
        for _, _, manifest, media_type, pushed in registry.images()
        if pushed.digest == image.partition("@")[2]
    )
    assert media_type in ACCEPTED_MEDIA_TYPES
    assert (pushed.architecture, inspected["Architecture"]) == (engine, docker_architecture(engine))
    compressed = sum(layer["size"] for layer in json.loads(manifest)["layers"][layers:])
    size = f"{(inspected['Size'] - base_inspected['Size']) / 1e6:.1f} MB, {compressed / 1e6:.1f} MB compressed"
    record_property("image", f"{request.node.callspec.id}: {size}, on top of the base image")


def test_an_image_contains_no_tests_and_no_development_packages(files: dict[str, bytes], project: Project) -> None:
    python = project.answers.get("python_version", CHOICES["python_version"][0])
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    locked = pinned_requirements(project.path / "requirements.txt")
    expected = {pin.name for pin in locked if not pin.marker or pin.marker.evaluate(environment)}
    installed = {name.split("-")[0].replace("_", "-").lower() for name in files if name.endswith(".dist-info/METADATA")}
    assert installed == expected
    project_files = {
        name for name in files if name in project.files or name.split("/")[0] in ("tests", "deploy", "bin", ".git")
    }
    assert project_files == {name for name in project.files if name.split("/")[0] in PROJECT_FILES}


def test_every_module_is_compiled_without_a_check_of_its_source(files: dict[str, bytes]) -> None:
    compiled = {name for name in files if name.endswith(".pyc")}
    assert {files[name][4:8] for name in compiled} == {b"\1\0\0\0"}
    (tag,) = {name.rsplit(".", 2)[1] for name in compiled}
    sources = {name for name in files if name.endswith(".py") and all(map(str.isidentifier, name[:-3].split("/")))}
    here = str(sys.implementation.cache_tag)
    assert {importlib.util.cache_from_source(name).replace(here, tag) for name in sources} - compiled == set()


def test_the_embedded_task_root_has_the_same_files_as_the_image(files: dict[str, bytes], project: Project) -> None:
    root = build_task_root(project.path, TEMPLATE / ".cache", lambda line: None).path
    here = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    assert set(map(without_python_version, here)) == set(map(without_python_version, files))
    # The compiled files and the metadata of wheels depend on the Python version.
    same = [name for name in here if not re.search(r"\.so$|\.pyc$|\.dist-info/", name)]
    assert [name for name in same if here[name].read_bytes() != files[name]] == []


def test_an_image_answers_requests_in_the_emulator_of_aws(image: str) -> None:
    options = ["--publish", "127.0.0.1::8080", "--env", f"DATABASE_URL={NO_DATABASE}"]
    with container(*LIKE_LAMBDA, *options, image) as identifier:
        address = docker("port", identifier, "8080/tcp")
        first, first_s = request(address, "GET", "/")
        later = [request(address, "GET", "/health") for _ in range(3)]
    assert first == (200, {"ok": True})
    assert [response for response, _ in later] == [(200, {"status": "healthy"})] * 3
    assert min(duration_s for _, duration_s in later) < first_s


@pytest.mark.parametrize(
    "project",
    [answers for answers in IMAGES if answers["migrations"] == "alembic"],
    indirect=True,
    ids=combination_name,
)
def test_an_image_migrates_a_database_and_serves_from_it(image: str) -> None:
    with postgres() as database:
        with emulator(image, "aws_lambda.migrate.handler", database) as address:
            assert invoke(address, {})[0] == {"from": None, "to": "0001", "output": ""}
            assert invoke(address, {"command": "current"})[0]["output"] == "0001 (head)\n"
        with emulator(image, "aws_lambda.handler.handler", database) as address:
            (created, screw), _ = request(address, "POST", "/items", {"name": "screw", "quantity": 3})
            listed, _ = request(address, "GET", "/items")
        assert created == 201
        assert listed == (200, {"items": [screw], "next": None})
        with psycopg.connect(database) as connection:
            assert connection.execute("SELECT name, quantity FROM items").fetchall() == [("screw", 3)]


@contextmanager
def emulator(image: str, command: str, database: str) -> Iterator[str]:
    """Run a command of the image in the emulator of AWS, in the network of this machine, where the database is."""
    address, runtime_api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    options = ["--network", "host", "--env", f"DATABASE_URL={database}", "--entrypoint", "aws-lambda-rie"]
    addresses = ["--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_api]
    with container(*LIKE_LAMBDA, *options, image, *addresses, "/var/runtime/bootstrap", command):
        yield address


@contextmanager
def container(*arguments: str) -> Iterator[str]:
    identifier = run("docker", "run", "--detach", *arguments).strip()
    try:
        yield identifier
    finally:
        print(docker("logs", identifier))
        docker("rm", "--force", identifier)


def request(address: str, method: str, path: str, body: object = None) -> tuple[tuple[int, Any], float]:
    """Send an HTTP request to the function. Return the status and the body of the response, and the duration in s."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "localhost", "content-type": "application/json"},
        "requestContext": {
            "http": http,
            "requestId": str(uuid.uuid4()),
            "stage": "$default",
            "domainName": "localhost",
        },
        "body": json.dumps(body) if body else "",
        "isBase64Encoded": False,
    }
    response, duration_s = invoke(address, event)
    return (response["statusCode"], json.loads(response["body"])), duration_s


def invoke(address: str, event: object) -> tuple[dict[str, Any], float]:
    """Return the result of the function and the duration in s. Wait until the emulator accepts connections."""
    url = f"http://{address}/2015-03-31/functions/function/invocations"
    for _ in range(200):
        started = time.monotonic()
        try:
            response = httpx.post(url, json=event, timeout=60, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            assert response.status_code == 200, response.text
            return response.json(), time.monotonic() - started
    raise AssertionError(f"nothing listens at {address}")


def run(*command: str) -> str:
    result = subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def docker_architecture(architecture: str) -> str:
    return {"x86_64": "amd64"}.get(architecture, architecture)


def without_python_version(name: str) -> str:
    return re.sub(r"\.cpython-\d+[\w-]*\.", ".", name)
