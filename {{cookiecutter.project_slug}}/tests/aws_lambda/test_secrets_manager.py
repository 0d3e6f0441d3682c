import json
import os

import pytest

from aws_lambda.secrets import SecretsError, load_secrets
from tests.aws_lambda.aws_server import AwsServer


@pytest.fixture
def secret(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the response of Secrets Manager."""
    secret = {"SecretString": json.dumps({"API_KEY": "s3cr3t", "DATABASE_URL": "db://grün", "OTHER": "unused"})}
    aws_server.service, aws_server.respond = "secretsmanager", lambda request: secret
    monkeypatch.setenv("SECRET_ID", "my-api/prod")
    monkeypatch.setenv("SECRET_NAMES", "API_KEY,DATABASE_URL")
    monkeypatch.setenv("API_KEY", "previous value")
    monkeypatch.setenv("DATABASE_URL", "previous value")
    return secret


@pytest.mark.usefixtures("secret")
def test_secrets_become_environment_variables(aws_server: AwsServer) -> None:
    load_secrets()
    assert (os.environ["API_KEY"], os.environ["DATABASE_URL"]) == ("s3cr3t", "db://grün")
    assert "OTHER" not in os.environ
    (request,) = aws_server.requests
    assert request["SecretId"] == "my-api/prod"
    assert request["headers"]["x-amz-target"] == "secretsmanager.GetSecretValue"


def test_missing_secret_is_named(secret: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    secret["SecretString"] = json.dumps({"API_KEY": "s3cr3t"})
    monkeypatch.setenv("STAGE", "dev")
    command = r"\./deploy\.sh --stage dev secret set DATABASE_URL"
    with pytest.raises(SecretsError, match=rf"DATABASE_URL not found.* run {command}$") as error:
        load_secrets()
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize("text", ["s3cr3t", '{"API_KEY": "s3cr3t",}', '"s3cr3t"', '["s3cr3t"]', "1", ""])
def test_secret_that_is_not_a_json_object_is_rejected(secret: dict[str, str], text: str) -> None:
    secret["SecretString"] = text
    with pytest.raises(SecretsError, match=r"^my-api/prod does not contain a JSON object$"):
        load_secrets()


def test_binary_secret_is_rejected(secret: dict[str, str]) -> None:
    secret["SecretBinary"] = secret.pop("SecretString")
    with pytest.raises(SecretsError, match=r"^my-api/prod does not contain a JSON object$"):
        load_secrets()


@pytest.mark.parametrize("value", [["s3cr3t"], 7, None, "s3cr3t\0", "\ud800"])
def test_invalid_value_is_rejected(secret: dict[str, str], value: object) -> None:
    secret["SecretString"] = json.dumps({"API_KEY": value, "DATABASE_URL": "db://"})
    with pytest.raises(SecretsError, match=r"^The secret API_KEY must be a string without NUL characters$"):
        load_secrets()
