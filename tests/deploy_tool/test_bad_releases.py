"""A release that does not work gets no traffic, and the error says why."""

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

HEALTH = '    return {"status": "healthy"}'
SLEEP = "import time; time.sleep(60)"
Break = Callable[[Project], None]


class Scene(DeployedService):
    """A service whose version 1 is live."""

    def live_version(self) -> str:
        alias = self.aws.client("lambda").get_alias(FunctionName="my-api-prod", Name="live")
        return str(alias["FunctionVersion"])

    def release(self, folder: Path, breaks: Break, *, architecture: str = "arm64", without: str = "") -> Run:
        """Deploy a changed copy of the project, without one package in its image if `without` names it."""
        changed = self.project.copy(folder)
        breaks(changed)
        built = build_task_root(changed.path, CACHE, lambda line: None)
        root = built.path
        if without:
            root = Path(shutil.copytree(root, folder / "root", symlinks=True))
            shutil.rmtree(root / without)
        image = self.aws.push_image("built-elsewhere", root, command=built.command, architecture=architecture)
        return DeployTool(changed, self.aws)("--image", image)


@pytest.fixture(scope="module")
def on(bake: Bake) -> Iterator[Scene]:
    project = bake()
    with EmbeddedAws(clock=ManualClock(), delays=Delays(init_timeout_s=2.0)) as aws:
        first = DeployTool(project, aws)("--image", push_image(project, aws))
        assert first.code == 0, first.err
        yield Scene(aws, project, DeployTool(project, aws), first.url)


def in_file(name: str, old: str, new: str) -> Break:
    return lambda project: project.edit(name, old, new)


def at_import(line: str) -> Break:
    return lambda project: append(project, "app/main.py", f"{line}\n")


def in_health(lines: str) -> Break:
    return in_file("app/routers/health.py", HEALTH, f"    {lines}\n{HEALTH}")


def both(*changes: Break) -> Break:
    def change(project: Project) -> None:
        for one in changes:
            one(project)

    return change


def as_it_is(project: Project) -> None: ...


one_second = in_file("deploy.toml", "timeout_s = 30", "timeout_s = 1")
needs_a_secret = in_file("app/settings.py", SETTINGS_END, f"{SETTINGS_END}    api_key: str\n")


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [
        pytest.param(at_import("import nothing_there"), "No module named 'nothing_there'", id="import error"),
        pytest.param(at_import("raise RuntimeError('no disk')"), "RuntimeError: no disk", id="crash at INIT"),
        pytest.param(both(one_second, at_import(SLEEP)), "timeout", id="INIT takes too long"),
        pytest.param(needs_a_secret, "api_key\n          Field required", id="secret that is not set"),
        pytest.param(both(one_second, in_health(SLEEP)), "timed out after 1.00 seconds", id="time-out"),
        pytest.param(in_health("raise KeyError('colour')"), "KeyError: 'colour'", id="500"),
        pytest.param(
            both(
                in_file("deploy.toml", "memory_mb = 512", "memory_mb = 128"),
                in_health("held = [bytes(2**20) * 1 for _ in range(10**6)]"),
            ),
            " of 128 MB",
            id="out of memory",
        ),
    ],
)
def test_a_version_that_fails_its_smoke_test_does_not_go_live(
    on: Scene, tmp_path: Path, breaks: Break, reason: str
) -> None:
    assert_rejected(on, on.release(tmp_path, breaks), reason)


def test_an_image_without_a_required_package_does_not_go_live(on: Scene, tmp_path: Path) -> None:
    assert_rejected(on, on.release(tmp_path, as_it_is, without="mangum"), "No module named 'mangum'")


def test_an_image_for_another_architecture_does_not_go_live(on: Scene, tmp_path: Path) -> None:
    assert_rejected(on, on.release(tmp_path, as_it_is, architecture="x86_64"), "exec format error")


def assert_rejected(on: Scene, run: Run, reason: str) -> None:
    assert run.code == 1, run.out
    assert "failed its smoke test, GET /health" in run.err
    assert reason in run.err
    assert run.err.splitlines()[-1] == "No traffic was moved. Fix the error and deploy again."
    assert "Traceback (most recent call last)" not in run.err.splitlines()[-2]
    assert on.live_version() == "1"
    with urllib.request.urlopen(on.url, timeout=30) as response:
        assert response.read() == b'{"ok":true}'
