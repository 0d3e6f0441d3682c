"""Test that the tests of a generated project pass."""

from contextlib import nullcontext

import pytest

from scripts.database import new_database
from scripts.projects import COMBINATIONS, OTHER_ANSWERS, Answers, combination_name
from tests.support.bake import Bake

WITH_DATABASE = [answers for answers in COMBINATIONS if answers.get("migrations") == "alembic"]
# The tests of these projects start a PostgreSQL server. All others use a running one, which takes less time.
STARTS_POSTGRES = [WITH_DATABASE[0], WITH_DATABASE[-1]]


# test_injection.py runs the tests of the first of the other answers.
@pytest.mark.parametrize("answers", COMBINATIONS + OTHER_ANSWERS[1:], ids=combination_name)
def test_the_tests_of_a_project_pass(bake: Bake, answers: Answers) -> None:
    needs_database = answers in WITH_DATABASE and answers not in STARTS_POSTGRES
    with new_database() if needs_database else nullcontext() as url:
        result = bake(**answers).run("pytest -q", env={"DATABASE_URL": url} if url else None)
    assert " passed" in result.stdout
