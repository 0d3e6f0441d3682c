"""A stage for each test, with a deploy.toml that contains only the name and the Region.

The mark `answers` selects the project: `@pytest.mark.answers(endpoint="http_api")`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Bake
from tests.embedded_aws import EmbeddedAws, ManualClock
from tests.scene import Scene


@pytest.fixture
def scene(bake: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    answers = {name: answer for mark in request.node.iter_markers("answers") for name, answer in mark.kwargs.items()}
    project = bake(**answers).copy(tmp_path / "project")
    (project.path / "deploy.toml").write_text('name = "my-api"\nregion = "us-east-1"\n', "utf-8")
    with EmbeddedAws(clock=ManualClock()) as aws:
        yield Scene(aws, project, tmp_path / "images")
