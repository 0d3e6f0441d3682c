"""Test which container engine a deploy uses, and that it builds on the newest base image."""

from pathlib import Path

import pytest

from tests.support.deployed_stage import DeployedStage

ENGINE = """#!/bin/sh
echo "{command} $1${{REGISTRY_AUTH_FILE:+ signed in}}" >> {log}
case "$1 $*" in
    info*) {info} ;;
    --version*) echo "{version}" ;;
    *--pull*) echo "step 1" >&2; echo "{pull_error}" >&2; [ -z "{pull_error}" ] ;;
    build*) echo "{build_error}" >&2; [ -z "{build_error}" ] ;;
    image*inspect*) echo '[{{"Architecture": "arm64"}}]' ;;
    push*) echo "denied" >&2; exit 1 ;;
esac
"""
OFFLINE = "dial tcp: lookup public.ecr.aws: no such host"


class Engines:
    """Replaces the container engines of this machine by scripts that write a log. A push fails."""

    def __init__(self, stage: DeployedStage, folder: Path) -> None:
        self.stage = stage
        self._folder = folder
        self._log = folder / "log"

    def install(
        self, command: str, *, works: bool = True, version: str = "", pull_error: str = "", build_error: str = ""
    ) -> None:
        """Install a command, whose pulls and builds may fail with an error."""
        script = ENGINE.format(
            command=command,
            log=self._log,
            info="echo it works" if works else "exit 1",
            version=version or f"{command} version 4",
            pull_error=pull_error,
            build_error=build_error,
        )
        path = self._folder / command
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    def used(self) -> list[str]:
        """Return the commands that did something."""
        lines = self._log.read_text("utf-8").splitlines()
        return [line for line in lines if not line.endswith((" info", " --version"))]


@pytest.fixture
def engines(stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engines:
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("sh", "git"):
        (folder / command).symlink_to(f"/bin/{command}")
    monkeypatch.setenv("PATH", str(folder))
    return Engines(stage, folder)


@pytest.mark.parametrize("command", ["docker", "podman", "finch"])
def test_the_only_engine_builds_and_pushes(engines: Engines, command: str) -> None:
    engines.install(command, works=False)  # with one engine, its own error explains more than a choice could
    run = engines.stage.deploy()
    assert run.err.splitlines()[-2:] == [
        f"{command} push failed.",
        f"Fix the error that {command} reports above. --debug shows its complete output.",
    ]
    assert engines.used() == [f"{command} build", f"{command} image", f"{command} tag", f"{command} push signed in"]


@pytest.mark.parametrize(
    ("docker_works", "podman_works", "chosen"),
    [(True, True, "docker"), (False, True, "podman"), (True, False, "docker"), (False, False, "docker")],
)
def test_docker_is_preferred_if_it_works(engines: Engines, docker_works: bool, podman_works: bool, chosen: str) -> None:
    engines.install("docker", works=docker_works)
    engines.install("podman", works=podman_works)
    engines.stage.deploy()
    assert {line.split()[0] for line in engines.used()} == {chosen}


def test_deploy_toml_selects_the_engine(engines: Engines) -> None:
    engines.install("docker")
    engines.install("finch")
    engines.stage.configure('container_engine = "finch"')
    assert "ok       container engine: finch builds for arm64\n" in engines.stage.deploy("doctor").out
    assert {line.split()[0] for line in engines.used()} == {"finch"}


def test_the_engine_in_deploy_toml_must_be_installed(engines: Engines) -> None:
    engines.install("docker")
    engines.stage.configure('container_engine = "podman"')
    run = engines.stage.deploy()
    assert run.code == 1
    assert run.err == (
        "podman is not installed. It is the container_engine in deploy.toml.\n"
        "Install it, or remove container_engine from deploy.toml to use another engine.\n"
    )


def test_an_unknown_engine_in_deploy_toml_is_refused(engines: Engines) -> None:
    engines.stage.configure('container_engine = "rkt"')
    run = engines.stage.deploy()
    assert run.code == 2
    assert run.err.startswith("deploy.toml: container_engine: must be 'docker', 'podman' or 'finch'")


def test_messages_name_podman_if_it_provides_the_docker_command(engines: Engines) -> None:
    engines.install("docker", version="podman version 4.3.1")
    assert "ok       container engine: podman builds for arm64\n" in engines.stage.deploy("doctor").out
    run = engines.stage.deploy()
    assert "podman push failed." in run.err
    assert "docker push signed in" in engines.used()


def test_a_build_continues_with_the_local_base_image_if_the_newest_cannot_be_pulled(engines: Engines) -> None:
    engines.install("podman", pull_error=OFFLINE)
    run = engines.stage.deploy()
    note = f"      The base image may be outdated: podman build --pull failed: {OFFLINE}"
    assert run.out.splitlines()[2] == note
    assert engines.used()[:3] == ["podman build", "podman build", "podman image"]


def test_the_error_of_a_build_that_fails_without_a_pull_is_reported(engines: Engines) -> None:
    engines.install("docker", pull_error="anything", build_error="no matching distribution")
    run = engines.stage.deploy()
    assert run.code == 1
    assert run.err.splitlines()[-3:-1] == ["    no matching distribution", "docker build failed."]


def test_rebuild_fails_if_the_newest_base_image_cannot_be_pulled(engines: Engines) -> None:
    engines.install("docker", pull_error=OFFLINE)
    run = engines.stage.deploy("--rebuild")
    assert run.code == 1
    assert f"    {OFFLINE}" in run.err.splitlines()
    assert engines.used() == ["docker build"]


def test_a_throttled_pull_is_an_error_with_advice_for_the_engine(engines: Engines) -> None:
    """aws/aws-lambda-web-adapter#595"""
    engines.install("podman", pull_error="toomanyrequests", build_error="toomanyrequests: Rate exceeded")
    assert engines.stage.deploy().err.splitlines()[-1] == (
        "Sign in to ECR Public: aws ecr-public get-login-password --region us-east-1 | "
        "podman login --username AWS --password-stdin public.ecr.aws"
    )
