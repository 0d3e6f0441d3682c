"""Test that the recipes, each alone and all together, result in clean and typed code whose tests pass.

The files test_recipe_*.py deploy the result and test what each recipe adds.
"""

from pathlib import Path

import pytest

from scripts.projects import COMBINATIONS, Answers, combination_name
from tests.support.bake import Bake
from tests.support.recipes import (
    DEFAULT,
    LARGEST,
    MOVE_IN,
    copy_generated_files,
    follow,
    follow_all,
    read_recipes,
)


@pytest.mark.parametrize("answers", COMBINATIONS, ids=combination_name)
def test_all_recipes_together_are_clean(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    project = follow_all(copy_generated_files(bake(**answers), tmp_path / "my-api"))
    for check in ("ruff check", "ruff format --check"):
        project.run(check)


@pytest.mark.parametrize("answers", [DEFAULT, LARGEST], ids=combination_name)
def test_each_recipe_alone_is_clean(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    """test_recipe_move_in.py tests the remaining recipe."""
    recipes = read_recipes(bake(**answers))
    assert len(recipes) == 10
    assert MOVE_IN in recipes
    for number, (heading, steps) in enumerate(recipes.items()):
        if heading == MOVE_IN:
            continue
        project = copy_generated_files(bake(**answers), tmp_path / str(number))
        if heading == "Run a job on a schedule":  # it adds a job to the module of another recipe
            files = ("app/jobs.py", "deploy.toml")
            follow(project, [step for step in recipes["Run a job after the response"] if step.file in files])
        follow(project, steps)
        project.run("ruff check")
        project.run("ruff format --check")


@pytest.mark.parametrize("answers", [DEFAULT, LARGEST], ids=combination_name)
def test_the_tests_of_a_project_with_every_recipe_pass(bake: Bake, tmp_path: Path, answers: Answers) -> None:
    follow_all(copy_generated_files(bake(**answers), tmp_path / "my-api")).run("pytest -q")


def test_the_recipes_are_typed(bake: Bake, tmp_path: Path) -> None:
    project = follow_all(copy_generated_files(bake(**LARGEST), tmp_path / "my-api"))
    project.run("mypy --strict app aws_lambda deploy tests/app")
