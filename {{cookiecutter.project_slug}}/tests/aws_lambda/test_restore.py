"""Tests of the steps before and after Lambda restores an execution environment from a snapshot."""

import pytest

from aws_lambda import restore
from tests.aws_lambda.conftest import run_python

SNAPSHOT = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
RESTORE = """
from snapshot_restore_py import get_after_restore
def restore():
    for function, args, kwargs in get_after_restore():
        function(*args, **kwargs)
"""


def test_functions_are_called_after_the_restore() -> None:
    code = RESTORE + (
        "from aws_lambda.restore import on_restore\n"
        "calls = []\n"
        "on_restore(lambda: calls.append('first'))\n"
        "on_restore(lambda: calls.append('second'))\n"
        "print(calls)\nrestore()\nprint(calls)\n"
    )
    assert run_python(code, **SNAPSHOT) == "[]\n['first', 'second']\n"
    assert run_python(code) == "['first', 'second']\n['first', 'second']\n"


def test_application_is_started_after_the_restore() -> None:
    code = RESTORE + (
        "from aws_lambda.lifespan import Lifespan\n"
        "from aws_lambda.restore import on_restore\n"
        "from tests.aws_lambda.application import create_app\n"
        "app = create_app()\n"
        "on_restore(Lifespan(app).start)\n"
        "print(hasattr(app.state, 'starts'))\nrestore()\nprint(app.state.starts)\n"
    )
    assert run_python(code, **SNAPSHOT) == "False\n1\n"


def test_restored_environments_generate_different_random_numbers() -> None:
    code = RESTORE + (
        "import random, aws_lambda.restore\n"
        "state = random.getstate()\n"
        "def number():\n"
        "    random.setstate(state)\n"
        "    restore()\n"
        "    return random.random()\n"
        "print(number() != number())\n"
    )
    assert run_python(code, **SNAPSHOT) == "True\n"


def test_import_error_is_explained_if_secrets_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "IN_SNAPSHOT", True)
    monkeypatch.setenv("SECRET_NAMES", "API_KEY")
    with (
        pytest.raises(restore.SecretsNotLoadedError, match=r"^KeyError: 'API_KEY'\nSecrets \(API_KEY\) are not set"),
        restore.explain_import_errors(),
    ):
        raise KeyError("API_KEY")


@pytest.mark.parametrize(("in_snapshot", "secrets"), [(False, "API_KEY"), (True, "")])
def test_other_import_errors_are_not_changed(monkeypatch: pytest.MonkeyPatch, in_snapshot: bool, secrets: str) -> None:
    monkeypatch.setattr(restore, "IN_SNAPSHOT", in_snapshot)
    monkeypatch.setenv("SECRET_NAMES", secrets)
    with pytest.raises(KeyError), restore.explain_import_errors():
        raise KeyError("colour")
