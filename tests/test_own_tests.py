"""Do the baked project's own tests pass, as it comes out of the template?"""

from contextlib import nullcontext

import pytest

from tests.baking import COMBINATIONS, OTHER_ANSWERS, Answers, name_of
from tests.conftest import Bake
from tests.database import new_database

# These start a PostgreSQL of their own; the others use one that is there, as their owner may, which takes less time.
STARTS_POSTGRES = ("function_url-ssm-alembic-accept", "http_api-secrets_manager-alembic-provisioned_concurrency")


# The first of the other answers is that of test_hostile.py, which runs the own tests too: they take the longest of all.
@pytest.mark.parametrize("answers", COMBINATIONS + OTHER_ANSWERS[1:], ids=name_of)
def test_own_tests_pass(bake: Bake, answers: Answers) -> None:
    shared = answers.get("migrations") == "alembic" and name_of(answers) not in STARTS_POSTGRES
    with new_database() if shared else nullcontext() as url:
        told = bake(**answers).run("pytest -q", env={"DATABASE_URL": url} if url else None)
    assert " passed" in told.stdout
