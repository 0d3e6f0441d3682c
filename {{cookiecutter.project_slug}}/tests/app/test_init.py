"""What importing the service does, and what it leaves for later: INIT is what a cold start waits for."""

import os
import subprocess
import sys


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a fresh process, as Lambda starts the service."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_what_only_some_requests_need_is_not_imported() -> None:
{% if cookiecutter.migrations == 'alembic' %}
    later = {"app.model", "app.secrets", "app.aws", "boto3", "botocore", "alembic", "psycopg"}
{% else %}
    later = {"app.model", "app.secrets", "app.aws", "boto3", "botocore"}
{% endif %}
    done = run(f"import sys, app.main; print({later} & sys.modules.keys())")
    assert done.stdout == "set()\n", done.stderr


def test_garbage_collection_is_off_only_while_modules_are_imported() -> None:
    done = run("import app.main, gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000)")
    assert done.stdout == "True True\n", done.stderr


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
