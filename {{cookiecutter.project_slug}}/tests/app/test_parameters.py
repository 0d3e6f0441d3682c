"""Secrets are parameters of SSM, read in as few requests as its API allows; no value is ever in a message."""

from typing import Any

import pytest

from app.secrets import SecretsError, read_secrets
from tests.app.aws_server import AwsServer


@pytest.fixture
def values(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What SSM holds."""
    values = {"/my-api/prod/API_KEY": "s3cr3t", "/my-api/prod/DATABASE_URL": "db://grün"}

    def get_parameters(request: dict[str, Any]) -> dict[str, Any]:
        names = request["Names"]
        return {
            "Parameters": [{"Name": name, "Value": values[name]} for name in names if name in values],
            "InvalidParameters": [name for name in names if name not in values],
        }

    aws_server.service, aws_server.answer = "ssm", get_parameters
    monkeypatch.setenv("SECRETS_PATH", "/my-api/prod/")
    monkeypatch.setenv("SECRET_NAMES", "API_KEY,DATABASE_URL")
    return values


@pytest.mark.usefixtures("values")
def test_one_request_for_all(aws_server: AwsServer) -> None:
    assert read_secrets() == {"api_key": "s3cr3t", "database_url": "db://grün"}
    (request,) = aws_server.requests
    assert request["Names"] == ["/my-api/prod/API_KEY", "/my-api/prod/DATABASE_URL"]
    assert request["WithDecryption"] is True
    assert request["headers"]["x-amz-target"] == "AmazonSSM.GetParameters"


def test_ten_names_a_request(values: dict[str, str], aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"KEY_{n}" for n in range(23)]
    values |= {f"/my-api/prod/{name}": name for name in names}
    monkeypatch.setenv("SECRET_NAMES", ",".join(names))
    assert read_secrets() == {name.lower(): name for name in names}
    assert [len(request["Names"]) for request in aws_server.requests] == [10, 10, 3]


def test_missing_secrets_are_named(values: dict[str, str]) -> None:
    del values["/my-api/prod/DATABASE_URL"]
    with pytest.raises(SecretsError, match=r"DATABASE_URL.*\./deploy\.sh secret set DATABASE_URL") as caught:
        read_secrets()
    assert "s3cr3t" not in str(caught.value)
