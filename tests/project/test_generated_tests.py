"""Do the baked project's own tests pass, as it comes out of the template?"""

from contextlib import nullcontext

import pytest

from scripts.database import new_database
from scripts.projects import COMBINATIONS, OTHER_ANSWERS, Answers, combination_name
from tests.support.bake import Bake

# These start a PostgreSQL of their own; the others use one that is there, as their owner may, which takes less time.
STARTS_POSTGRES = ("function_url-ssm-alembic-accept", "http_api-secrets_manager-alembic-provisioned_concurrency")


# The first of the other answers is that of test_hostile.py, which runs the own tests too: they take the longest of all.
@pytest.mark.parametrize("answers", COMBINATIONS + OTHER_ANSWERS[1:], ids=combination_name)
def test_own_tests_pass(bake: Bake, answers: Answers) -> None:
    shared = answers.get("migrations") == "alembic" and combination_name(answers) not in STARTS_POSTGRES
    with new_database() if shared else nullcontext() as url:
        told = bake(**answers).run("pytest -q", env={"DATABASE_URL": url} if url else None)
    assert " passed" in told.stdout
