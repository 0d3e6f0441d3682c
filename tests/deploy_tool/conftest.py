"""A stage for each test, with a deploy.toml that contains only the name and the Region.

The mark `answers` selects the project: `@pytest.mark.answers(endpoint="http_api")`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_aws import EmbeddedAws, ManualClock
from tests.support.bake import Bake
from tests.support.deployed_stage import DeployedStage
from tests.support.fake_docker import FakeDocker


@pytest.fixture
def stage(bake: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DeployedStage]:
    """Start an embedded AWS on which nothing is deployed yet."""
    answers = {name: answer for mark in request.node.iter_markers("answers") for name, answer in mark.kwargs.items()}
    project = bake(**answers).copy(tmp_path / "project")
    (project.path / "deploy.toml").write_text('name = "my-api"\nregion = "us-east-1"\n', "utf-8")
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield DeployedStage(aws, project, tmp_path / "images")


@pytest.fixture
def docker(stage: DeployedStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """Replace the container engine of the stage by one that records its commands."""
    docker = FakeDocker(stage.aws, tmp_path / "built")
    docker.install(monkeypatch)
    return docker
