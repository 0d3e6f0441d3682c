"""Is the baked project clean by its own tools and ours, without fixing anything first, and would they notice if not?"""

from pathlib import Path

import pytest

from scripts.projects import ALL_ANSWERS, Answers, Project, combination_name
from tests.support.bake import Bake

CHECKS = {
    "lint": "ruff check",
    "format": "ruff format --check",
    "types": "mypy --strict .",
    "dependencies": "deptry . --non-dev-dependency-groups deploy",
    "shell": "shellcheck deploy.sh",
    "dockerfile": "hadolint Dockerfile",
}
SPOILED = {
    "lint": ("app/main.py", "import json\n"),
    "format": ("app/main.py", "text = 'quoted'\n"),
    "types": ("app/main.py", "number: int = 'text'\n"),
    "dependencies": ("app/main.py", "import yaml\n"),
    "shell": ("deploy.sh", "echo $undefined_and_unquoted\n"),
    "dockerfile": ("Dockerfile", "RUN cd /tmp && apt-get install curl\n"),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answers", ALL_ANSWERS, ids=combination_name)
def test_it_is_clean(bake: Bake, answers: Answers, check: str) -> None:
    bake(**answers).run(CHECKS[check])


@pytest.mark.parametrize("check", CHECKS)
def test_the_check_notices(bake: Bake, tmp_path: Path, check: str) -> None:
    project: Project = bake().copy(tmp_path)
    file, line = SPOILED[check]
    with (project.path / file).open("a") as spoiled:
        spoiled.write(line)
    assert project.run(CHECKS[check], check=False).returncode != 0


def test_its_own_lint_target_is_clean(bake: Bake) -> None:
    bake().run("make lint")
