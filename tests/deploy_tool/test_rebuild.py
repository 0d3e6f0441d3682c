"""Building the image, and building it again on the latest base image."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployed_stage import NAME, DeployedStage, task_root


class Docker:
    """Records the commands of docker. An image that is pushed answers every request."""

    def __init__(self, stage: DeployedStage, folder: Path) -> None:
        self.stage = stage
        self.folder = folder
        self.commands: list[list[str]] = []

    def __call__(self, args: list[str], *_: Any) -> str:
        self.commands.append(args)
        match args:
            case ["push", uri]:
                repository, tag = uri.partition("/")[2].split(":")
                self.stage.aws.docker_push(repository, task_root(self.folder, tag), tag)
            case ["image", "inspect", _]:
                return json.dumps([{"Architecture": "arm64"}])
        return ""

    def builds(self) -> list[list[str]]:
        return [args for args in self.commands if args[0] == "build"]


@pytest.fixture
def docker(stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    docker = Docker(stage, tmp_path / "built")
    monkeypatch.setattr("deploy.image.run_docker", docker)
    return docker


def test_an_unchanged_image_is_not_built_again(stage: DeployedStage, docker: Docker) -> None:
    assert stage.deploy().code == 0
    assert stage.deploy().code == 0
    assert len(docker.builds()) == 1
    assert "--no-cache" not in docker.builds()[0]


def test_rebuild_builds_the_same_content_on_the_latest_base_image(stage: DeployedStage, docker: Docker) -> None:
    assert stage.deploy().code == 0
    run = stage.deploy("--rebuild")
    assert run.code == 0, run.err
    assert stage.live_version() == "2"
    _, rebuild = docker.builds()
    assert rebuild[:3] == ["build", "--pull", "--no-cache"]
    tags = [
        tag
        for image in stage.aws.client("ecr").describe_images(repositoryName=NAME)["imageDetails"]
        for tag in image["imageTags"]
    ]
    first, second = sorted(tags)
    assert second.startswith(f"{first}-rebuilt-")


def test_the_next_deploy_keeps_the_rebuilt_image(stage: DeployedStage, docker: Docker) -> None:
    stage.deploy()
    stage.deploy("--rebuild")
    run = stage.deploy()
    assert "Nothing to deploy" in run.out
    assert stage.live_version() == "2"
    assert len(docker.builds()) == 2
