"""Test that the tag of an image depends on exactly the files that Docker receives."""

from pathlib import Path

import pytest

from deploy.build_context import build_context

FILES = {"Dockerfile", "app/main.py", "app/private.key", "app/static/a.js", "docs/a.md", "docs/secret.md", ".git/HEAD"}


@pytest.mark.parametrize(
    ("dockerignore", "excluded"),
    [
        ("", set()),
        ("# a comment\n\n.git\n", {".git/HEAD"}),
        ("*\n!app\n", {"docs/a.md", "docs/secret.md", ".git/HEAD"}),
        ("*\n!app\n**/*.key\n", {"app/private.key", "docs/a.md", "docs/secret.md", ".git/HEAD"}),
        ("app/private.key\n", {"app/private.key"}),
        ("/docs/\n!docs/a.md\n", {"docs/secret.md"}),
        ("docs/*.md\n!docs/?.md\n", {"docs/secret.md"}),
        ("*/static\n", {"app/static/a.js"}),
        ("**\n!docs/**\ndocs/[r-t]*\n", FILES - {"Dockerfile", "docs/a.md"}),
    ],
)
def test_the_files_are_those_that_docker_receives(tmp_path: Path, dockerignore: str, excluded: set[str]) -> None:
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / ".dockerignore").write_text(dockerignore, "utf-8")
    assert {file.relative_to(tmp_path).as_posix() for file in build_context(tmp_path)} == FILES - excluded
