"""Test that a generated project passes its linters and ours without changes, and that each linter reports an error."""

from pathlib import Path

import pytest

from scripts.projects import ALL_ANSWERS, Answers, combination_name
from tests.support.bake import Bake

CHECKS = {
    "lint": "ruff check",
    "format": "ruff format --check",
    "types": "mypy --strict .",
    "dependencies": "deptry . --non-dev-dependency-groups deploy --extend-exclude conftest.py",
    "shell": "shellcheck deploy.sh",
    "dockerfile": "hadolint Dockerfile",
}
ERRORS = {  # a file, and a line that the check must report
    "lint": ("app/main.py", "import json\n"),
    "format": ("app/main.py", "text = 'quoted'\n"),
    "types": ("app/main.py", "number: int = 'text'\n"),
    "dependencies": ("app/main.py", "import yaml\n"),
    "shell": ("deploy.sh", "echo $undefined_and_unquoted\n"),
    "dockerfile": ("Dockerfile", "RUN cd /tmp && apt-get install curl\n"),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answers", ALL_ANSWERS, ids=combination_name)
def test_a_project_passes_every_check(bake: Bake, answers: Answers, check: str) -> None:
    bake(**answers).run(CHECKS[check])


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_reports_an_error(bake: Bake, tmp_path: Path, check: str) -> None:
    project = bake().copy(tmp_path)
    file, line = ERRORS[check]
    with (project.path / file).open("a") as source:
        source.write(line)
    assert project.run(CHECKS[check], check=False).returncode != 0
