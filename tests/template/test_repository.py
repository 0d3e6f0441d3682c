"""Test that the code, scripts, workflows and Makefile of the template are clean."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.projects import TEMPLATE


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
    for target in ("demo", "serve", "test", "test-aws", "bench", "lint", "lock"):
        assert f"make {target} " in output


@pytest.mark.parametrize("python", ["", "false", "/no/such/python"])
def test_make_refuses_an_old_or_missing_python(tmp_path: Path, python: str) -> None:
    for file in ("Makefile", "requirements.txt"):
        shutil.copy(TEMPLATE / file, tmp_path)
    result = run("make", "lint", f"PYTHON={python}", folder=tmp_path)
    assert result.returncode != 0
    assert "Python 3.11 or newer" in result.stderr
    assert not (tmp_path / ".venv").exists()
