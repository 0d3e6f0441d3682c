"""Does the embedded demo run the very files that the Dockerfile would put into the image?"""

import importlib.util
import os
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
# A comment inside a command is no part of it.
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
        path = tmp_path / "my project" / name  # with a blank, as folders may have
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "my project"


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def lay_out(project: Path, tmp_path: Path, lines: list[str]) -> Callable[[], TaskRoot]:
    def lay_out() -> TaskRoot:
        lines.clear()
        return build_task_root(project, tmp_path / "a cache", lines.append)

    return lay_out


def test_holds_what_the_dockerfile_copies_and_no_more(lay_out: Callable[[], TaskRoot]) -> None:
    task_root = lay_out()
    assert names(task_root.path) == {
        "installed",
        "app/main.py",
        "app/secret.kept",
        "app/deep/module.py",
        *(pyc(name) for name in ("app/main.py", "app/deep/module.py")),
    }
    assert task_root.command == ["app.main.handler"]


def test_second_time_nothing_runs(lay_out: Callable[[], TaskRoot], lines: list[str]) -> None:
    first = lay_out()
    assert lay_out() == first
    assert len(lines) == 6
    assert all(line.endswith("(cached)") for line in lines)


def test_new_code_keeps_the_layers_before_it(lay_out: Callable[[], TaskRoot], project: Path, lines: list[str]) -> None:
    first = lay_out()
    (project / "app/main.py").write_text("changed = True\n")
    second = lay_out()
    assert [line.split()[0] for line in lines if line.endswith("(cached)")] == ["COPY", "RUN"]
    assert first.path != second.path
    assert (first.path / "app/main.py").read_text() != (second.path / "app/main.py").read_text()


def test_what_dockerignore_hides_changes_nothing(lay_out: Callable[[], TaskRoot], project: Path) -> None:
    first = lay_out()
    (project / "app/secret.txt").write_text("changed")
    (project / "tests/test_main.py").write_text("changed")
    assert lay_out() == first


def test_layers_are_shared_by_projects(project: Path, tmp_path: Path, lines: list[str]) -> None:
    build_task_root(project, tmp_path / "cache", lines.append)
    other = project.rename(tmp_path / "other")
    lines.clear()
    build_task_root(other, tmp_path / "cache", lines.append)
    assert all(line.endswith("(cached)") for line in lines)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ADD app app", "ADD is not understood"),
        ("USER nobody", "USER is not understood"),
        ("COPY --chown=1 app app", "--chown is not understood"),
        ("COPY missing .", "no missing to COPY"),
        ("COPY tests tests", "no tests to COPY"),
        ("COPY --from=other /x .", "there is no stage other"),
        ("COPY $NOWHERE .", "nothing sets $NOWHERE"),
        ("RUN --mount=type=secret,id=x true", "only cache mounts"),
        ("RUN cat <<EOF", "here-documents"),
        ("RUN echo x > /etc/passwd", "/etc/passwd is this machine's"),
        ("RUN rm -rf /", "/ is this machine's"),
        ("RUN exit 3", "failed here"),
        ("CMD app.main.handler", "CMD ["),
        ("ENV SETTING=on", "ENV in the last stage is not understood: SETTING"),
        ("WORKDIR /elsewhere\nCOPY app app", "files outside /var/task: elsewhere"),
    ],
)
def test_what_is_not_understood_is_an_error(
    lay_out: Callable[[], TaskRoot], project: Path, line: str, said: str
) -> None:
    (project / "Dockerfile").write_text(DOCKERFILE + line + "\n")
    with pytest.raises(DockerfileError) as error:
        lay_out()
    assert said in str(error.value)


def test_default_project(bake: Bake, lines: list[str]) -> None:
    project = bake()
    task_root = build_task_root(project.path, TEMPLATE / ".cache", lines.append)
    found = names(task_root.path)
    assert {name for name in found if name.startswith("app/") and not name.endswith(".pyc")} == {
        f"app/{name}" for name in names(project.path / "app") if "__pycache__" not in name
    }
    assert {"fastapi/__init__.py", "mangum/__init__.py"} <= found
    assert not {name for name in found if name.startswith(("tests/", "deploy/", "pytest/", "boto3/", "moto/", "bin/"))}
    sources = {name for name in found if name.endswith(".py") and importable(name)}
    assert {pyc(name) for name in sources} - found == set()
    for name in found:
        if name.endswith(".pyc"):
            header = (task_root.path / name).read_bytes()[:8]
            assert header[:4] == importlib.util.MAGIC_NUMBER
            assert header[4:] == b"\1\0\0\0", f"{name} is not unchecked-hash: Python would compare it with its source"


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def pyc(name: str) -> str:
    return importlib.util.cache_from_source(name).replace(os.sep, "/")


def importable(name: str) -> bool:
    return all(part.removesuffix(".py").isidentifier() for part in name.split("/"))
