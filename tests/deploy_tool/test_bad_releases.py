"""Test that a release that does not work gets no traffic, and that the error names the cause."""

import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded_aws import Delays, EmbeddedAws, ManualClock
from embedded_aws.containers.task_root import build_task_root
from scripts.deploy_tool import Run
from scripts.project_changes import SETTINGS_END, append
from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.deploy_tool import CACHE, DeployedService, DeployTool, push_image
from tests.support.deployed_stage import NAME

HEALTH = '    return {"status": "healthy"}'
SLEEP = "import time; time.sleep(60)"
Change = Callable[[Project], None]


class ReleasedService(DeployedService):
    """A service whose version 1 is live."""

    def live_version(self) -> str:
        return str(self.aws.client("lambda").get_alias(FunctionName=NAME, Name="live")["FunctionVersion"])

    def release(
        self, folder: Path, *changes: Change, architecture: str = "arm64", without_package: str | None = None
    ) -> Run:
        """Deploy a copy of the project with these changes."""
        project = self.project.copy(folder)
        for change in changes:
            change(project)
        built = build_task_root(project.path, CACHE, lambda line: None)
        root = built.path
        if without_package:
            root = Path(shutil.copytree(root, folder / "root", symlinks=True))
            shutil.rmtree(root / without_package)
        image = self.aws.push_image("built-elsewhere", root, command=built.command, architecture=architecture)
        return DeployTool(project, self.aws)("--image", image)


@pytest.fixture(scope="module")
def service(bake: Bake) -> Iterator[ReleasedService]:
    project = bake()
    with EmbeddedAws(clock=ManualClock(), delays=Delays(init_timeout_s=2.0)) as aws:
        first = DeployTool(project, aws)("--image", push_image(project, aws))
        assert first.code == 0, first.err
        yield ReleasedService(aws, project, DeployTool(project, aws), first.url)


def replace(file: str, old: str, new: str) -> Change:
    return lambda project: project.edit(file, old, new)


def run_at_import(line: str) -> Change:
    return lambda project: append(project, "app/main.py", f"{line}\n")


def run_in_health_route(line: str) -> Change:
    return replace("app/routers/health.py", HEALTH, f"    {line}\n{HEALTH}")


UPLOAD = """
from fastapi import UploadFile

@app.post("/upload")
async def upload(file: UploadFile) -> None: ...
"""
EMAIL = """
from pydantic import BaseModel, EmailStr

class Person(BaseModel):
    email: EmailStr
"""
MISSING_PACKAGES = [
    pytest.param(UPLOAD, "python-multipart", id="UploadFile"),
    pytest.param(EMAIL, "email-validator", id="EmailStr"),
    pytest.param("import not_installed.client", "not_installed", id="import"),
]
REQUIRE_A_SECRET = replace("app/settings.py", SETTINGS_END, f"{SETTINGS_END}    api_key: str\n")
TIMEOUT_OF_ONE_SECOND = replace("deploy.toml", "timeout_s = 30", "timeout_s = 1")
MEMORY_OF_128_MB = replace("deploy.toml", "memory_mb = 512", "memory_mb = 128")
ALLOCATE_MEMORY = run_in_health_route("blocks = [bytes(2**20) * 1 for _ in range(10**6)]")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param([run_at_import("import not_installed")], "No module named 'not_installed'", id="import error"),
        pytest.param([run_at_import("raise RuntimeError('no disk')")], "RuntimeError: no disk", id="error at INIT"),
        pytest.param([TIMEOUT_OF_ONE_SECOND, run_at_import(SLEEP)], "timeout", id="timeout at INIT"),
        pytest.param([REQUIRE_A_SECRET], "api_key\n          Field required", id="missing secret"),
        pytest.param([TIMEOUT_OF_ONE_SECOND, run_in_health_route(SLEEP)], "timed out after 1.00 seconds", id="timeout"),
        pytest.param([run_in_health_route("raise KeyError('colour')")], "KeyError: 'colour'", id="status 500"),
        pytest.param([MEMORY_OF_128_MB, ALLOCATE_MEMORY], " of 128 MB", id="out of memory"),
    ],
)
def test_a_version_that_fails_its_smoke_test_does_not_go_live(
    service: ReleasedService, tmp_path: Path, changes: list[Change], reason: str
) -> None:
    assert_rejected(service, service.release(tmp_path, *changes), reason)


def test_an_image_without_a_required_package_does_not_go_live(service: ReleasedService, tmp_path: Path) -> None:
    assert_rejected(service, service.release(tmp_path, without_package="mangum"), "No module named 'mangum'")


@pytest.mark.parametrize(("code", "package"), MISSING_PACKAGES)
def test_a_missing_package_is_named(service: ReleasedService, tmp_path: Path, code: str, package: str) -> None:
    run = service.release(tmp_path, run_at_import(code))
    assert_rejected(service, run, f". The image does not contain {package}: add the package that provides it to ")


def test_an_image_for_another_architecture_does_not_go_live(service: ReleasedService, tmp_path: Path) -> None:
    assert_rejected(service, service.release(tmp_path, architecture="x86_64"), "exec format error")


def assert_rejected(service: ReleasedService, run: Run, reason: str) -> None:
    assert run.code == 1, run.out
    assert "failed its smoke test, GET /health" in run.err
    assert reason in run.err
    assert run.err.splitlines()[-1] == "No traffic was moved. Fix the error and deploy again."
    assert "Traceback (most recent call last)" not in run.err.splitlines()[-2]
    assert service.live_version() == "1"
    with urllib.request.urlopen(service.url, timeout=30) as response:
        assert response.read() == b'{"ok":true}'
