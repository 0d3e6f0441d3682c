"""The image's tag says what is in it; only a plain image is let through to Lambda."""

from pathlib import Path

import pytest

from deploy.config import Service
from deploy.image import build_context, check_media_type, content_tag
from deploy.problem import Problem

SERVICE = Service(stage="prod", name="my-api", region="us-east-1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app/__pycache__").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    for file in ("Dockerfile", "requirements.txt", "app/main.py", "app/__pycache__/main.pyc", "tests/test.py"):
        (tmp_path / file).write_text(file)
    (tmp_path / ".dockerignore").write_text("# what goes in\n*\n!app\n!requirements.txt\n**/__pycache__\n")
    return tmp_path


def test_only_what_docker_is_sent_counts(project: Path) -> None:
    sent = [file.relative_to(project).as_posix() for file in build_context(project)]
    assert sorted(sent) == ["Dockerfile", "app/main.py", "requirements.txt"]


def test_the_tag_changes_with_the_content_and_only_then(project: Path) -> None:
    tag = content_tag(project, SERVICE)
    (project / "tests/test.py").write_text("changed")
    assert content_tag(project, SERVICE) == tag
    assert content_tag(project, SERVICE.model_copy(update={"architecture": "x86_64"})) != tag
    (project / "app/dangling").symlink_to("nowhere")  # as editors leave them
    assert content_tag(project, SERVICE) != tag
    (project / "app/dangling").unlink()
    (project / "app/main.py").write_text("changed")
    assert content_tag(project, SERVICE) != tag


def test_an_index_is_refused_and_the_fix_is_told() -> None:
    with pytest.raises(Problem, match="which Lambda does not take") as caught:
        check_media_type("application/vnd.oci.image.index.v1+json")
    assert "--provenance=false" in caught.value.fix
