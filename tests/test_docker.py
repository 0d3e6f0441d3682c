"""Is the image that a container engine makes what the deploy tool and the embedded demo take it for?"""

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.baking import TEMPLATE, Project
from tests.conftest import Bake
from tests.embedded_aws.docker import docker, docker_aws, engine_architecture
from tests.embedded_aws.docker_registry import EngineMissing, registry_program
from tests.embedded_aws.images import ACCEPTED_MEDIA_TYPES
from tests.embedded_aws.task_root import build_task_root
from tests.test_demo import DEMO, TRANSCRIPT, environment, left_over


@cache
def missing() -> str:
    """What this machine lacks; nothing when it has an engine and a registry."""
    try:
        engine_architecture()
        registry_program()
    except EngineMissing as error:
        return str(error)
    return ""


if missing():
    warnings.warn(f"ENGINE=docker is NOT tested on this machine: {missing()}", stacklevel=1)
pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no container engine: {missing()}")


@pytest.fixture(scope="module")
def project(bake: Bake) -> Project:
    return bake(architecture=engine_architecture())


@pytest.fixture(scope="module")
def image(project: Project) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    command = ["docker", "build", "--platform", "linux/" + docker_architecture(), "--tag", name, str(project.path)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-3000:]
    yield name
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


def test_demo_builds_pushes_and_runs_the_image(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--engine", "docker"], cwd=TEMPLATE, env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(TRANSCRIPT, done.stdout), done.stdout
    assert re.search(r"\[1/\d\] Building image\.\.\. +done \([\d.]+s\)", done.stdout)
    assert re.search(r"\[2/\d\] Pushing to ECR\.\.\. +sha256:\w+… pushed \([\d.]+s\)", done.stdout)
    assert left_over(tmp_path) == []
    assert os.listdir(tmp_path / "temporary") == []
    assert docker("ps", "--all", "--quiet", "--filter", "name=execution-environment") == ""
    assert "my-api-prod" not in docker("images")


def test_registry_holds_what_ecr_says_until_destroy(project: Project, tmp_path: Path) -> None:
    own = project.copy(tmp_path)
    with docker_aws() as aws:
        variables = {**{name: os.environ[name] for name in os.environ if name.startswith("DOCKER_")}, **aws.environ}
        own.run("./deploy.sh", env=variables)
        (found,) = aws.client("ecr").describe_images(repositoryName="my-api-prod")["imageDetails"]
        assert found["imageManifestMediaType"] in ACCEPTED_MEDIA_TYPES
        ((_, tag, _, media_type, pushed),) = aws.running.images()
        assert ([tag], media_type) == (found["imageTags"], found["imageManifestMediaType"])
        assert (pushed.digest, pushed.architecture) == (found["imageDigest"], engine_architecture())
        before = len(aws.calls)
        own.run("./deploy.sh", env=variables)
        assert [call.operation for call in aws.calls[before:] if call.mutating] == []
        assert "0 left" in own.run(["/bin/sh", "-c", "echo my-api-prod | ./deploy.sh destroy"], env=variables).stdout
        assert list(aws.running.images()) == []


def test_image_is_for_one_architecture_and_adds_only_the_task_root(image: str, project: Project) -> None:
    dockerfile = (project.path / "Dockerfile").read_text()
    (found,) = json.loads(docker("image", "inspect", image))
    (base,) = json.loads(docker("image", "inspect", re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE)[-1]))
    assert found["Architecture"] == docker_architecture()
    assert found["Config"]["Cmd"] == ["app.main.handler"]
    assert found["Config"]["Entrypoint"] == base["Config"]["Entrypoint"]
    assert found["RootFS"]["Layers"][: len(base["RootFS"]["Layers"])] == base["RootFS"]["Layers"]
    print(f"{(found['Size'] - base['Size']) / 1e6:.1f} MB on top of the base image")


def test_image_holds_no_tests_and_no_development_packages(files: dict[str, bytes], project: Project) -> None:
    wanted = {line.split("==")[0] for line in requirements(project)}
    held = {name.split("-")[0].replace("_", "-").lower() for name in files if name.endswith(".dist-info/METADATA")}
    assert held <= wanted
    assert {name.split("/")[0] for name in files} & {
        "tests",
        "deploy",
        "bin",
        "requirements.txt",
        ".git",
        ".env",
    } == set()
    assert {name for name in files if name.startswith("app/") and "__pycache__" not in name} == {
        name for name in project.files if name.startswith("app/")
    }


def test_image_is_compiled_so_that_no_source_is_looked_at(files: dict[str, bytes]) -> None:
    compiled = {name for name in files if name.endswith(".pyc")}
    assert all(files[name][4:8] == b"\1\0\0\0" for name in compiled)
    sources = {name for name in files if name.endswith(".py")}
    tag = next(iter(compiled)).rsplit(".", 2)[1]
    expected = {
        importlib.util.cache_from_source(name).replace(str(sys.implementation.cache_tag), tag) for name in sources
    }
    assert {
        name for name in expected - compiled if name.startswith(("app/", "fastapi/", "pydantic/", "mangum/"))
    } == set()


def test_embedded_task_root_is_the_image_file_for_file(files: dict[str, bytes], project: Project) -> None:
    root = build_task_root(project.path, TEMPLATE / ".cache", lambda line: None).path
    here = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert {any_python(name) for name in here} == {any_python(name) for name in files}
    # Wheels of another Python differ in what is compiled, and so does what describes them.
    same = [name for name in here if not re.search(r"\.so$|\.pyc$|\.dist-info/", name)]
    assert [name for name in same if here[name] != files[name]] == []


def test_image_answers_under_awss_own_emulator(image: str) -> None:
    container = docker("run", "--rm", "--detach", "--publish", "127.0.0.1::8080", image)
    try:
        address = docker("port", container, "8080/tcp")
        first, first_s = invoke(address, "/")
        second, second_s = invoke(address, "/health")
        assert (first["statusCode"], json.loads(first["body"])) == (200, {"ok": True})
        assert (second["statusCode"], json.loads(second["body"])) == (200, {"status": "healthy"})
        assert second_s < first_s
    finally:
        docker("rm", "--force", container)


def invoke(address: str, path: str) -> tuple[dict[str, Any], float]:
    """What the emulator answers to a request of this path, and the seconds it took."""
    http = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "localhost"},
        "requestContext": {
            "http": http,
            "requestId": str(uuid.uuid4()),
            "stage": "$default",
            "domainName": "localhost",
        },
        "isBase64Encoded": False,
    }
    url = f"http://{address}/2015-03-31/functions/function/invocations"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):  # until the emulator listens
        started = time.monotonic()
        try:
            with opener.open(url, json.dumps(event).encode(), timeout=30) as answer:
                return json.loads(answer.read()), time.monotonic() - started
        except (ConnectionError, urllib.error.URLError):
            time.sleep(0.05)
    raise AssertionError(f"nothing listens at {address}")


def any_python(name: str) -> str:
    return re.sub(r"\.cpython-\d+[\w-]*\.", ".", name)


def requirements(project: Project) -> list[str]:
    return [line for line in (project.path / "requirements.txt").read_text().splitlines() if line and line[0].isalnum()]


def docker_architecture() -> str:
    return {"x86_64": "amd64"}.get(engine_architecture(), engine_architecture())
