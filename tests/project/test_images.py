"""Is the image of every Dockerfile and every set of packages what Lambda needs, what the demo runs, and no more?"""

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
NO_DATABASE = "postgresql://none.invalid/none"  # which is not asked before a request needs it
OWN = ("app", "aws_lambda", "migrations", "alembic.ini")  # what an image holds of the project itself
LIKE_LAMBDA = ["--user", NOBODY, "--read-only", "--tmpfs", "/tmp"]  # noqa: S108


def what_makes_an_image(answers: Answers) -> tuple[str, str]:
    """The Dockerfile and the requirements of a project with these answers; the rest of an image is its app folder."""
    prompts = {name: asked[0] if isinstance(asked, list) else asked for name, asked in PROMPTS.items()}
    context: dict[str, Any] = {"cookiecutter": {**prompts, **answers}}
    options = {"context": context, "keep_trailing_newline": True, "loader": FileSystemLoader(PROJECT_TEMPLATE)}
    jinja = StrictEnvironment(**options, **PROMPTS["_jinja2_env_vars"])
    dockerfile, requirements = (jinja.get_template(name).render(context) for name in ("Dockerfile", "requirements.txt"))
    return dockerfile, requirements


def distinct_images() -> list[Answers]:
    """Answers that together bring every Dockerfile and every set of packages: the defaults, then the richest first."""
    found: list[Answers] = []
    seen: set[str] = set()
    for python, answers in itertools.product(CHOICES["python_version"], [COMBINATIONS[0], *reversed(COMBINATIONS)]):
        image = {**answers, "python_version": python} if python != CHOICES["python_version"][0] else answers
        if not seen.issuperset(made_of := what_makes_an_image(image)):
            seen.update(made_of)
            found.append(image)
    return found


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
    """The image that the project's stands on."""
    image = re.findall(r"^FROM (\S+)$", (project.path / "Dockerfile").read_text("utf-8"), re.MULTILINE)[-1]
    if not docker("images", "--quiet", image) and not docker("pull", "--quiet", image):
        warnings.warn(f"images on {image} are NOT tested on this machine, which cannot pull it", stacklevel=1)
        pytest.skip(f"no {image}")
    return str(image)


@pytest.fixture(scope="module")
def image(
    project: Project, base: str, registry: RunningRegistry, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The image as it was pushed: the registry's name for it, with its digest."""
    folder = project.copy(tmp_path_factory.mktemp("project")).path
    run("chmod", "-R", "go=", *(str(path) for path in map(folder.joinpath, OWN) if path.exists()))  # as with umask 077
    name = f"{registry.host}/image-{uuid.uuid4().hex[:12]}"
    signed_in = tmp_path_factory.mktemp("docker-config")
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (signed_in / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": token}}}))
    run("docker", "build", "--platform", f"linux/{as_docker(engine)}", "--tag", name, str(folder))
    try:
        pushed = run("docker", "--config", str(signed_in), "push", name)
        yield f"{name}@{re.findall(r'digest: (sha256:[0-9a-f]{64})', pushed)[0]}"
    finally:
        docker("rmi", "--force", name)


@pytest.fixture(scope="module")
def files(image: str) -> dict[str, bytes]:
    """The content of every file below /var/task, by name."""
    container = docker("create", image)
    packed = subprocess.run(["docker", "cp", f"{container}:/var/task", "-"], capture_output=True, check=True).stdout
    docker("rm", container)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            if content := archive.extractfile(member) if member.isfile() else None:
                found[member.name.removeprefix("task/")] = content.read()
    return found


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_every_combination_has_one_of_these_images(bake: Bake, answers: Answers) -> None:
    project = bake(**answers)
    baked = tuple((project.path / name).read_text("utf-8") for name in ("Dockerfile", "requirements.txt"))
    assert baked == what_makes_an_image(answers)
    dockerfiles, requirements = map(set, zip(*map(what_makes_an_image, IMAGES), strict=True))
    assert baked[0] in dockerfiles
    assert baked[1] in requirements


def test_is_for_one_architecture_and_adds_only_the_task_root(
    image: str, base: str, registry: RunningRegistry, engine: str, request: pytest.FixtureRequest, record_property: Any
) -> None:
    (found,) = json.loads(docker("image", "inspect", image))
    (below,) = json.loads(docker("image", "inspect", base))
    assert found["Config"]["Cmd"] == ["aws_lambda.handler.handler"]
    assert found["Config"]["Entrypoint"] == below["Config"]["Entrypoint"]
    layers = len(below["RootFS"]["Layers"])
    assert found["RootFS"]["Layers"][:layers] == below["RootFS"]["Layers"]
    (manifest, media_type, pushed) = next(
        (manifest, media_type, pushed)
        for _, _, manifest, media_type, pushed in registry.images()
        if pushed.digest == image.partition("@")[2]
    )
    assert media_type in ACCEPTED_MEDIA_TYPES
    assert (pushed.architecture, found["Architecture"]) == (engine, as_docker(engine))
    compressed = sum(layer["size"] for layer in json.loads(manifest)["layers"][layers:])
    size = f"{(found['Size'] - below['Size']) / 1e6:.1f} MB, {compressed / 1e6:.1f} MB compressed"
    record_property("image", f"{request.node.callspec.id}: {size}, on top of the base image")


def test_holds_no_tests_and_no_development_packages(files: dict[str, bytes], project: Project) -> None:
    python = project.answers.get("python_version", CHOICES["python_version"][0])
    there = {"python_version": python, "python_full_version": f"{python}.0"}
    locked = pinned_requirements(project.path / "requirements.txt")
    wanted = {pin.name for pin in locked if not pin.marker or pin.marker.evaluate(there)}
    held = {name.split("-")[0].replace("_", "-").lower() for name in files if name.endswith(".dist-info/METADATA")}
    assert held == wanted
    own = {name for name in files if name in project.files or name.split("/")[0] in ("tests", "deploy", "bin", ".git")}
    assert own == {name for name in project.files if name.split("/")[0] in OWN}


def test_is_compiled_so_that_no_source_is_looked_at(files: dict[str, bytes]) -> None:
    compiled = {name for name in files if name.endswith(".pyc")}
    assert {files[name][4:8] for name in compiled} == {b"\1\0\0\0"}
    (tag,) = {name.rsplit(".", 2)[1] for name in compiled}
    sources = {name for name in files if name.endswith(".py") and all(map(str.isidentifier, name[:-3].split("/")))}
    here = str(sys.implementation.cache_tag)
    assert {importlib.util.cache_from_source(name).replace(here, tag) for name in sources} - compiled == set()


def test_embedded_task_root_is_the_image_file_for_file(files: dict[str, bytes], project: Project) -> None:
    root = build_task_root(project.path, TEMPLATE / ".cache", lambda line: None).path
    here = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    assert set(map(any_python, here)) == set(map(any_python, files))
    # Wheels of another Python differ in what is compiled, and so does what describes them.
    same = [name for name in here if not re.search(r"\.so$|\.pyc$|\.dist-info/", name)]
    assert [name for name in same if here[name].read_bytes() != files[name]] == []


def test_answers_under_awss_own_emulator(image: str) -> None:
    options = ["--publish", "127.0.0.1::8080", "--env", f"DATABASE_URL={NO_DATABASE}"]
    with container(*LIKE_LAMBDA, *options, image) as started:
        address = docker("port", started, "8080/tcp")
        first, first_s = request(address, "GET", "/")
        second, second_s = request(address, "GET", "/health")
    assert first == (200, {"ok": True})
    assert second == (200, {"status": "healthy"})
    assert second_s < first_s


@pytest.mark.parametrize(
    "project",
    [answers for answers in IMAGES if answers["migrations"] == "alembic"],
    indirect=True,
    ids=combination_name,
)
def test_migrates_with_its_other_command_and_serves_from_that_database(image: str) -> None:
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
    """AWS's emulator with this command of the image, on the machine's own network, where the database is."""
    address, runtime_api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    options = ["--network", "host", "--env", f"DATABASE_URL={database}", "--entrypoint", "aws-lambda-rie"]
    addresses = ["--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_api]
    with container(*LIKE_LAMBDA, *options, image, *addresses, "/var/runtime/bootstrap", command):
        yield address


@contextmanager
def container(*arguments: str) -> Iterator[str]:
    started = run("docker", "run", "--detach", *arguments).strip()
    try:
        yield started
    finally:
        print(docker("logs", started))
        docker("rm", "--force", started)


def request(address: str, method: str, path: str, body: object = None) -> tuple[tuple[int, Any], float]:
    """The status and body that an HTTP request is answered with, and the seconds it took."""
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
    answer, took_s = invoke(address, event)
    return (answer["statusCode"], json.loads(answer["body"])), took_s


def invoke(address: str, event: object) -> tuple[dict[str, Any], float]:
    """What the function answers, and the seconds it took."""
    url = f"http://{address}/2015-03-31/functions/function/invocations"
    for _ in range(200):  # until the emulator listens
        started = time.monotonic()
        try:
            answer = httpx.post(url, json=event, timeout=60, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            assert answer.status_code == 200, answer.text
            return answer.json(), time.monotonic() - started
    raise AssertionError(f"nothing listens at {address}")


def run(*command: str) -> str:
    done = subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def as_docker(architecture: str) -> str:
    return {"x86_64": "amd64"}.get(architecture, architecture)


def any_python(name: str) -> str:
    return re.sub(r"\.cpython-\d+[\w-]*\.", ".", name)
