"""Test that ./deploy.sh can be called from anywhere, and creates a .venv if none works."""

import shutil
from pathlib import Path

import pytest

from scripts.projects import Project
from tests.support.bake import Bake

USAGE = "Usage: ./deploy.sh [OPTIONS] COMMAND [ARGS]...\n"


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Project:
    return bake().copy(tmp_path / "a 'folder' with blanks")


def test_deploy_sh_can_be_called_from_another_folder_with_cdpath(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / project.path.parent.name / project.path.name).mkdir(parents=True)
    command = f'cd "$1" && CDPATH={tmp_path / "elsewhere"} "$2" --help'
    relative = f"{project.path.parent.name}/{project.path.name}/deploy.sh"
    output = project.run(["sh", "-c", command, "sh", str(tmp_path), relative]).stdout
    assert output.startswith(USAGE)


def test_deploy_sh_can_be_called_through_a_symbolic_link(project: Project, tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(project.path / "deploy.sh")
    assert project.run([str(tmp_path / "deploy"), "--help"]).stdout.startswith(USAGE)
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_is_too_old_is_an_error(project: Project, tmp_path: Path) -> None:
    shutil.rmtree(project.path / ".venv")
    old = tmp_path / "old/python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'deploy.sh needs Python 3.11 or newer as python3.' >&2\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    result = project.run("./deploy.sh --help", env={"PATH": f"{old.parent}:/usr/bin:/bin"}, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "deploy.sh needs Python 3.11 or newer as python3."
    assert not (project.path / ".venv").exists()


def test_a_venv_without_its_python_is_created_again(project: Project) -> None:
    python = project.path / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")  # nothing to install
    result = project.run("./deploy.sh --help", check=False)
    assert "Installing the deploy tool into .venv" in result.stderr
    assert python.resolve().exists()


def test_an_incomplete_venv_is_created_again(project: Project) -> None:
    shutil.rmtree(project.path / ".venv")
    project.run(["python3", "-m", "venv", "--without-pip", ".venv"])  # the same state as after Ctrl-C in the first run
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")
    project.run("./deploy.sh --help", check=False)
    project.run(".venv/bin/python -m pip --version")
