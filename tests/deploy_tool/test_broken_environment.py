"""Test ./deploy.sh where something is broken: files, the container engine, the terminal or the environment.

An error has two lines, and no traceback is printed.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws
from scripts.deploy_tool import Run
from scripts.projects import Project, project_environment
from tests.support.bake import Bake
from tests.support.deployed_stage import DeployedStage
from tests.support.fake_docker import install_docker

COMMANDS = ["deploy", "plan", "status", "rollback", "logs", "doctor", "cost", "secret list", "destroy --yes"]


def assert_two_lines(run: Run, code: int) -> None:
    """Raise AssertionError unless an error has two lines. Indented lines above it are the output of other programs."""
    assert run.code == code, run
    assert "Traceback" not in run.out + run.err
    assert len([line for line in run.err.splitlines() if not line.startswith("    ")]) == 2, run.err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name = ",
        b"\xff\xfe\x00binary\x00",
        b"x = " + b"[" * 9_999,
        b"memory_mb = " + b"9" * 9_999,
        b"name = 1979-05-27",
    ],
    ids=["empty", "not TOML", "binary", "nested", "long number", "date"],
)
def test_deploy_toml_is_not_valid(stage: DeployedStage, content: bytes) -> None:
    (stage.project.path / "deploy.toml").write_bytes(content)
    for command in COMMANDS:
        run = stage.deploy(*command.split())
        assert_two_lines(run, 2)
        assert run.err.startswith("deploy.toml")
        assert len(run.err) < 1_000
        assert stage.calls == []


@pytest.mark.parametrize("kind", ["folder", "missing", "link to itself"])
def test_deploy_toml_cannot_be_read(stage: DeployedStage, kind: str) -> None:
    file = stage.project.path / "deploy.toml"
    file.unlink()
    if kind == "folder":
        file.mkdir()
    if kind == "link to itself":
        file.symlink_to(file)
    run = stage.deploy("status")
    assert_two_lines(run, 2)
    assert run.err.startswith("deploy.toml cannot be read: ")


@pytest.mark.parametrize("name", ["Dockerfile", "pyproject.toml", "requirements.txt", "app", "deploy/prices.toml"])
def test_a_file_of_the_project_is_missing(stage: DeployedStage, name: str) -> None:
    (stage.project.path / name).rename(stage.project.path / "renamed")
    for command in ("plan", "deploy", "cost", "doctor"):
        run = stage.deploy(command)
        assert run.code in (0, 1), run
        if run.code and command != "doctor":
            assert_two_lines(run, 1)


@pytest.mark.parametrize(
    "output",
    ["echo 'WARNING: no JSON'", ":", "echo '[]'", "echo null", "echo '[{}]'", r"printf '\377\376'", "kill -9 $$"],
)
@pytest.mark.parametrize("command", ["deploy", "doctor"])
def test_the_container_engine_prints_something_else(
    stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, output: str
) -> None:
    install_docker(tmp_path, monkeypatch, inspect=output)
    run = stage.deploy(command)
    assert "Traceback" not in run.out + run.err
    if command == "doctor":
        assert "PROBLEM  container engine: " in run.out
        assert "ok       credentials: " in run.out
        assert run.code == 1
    else:
        assert_two_lines(run, 1)


def test_the_container_engine_is_not_a_program(
    stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_docker(tmp_path, monkeypatch)
    (tmp_path / "docker").write_bytes(b"\x00\x01\x02")
    assert_two_lines(stage.deploy(), 1)


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    """An account without a service."""
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Project:
    """A project in a folder of its own."""
    return bake().copy(tmp_path / "project")


def run_in_shell(project: Project, aws: EmbeddedAws, command: str, **variables: str) -> Run:
    """Run a command of the shell in the folder of the project."""
    result = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=project.path,
        env=project_environment(project.path) | aws.environ | variables,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
    )
    return Run(result.returncode, result.stdout, result.stderr)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("env -u HOME ./deploy.sh status", 1),
        ("TMPDIR=/nowhere ./deploy.sh status", 1),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii ./deploy.sh plan", 0),
        ("./deploy.sh plan >&-", 0),
        ("./deploy.sh status <&-", 1),
        ("./deploy.sh destroy <&-", 0),
        ("set -o pipefail; ./deploy.sh plan | head -1", 0),
        ("set -o pipefail; ./deploy.sh github octo-org/my-api | head -0", 1),
        ("./deploy.sh secret set API_KEY <&-", 2),
        (r"printf '\xff' | PYTHONUTF8=1 PYTHONIOENCODING=utf-8:surrogateescape ./deploy.sh secret set API_KEY", 2),
        ("printf x | ./deploy.sh secret set STAGE", 2),
        ("./deploy.sh plan 2>&- | tail -1", 0),
        ("mkdir gone && cd gone && rmdir ../gone && ../deploy.sh status", 1),
        ("AWS_PROFILE=unknown AWS_ACCESS_KEY_ID= ./deploy.sh status", 1),
        ("AWS_CA_BUNDLE=/nowhere.pem AWS_ENDPOINT_URL=https://127.0.0.1:9 AWS_MAX_ATTEMPTS=1 ./deploy.sh status", 1),
        ("AWS_CONFIG_FILE=pyproject.toml ./deploy.sh status", 1),
        ("AWS_ENDPOINT_URL=nonsense ./deploy.sh status", 1),
        ("HTTP_PROXY=nonsense:x ./deploy.sh status", 1),
    ],
)
def test_the_environment_is_broken(project: Project, aws: EmbeddedAws, command: str, code: int) -> None:
    run = run_in_shell(project, aws, command)
    assert run.code == code, run
    assert "Traceback" not in run.out + run.err
    lines = [line for line in run.err.splitlines() if "getcwd() failed" not in line]  # a message of the shell
    assert len(lines) == (2 if code else 0), run.err


def test_the_disk_of_the_output_is_full(project: Project, aws: EmbeddedAws) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full exists only on Linux")
    run = run_in_shell(project, aws, "./deploy.sh plan > /dev/full")
    assert run.code != 0
    assert "Traceback" not in run.err
    assert "No space left on device" in run.err


def test_a_damaged_package_of_the_deploy_tool_is_an_error(project: Project, aws: EmbeddedAws) -> None:
    (project.path / "typer.py").write_text("raise ImportError('cannot open shared object file', name='typer')\n")
    run = run_in_shell(project, aws, ".venv/bin/python -m deploy status")
    assert_two_lines(run, 1)
