"""Bake projects with pytest-cookies."""

from pathlib import Path
from typing import Protocol

from pytest_cookies.plugin import Cookies

from scripts.projects import TEMPLATE, Answers, Project, project_files, share_venv


class Bake(Protocol):
    """The type of the fixture `bake`."""

    def __call__(self, **answers: str) -> Project:
        """Return the project with these answers and the defaults for all other prompts."""
        ...


def bake_project(cookies: Cookies, answers: Answers) -> Project:
    """Bake a project and give it a .venv. Raise AssertionError if the template refuses the answers."""
    result = cookies.bake(extra_context=dict(answers), template=str(TEMPLATE))
    assert result.exit_code == 0, f"the template refuses {answers}: {result.exception!r}"
    path = Path(result.project_path)
    project = Project(path, dict(answers), project_files(path))
    share_venv(path)
    return project
