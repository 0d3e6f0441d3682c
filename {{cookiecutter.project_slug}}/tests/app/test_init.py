"""What importing the service does, and what it leaves for later: INIT is what a cold start waits for."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a fresh process, as Lambda starts the service."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )


OPENED = """
import sys
opened = set()
sys.addaudithook(lambda event, arguments: opened.add(arguments[0]) if event == "open" else None)
import app.main
print(sum(str(name).endswith(".py") or str(name).endswith(".pyc") for name in opened))
"""
IMPORTED = "import app.main, gc, json, sys; print(json.dumps([gc.isenabled(), gc.get_freeze_count(), *sys.modules]))"


@pytest.fixture(scope="module")
def imported() -> list[Any]:
    """After the import of the service: is garbage collection on, how much is out of its reach, which modules are there."""
    done = run(IMPORTED)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def test_what_only_some_requests_need_is_not_imported(imported: list[Any]) -> None:
{% if cookiecutter.migrations == 'alembic' %}
    later = {"app.model", "app.secrets", "app.aws", "boto3", "botocore", "pydantic.v1", "alembic", "psycopg"}
{% else %}
    later = {"app.model", "app.secrets", "app.aws", "boto3", "botocore", "pydantic.v1"}
{% endif %}
    assert "app.main" in imported
    assert later.isdisjoint(imported)


def test_few_files_are_opened() -> None:
    """Each is a wait for the disk at a cold start. What you import may well raise this number."""
    done = run(OPENED)
    assert done.returncode == 0, done.stderr
{% if cookiecutter.migrations == 'alembic' %}
    assert int(done.stdout) < 530
{% else %}
    assert int(done.stdout) < 400
{% endif %}


def test_garbage_collection_is_off_only_while_modules_are_imported(imported: list[Any]) -> None:
    is_on, frozen = imported[:2]
    assert is_on
    assert frozen > 10_000


def test_installed_packages_are_not_searched_for_plugins() -> None:
    code = "import importlib.metadata\n\ndef distributions():\n    raise AssertionError\n"
    done = run(f"{code}importlib.metadata.distributions = distributions\nimport app.main")
    assert done.returncode == 0, done.stderr


def test_invalid_settings_fail_init_and_name_the_variable() -> None:
    done = run("import app.main", DOCS="perhaps")
    assert done.returncode == 1
    assert "SettingsError: DOCS: Input should be a valid boolean" in done.stderr
    assert "perhaps" not in done.stderr


def test_docs_can_be_turned_off() -> None:
    done = run("import app.main; print(app.main.app.openapi_url, len(app.main.app.routes))", DOCS="false")
    assert done.stdout.startswith("None "), done.stderr


def test_imports_under_a_running_loop() -> None:
    """As uvicorn imports it."""
    done = run("import asyncio\nasync def main(): import app.main\nasyncio.run(main())", AWS_LAMBDA_FUNCTION_NAME="")
    assert done.returncode == 0, done.stderr
