"""Test that a task root contains the files that the Dockerfile would put into the image."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded_aws.containers.dockerfile import DockerfileError
from embedded_aws.containers.task_root import TaskRoot, build_task_root
from scripts.projects import TEMPLATE
from tests.support.bake import Bake

DOCKERFILE = """\
ARG VERSION=3.13
FROM --platform=$BUILDPLATFORM public.ecr.aws/lambda/python:${VERSION} AS build
ARG TARGETARCH
ENV PIP_PLATFORM="manylinux_2_28_${TARGETARCH}"
WORKDIR /build
COPY requirements.txt .
# A comment inside a command does not belong to it.
RUN --mount=type=cache,target=/root/.cache/pip \\
    # like this one
    cp requirements.txt /build/installed > /dev/null && echo "$PIP_PLATFORM" > "platform of ${TARGETARCH}"
COPY app app/
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /build/app
FROM public.ecr.aws/lambda/python:${VERSION}
COPY --from=build /build/installed ${LAMBDA_TASK_ROOT}/
COPY --from=build /build/app ${LAMBDA_TASK_ROOT}/app
CMD ["app.main.handler"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "Dockerfile": DOCKERFILE,
        ".dockerignore": "*\n!app\n!requirements.txt\n**/secret*\n!app/secret.kept\n",
        "requirements.txt": "",
        "app/main.py": "def handler(event, context): ...\n",
        "app/secret.txt": "",
        "app/secret.kept": "",
        "app/deep/secret.txt": "",
        "app/deep/module.py": "",
        "tests/test_main.py": "",
    }
    for name, text in files.items():
        path = tmp_path / "my project" / name  # folder names can contain spaces
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "my project"


@pytest.fixture
def lines() -> list[str]:
    """The progress lines of the last build."""
    return []


@pytest.fixture
def build(project: Path, tmp_path: Path, lines: list[str]) -> Callable[[], TaskRoot]:
    def build() -> TaskRoot:
        lines.clear()
        return build_task_root(project, tmp_path / "a cache", lines.append)

    return build


def test_a_task_root_contains_exactly_the_files_that_the_dockerfile_copies(build: Callable[[], TaskRoot]) -> None:
    task_root = build()
    assert file_names(task_root.path) == {
        "installed",
        "app/main.py",
        "app/secret.kept",
        "app/deep/module.py",
        *(bytecode_name(name) for name in ("app/main.py", "app/deep/module.py")),
    }
    assert task_root.command == ["app.main.handler"]


def test_a_repeated_build_uses_the_cached_layers(build: Callable[[], TaskRoot], lines: list[str]) -> None:
    first = build()
    assert build() == first
    assert len(lines) == 6
    assert all(line.endswith("(cached)") for line in lines)


def test_a_changed_file_keeps_the_earlier_layers(
    build: Callable[[], TaskRoot], project: Path, lines: list[str]
) -> None:
    first = build()
    (project / "app/main.py").write_text("changed = True\n")
    second = build()
    assert [line.split()[0] for line in lines if line.endswith("(cached)")] == ["COPY", "RUN"]
    assert first.path != second.path
    assert (first.path / "app/main.py").read_text() != (second.path / "app/main.py").read_text()


def test_layers_share_the_files_that_an_instruction_does_not_change(
    build: Callable[[], TaskRoot], project: Path, tmp_path: Path
) -> None:
    changes = "echo '# changed' >> app/main.py; chmod +x app/secret.kept; touch -d 2001-01-01 installed"
    (project / "Dockerfile").write_text(DOCKERFILE.replace("FROM public", f"RUN {changes}\nFROM public"))
    path = build().path

    def versions(name: str) -> set[int]:
        """Return the distinct files with this name in all layers."""
        return {file.stat().st_ino for file in (tmp_path / "a cache" / "layers").glob(f"*/**/{name}")}

    assert len(versions("module.py")) == 1
    assert len(versions(Path(bytecode_name("module.py")).name)) == 1
    assert [len(versions(name)) for name in ("main.py", "secret.kept", "installed")] == [2, 2, 2]
    assert (path / "app/main.py").read_text() == (project / "app/main.py").read_text() + "# changed\n"
    assert "changed" not in (project / "app/main.py").read_text()


def test_files_in_dockerignore_do_not_change_the_task_root(build: Callable[[], TaskRoot], project: Path) -> None:
    first = build()
    (project / "app/secret.txt").write_text("changed")
    (project / "tests/test_main.py").write_text("changed")
    assert build() == first


def test_projects_share_their_layers(project: Path, tmp_path: Path, lines: list[str]) -> None:
    build_task_root(project, tmp_path / "cache", lines.append)
    other = project.rename(tmp_path / "other")
    lines.clear()
    build_task_root(other, tmp_path / "cache", lines.append)
    assert all(line.endswith("(cached)") for line in lines)


def test_another_python_can_build_the_task_root(project: Path, tmp_path: Path, lines: list[str]) -> None:
    python = tmp_path / "another python"
    python.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    task_root = build_task_root(project, tmp_path / "cache", lines.append, str(python))
    assert (tmp_path / "used").exists()
    assert bytecode_name("app/main.py") in file_names(task_root.path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ADD app app", "ADD is not supported"),
        ("USER nobody", "USER is not supported"),
        ("COPY --chown=1 app app", "--chown is not supported"),
        ("COPY missing .", "missing does not exist or is excluded by .dockerignore"),
        ("COPY tests tests", "tests does not exist or is excluded by .dockerignore"),
        ("COPY --from=other /x .", "the stage other does not exist"),
        ("COPY $NOWHERE .", "$NOWHERE is not set"),
        ("RUN --mount=type=secret,id=x true", "only cache mounts"),
        ("RUN cat <<EOF", "here-documents"),
        ("RUN echo x > /etc/passwd", "/etc/passwd belongs to this machine"),
        ("RUN rm -rf /", "/ belongs to this machine"),
        ("RUN exit 3", "RUN exit 3 failed"),
        ("CMD app.main.handler", "CMD ["),
        ('CMD "app.main.handler"', 'line 17: write CMD ["'),
        ("ARG NAME='a", "line 17: No closing quotation"),
        ("ENV SETTING=on", "ENV in the last stage is not supported: SETTING"),
        ("WORKDIR /elsewhere\nCOPY app app", "files outside /var/task: elsewhere"),
    ],
)
def test_an_unsupported_or_failing_instruction_is_an_error(
    build: Callable[[], TaskRoot], project: Path, line: str, message: str
) -> None:
    (project / "Dockerfile").write_text(DOCKERFILE + line + "\n")
    with pytest.raises(DockerfileError) as error:
        build()
    assert message in str(error.value)


def test_a_continued_line_is_joined_without_a_space(build: Callable[[], TaskRoot], project: Path) -> None:
    """https://docs.docker.com/reference/dockerfile/#escape"""
    (project / "Dockerfile").write_text(DOCKERFILE + "COPY --from=build /build/inst\\\nalled other\\ \n-name\n")
    assert (build().path / "other-name").is_file()


def test_a_missing_dockerfile_is_an_error(build: Callable[[], TaskRoot], project: Path) -> None:
    (project / "Dockerfile").unlink()
    with pytest.raises(DockerfileError, match="Dockerfile does not exist"):
        build()


def test_an_invalid_pattern_in_dockerignore_is_an_error(build: Callable[[], TaskRoot], project: Path) -> None:
    (project / ".dockerignore").write_text("tests\n[z-a]\n")
    with pytest.raises(DockerfileError, match=r"\.dockerignore line 2: \[z-a\] is invalid"):
        build()


def test_the_task_root_of_a_project_has_its_dependencies_and_bytecode(bake: Bake, lines: list[str]) -> None:
    project = bake()
    task_root = build_task_root(project.path, TEMPLATE / ".cache", lines.append)
    names = file_names(task_root.path)
    assert {name for name in names if name.startswith("app/") and not name.endswith(".pyc")} == {
        f"app/{name}" for name in file_names(project.path / "app") if "__pycache__" not in name
    }
    assert {"fastapi/__init__.py", "mangum/__init__.py"} <= names
    assert not {name for name in names if name.startswith(("tests/", "deploy/", "pytest/", "boto3/", "moto/", "bin/"))}
    sources = {name for name in names if name.endswith(".py") and is_importable(name)}
    assert {bytecode_name(name) for name in sources} - names == set()
    for name in names:
        if name.endswith(".pyc"):
            header = (task_root.path / name).read_bytes()[:8]
            assert header[:4] == importlib.util.MAGIC_NUMBER
            assert header[4:] == b"\1\0\0\0", f"{name} is not unchecked-hash: Python would compare it with its source"


def file_names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def bytecode_name(name: str) -> str:
    return importlib.util.cache_from_source(name).replace(os.sep, "/")


def is_importable(name: str) -> bool:
    return all(part.removesuffix(".py").isidentifier() for part in name.split("/"))
