import os
from typing import Any

import pytest

from aws_lambda.secrets import SecretsError, load_secrets
from tests.aws_lambda.aws_server import AwsServer


@pytest.fixture
def parameters(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the parameters that SSM contains."""
    parameters = {"/my-api/prod/API_KEY": "s3cr3t", "/my-api/prod/DATABASE_URL": "db://grün"}

    def get_parameters(request: dict[str, Any]) -> dict[str, Any]:
        names = request["Names"]
        return {
            "Parameters": [{"Name": name, "Value": parameters[name]} for name in names if name in parameters],
            "InvalidParameters": [name for name in names if name not in parameters],
        }

    aws_server.service, aws_server.respond = "ssm", get_parameters
    monkeypatch.setenv("SECRETS_PATH", "/my-api/prod/")
    monkeypatch.setenv("SECRET_NAMES", "API_KEY,DATABASE_URL")
    monkeypatch.setenv("API_KEY", "previous value")
    monkeypatch.setenv("DATABASE_URL", "previous value")
    return parameters


@pytest.mark.usefixtures("parameters")
def test_secrets_become_environment_variables(aws_server: AwsServer) -> None:
    load_secrets()
    assert (os.environ["API_KEY"], os.environ["DATABASE_URL"]) == ("s3cr3t", "db://grün")
    (request,) = aws_server.requests
    assert request["Names"] == ["/my-api/prod/API_KEY", "/my-api/prod/DATABASE_URL"]
    assert request["WithDecryption"] is True
    assert request["headers"]["x-amz-target"] == "AmazonSSM.GetParameters"


def test_one_request_per_ten_secrets(
    parameters: dict[str, str], aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"KEY_{number}" for number in range(23)]
    for name in names:
        parameters[f"/my-api/prod/{name}"] = f"value of {name}"
        monkeypatch.setenv(name, "previous value")
    monkeypatch.setenv("SECRET_NAMES", ",".join(names))
    load_secrets()
    assert [os.environ[name] for name in names] == [f"value of {name}" for name in names]
    assert [len(request["Names"]) for request in aws_server.requests] == [10, 10, 3]


def test_missing_secret_is_named(parameters: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    del parameters["/my-api/prod/DATABASE_URL"]
    monkeypatch.setenv("STAGE", "dev")
    command = r"\./deploy\.sh --stage dev secret set DATABASE_URL"
    with pytest.raises(SecretsError, match=rf"DATABASE_URL not found.* run {command}$") as error:
        load_secrets()
    assert "s3cr3t" not in str(error.value)


def test_invalid_value_is_rejected(parameters: dict[str, str]) -> None:
    parameters["/my-api/prod/API_KEY"] = "s3cr3t\0"
    with pytest.raises(SecretsError, match=r"^The secret API_KEY must be a string without NUL characters$"):
        load_secrets()
