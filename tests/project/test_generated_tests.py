"""Test that the tests of a generated project pass."""

import sys
from contextlib import nullcontext

import pytest

from scripts.database import new_database
from scripts.projects import COMBINATIONS, OTHER_ANSWERS, Answers, combination_name
from tests.support.bake import Bake

WITH_DATABASE = [answers for answers in COMBINATIONS if answers.get("migrations") == "alembic"]
# The tests of these projects start a PostgreSQL server. All others use a running one, which takes less time.
STARTS_POSTGRES = [WITH_DATABASE[0], WITH_DATABASE[-1]]


# pyproject.toml reports warnings of the template as errors. The sample has none either.
WARNINGS = r"""filterwarnings=
error:::(app|aws_lambda|deploy|migrations|tests)\b
ignore:Using `httpx` with `starlette.testclient`"""

# The handler imports FastAPI lazily with Python 3.15, but most tests import it before the handler, in the usual way.
# This runs pytest after the imports of the handler, so that the tests use what it imported.
PYTEST_WITH_LAZY_IMPORTS = """
import sys
from aws_lambda.cold_start import faster_imports
with faster_imports():
    from fastapi import FastAPI
    from mangum import Mangum
assert not {"fastapi.openapi.docs", "starlette.testclient"} & {*sys.modules}, "FastAPI is not imported lazily"
import pytest
sys.exit(pytest.main())
"""
PYTEST = ["python", "-c", PYTEST_WITH_LAZY_IMPORTS] if sys.version_info >= (3, 15) else ["pytest"]


# test_injection.py runs the tests of the first of the other answers.
@pytest.mark.parametrize("answers", COMBINATIONS + OTHER_ANSWERS[1:], ids=combination_name)
def test_the_tests_of_a_project_pass(bake: Bake, answers: Answers) -> None:
    needs_database = answers in WITH_DATABASE and answers not in STARTS_POSTGRES
    with new_database() if needs_database else nullcontext() as url:
        result = bake(**answers).run([*PYTEST, "-q", "-o", WARNINGS], env={"DATABASE_URL": url} if url else None)
    assert " passed" in result.stdout
