"""The tag of an image depends on its content, and Lambda accepts only single images."""

from pathlib import Path

import pytest

from deploy.config import Config
from deploy.errors import DeployError
from deploy.image import check_media_type, content_tag
from deploy.stage import Stage

CONFIG = Config(stage="prod", name="my-api", region="us-east-1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app/__pycache__").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    for file in ("Dockerfile", "requirements.txt", "app/main.py", "app/__pycache__/main.pyc", "tests/test.py"):
        (tmp_path / file).write_text(file)
    (tmp_path / ".dockerignore").write_text("# the content of the image\n*\n!app\n!requirements.txt\n**/__pycache__\n")
    return tmp_path


def test_the_tag_changes_with_the_content_and_only_then(project: Path) -> None:
    stage = Stage(CONFIG, project)
    tag = content_tag(stage)
    (project / "tests/test.py").write_text("changed")
    assert content_tag(stage) == tag
    assert content_tag(stage.with_config(architecture="x86_64")) != tag
    (project / "app/dangling").symlink_to("nowhere")  # as some editors create them
    assert content_tag(stage) != tag
    (project / "app/dangling").unlink()
    (project / "app/main.py").write_text("changed")
    assert content_tag(stage) != tag


def test_an_index_is_refused_with_advice() -> None:
    with pytest.raises(DeployError, match="which Lambda does not accept") as caught:
        check_media_type("application/vnd.oci.image.index.v1+json")
    assert "--provenance=false" in caught.value.hint


def test_a_rebuild_has_a_tag_of_its_own_that_begins_with_the_hash(project: Path) -> None:
    stage = Stage(CONFIG, project)
    assert content_tag(stage, rebuild=True).startswith(f"{content_tag(stage)}-rebuilt-")
