"""./deploy.sh and make work with a .venv that uv created, and notice when uv has removed their packages."""

import shutil
from pathlib import Path

import pytest

from scripts.projects import Project
from tests.support.bake import Bake


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Project:
    return bake().copy(tmp_path / "project")


def test_a_venv_of_uv_is_used_and_not_replaced(project: Project) -> None:
    uv = str((project.path / ".venv/bin/uv").resolve())
    shutil.rmtree(project.path / ".venv")
    project.run([uv, "venv", "--quiet", ".venv"])
    marker = project.path / ".venv/installed-by-the-user"
    marker.touch()
    for file in ("requirements-deploy.txt", "requirements-dev.txt"):
        (project.path / file).write_text("", encoding="utf-8")  # nothing to install
    result = project.run("./deploy.sh --help", check=False)
    assert "Installing the deploy tool into .venv" in result.stderr
    project.run("make .venv/requirements-dev.txt")
    project.run(".venv/bin/python -m pip --version")
    assert marker.exists()


def test_a_missing_package_is_reported_and_installed_by_the_next_run(project: Project) -> None:
    packages = next((project.path / ".venv").glob("lib/*/site-packages"))
    for file in packages.iterdir():
        if file.is_file():
            file.unlink()  # the link to the packages of the tests, as if `uv sync` had removed them
    result = project.run("./deploy.sh status", check=False)
    assert result.returncode == 1
    assert result.stderr == (
        "A package of the deploy tool is missing in .venv: typer.\nRun ./deploy.sh again to install it.\n"
    )
    (project.path / "requirements-deploy.txt").write_text("", encoding="utf-8")
    assert "Installing the deploy tool into .venv" in project.run("./deploy.sh status", check=False).stderr
