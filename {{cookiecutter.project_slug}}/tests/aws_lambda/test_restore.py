"""Tests of the steps before and after Lambda restores an execution environment from a snapshot."""

import pytest

from aws_lambda import restore
from tests.aws_lambda.aws_server import AwsServer
from tests.helpers import run_python

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


def test_openssl_is_seeded_after_the_restore() -> None:
    code = RESTORE + (
        "import ssl\n"
        "seeds = []\n"
        "ssl.RAND_add = lambda seed, entropy: seeds.append(seed)\n"
        "import aws_lambda.restore\n"
        "restore()\nrestore()\n"
        "print([len(seed) for seed in seeds], seeds[0] != seeds[1])\n"
    )
    assert run_python(code, **SNAPSHOT) == "[32, 32] True\n"


LOAD_SECRETS = (
    RESTORE
    + """
import os, sys
from aws_lambda.restore import on_restore, prepare_secrets
from aws_lambda.secrets import load_secrets
prepare_secrets()
on_restore(load_secrets)
before = set(sys.modules)
restore()
print(os.environ.get("API_KEY"), "aws_lambda.sigv4" in before, sorted(set(sys.modules) - before))
"""
)


def test_restore_imports_no_module_to_load_secrets(aws_server: AwsServer) -> None:
    secrets = {"SECRET_NAMES": "API_KEY", "SECRETS_PATH": "/my-api/prod/", "SECRET_ID": "my-api/prod"}
{% if cookiecutter.secrets == 'ssm' %}
    parameter = {"Name": "/my-api/prod/API_KEY", "Value": "s3cr3t"}
    response: dict[str, object] = {"Parameters": [parameter], "InvalidParameters": []}
    aws_server.service, aws_server.respond = "ssm", lambda request: response
{% else %}
    response = {"SecretString": '{"API_KEY": "s3cr3t"}'}
    aws_server.service, aws_server.respond = "secretsmanager", lambda request: response
{% endif %}
    assert run_python(LOAD_SECRETS, **secrets, **SNAPSHOT) == "s3cr3t True []\n"
    assert run_python(LOAD_SECRETS, **SNAPSHOT) == "None False []\n"


def test_certificates_are_read_before_the_snapshot() -> None:
    code = (
        "import aws_lambda.sigv4\n"
        "from aws_lambda.restore import prepare_secrets\n"
        "prepare_secrets()\n"
        "print(aws_lambda.sigv4.tls_context.cache_info().currsize)\n"
    )
    assert run_python(code, SECRET_NAMES="API_KEY", **SNAPSHOT) == "1\n"


def test_a_service_with_jobs_reads_the_certificates_before_the_snapshot() -> None:
    code = (
        "import sys, aws_lambda.jobs\n"
        "sigv4 = sys.modules.get('aws_lambda.sigv4')\n"
        "print(sigv4 and sigv4.tls_context.cache_info().currsize)\n"
    )
    assert run_python(code, **SNAPSHOT) == "1\n"
    assert run_python(code) == "None\n"


def test_import_error_is_explained_if_secrets_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "USES_SNAPSHOT", True)
    monkeypatch.setenv("SECRET_NAMES", "API_KEY")
    with (
        pytest.raises(restore.SecretsNotLoadedError, match=r"^KeyError: 'API_KEY'\nSecrets \(API_KEY\) are not set"),
        restore.explain_import_errors(),
    ):
        raise KeyError("API_KEY")


@pytest.mark.parametrize(("uses_snapshot", "secrets"), [(False, "API_KEY"), (True, "")])
def test_other_import_errors_are_not_changed(
    monkeypatch: pytest.MonkeyPatch, uses_snapshot: bool, secrets: str
) -> None:
    monkeypatch.setattr(restore, "USES_SNAPSHOT", uses_snapshot)
    monkeypatch.setenv("SECRET_NAMES", secrets)
    with pytest.raises(KeyError), restore.explain_import_errors():
        raise KeyError("colour")
