"""Test on Linux that the template and its projects work on macOS and Windows."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from scripts.projects import COMBINATIONS, PROJECT_TEMPLATE, TEMPLATE
from tests.support.bake import Bake

LONGEST_PATH = 200
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
# Options and commands that macOS and POSIX do not have, each with an example.
GNU_ONLY = {
    r"\bsed\b[^|;]* -[a-zA-Z]*[irz]\b": "sed -i s/a/b/ file",
    r"\bgrep\b[^|;]* -[a-zA-Z]*P": "grep -oP '\\d+'",
    r"\bdate\b[^|;]* (-d|--date)\b": "date -d yesterday",
    r"\bstat\b[^|;]* (-c|--format)\b": "stat -c %s file",
    r"\bxargs\b[^|;]* -[a-zA-Z]*[rd]\b": "find . | xargs -r rm",
    r"\b(cp|ls|rm|mkdir|sort|head|tail|cut|tr|du|wc) --[a-z]": "cp --parents a b",
    r"\b(realpath|nproc|timeout|mapfile|tac|shuf)\b": "realpath .",
    r"\bfind\b[^|;]* -printf\b": "find . -printf %p",
    r"\bsort\b[^|;]* -[a-zA-Z]*V": "sort -V",
    r"\bhead\b[^|;]* -n ?-": "head -n -1",
    r"\bbase64\b[^|;]* -w": "base64 -w0",
    r"(?m)^\.(ONESHELL|SHELLFLAGS)": ".ONESHELL:",  # macOS has GNU make 3.81
    r"(?m)^\w+ *(!|:::)= ": "files != ls",
    r"(?m)^[\w. ]+&:": "a b &: c",
}


def find_gnu_only(text: str) -> list[str]:
    return [pattern for pattern in GNU_ONLY if re.search(pattern, text)]


def invalid_paths(names: list[str], folder: str) -> list[str]:
    """Return the paths below a folder that Windows or macOS cannot create next to the others."""
    folded = Counter(name.casefold() for name in names)
    parts = {name: name.casefold().split("/") for name in names}
    return [
        name
        for name in names
        if len(f"{folder}/{name}") > LONGEST_PATH
        or re.search(r'[<>:"\\|?*\x00-\x1f]|[. ](/|$)', name)
        or any(part.partition(".")[0] in RESERVED for part in parts[name])
        or folded[name.casefold()] > 1
    ]


def repository_files() -> list[str]:
    git = ["git", "-c", "core.quotePath=false", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(git, cwd=TEMPLATE, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_paths_of_the_template_are_valid() -> None:
    assert "hooks/pre_gen_project.py" in repository_files()
    assert invalid_paths(repository_files(), "cookiecutter-fastapi-lambda") == []


def test_the_paths_of_a_project_are_valid() -> None:
    files = [
        name.removeprefix(f"{PROJECT_TEMPLATE.name}/")
        for name in repository_files()
        if name.startswith(PROJECT_TEMPLATE.name)
    ]
    assert "deploy.sh" in files
    assert invalid_paths(files, "x" * 40) == []


@pytest.mark.parametrize("name", ["a" * 161, "app/aux.py", "app/NUL", "a:b", "a?", "app./x", "App/Main.py"])
def test_an_invalid_path_is_reported(name: str) -> None:
    assert name in invalid_paths(["app/main.py", name], "x" * 40)


def test_scripts_use_no_gnu_extensions(bake: Bake) -> None:
    assert [line for pattern, line in GNU_ONLY.items() if pattern not in find_gnu_only(line)] == []
    for answers in (COMBINATIONS[0], COMBINATIONS[-1]):
        project = bake(**answers).path
        for script in (project / "Makefile", project / "deploy.sh", TEMPLATE / "Makefile", TEMPLATE / ".ci/run"):
            assert find_gnu_only(script.read_text("utf-8")) == [], script.name


def test_deploy_sh_needs_only_posix_commands(bake: Bake, tmp_path: Path) -> None:
    """PATH contains five commands. Its readlink does not accept -f, like that of macOS before 12.3."""
    project = bake().copy(tmp_path / "project")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dirname", "cmp", "cp", "python3"):
        program = shutil.which(name)
        assert program
        (programs / name).symlink_to(program)
    (programs / "readlink").write_text("#!/bin/sh\necho 'readlink: illegal option -- f' >&2\nexit 1\n")
    (programs / "readlink").chmod(0o755)
    result = project.run(["/bin/sh", "./deploy.sh", "--help"], env={"PATH": str(programs)})
    assert result.stdout.startswith("Usage: ./deploy.sh")


def test_git_settings_do_not_change_line_endings(bake: Bake, tmp_path: Path) -> None:
    project = bake().copy(tmp_path)
    shutil.rmtree(project.path / ".venv")
    files = {name: (project.path / name).read_bytes() for name in project.files}
    git = ["git", "-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    for command in (["init", "--quiet"], ["add", "--all"], ["checkout-index", "--all", "--prefix=out/"]):
        subprocess.run([*git, *command], cwd=project.path, check=True, capture_output=True)
    assert {name: (project.path / "out" / name).read_bytes() for name in files} == files
    assert (TEMPLATE / ".gitattributes").read_bytes() == files[".gitattributes"]


READ_CONTEXT_WITHOUT_SYMLINKS = """
import pathlib
from deploy.container_engine import signed_in

def refuse(*_: object) -> None:
    raise OSError(1314, "A required privilege is not held by the client")

pathlib.Path.symlink_to = refuse
with signed_in("host", "QVdTOng=") as variables:
    print((pathlib.Path(variables["DOCKER_CONFIG"]) / "contexts/meta.json").read_text())
"""


def test_docker_finds_its_contexts_without_symbolic_links(bake: Bake, tmp_path: Path) -> None:
    """Windows lets only few users create symbolic links."""
    (tmp_path / "contexts").mkdir()
    (tmp_path / "contexts/meta.json").write_text("context of Docker Desktop")
    result = bake().run(["python", "-c", READ_CONTEXT_WITHOUT_SYMLINKS], env={"DOCKER_CONFIG": str(tmp_path)})
    assert result.stdout == "context of Docker Desktop\n"


def test_output_replaces_characters_that_the_terminal_does_not_have(bake: Bake) -> None:
    project = bake().path
    result = subprocess.run(
        [sys.executable, "-m", "deploy", "doctor"],
        cwd=project,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("my-api ? prod ? us-east-1\n"), result.stderr
