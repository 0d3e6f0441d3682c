"""Test that the code, scripts, workflows and Makefile of the template are clean."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.projects import CHOICES, PROJECT_TEMPLATE, TEMPLATE
from tests.support.fake_python import NEWEST, OLDEST, write_fake_python


def run(*command: str, folder: Path = TEMPLATE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize("check", ["ruff check .", "ruff format --check .", "mypy"])
def test_the_templates_own_code_is_clean(check: str) -> None:
    result = run(*f"{TEMPLATE}/.venv/bin/{check}".split())
    assert result.returncode == 0, result.stdout + result.stderr


def test_shell_scripts_are_clean() -> None:
    scripts = [str(file) for file in TEMPLATE.glob(".ci/*") if file.is_file() and file.read_bytes().startswith(b"#!")]
    result = run(f"{TEMPLATE}/.venv/bin/shellcheck", "-x", *scripts)
    assert scripts
    assert result.returncode == 0, result.stdout


def test_workflows_are_clean_and_the_check_reports_unpinned_actions(tmp_path: Path) -> None:
    zizmor = [f"{TEMPLATE}/.venv/bin/zizmor", "--offline", "--persona", "auditor", "--no-progress"]
    result = run(*zizmor, ".github/workflows")
    assert result.returncode == 0, result.stdout + result.stderr
    for workflow in (TEMPLATE / ".github/workflows").glob("*.yml"):
        unpinned = re.sub(r"@[0-9a-f]{40} # v", "@v", workflow.read_text("utf-8"))
        (tmp_path / workflow.name).write_text(unpinned, "utf-8")
        assert "unpinned-uses" in run(*zizmor, str(tmp_path / workflow.name)).stdout


def test_make_without_a_target_lists_the_targets() -> None:
    output = run("make", "--no-print-directory").stdout
    for target in ("demo", "serve", "test", "test-conformance", "test-aws", "bench", "lint", "lock"):
        assert f"make {target} " in output


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    """Copy what creates .venv, and return the folder."""
    check = PROJECT_TEMPLATE.relative_to(TEMPLATE) / "deploy/check_python.py"
    (tmp_path / check).parent.mkdir(parents=True)
    for file in ("Makefile", "requirements.txt", "pyproject.toml", str(check)):
        shutil.copy(TEMPLATE / file, tmp_path / file)
    return tmp_path


def run_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with only the interpreters in `folder`/bin."""
    make = shutil.which("make")
    assert make
    environment = {"PATH": f"{folder}/bin"}
    return subprocess.run([make, *arguments], cwd=folder, env=environment, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize("arguments", [(), ("PYTHON=",), ("PYTHON=false",), ("PYTHON=/no/such/python",)])
def test_make_refuses_a_missing_python(makefile: Path, arguments: tuple[str, ...]) -> None:
    result = run_make(makefile, "lint", *arguments)
    assert result.returncode != 0
    message = "No Python found. Install one, or specify it: make lint PYTHON=/path/to/python3"
    assert result.stderr.splitlines()[0] == message
    assert not (makefile / ".venv").exists()


@pytest.mark.parametrize(("minor", "comparison"), [(OLDEST - 1, "older"), (NEWEST + 1, "newer")])
def test_make_refuses_a_python_that_is_not_supported(makefile: Path, minor: int, comparison: str) -> None:
    write_fake_python(makefile / "bin/python3", minor)
    result = run_make(makefile, "lint")
    assert result.returncode != 0
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == (
        f"Python 3.{minor} is {comparison} than pyproject.toml allows (3.{OLDEST} to 3.{NEWEST}). "
        f"Select another one: make lint PYTHON=python3.{NEWEST}"
    )
    assert not (makefile / ".venv").exists()


@pytest.mark.parametrize("minor", [OLDEST - 1, NEWEST + 1])
def test_make_skips_a_python3_that_is_not_supported(makefile: Path, minor: int) -> None:
    write_fake_python(makefile / "bin/python3", minor)
    write_fake_python(makefile / f"bin/python3.{OLDEST}", OLDEST)
    write_fake_python(makefile / f"bin/python3.{NEWEST}", NEWEST)
    assert f"python3.{NEWEST} -m venv --clear .venv" in run_make(makefile, "lint").stdout
    (makefile / f"bin/python3.{NEWEST}").unlink()
    assert f"python3.{OLDEST} -m venv --clear .venv" in run_make(makefile, "lint").stdout


def test_the_template_and_its_projects_support_the_same_versions_of_python() -> None:
    versions = [f"3.{minor}" for minor in range(OLDEST, NEWEST + 1)]
    requires = re.findall(r'(?m)^requires-python = "\S*"', (TEMPLATE / "pyproject.toml").read_text("utf-8"))
    assert requires == re.findall(
        r'(?m)^requires-python = "\S*"', (PROJECT_TEMPLATE / "pyproject.toml").read_text("utf-8")
    )
    searched = re.findall(r"python(3\.\d+)", (TEMPLATE / "Makefile").read_text("utf-8"))
    assert searched == versions[::-1]
    assert set(CHOICES["python_version"]) <= set(versions)
    for document in ("README.md", "CONTRIBUTING.md", f"{PROJECT_TEMPLATE.name}/README.md"):
        assert f"You need Python {versions[0]} to {versions[-1]}" in (TEMPLATE / document).read_text("utf-8")
    workflow = (TEMPLATE / ".github/workflows/ci.yml").read_text("utf-8")
    assert re.findall(r'python: \["(3\.\d+)", .*"(3\.\d+)"\]', workflow) == [(versions[0], versions[-1])]
