"""Test that ./deploy.sh can be called from anywhere, and creates a .venv if none works."""

import shutil
from pathlib import Path

import pytest

from scripts.projects import Project
from tests.support.bake import Bake
from tests.support.fake_python import NEWEST, OLDEST, is_fake_python, write_fake_python

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


@pytest.mark.parametrize(("minor", "comparison"), [(OLDEST - 1, "older"), (NEWEST + 1, "newer")])
def test_a_python_that_is_not_supported_is_an_error(
    project: Project, tmp_path: Path, minor: int, comparison: str
) -> None:
    shutil.rmtree(project.path / ".venv")
    write_fake_python(tmp_path / "bin/python3", minor)
    write_fake_python(tmp_path / f"bin/python3.{NEWEST}", NEWEST)
    result = project.run("./deploy.sh --help", env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, check=False)
    assert result.returncode == 1
    assert result.stdout + result.stderr == (
        f"Python 3.{minor} is {comparison} than pyproject.toml allows (3.{OLDEST} to 3.{NEWEST}). "
        f"Select another one: python3.{NEWEST} -m venv --clear .venv\n"
    )
    assert not (project.path / ".venv").exists()


def test_a_supported_venv_is_used_if_python3_is_not_supported(project: Project, tmp_path: Path) -> None:
    write_fake_python(tmp_path / "bin/python3", NEWEST + 1)
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")  # nothing to install
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    assert project.run("./deploy.sh --help", env=environment).stdout.startswith(USAGE)


def test_a_venv_without_its_python_is_created_again(project: Project) -> None:
    python = project.path / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")  # nothing to install
    result = project.run("./deploy.sh --help", check=False)
    assert "Installing the deploy tool into .venv" in result.stderr
    assert python.resolve().exists()


def test_a_venv_with_a_python_that_is_not_supported_is_created_again(project: Project) -> None:
    python = project.path / ".venv/bin/python"
    python.unlink()
    write_fake_python(python, NEWEST + 1)
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")  # nothing to install
    assert "Installing the deploy tool into .venv" in project.run("./deploy.sh --help", check=False).stderr
    assert not is_fake_python(python)


def test_an_incomplete_venv_is_created_again(project: Project) -> None:
    shutil.rmtree(project.path / ".venv")
    project.run(["python3", "-m", "venv", "--without-pip", ".venv"])  # the same state as after Ctrl-C in the first run
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")
    project.run("./deploy.sh --help", check=False)
    project.run(".venv/bin/python -m pip --version")
