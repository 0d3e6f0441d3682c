"""Secrets are keys of one JSON object in Secrets Manager, read in one request; no value is ever in a message."""

import json

import pytest

from app.secrets import SecretsError, read_secrets
from tests.app.aws_server import AwsServer


@pytest.fixture
def stored(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What Secrets Manager answers."""
    stored = {"SecretString": json.dumps({"API_KEY": "s3cr3t", "DATABASE_URL": "db://grün", "OTHER": "unread"})}
    aws_server.service, aws_server.answer = "secretsmanager", lambda request: stored
    monkeypatch.setenv("SECRET_ID", "my-api/prod")
    monkeypatch.setenv("SECRET_NAMES", "API_KEY,DATABASE_URL")
    return stored


@pytest.mark.usefixtures("stored")
def test_one_request_for_all(aws_server: AwsServer) -> None:
    assert read_secrets() == {"api_key": "s3cr3t", "database_url": "db://grün"}
    (request,) = aws_server.requests
    assert request["SecretId"] == "my-api/prod"
    assert request["headers"]["x-amz-target"] == "secretsmanager.GetSecretValue"


def test_missing_secrets_are_named(stored: dict[str, str]) -> None:
    stored["SecretString"] = json.dumps({"API_KEY": "s3cr3t"})
    with pytest.raises(SecretsError, match=r"DATABASE_URL.*\./deploy\.sh secret set DATABASE_URL") as caught:
        read_secrets()
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("text", ["s3cr3t", '{"API_KEY": "s3cr3t",}', '"s3cr3t"', '["s3cr3t"]', "1", ""])
def test_what_is_no_json_object_is_not_shown(stored: dict[str, str], text: str) -> None:
    stored["SecretString"] = text
    with pytest.raises(SecretsError, match=r"^my-api/prod does not hold a JSON object$"):
        read_secrets()


def test_a_binary_secret(stored: dict[str, str]) -> None:
    stored["SecretBinary"] = stored.pop("SecretString")
    with pytest.raises(SecretsError, match=r"^my-api/prod does not hold a JSON object$"):
        read_secrets()
