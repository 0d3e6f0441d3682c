{% if cookiecutter.secrets == 'secrets_manager' %}
import json
{% endif %}
import os
from typing import Any

import psycopg
import pytest

from aws_lambda import database, secrets
from aws_lambda.secrets import reload_secrets
from aws_lambda.sigv4 import AwsError
from tests.aws_lambda.aws_server import AwsServer, deny


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:s3cr3t@127.0.0.1/none",
        "postgresql://me:s3cr3t%zz@127.0.0.1/none",
        "postgresql://me:s3cr3t zz@127.0.0.1/none",
        "postgresql://me:s3cr3t@zz@127.0.0.1/none",
        "postgresql://127.0.0.1:s3cr3t/zz@127.0.0.1/none",
        "postgresql://127.0.0.1:1/s3cr3t@127.0.0.1/none",
        "postgresql://127.0.0.1:1?s3cr3t",
    ],
)
def test_invalid_url_is_rejected_without_the_password(url: str) -> None:
    with pytest.raises(database.DatabaseUrlError, match=r"^DATABASE_URL (must start with|is not a valid URL)") as error:
        database.connect(url)
    assert "s3cr3t" not in str(error.value)


def test_url_may_contain_options(empty_database: str) -> None:
    with database.connect(f"{empty_database}?application_name=me@home/office", connect_timeout=5) as connection:
        assert connection.execute("SHOW application_name").fetchone() == ("me@home/office",)


def test_server_that_cannot_be_reached_did_not_reject_the_password() -> None:
    with pytest.raises(psycopg.OperationalError) as error:
        database.connect("postgresql://me:s3cr3t@127.0.0.1:1/none")
    assert not database.failed_after_password(error.value)
    assert "s3cr3t" not in str(error.value)


def test_any_of_several_addresses_may_have_rejected_the_password() -> None:
    """psycopg describes only the last attempt, such as one with IPv6, which functions cannot use in many networks."""
    with pytest.raises(psycopg.OperationalError) as error:
        database.connect("postgresql://me:s3cr3t@127.0.0.1:1,127.0.0.1:2/none")
    assert database.failed_after_password(error.value)
    assert "s3cr3t" not in str(error.value)


@pytest.fixture
def store(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the secrets in the store. One of them was set as an environment variable before it was changed."""
    values = {"DATABASE_URL": "new"}

    def respond(request: dict[str, Any]) -> dict[str, Any]:
{% if cookiecutter.secrets == 'ssm' %}
        parameters = [{"Name": f"/my-api/prod/{name}", "Value": value} for name, value in values.items()]
        return {"Parameters": parameters, "InvalidParameters": []}

    aws_server.service, aws_server.respond = "ssm", respond
    monkeypatch.setenv("SECRETS_PATH", "/my-api/prod/")
{% else %}
        return {"SecretString": json.dumps(values)}

    aws_server.service, aws_server.respond = "secretsmanager", respond
    monkeypatch.setenv("SECRET_ID", "my-api/prod")
{% endif %}
    monkeypatch.setenv("SECRET_NAMES", "DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL", "old")
    monkeypatch.setattr(secrets, "_reloaded_at", 0.0)
    return values


def test_changed_secret_is_read_again(store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert reload_secrets()
    assert os.environ["DATABASE_URL"] == "new"
    monkeypatch.setattr(secrets, "RELOAD_INTERVAL_S", 0)
    assert not reload_secrets()
    store["DATABASE_URL"] = "newer"
    assert reload_secrets()
    assert os.environ["DATABASE_URL"] == "newer"


def test_secrets_are_not_read_with_every_request(store: dict[str, str], aws_server: AwsServer) -> None:
    assert reload_secrets()
    store["DATABASE_URL"] = "newer"
    assert not any(reload_secrets() for _ in range(100))
    assert os.environ["DATABASE_URL"] == "new"
    assert len(aws_server.requests) == 1


@pytest.mark.usefixtures("store")
def test_store_that_fails_is_not_called_with_every_request(aws_server: AwsServer) -> None:
    aws_server.faults.append(deny)
    with pytest.raises(AwsError):
        reload_secrets()
    assert not reload_secrets()
    assert os.environ["DATABASE_URL"] == "old"


def test_service_without_secrets_has_nothing_to_reload() -> None:
    assert not reload_secrets()
